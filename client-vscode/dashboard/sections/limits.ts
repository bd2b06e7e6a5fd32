/** A plan's windows: what is used of each, and what will be when it resets. */
import { drawing, type Series } from "../charts";
import { PLANS, type Report, TITLES, type WindowState } from "../report";
import { percent } from "../words";

const DAY_S = 86_400;
const ACCOUNT = 6;

export function limits({ windows, made_at }: Report): HTMLElement | undefined {
  const shown = windows.filter(({ over }) => !over);
  if (shown.length === 0) {
    return undefined;
  }
  const names = shown.map((window) => name(window, shown));
  const bands = shown.map(({ at_reset: end }) => (end ? band(end.low, end.high) : null));
  const series: Series[] = [
    { type: "bar", label: "used", data: shown.map(({ used }) => used), colour: 0, grouped: false },
  ];
  if (bands.some((each) => each !== null)) {
    series.push({
      type: "bar",
      label: "at the reset, at this pace (90 % interval)",
      data: bands,
      colour: "quiet",
      grouped: false,
      barPercentage: 0.4,
    });
  }
  return drawing({
    title: "Plan limits",
    text: "What is used of each window of your plan, and what will be at its reset, at this pace.",
    label: `${shown.map((window, index) => `${names[index]} ${rounded(window.used)} used`).join("; ")}.`,
    rows: shown.length * 1.2,
    config: {
      type: "bar",
      labels: names,
      series,
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: {
          x: { min: 0, max: 100, ticks: { callback: (value) => rounded(Number(value)) } },
          y: {},
        },
        plugins: {
          tooltip: {
            callbacks: {
              label: ({ dataset, raw }) =>
                `${dataset.label}: ${Array.isArray(raw) ? raw.map((end) => rounded(Number(end))).join(" to ") : rounded(Number(raw))}`,
            },
          },
        },
      },
    },
    table: {
      caption: "Windows of the plan",
      head: ["Window", "Used", "Told", "Resets", "At the reset", "Full"],
      rows: shown.map((window, index) => [
        names[index] as string,
        rounded(window.used),
        moment(window.at, made_at),
        moment(window.resets_at, made_at),
        end(window),
        wall(window, made_at),
      ]),
    },
  });
}

function name({ provider, window, account }: WindowState, all: readonly WindowState[]): string {
  const plans = new Set(all.map((each) => each.provider));
  const accounts = new Set(all.filter((each) => each.provider === provider).map((each) => each.account));
  const title = TITLES[window] ?? window.replaceAll("_", " ");
  const plan = plans.size > 1 ? `${PLANS[provider] ?? provider} ` : "";
  const told = account.replace(/^b2:/, "").slice(0, ACCOUNT) || "account not told";
  return `${plan}${title}${accounts.size > 1 ? ` (${told})` : ""}`;
}

/** A band within the window, wide enough to be seen. */
function band(low: number, high: number): [number, number] {
  const end = Math.min(Math.max(high, low + 1), 100);
  return [Math.min(low, end - 1), end];
}

function end({ at_reset: at }: WindowState): string {
  if (at === null) {
    return "–";
  }
  const [value, low, high] = [at.value, at.low, at.high].map((each) => Math.min(each, 100));
  return `${rounded(value as number)} (${(low as number).toFixed(0)} to ${(high as number).toFixed(0)})`;
}

function wall({ used, wall: coming }: WindowState, now: number): string {
  if (used >= 100) {
    return "now";
  }
  if (coming === null || coming.at === null) {
    return coming === null || coming.likely < 0.01 ? "–" : `before the reset with ${percent(coming.likely)}`;
  }
  const latest = coming.latest === null ? "the reset" : moment(coming.latest, now);
  return `about ${moment(coming.at, now)} (${moment(coming.earliest, now)} to ${latest})`;
}

function moment(at: number | null, now: number): string {
  if (at === null) {
    return "–";
  }
  const day = Math.abs(at - now) < 0.75 * DAY_S ? {} : ({ weekday: "short" } as const);
  return new Date(at * 1000).toLocaleTimeString("en", {
    hour: "2-digit",
    minute: "2-digit",
    hour12: false,
    ...day,
  });
}

function rounded(used: number): string {
  return `${used.toFixed(0)} %`;
}
