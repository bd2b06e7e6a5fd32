/**
 * The review of a refinement: the text as it is beside the text as proposed, the reason at each change, questions to
 * answer, lines that the workspace has to add, each accepted or rejected by itself; then Accept, Modify or Reject.
 * Nothing is changed before it is accepted, and one undo takes it back.
 */
import { distance } from "fastest-levenshtein";
import {
  type CommentReply,
  type CommentThread,
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
import type { Addition, Outcome, RefineResult } from "./protocol";
import { between } from "./ranges";
import { Reasons } from "./reasons";
import type { Server } from "./server";
import { type Change, changed, difference, withoutLine } from "./texts";

type Decision = "accepted" | "modified" | "rejected";

/** A change with its reason, and the addition that it is, if it is one. */
interface Explained extends Change {
  reason: string;
  addition?: Addition;
}

/** What is being reviewed. `refined` says whether there is more than additions, `decided` has those decided so far. */
interface Open {
  planId: string;
  document: TextDocument;
  original: string;
  proposed: string;
  refined: boolean;
  additions: readonly Addition[];
  decided: Map<string, Decision>;
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
  async open(document: TextDocument, result: RefineResult): Promise<void> {
    const { planId, refinement } = result;
    const changes = await this.changes(document, result);
    if (changes.length === 0) {
      const asked = refinement.questions.map((question) => question.text);
      window.showInformationMessage(["No changes suggested.", refinement.reason, ...asked].join(" "));
      return;
    }
    await this.close();
    const original = document.getText();
    const { text: proposed, places } = changed(original, changes);
    const title = isChat(document) ? "chat-draft.md" : name(document.uri);
    const { left, right } = this.proposals.put(title, original, proposed);
    const additions = changes.flatMap(({ addition }) => (addition === undefined ? [] : [addition]));
    const refined = additions.length < changes.length;
    const decided = new Map<string, Decision>();
    this.current = { planId, document, original, proposed, refined, additions, decided, left, right };
    await commands.executeCommand("setContext", "anchorline.reviewing", true);
    await commands.executeCommand("setContext", "anchorline.reviewingAdditions", additions.length > 0);
    const count = changes.length === 1 ? "1 change" : `${changes.length} changes`;
    await commands.executeCommand("vscode.diff", left, right, `${title}: refined, ${count}`, {
      preview: true,
    });
    if (this.current?.right !== right) {
      await this.proposals.close(right); // the text was changed while the diff opened
      return;
    }
    const shown = await workspace.openTextDocument(right);
    const explained = places.map(({ end, change }) => ({ ...change, end }));
    this.reasons.show(shown, explained, refinement.questions);
  }

  /** Take the text on the right over. */
  async accept(): Promise<void> {
    const { document, original, right, ...reviewed } = this.reviewed();
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
    const { planId, refined, additions, decided } = reviewed;
    const rejected = additions.filter(({ id }) => decided.get(id) === "rejected");
    const expected = rejected.reduce((text, { text: line }) => withoutLine(text, line), reviewed.proposed);
    const of = ({ id, text, path }: Addition): Decision => {
      const stands = decided.get(id) !== "rejected" && path != null && kept.includes(path);
      return kept.includes(text) ? "accepted" : stands ? "modified" : "rejected";
    };
    await this.record({
      planId,
      ...(refined && {
        decision: kept === expected ? "accepted" : "modified",
        editDistance: apart(expected, kept),
      }),
      additions: Object.fromEntries(additions.map((addition) => [addition.id, of(addition)])),
    });
  }

  /** Accept an addition: that of a thread, else the one at the cursor or the first that is not decided. */
  async acceptAddition(thread?: CommentThread): Promise<void> {
    const { id } = await this.addition(thread);
    await this.decide(id, "accepted");
  }

  /** Reject an addition, likewise: its line goes from the proposal. */
  async rejectAddition(thread?: CommentThread): Promise<void> {
    const { right } = this.reviewed();
    const { id, text } = await this.addition(thread);
    this.proposals.unlock(right);
    const shown = await workspace.openTextDocument(right);
    const { start, end, text: replaced } = difference(shown.getText(), withoutLine(shown.getText(), text));
    const edit = new WorkspaceEdit();
    edit.replace(right, between(shown, start, end), replaced);
    await workspace.applyEdit(edit);
    await this.decide(id, "rejected");
  }

  /** Let the developer edit the text on the right; Accept takes it as it is then. */
  async modify(): Promise<void> {
    const { right } = this.reviewed();
    this.proposals.unlock(right);
    await commands.executeCommand("workbench.action.compareEditor.focusPrimarySide");
  }

  /** Close the review and leave everything as it is. */
  async reject(): Promise<void> {
    const { planId, original, proposed, refined, additions } = this.reviewed();
    await this.close();
    const unchanged = additions.reduce((text, { text: line }) => withoutLine(text, line), proposed);
    await this.record({
      planId,
      ...(refined && { decision: "rejected", editDistance: apart(original, unchanged) }),
      additions: Object.fromEntries(additions.map(({ id }) => [id, "rejected"])),
    });
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

  /** The changes of a refinement, each with its reason. */
  private async changes(document: TextDocument, result: RefineResult): Promise<Explained[]> {
    const { protocol2CodeConverter: converter } = await this.server.running();
    const of = async (edit: RefineResult["edit"]): Promise<Change[]> => {
      const edits = (await converter.asWorkspaceEdit(edit))?.get(document.uri) ?? [];
      return edits.map(({ range, newText }) => ({
        start: document.offsetAt(range.start),
        end: document.offsetAt(range.end),
        text: newText,
      }));
    };
    const { edits, reason, additions } = result.refinement;
    const refined = (await of(result.edit)).sort(
      (one, other) => one.start - other.start || one.end - other.end,
    );
    const reasons = [...edits].sort((one, other) => one.start - other.start || one.end - other.end);
    const same = reasons.length === refined.length; // a draft inside a JSON string is changed as a whole
    const added = (await of(result.context)).flatMap((change) => {
      const addition = additions.find(({ text }) => text === change.text.trim());
      return addition === undefined ? [] : [{ ...change, reason: addition.reason, addition }];
    });
    return [
      ...refined.map((change, index) => ({
        ...change,
        reason: (same ? reasons[index]?.reason : undefined) ?? reason,
      })),
      ...added,
    ];
  }

  /** The addition that a thread is about, that the cursor is at, or the first that is not decided. */
  private async addition(thread: CommentThread | undefined): Promise<Addition> {
    const { additions, decided, right } = this.reviewed();
    const open = additions.filter(({ id }) => !decided.has(id));
    const id = thread === undefined ? undefined : this.reasons.additionOf(thread);
    const editor = window.activeTextEditor;
    const line =
      editor?.document.uri.toString() === right.toString()
        ? editor.document.lineAt(editor.selection.active.line).text
        : undefined;
    const chosen = open.find((addition) => addition.id === id || addition.text === line) ?? open[0];
    if (chosen === undefined) {
      throw new Notice("There is no line to add that is not decided.");
    }
    return chosen;
  }

  /** Take a decision in. Where all are taken and there is nothing else to accept, the review ends. */
  private async decide(id: string, decision: Decision): Promise<void> {
    const { additions, decided, refined } = this.reviewed();
    decided.set(id, decision);
    this.reasons.decided(id);
    if (decided.size < additions.length) {
      return;
    }
    await commands.executeCommand("setContext", "anchorline.reviewingAdditions", false);
    if (!refined) {
      await ([...decided.values()].includes("accepted") ? this.accept() : this.reject());
    }
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
    commands.executeCommand("setContext", "anchorline.reviewingAdditions", false);
  }

  private async record(outcome: Outcome): Promise<void> {
    await this.server.request("anchorline/outcome", outcome);
  }
}

/** Characters between two texts; only what differs is compared. */
function apart(before: string, after: string): number {
  const { start, end, text } = difference(before, after);
  return distance(before.slice(start, end), text);
}
