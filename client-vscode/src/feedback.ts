/** Thumbs up or down. */
import { window } from "vscode";
import type { Server } from "./server";

/** Ask for thumbs and a note, and record them. */
export async function giveFeedback(server: Server, planId: string): Promise<void> {
  const thumbs = await window.showQuickPick(
    [
      { label: "$(thumbsup) Good plan", value: 1 as const },
      { label: "$(thumbsdown) Bad plan", value: -1 as const },
    ],
    { title: "How was the last plan?" },
  );
  if (thumbs === undefined) {
    return;
  }
  const note = await window.showInputBox({
    title: "Why? (optional)",
    prompt: "Stored only if `store.text` allows text.",
    validateInput: (text) => (text.length > 2000 ? "2000 characters at most" : undefined),
  });
  if (note === undefined) {
    return;
  }
  const { recorded, reason } = await server.request("anchorline/feedback", {
    planId,
    thumbs: thumbs.value,
    note,
  });
  window.setStatusBarMessage(recorded ? "Anchorline: recorded" : `Anchorline: not recorded, ${reason}`, 5000);
}
