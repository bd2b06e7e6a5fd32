/** The dashboard: draws the report that lies in the page. The same page is written by `anchorline report --html`. */
import { recolour } from "./charts";
import { element } from "./elements";
import { type BudgetUse, PLANS, type Report, TITLES, type WindowBudget } from "./report";
import { costByDay, costByModel, expected } from "./sections/costs";
import { decisions, experiments, routes } from "./sections/decisions";
import { findings } from "./sections/findings";
import { groups } from "./sections/groups";
import { calibration, misses } from "./sections/hits";
import { limits } from "./sections/limits";
import { tiles } from "./sections/tiles";
import { date, usd } from "./words";

const SECTIONS = [
  findings,
  limits,
  costByDay,
  costByModel,
  groups,
  expected,
  misses,
  calibration,
  routes,
  decisions,
  experiments,
];

function draw(main: Element, report: Report): void {
  main.replaceChildren(element("h1", "Cost and cache usage"), element("p", period(report)));
  if (report.requests === 0) {
    main.append(element("p", "No requests recorded yet."), howToImport());
  } else {
    main.append(tiles(report));
  }
  main.append(...report.budgets.map(budget), ...report.window_budgets.map(windowBudget));
  for (const section of SECTIONS) {
    const shown = section(report);
    if (shown !== undefined) {
      main.append(shown);
    }
  }
}

/** What to do where nothing is recorded: in VS Code a command, elsewhere what to type. */
function howToImport(): HTMLElement {
  if (!("acquireVsCodeApi" in window)) {
    return element(
      "p",
      "Import past sessions: `anchorline import AGENT`. Record new ones: `anchorline gateway`.",
    );
  }
  const link = element("a", "Import Past Sessions");
  link.href = "command:anchorline.importSessions";
  link.className = "button";
  const line = element("p");
  line.append(link);
  return line;
}

const SPANS: Record<BudgetUse["period"], string> = {
  day: "today",
  week: "this week",
  project: "in this project this week",
};

function budget({ period, limit_usd, spent_usd }: BudgetUse): HTMLElement {
  const left = limit_usd - spent_usd;
  const rest = left > 0 ? `${usd(left)} left` : "used up";
  return element("p", `Budget: ${usd(spent_usd)} of ${usd(limit_usd)} spent ${SPANS[period]}, ${rest}.`);
}

function windowBudget({ provider, window, limit_percent, used_percent }: WindowBudget): HTMLElement {
  const title = `${PLANS[provider] ?? provider}'s ${TITLES[window] ?? window}`;
  const allowed = `of the ${limit_percent} % that you allow`;
  return element("p", `Budget: ${used_percent.toFixed(0)} % of ${title} used, ${allowed}.`);
}

function period({ first_at, last_at, since, made_at }: Report): string {
  const asked = since === null ? "All recorded requests" : `Since ${date(since)}`;
  const seen = first_at === null || last_at === null ? "" : `: ${date(first_at)} to ${date(last_at)}`;
  return `${asked}${seen}. Updated ${new Date(made_at * 1000).toLocaleString()}; days in UTC.`;
}

const data = document.getElementById("data")?.textContent;
const main = document.querySelector("main");
if (data && main) {
  draw(main, JSON.parse(data));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new MutationObserver(recolour).observe(document.body, { attributeFilter: ["class"] });
  requestAnimationFrame(() => {
    document.documentElement.dataset["drawn"] = "yes"; // the charts were drawn in the same frame, before this
    performance.mark("drawn");
  });
}
