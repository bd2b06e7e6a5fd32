/** Ranges of documents, VS Code's and the protocol's. */
import { Range, type TextDocument } from "vscode";
import type { Range as PlainRange } from "./protocol";

export type { PlainRange };

/** The range of all that stands in a document. */
export function whole(document: TextDocument): Range {
  return new Range(0, 0, document.lineCount - 1, document.lineAt(document.lineCount - 1).text.length);
}

/** A range as plain data. */
export function plain({ start, end }: Range): PlainRange {
  return {
    start: { line: start.line, character: start.character },
    end: { line: end.line, character: end.character },
  };
}

/** The range between two offsets. */
export function between(document: TextDocument, start: number, end: number): Range {
  return new Range(document.positionAt(start), document.positionAt(end));
}
