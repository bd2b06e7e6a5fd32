/** Which models were proposed, what became of refined drafts, and which policies decided. */
import { drawing } from "../charts";
import { element, table } from "../elements";
import type { ExperimentStep, Report } from "../report";
import { count, date, percent, shareOf, sum } from "../words";

export function routes(report: Report): HTMLElement | undefined {
  const shown = report.routes.filter(({ plans, answered }) => plans + answered > 0);
  if (shown.length === 0) {
    return undefined;
  }
  const plans = sum(shown, (route) => route.plans);
  return drawing({
    title: "Model choices",
    text: "How often each model was proposed, and how often it answered, where known.",
    label: `${count(plans)} plans: ${shown.map((route) => `${route.target} ${shareOf(route.plans, plans)}`).join(", ")}.`,
    rows: shown.length * 1.4,
    config: {
      type: "bar",
      labels: shown.map(({ target, tier }) => (tier ? `${target} (${tier})` : target)),
      series: [
        { type: "bar", label: "proposed", data: shown.map((route) => route.plans), colour: 0 },
        { type: "bar", label: "answered", data: shown.map((route) => route.answered), colour: 2 },
      ],
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: { x: { beginAtZero: true, ticks: { precision: 0 } }, y: {} },
      },
    },
    table: {
      caption: "Models that plans proposed",
      head: ["Model", "Tier", "Plans", "Share", "Session's own", "Answered"],
      rows: shown.map((route) => [
        route.target,
        route.tier || "–",
        count(route.plans),
        shareOf(route.plans, plans),
        count(route.sticky),
        count(route.answered),
      ]),
    },
  });
}

export function decisions({ refinements: found }: Report): HTMLElement | undefined {
  const decided = found.accepted + found.modified + found.rejected;
  if (found.proposed + decided === 0) {
    return undefined;
  }
  const rows: [string, number][] = [
    ["accepted", found.accepted],
    ["modified", found.modified],
    ["rejected", found.rejected],
    ["not reviewed", Math.max(0, found.proposed - decided)],
  ];
  const distance =
    found.edit_distance === null
      ? ""
      : ` Edited ones differ by ${count(found.edit_distance)} characters (median).`;
  const thumbs = found.thumbs_up + found.thumbs_down;
  const judged =
    thumbs === 0
      ? ""
      : ` Plans got ${count(found.thumbs_up)} thumbs up and ${count(found.thumbs_down)} down.`;
  return drawing({
    title: "Suggestions",
    text: `${count(found.proposed)} suggested; of ${count(decided)} reviewed, ${shareOf(found.accepted + found.modified, decided)} were accepted.${distance}${judged}`,
    label: `Decisions: ${rows.map(([name, number]) => `${name} ${count(number)}`).join(", ")}.`,
    rows: rows.length,
    config: {
      type: "bar",
      labels: rows.map(([name]) => name),
      series: [{ type: "bar", label: "drafts", data: rows.map(([, number]) => number), colour: 2 }],
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: { x: { beginAtZero: true, ticks: { precision: 0 } }, y: {} },
        plugins: { legend: { display: false } },
      },
    },
    table: {
      caption: "Suggestions by decision",
      head: ["Decision", "Drafts"],
      rows: rows.map(([name, number]) => [name, count(number)]),
    },
  });
}

export function experiments({ arms, steps }: Report): HTMLElement {
  const section = element("section", element("h2", "Experiments"), element("p", standing(steps[0])));
  if (arms.length > 0) {
    const rows = arms.map((arm) => [
      arm.policy,
      arm.version,
      arm.arm,
      percent(arm.propensity),
      count(arm.plans),
    ]);
    const head = ["Policy", "Version", "Arm", "Probability", "Plans"];
    section.append(table({ caption: "Plans by policy", head, rows }));
  }
  if (steps.length > 0) {
    section.append(
      table({
        caption: "Steps, the newest first",
        head: ["ExperimentStep", "Version", "Instead of", "When", "By", "Why"],
        rows: steps.map((step) => [
          step.event,
          step.version,
          step.instead_of,
          date(step.at),
          step.by,
          step.reason,
        ]),
      }),
    );
  }
  return section;
}

/** What the newest step has put in force. */
function standing(step: ExperimentStep | undefined): string {
  if (step === undefined) {
    return "No experiment is running.";
  }
  const { event, version, instead_of, stage, share, at } = step;
  if (event !== "started" && event !== "advanced") {
    return `No experiment is running. Last step: ${event}, ${date(at)}.`;
  }
  const part =
    stage === "shadow" ? "in shadow mode, changing nothing" : `on ${percent(share ?? 0)} of the sessions`;
  return `${version} is on trial against ${instead_of}: ${part}, since ${date(at)}. \`anchorline experiment report\` compares the two.`;
}
