/** Where the money went: each dollar under one finding or none, and what to do about the costliest. */
import { element, table } from "../elements";
import type { CostFinding, Example, Fix, Report } from "../report";
import { count, usd } from "../words";

export function findings({ overview }: Report): HTMLElement | undefined {
  if (overview.findings.length === 0) {
    return undefined;
  }
  const all: [string, string, string, string, string][] = overview.findings.map((finding) => [
    finding.title,
    often(finding),
    usd(finding.usd),
    worst(finding.worst),
    remedy(finding.fix),
  ]);
  const rows = [...all, ["(no finding)", "", usd(overview.rest), "", ""]];
  return element(
    "section",
    element("h2", "Findings"),
    element(
      "p",
      "Each dollar of the bill is under one finding or none. A fix is shown where the replay of exactly that change would have saved on this history, with its 95 % interval.",
    ),
    table({
      caption: "Findings by cost",
      head: ["Finding", "How often", "Cost", "Worst", "What to do"],
      rows,
    }),
    ...overview.observations.map((observation) =>
      element("p", `${observation.title}: ${count(observation.count)}, ${usd(observation.usd)} in all.`),
    ),
  );
}

function often(finding: CostFinding): string {
  return `${count(finding.count)} ${finding.unit}`;
}

function worst(example: Example | null): string {
  if (example === null) {
    return "";
  }
  const folder = example.project?.split(/[\\/]/).at(-1);
  return folder ? `${folder}, ${example.day}` : example.day;
}

function remedy(fix: Fix | null): string {
  if (fix === null) {
    return "";
  }
  const { value, low, high } = fix.worth;
  return `${fix.title}. It would have saved ${usd(value)} (${usd(low)} to ${usd(high)}).`;
}
