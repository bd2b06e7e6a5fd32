/**
 * The review of a refinement: the text as it is beside the text as proposed, the reason at each change, questions to
 * answer; then Accept, Modify or Reject. Nothing is changed before it is accepted, and one undo takes it back.
 */
import { distance } from "fastest-levenshtein";
import {
  type CommentReply,
  commands,
  Disposable,
  type TextDocument,
  type TextDocumentChangeEvent,
  type Uri,
  WorkspaceEdit,
  window,
  workspace,
} from "vscode";
import { isChat, rewriteChat } from "./chat";
import { name } from "./documents";
import { Notice } from "./notice";
import { Proposals } from "./proposals";
import type { RefineResult } from "./protocol";
import { between } from "./ranges";
import { Reasons } from "./reasons";
import type { Server } from "./server";
import { changed, difference } from "./texts";

type Decision = "accepted" | "modified" | "rejected";

/** What is being reviewed. */
interface Open {
  planId: string;
  document: TextDocument;
  original: string;
  proposed: string;
  left: Uri;
  right: Uri;
}

/** At most one review at a time; a new one takes the old one's place. */
export class Review extends Disposable {
  private readonly proposals = new Proposals();
  private readonly reasons = new Reasons();
  private readonly parts: Disposable[];
  private current: Open | undefined;

  constructor(
    private readonly server: Server,
    private readonly again: () => Promise<void>,
  ) {
    super(() => Disposable.from(this.proposals, this.reasons, ...this.parts).dispose());
    this.parts = [
      workspace.onDidChangeTextDocument((change) => this.outdate(change)),
      window.tabGroups.onDidChangeTabs(({ closed }) => {
        if (closed.some((tab) => this.proposals.isShownIn(tab, this.current?.right))) {
          this.end();
        }
      }),
    ];
  }

  /** Show a proposal; where there is none, say why. */
  async open(document: TextDocument, { planId, refinement, edit }: RefineResult): Promise<void> {
    const client = await this.server.running();
    const edits = (await client.protocol2CodeConverter.asWorkspaceEdit(edit))?.get(document.uri) ?? [];
    if (edits.length === 0) {
      const asked = refinement.questions.map((question) => question.text);
      window.showInformationMessage(["No changes suggested.", refinement.reason, ...asked].join(" "));
      return;
    }
    await this.close();
    const original = document.getText();
    const changes = edits.map(({ range, newText }) => ({
      start: document.offsetAt(range.start),
      end: document.offsetAt(range.end),
      text: newText,
    }));
    const { text: proposed, places } = changed(original, changes);
    const title = isChat(document) ? "chat-draft.md" : name(document.uri);
    const { left, right } = this.proposals.put(title, original, proposed);
    this.current = { planId, document, original, proposed, left, right };
    await commands.executeCommand("setContext", "anchorline.reviewing", true);
    const count = edits.length === 1 ? "1 change" : `${edits.length} changes`;
    await commands.executeCommand("vscode.diff", left, right, `${title}: refined, ${count}`, {
      preview: true,
    });
    if (this.current?.right !== right) {
      await this.proposals.close(right); // the text was changed while the diff opened
      return;
    }
    const shown = await workspace.openTextDocument(right);
    this.reasons.show(shown, places, refinement);
  }

  /** Take the text on the right over. */
  async accept(): Promise<void> {
    const { document, original, proposed, right, planId } = this.reviewed();
    const kept = (await workspace.openTextDocument(right)).getText();
    await this.close();
    const isGone = document.isClosed && !isChat(document); // of a closed chat, the text is put into another
    if (isGone || document.getText() !== original) {
      throw new Notice("Nothing applied: the text has changed since it was refined.");
    }
    if (isChat(document)) {
      await rewriteChat(document, kept);
    } else {
      await window.showTextDocument(document);
      const { start, end, text } = difference(original, kept);
      const edit = new WorkspaceEdit();
      edit.replace(document.uri, between(document, start, end), text);
      if (!(await workspace.applyEdit(edit))) {
        throw new Error("the editor did not apply the refined text");
      }
    }
    const decision = kept === proposed ? "accepted" : "modified";
    await this.record(planId, decision, apart(proposed, kept));
  }

  /** Let the developer edit the text on the right; Accept takes it as it is then. */
  async modify(): Promise<void> {
    const { right } = this.reviewed();
    this.proposals.unlock(right);
    await commands.executeCommand("workbench.action.compareEditor.focusPrimarySide");
  }

  /** Close the review and leave everything as it is. */
  async reject(): Promise<void> {
    const { planId, original, proposed } = this.reviewed();
    await this.close();
    await this.record(planId, "rejected", apart(original, proposed));
  }

  /** Add an answer to the proposal, below the line that its question stands at. */
  async answer(reply: CommentReply): Promise<void> {
    const { right } = this.reviewed();
    this.proposals.unlock(right);
    const shown = await workspace.openTextDocument(right);
    const edit = new WorkspaceEdit();
    const line = shown.lineAt(reply.thread.range?.end.line ?? shown.lineCount - 1);
    edit.insert(right, line.range.end, `\n${reply.text}`);
    await workspace.applyEdit(edit);
    reply.thread.dispose();
  }

  private reviewed(): Open {
    if (this.current === undefined) {
      throw new Notice("There is no refinement to review.");
    }
    return this.current;
  }

  private outdate({ document, contentChanges }: TextDocumentChangeEvent): void {
    const stale = document === this.current?.document && contentChanges.length > 0;
    if (!stale) {
      return;
    }
    this.close();
    const text = "Review closed: the text has changed since it was refined.";
    window.showInformationMessage(text, "Refine Again").then((chosen) => chosen && this.again());
  }

  private async close(): Promise<void> {
    const right = this.current?.right;
    this.end();
    if (right !== undefined) {
      await this.proposals.close(right);
    }
  }

  private end(): void {
    this.current = undefined;
    this.reasons.clear();
    commands.executeCommand("setContext", "anchorline.reviewing", false);
  }

  private async record(planId: string, decision: Decision, editDistance: number): Promise<void> {
    await this.server.request("anchorline/outcome", { planId, decision, editDistance });
  }
}

/** Characters between two texts; only what differs is compared. */
function apart(before: string, after: string): number {
  const { start, end, text } = difference(before, after);
  return distance(before.slice(start, end), text);
}
