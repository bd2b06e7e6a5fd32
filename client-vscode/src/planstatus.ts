/** The plan of the prompt in the editor, in the status bar: route, P(hit), time left, cost; the reasons on hover. */
import { Disposable, MarkdownString, StatusBarAlignment, type TextDocument, window, workspace } from "vscode";
import { State } from "vscode-languageclient/node";
import { isServed } from "./documents";
import type { InstructionCost, Plan } from "./protocol";
import type { Server } from "./server";
import { chatIsOn } from "./settings";

const PAUSE_MS = 400;
const TICK_MS = 15_000;

/** The item. It shows what the server has planned anyway for hover and lens: nothing is planned or recorded for it. */
export class PlanStatus extends Disposable {
  private readonly item = window.createStatusBarItem("plan", StatusBarAlignment.Right, 90);
  private readonly parts: Disposable[];
  private waiting: NodeJS.Timeout | undefined;
  private asked = 0;

  constructor(private readonly server: Server) {
    super(() => Disposable.from(this.item, ...this.parts).dispose());
    this.item.name = "Anchorline plan";
    this.item.command = "anchorline.planPrompt";
    const ticking = setInterval(() => this.refresh(), TICK_MS);
    this.parts = [
      new Disposable(() => clearInterval(ticking)),
      new Disposable(() => clearTimeout(this.waiting)),
      window.onDidChangeActiveTextEditor(() => this.refresh()),
      workspace.onDidChangeTextDocument(({ document }) => {
        if (document === window.activeTextEditor?.document) {
          this.refresh(PAUSE_MS);
        }
      }),
      server.onDidChangeState((state) =>
        state === State.Running ? this.refresh(PAUSE_MS) : this.item.hide(),
      ),
    ];
    this.refresh();
  }

  private refresh(pause = 0): void {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.show(), pause);
  }

  private async show(): Promise<void> {
    const document = window.activeTextEditor?.document;
    const asked = ++this.asked;
    if (document === undefined || !this.server.isRunning || !isServed(document, chatIsOn())) {
      this.item.hide();
      return;
    }
    const explanation = await this.explanation(document);
    if (asked !== this.asked) {
      return; // another editor or a newer text is shown by now
    }
    if (explanation === undefined) {
      this.item.hide();
      return;
    }
    const tooltip = new MarkdownString(explanation.markdown);
    this.item.text = `$(milestone) ${line(explanation.plan)}`;
    this.item.tooltip = tooltip;
    this.item.accessibilityInformation = { label: `Anchorline plan: ${line(explanation.plan)}` };
    this.item.show();
  }

  private async explanation(document: TextDocument) {
    try {
      return await this.server.request("anchorline/explain", {
        textDocument: { uri: document.uri.toString() },
      });
    } catch {
      return undefined; // no prompt, or changed meanwhile
    }
  }
}

/** The plan in a few words. */
export function line(plan: Plan): string {
  if (plan.failure !== null) {
    return "no plan";
  }
  if (plan.instructions !== null) {
    return instructionsLine(plan.tokens.estimate, plan.instructions);
  }
  const { cache, route, cost } = plan;
  const hit = cache.mode === "none" ? "not cached" : `P(hit) ${percent(cache.p_hit)}`;
  const left = cache.expires_in_s === null ? [] : [clock(remaining(plan, cache.expires_in_s))];
  const own = route.sticky ? undefined : route.alternatives[0]?.target;
  const model = own && own !== route.target ? `${route.target} instead of ${own}` : route.target;
  return [model, hit, ...left, usd(cost.request_usd)].join(" · ");
}

/** What an instruction file costs: it has no route. */
function instructionsLine(tokens: number, cost: InstructionCost): string {
  const size = `${tokens.toLocaleString("en-US")} tokens`;
  const price =
    cost.warm_usd === null
      ? "price not known"
      : `${usd(cost.warm_usd)} a request cached, ${usd(cost.cold_usd)} not`;
  const edit = cost.prefixes > 0 ? [`an edit ${usd(cost.edit_usd)}`] : [];
  return [size, price, ...edit].join(" · ");
}

function remaining(plan: Plan, seconds: number): number {
  return Math.max(0, Math.round(plan.created_at + seconds - Date.now() / 1000));
}

function percent(probability: number): string {
  return probability > 0.99 ? ">99%" : `${Math.round(probability * 100)}%`;
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
}

function usd(amount: number | null): string {
  if (amount === null) {
    return "price not known";
  }
  if (amount > 0 && amount < 0.00005) {
    return "<$0.0001";
  }
  return `$${amount.toFixed(amount >= 1 ? 2 : 4)}`;
}
