/** Pinning the model: the setting `route.pin` of the workspace. */
import { ConfigurationTarget, type QuickPickItem, window, workspace } from "vscode";
import type { Alternative, Explanation } from "./protocol";

const AUTOMATIC = "$(sync) Automatic";

/** Let the developer choose among the models that a plan has compared; `explain` gives the plan. */
export async function pinRoute(explain: () => Promise<Explanation>): Promise<void> {
  const configuration = workspace.getConfiguration("anchorline");
  const pinned = configuration.get("route.pin", "");
  const { plan } = await explain();
  const models = plan.route.alternatives.map((option) => item(option, plan.route.target, pinned));
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

function item(option: Alternative, proposed: string, pinned: string): QuickPickItem {
  const marks = [
    option.target === proposed ? "proposed" : "",
    option.target === pinned ? "pinned" : "",
    option.excluded ?? "",
  ];
  const solved = `P(solved) ${Math.round(option.p_success * 100)}%`;
  return {
    label: option.target,
    description: marks.filter(Boolean).join(", "),
    detail: `${option.tier} · ${solved} · $${option.cost_usd.toPrecision(2)} · ${(option.latency_ms / 1000).toFixed(1)} s`,
  };
}
