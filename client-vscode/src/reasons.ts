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
import type { Addition, Question } from "./protocol";

/** A change of a proposal: where it ends, why it was made, and the addition that it is, if it is one. */
export interface Explained {
  end: number;
  reason: string;
  addition?: Addition;
}

export class Reasons extends Disposable {
  private readonly controller = comments.createCommentController("anchorline", "Anchorline");
  private readonly decoration = window.createTextEditorDecorationType({
    after: { color: new ThemeColor("editorCodeLens.foreground"), fontStyle: "italic", margin: "0 0 0 2em" },
  });
  private threads: CommentThread[] = [];
  private readonly additions = new Map<string, CommentThread>();

  constructor() {
    super(() => Disposable.from(this.controller, this.decoration).dispose());
    this.controller.options = { prompt: "Answer", placeHolder: "Your answer is added to the prompt" };
  }

  /** Show why each change of a proposal was made, what is asked, and the additions to decide about. */
  show(document: TextDocument, changes: readonly Explained[], questions: readonly Question[]): void {
    this.clear();
    const byLine = new Map<number, DecorationOptions>();
    for (const { end, reason } of changes) {
      const { line } = document.positionAt(end);
      const earlier = byLine.get(line)?.renderOptions?.after?.contentText?.slice(2).split("; ") ?? [];
      const all = [...new Set([...earlier, reason])];
      byLine.set(line, {
        range: document.lineAt(line).range,
        hoverMessage: all.map((each) => plainly(each)),
        renderOptions: { after: { contentText: `← ${all.join("; ")}` } },
      });
    }
    for (const editor of window.visibleTextEditors.filter((shown) => shown.document === document)) {
      editor.setDecorations(this.decoration, [...byLine.values()]);
    }
    const last = Math.max(0, ...changes.map(({ end }) => document.positionAt(end).line));
    this.threads = questions.map(({ text }) => this.ask(document, last, text));
    for (const { end, reason, addition } of changes) {
      if (addition !== undefined) {
        this.additions.set(addition.id, this.offer(document, document.positionAt(end).line, reason));
      }
    }
  }

  clear(): void {
    for (const thread of [...this.threads, ...this.additions.values()]) {
      thread.dispose();
    }
    this.threads = [];
    this.additions.clear();
  }

  /** The addition that a thread is about. */
  additionOf(thread: CommentThread): string | undefined {
    return [...this.additions].find(([, other]) => other === thread)?.[0];
  }

  /** An addition was decided about: its buttons go. */
  decided(id: string): void {
    this.additions.get(id)?.dispose();
    this.additions.delete(id);
  }

  private offer(document: TextDocument, line: number, reason: string): CommentThread {
    const comment = { body: plainly(reason), mode: CommentMode.Preview, author: { name: "Anchorline" } };
    const thread = this.controller.createCommentThread(document.uri, new Range(line, 0, line, 0), [comment]);
    thread.label = "Add this line?";
    thread.contextValue = "addition";
    thread.canReply = false;
    thread.collapsibleState = CommentThreadCollapsibleState.Expanded;
    return thread;
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
