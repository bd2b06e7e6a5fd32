/** What the last answer of the chat has used, in the status bar: the model that really answered, tokens, cost. */
import { Disposable, StatusBarAlignment, window } from "vscode";
import type { Plan } from "../protocol";
import type { Passed } from "./gateway";

export class Usage extends Disposable {
  private readonly item = window.createStatusBarItem("usage", StatusBarAlignment.Right, 89);

  constructor() {
    super(() => this.item.dispose());
    this.item.name = "Anchorline usage of the chat";
    this.item.command = "anchorline.explainLast";
  }

  show(passed: Passed, plan: Plan | undefined): void {
    this.item.text = `$(comment-discussion) ${line(passed)}`;
    const expected = plan === undefined ? "" : ` P(hit) was ${Math.round(plan.cache.p_hit * 100)}%.`;
    this.item.tooltip = `The chat's last answer, as the provider billed it.${expected}`;
    this.item.accessibilityInformation = { label: `Anchorline, last answer: ${line(passed)}` };
    this.item.show();
  }
}

/** A request in a few words. */
export function line({ model, usage, usd }: Passed): string {
  if (usage === null) {
    return `${model} · usage not told`;
  }
  const prompt = usage.input + usage.read + usage.write;
  const cost = usd === null ? "price not known" : `$${usd.toFixed(usd >= 1 ? 2 : 4)}`;
  return [model, `${prompt} in, ${usage.read} from cache`, `${usage.output} out`, cost].join(" · ");
}
