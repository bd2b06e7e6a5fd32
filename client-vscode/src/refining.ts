/** A refinement while it is made: what the local model writes is seen as it comes, and it can be stopped. */
import { ProgressLocation, type TextDocument, window } from "vscode";
import { ProgressType } from "vscode-languageclient/node";
import type { PlanParams, Proposal, RefineResult, Written } from "./protocol";
import type { Server } from "./server";

const PARTS = new ProgressType<Proposal | Written>();
const SHOWN_CHARS = 120;
let count = 0;

/** Ask for a refinement of a document; the server may still have to start. Rejects where it was stopped. */
export async function makeRefinement(
  server: Server,
  document: TextDocument,
  params: PlanParams,
): Promise<RefineResult> {
  const partialResultToken = `anchorline-refine-${++count}`;
  const shown = {
    location: ProgressLocation.Notification,
    title: "Refining your prompt…",
    cancellable: true,
  };
  return window.withProgress(shown, async (progress, token) => {
    const client = await server.running();
    let written = "";
    const listening = client.onProgress(PARTS, partialResultToken, (part) => {
      if (part.kind === "text") {
        written += part.text;
        const tail = written.length > SHOWN_CHARS ? `…${written.slice(-SHOWN_CHARS)}` : written;
        progress.report({ message: tail.replace(/\s+/g, " ") });
      }
    });
    try {
      const asked = { ...params, partialResultToken };
      return await server.lend(document, () => server.request("anchorline/refine", asked, token));
    } finally {
      listening.dispose();
    }
  });
}
