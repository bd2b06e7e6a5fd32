/** Where the money went: each dollar under one finding or none, and what to do about the costliest. */
import { drawing } from "../charts";
import { element } from "../elements";
import { type CostFinding, type Example, type FindingShare, type Fix, type Report, TITLES } from "../report";
import { count, percent, usd, usdTick } from "../words";

export function findings({ overview, finding_shares }: Report): HTMLElement | undefined {
  const all = overview.findings;
  if (all.length === 0) {
    return undefined;
  }
  const shares = new Map(finding_shares.map((share) => [share.code, ofWindow(share)]));
  const column = finding_shares.length > 0;
  const section = drawing({
    title: "Findings",
    text: `Of ${usd(overview.usd)} billed, what need not have been spent. Each dollar is under one finding, or under none: ${usd(overview.rest)}.`,
    label: `Findings by cost: ${all.map((finding) => `${finding.title} ${usd(finding.usd)}`).join("; ")}.`,
    rows: all.length,
    config: {
      type: "bar",
      labels: all.map(({ title }) => title),
      series: [{ type: "bar", label: "cost", data: all.map((finding) => finding.usd), colour: 4 }],
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: { x: { beginAtZero: true, ticks: { callback: usdTick } }, y: {} },
        plugins: {
          legend: { display: false },
          tooltip: {
            callbacks: {
              label: ({ dataIndex }) => {
                const finding = all[dataIndex];
                const share = finding && shares.get(finding.code);
                return finding ? `${often(finding)}, ${usd(finding.usd)}${share ? `, ${share}` : ""}` : "";
              },
            },
          },
        },
      },
    },
    table: {
      caption: "Findings by cost",
      head: ["Finding", "How often", "Cost", ...(column ? ["Of your plan"] : []), "Worst", "What to do"],
      rows: [
        ...all.map((finding) => [
          finding.title,
          often(finding),
          usd(finding.usd),
          ...(column ? [shares.get(finding.code) ?? "–"] : []),
          worst(finding.worst),
          finding.fix?.title ?? "–",
        ]),
        ["(no finding)", "–", usd(overview.rest), ...(column ? ["–"] : []), "–", "–"],
      ],
    },
  });
  const fixes = all.flatMap(({ title, fix }) => (fix === null ? [] : [remedy(title, fix)]));
  if (fixes.length > 0) {
    section.append(
      element(
        "p",
        "What would have saved on this history, by a replay of exactly that change with its 95 % interval:",
      ),
      element("ul", ...fixes),
    );
  }
  for (const observation of overview.observations) {
    section.append(
      element("p", `${observation.title}: ${count(observation.count)}, ${usd(observation.usd)} in all.`),
    );
  }
  return section;
}

function often(finding: CostFinding): string {
  return `${count(finding.count)} ${finding.unit}`;
}

function ofWindow({ percent: { value, low, high }, window }: FindingShare): string {
  const [most, least, highest] = [value, low, high].map((each) => percent(each / 100, value < 10 ? 1 : 0));
  return `about ${most} (${least} to ${highest}) of each ${TITLES[window] ?? window}`;
}

function worst(example: Example | null): string {
  if (example === null) {
    return "–";
  }
  const folder = example.project?.split(/[\\/]/).at(-1);
  return folder ? `${folder}, ${example.day}` : example.day;
}

function remedy(finding: string, { title, worth }: Fix): HTMLElement {
  const saved = `${usd(worth.value)} (${usd(worth.low)} to ${usd(worth.high)})`;
  return element("li", `${finding}: ${title}. Saves ${saved}.`);
}
