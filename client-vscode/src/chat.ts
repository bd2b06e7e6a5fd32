/**
 * The chat's draft. VS Code keeps it in an ordinary document with a scheme that it does not document, so everything
 * here is checked, and what does not work falls back to opening the chat with the text.
 */
import { commands, type TextDocument, WorkspaceEdit, window, workspace } from "vscode";
import { CHAT_SCHEME } from "./documents";
import { Notice } from "./notice";
import { whole } from "./ranges";
import { chatIsOn } from "./settings";

const OPT_IN = "Turn On";

/** Return the draft that is being written in a chat's input; undefined where chat drafts are off and stay off. */
export async function draftOfChat(): Promise<TextDocument | undefined> {
  const focused = window.activeTextEditor?.document; // before a question takes the focus
  if (!chatIsOn()) {
    const text =
      "Refining chat drafts is off. Turn it on to let Anchorline read them (`anchorline.editor.chat`).";
    if ((await window.showInformationMessage(text, OPT_IN)) !== OPT_IN) {
      return undefined;
    }
    await workspace.getConfiguration("anchorline").update("editor.chat", true, true);
  }
  const drafts = workspace.textDocuments.filter(
    (document) => isChat(document) && document.getText().trim() !== "",
  );
  const draft = drafts.find((document) => document === focused) ?? drafts.at(-1);
  if (draft === undefined) {
    throw new Notice("Type a draft into the chat first.");
  }
  return draft;
}

export function isChat(document: TextDocument): boolean {
  return document.uri.scheme === CHAT_SCHEME;
}

/** Put a text in the place of a chat's draft; where that can't be (the chat was closed), into the chat that opens. */
export async function rewriteChat(document: TextDocument, text: string): Promise<void> {
  const edit = new WorkspaceEdit();
  edit.replace(document.uri, whole(document), text);
  const shown = window.visibleTextEditors.some((editor) => editor.document === document);
  const applied = shown && (await Promise.resolve(workspace.applyEdit(edit)).catch(() => false));
  const rewritten = applied && document.getText() === text;
  const query = rewritten ? undefined : { query: text, isPartialQuery: true };
  await commands.executeCommand("workbench.action.chat.open", query);
}
