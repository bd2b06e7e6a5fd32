/** A refinement while it is made: it may wait for the local model, and can be stopped. */
import { ProgressLocation, type TextDocument, window } from "vscode";
import type { PlanParams, RefineResult } from "./protocol";
import type { Server } from "./server";

/** Ask for a refinement of a document; the server may still have to start. Rejects where it was stopped. */
export async function makeRefinement(
  server: Server,
  document: TextDocument,
  params: PlanParams,
): Promise<RefineResult> {
  const shown = {
    location: ProgressLocation.Notification,
    title: "Refining your prompt…",
    cancellable: true,
  };
  return window.withProgress(shown, async (_progress, token) => {
    await server.running();
    return server.lend(document, () => server.request("anchorline/refine", params, token));
  });
}
