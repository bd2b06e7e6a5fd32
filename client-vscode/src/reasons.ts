/** The reasons of a proposal at the ends of the changed lines and on hover, and its questions as threads to answer in. */
import {
  CommentMode,
  type CommentThread,
  CommentThreadCollapsibleState,
  comments,
  type DecorationOptions,
  Disposable,
  MarkdownString,
  Range,
  type TextDocument,
  ThemeColor,
  window,
} from "vscode";
import type { Refinement } from "./protocol";
import { between } from "./ranges";

export class Reasons extends Disposable {
  private readonly controller = comments.createCommentController("anchorline", "Anchorline");
  private readonly decoration = window.createTextEditorDecorationType({
    after: { color: new ThemeColor("editorCodeLens.foreground"), fontStyle: "italic", margin: "0 0 0 2em" },
  });
  private threads: CommentThread[] = [];

  constructor() {
    super(() => Disposable.from(this.controller, this.decoration).dispose());
    this.controller.options = { prompt: "Answer", placeHolder: "Your answer is added to the prompt" };
  }

  /** Show why each of the `places` in a proposal was changed, and what is asked. */
  show(
    document: TextDocument,
    places: readonly { start: number; end: number }[],
    refinement: Refinement,
  ): void {
    this.clear();
    const edits = [...refinement.edits].sort((one, other) => one.start - other.start || one.end - other.end);
    const same = edits.length === places.length; // a draft inside a JSON string is changed as a whole
    const reasons = places.map((_, index) => (same ? edits[index]?.reason : undefined) ?? refinement.reason);
    const byLine = new Map<number, DecorationOptions>();
    places.forEach(({ start, end }, index) => {
      const range = between(document, start, end);
      const line = range.end.line;
      const earlier = byLine.get(line)?.renderOptions?.after?.contentText?.slice(2).split("; ") ?? [];
      const all = [...new Set([...earlier, reasons[index] ?? ""])];
      byLine.set(line, {
        range: document.lineAt(line).range,
        hoverMessage: all.map((reason) => plainly(reason)),
        renderOptions: { after: { contentText: `← ${all.join("; ")}` } },
      });
    });
    for (const editor of window.visibleTextEditors.filter((shown) => shown.document === document)) {
      editor.setDecorations(this.decoration, [...byLine.values()]);
    }
    const last = Math.max(0, ...places.map(({ end }) => document.positionAt(end).line));
    this.threads = refinement.questions.map(({ text }) => this.ask(document, last, text));
  }

  clear(): void {
    for (const thread of this.threads) {
      thread.dispose();
    }
    this.threads = [];
  }

  private ask(document: TextDocument, line: number, text: string): CommentThread {
    const comment = { body: plainly(text), mode: CommentMode.Preview, author: { name: "Anchorline" } };
    const thread = this.controller.createCommentThread(document.uri, new Range(line, 0, line, 0), [comment]);
    thread.label = "Question";
    thread.collapsibleState = CommentThreadCollapsibleState.Expanded;
    return thread;
  }
}

/** A text as it is: it may hold names of files and symbols, which are nobody's Markdown. */
function plainly(text: string): MarkdownString {
  return new MarkdownString(text.replace(/[\\`*_{}[\]()#+\-!~<>|&]/g, "\\$&"));
}
