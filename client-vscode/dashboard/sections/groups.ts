/** The bill by what the reader chooses: project, branch, pull request, agent, sub-agent, tool, or a span of time. */
import { element, table } from "../elements";
import type { GroupCost, Grouping, Report } from "../report";
import { count, shareOf, usd } from "../words";

type Kind = Grouping["by"];

const TITLES: Record<Kind, string> = {
  project: "project",
  branch: "branch",
  pr: "pull request",
  agent: "agent",
  subagent: "sub-agent",
  model: "model",
  tool: "tool",
  day: "day",
  week: "week",
  session: "session",
  block: "five-hour block",
};
const UNKNOWN: Partial<Record<Kind, string>> = {
  project: "unknown project",
  branch: "unknown branch",
  pr: "no pull request",
  subagent: "sub-agent of unknown type",
  session: "no session file",
};

export function groups({ groupings }: Report): HTMLElement | undefined {
  const shown = groupings.filter(({ rows }) => rows.length > 0);
  if (shown.length === 0) {
    return undefined;
  }
  const choice = element("select");
  choice.id = "grouping";
  choice.append(...shown.map(({ by }) => new Option(TITLES[by], by)));
  const label = element("label", "Group by ", choice);
  const frame = element("div");
  const draw = (): void => {
    const grouping = shown[choice.selectedIndex];
    if (grouping !== undefined) {
      frame.replaceChildren(figures(grouping));
    }
  };
  choice.addEventListener("change", draw);
  draw();
  return element(
    "section",
    element("h2", "Cost by project, branch, tool and time"),
    element(
      "p",
      "Each grouping adds up to the bill. By tool: what its results cost when they were written and each time they were read again. Blocks are five hours, weeks begin on Monday.",
    ),
    element("p", label),
    frame,
  );
}

function figures({ by, rows }: Grouping): HTMLElement {
  const tool = by === "tool";
  return table({
    caption: `Cost by ${TITLES[by]}`,
    head: [
      TITLES[by].charAt(0).toUpperCase() + TITLES[by].slice(1),
      "Billed",
      "Without a cache",
      "Saved",
      "Requests",
      ...(tool ? ["Results"] : []),
    ],
    rows: rows.map((row) => [
      name(by, row),
      usd(row.usd),
      usd(row.uncached_usd),
      shareOf((row.uncached_usd ?? 0) - (row.usd ?? 0), row.uncached_usd),
      count(row.requests),
      ...(tool ? [row.results > 0 ? count(row.results) : "–"] : []),
    ]),
  });
}

function name(by: Kind, row: GroupCost): string {
  if (row.others > 0) {
    return by === "day" || by === "week" || by === "block"
      ? `${count(row.others)} before`
      : `${count(row.others)} others`;
  }
  const own = row.name ?? UNKNOWN[by] ?? "unknown";
  const called = by === "subagent" && own === "main" ? "main conversation" : own;
  const folder = row.project?.split(/[\\/]/).at(-1);
  return folder ? `${called} (${folder})` : called;
}
