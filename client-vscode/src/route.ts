/** Pinning the model: the setting `route.pin` of the workspace. */
import { ConfigurationTarget, type QuickPickItem, window, workspace } from "vscode";
import type { Alternative, Explanation } from "./protocol";

const AUTOMATIC = "$(sync) Automatic";

/** Let the developer choose among the models that a plan has compared; `explain` gives the plan. */
export async function pinRoute(explain: () => Promise<Explanation>): Promise<void> {
  const configuration = workspace.getConfiguration("anchorline");
  const pinned = configuration.get("route.pin", "");
  const { plan } = await explain();
  const models = plan.route.alternatives.map((one) => item(one, plan.route.target, pinned));
  const automatic = {
    label: AUTOMATIC,
    description: pinned === "" ? "now" : `ends the pin on ${pinned}`,
  };
  const chosen = await window.showQuickPick([automatic, ...models], {
    title: "Choose the model for this workspace",
    matchOnDescription: true,
  });
  if (chosen === undefined) {
    return;
  }
  const model = chosen.label === AUTOMATIC ? undefined : chosen.label;
  const target =
    workspace.workspaceFolders === undefined ? ConfigurationTarget.Global : ConfigurationTarget.Workspace;
  await configuration.update("route.pin", model, target);
}

function item(one: Alternative, proposed: string, pinned: string): QuickPickItem {
  const marks = [
    one.target === proposed ? "proposed" : "",
    one.target === pinned ? "pinned" : "",
    one.excluded ?? "",
  ];
  const solved = `P(solved) ${Math.round(one.p_success * 100)}%`;
  return {
    label: one.target,
    description: marks.filter(Boolean).join(", "),
    detail: `${one.tier} · ${solved} · $${one.cost_usd.toPrecision(2)} · ${(one.latency_ms / 1000).toFixed(1)} s`,
  };
}
