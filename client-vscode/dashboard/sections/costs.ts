/** What it cost: by day, by model, and as plans expected it. */
import { drawing, type Series } from "../charts";
import type { Cost, Report } from "../report";
import { count, known, shareOf, sum, usd, usdTick } from "../words";

const MODELS = 5;
const OTHERS = "others";
const DAY_MS = 86_400_000;
const DAYS = 92;
const WEEKS = 730;

/** Days, weeks (by their Monday) or months, so that there are never too many bars. */
function slots(costs: readonly Cost[]): { unit: string; of: (day: string) => string; all: string[] } {
  const days = costs.map(({ day }) => day).sort();
  const [first, last] = [days[0] as string, days.at(-1) as string];
  const span = (Date.parse(last) - Date.parse(first)) / DAY_MS;
  const unit = span < DAYS ? "day" : span < WEEKS ? "week" : "month";
  const of = (day: string): string => {
    if (unit === "month") {
      return day.slice(0, 7);
    }
    const time = new Date(day);
    const back = unit === "week" ? (time.getUTCDay() + 6) % 7 : 0;
    return new Date(time.getTime() - back * DAY_MS).toISOString().slice(0, 10);
  };
  const all = new Set<string>();
  for (let time = Date.parse(first); time <= Date.parse(last); time += DAY_MS) {
    all.add(of(new Date(time).toISOString().slice(0, 10)));
  }
  return { unit, of, all: [...all] };
}

function added(
  costs: readonly Cost[],
  { of, all }: ReturnType<typeof slots>,
  value: (cost: Cost) => number | null,
): number[] {
  const sums = new Map(all.map((slot) => [slot, 0]));
  for (const cost of costs) {
    sums.set(of(cost.day), (sums.get(of(cost.day)) ?? 0) + (value(cost) ?? 0));
  }
  return [...sums.values()];
}

const money = { ticks: { callback: usdTick }, beginAtZero: true };
const told = {
  callbacks: {
    label: ({ dataset, raw }: { dataset: { label?: string | undefined }; raw: unknown }) =>
      `${dataset.label}: ${usd(Number(raw))}`,
  },
};

export function costByDay(report: Report): HTMLElement | undefined {
  const costs = report.costs.filter(({ requests }) => requests > 0);
  if (costs.length === 0) {
    return undefined;
  }
  const time = slots(costs);
  const models = byModel(costs).map(({ model }) => model);
  const shown = models.length > MODELS + 1 ? [...models.slice(0, MODELS), OTHERS] : models;
  const name = (model: string): string => (shown.includes(model) ? model : OTHERS);
  const series: Series[] = shown.map((model, index) => ({
    type: "bar",
    label: model,
    data: added(
      costs.filter((cost) => name(cost.model) === model),
      time,
      (cost) => cost.usd,
    ),
    stack: "billed",
    colour: index,
  }));
  const billed = known(costs, (cost) => cost.usd);
  const uncached = known(costs, (cost) => cost.uncached_usd);
  return drawing({
    title: `Cost by ${time.unit}`,
    text: "Bars: billed cost by model. Line: what the same tokens would have cost without a cache.",
    label: `${usd(billed)} billed over ${time.all.length} ${time.unit}s; ${usd(uncached)} without a cache.`,
    config: {
      type: "bar",
      labels: time.all,
      series: [
        ...series,
        {
          type: "line",
          label: "without a cache",
          data: added(costs, time, (cost) => cost.uncached_usd),
          borderDash: [6, 4],
          pointRadius: 3,
          colour: "quiet",
        },
      ],
      options: {
        interaction: { mode: "index", intersect: false },
        scales: { x: { stacked: true }, y: { stacked: true, ...money } },
        plugins: { tooltip: told },
      },
    },
    table: {
      caption: "Cost by day and model",
      head: ["Day", "Model", "Requests", "Billed", "Without a cache", "Saved"],
      rows: costs.map((cost) => [
        cost.day,
        cost.model,
        count(cost.requests),
        usd(cost.usd),
        usd(cost.uncached_usd),
        saved(cost.usd, cost.uncached_usd),
      ]),
    },
  });
}

interface ModelCost {
  model: string;
  requests: number;
  usd: number | null;
  uncached: number | null;
}

function saved(billed: number | null, uncached: number | null): string {
  return shareOf((uncached ?? 0) - (billed ?? 0), uncached);
}

/** The models, the most expensive one first. */
function byModel(costs: readonly Cost[]): ModelCost[] {
  const models = Map.groupBy(costs, ({ model }) => model);
  return [...models]
    .map(([model, own]) => ({
      model,
      requests: sum(own, (cost) => cost.requests),
      usd: known(own, (cost) => cost.usd),
      uncached: known(own, (cost) => cost.uncached_usd),
    }))
    .sort((one, other) => (other.usd ?? 0) - (one.usd ?? 0));
}

export function costByModel(report: Report): HTMLElement | undefined {
  const models = byModel(report.costs.filter(({ requests }) => requests > 0));
  if (models.length === 0) {
    return undefined;
  }
  const most = models[0] as ModelCost;
  return drawing({
    title: "Cost by model",
    text: "Billed cost, and what the same tokens would have cost without a cache.",
    label: `${models.length} models; most for ${most.model}, ${usd(most.usd)}.`,
    rows: models.length * 1.4,
    config: {
      type: "bar",
      labels: models.map(({ model }) => model),
      series: [
        { type: "bar", label: "billed", data: models.map((one) => one.usd ?? 0), colour: 0 },
        {
          type: "bar",
          label: "without a cache",
          data: models.map((one) => one.uncached ?? 0),
          colour: "quiet",
        },
      ],
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: { x: money, y: {} },
        plugins: { tooltip: told },
      },
    },
    table: {
      caption: "Cost by model",
      head: ["Model", "Requests", "Billed", "Without a cache", "Saved"],
      rows: models.map((one) => [
        one.model,
        count(one.requests),
        usd(one.usd),
        usd(one.uncached),
        saved(one.usd, one.uncached),
      ]),
    },
  });
}

/** What plans expected: the request's input and its next read, with and without the plan. */
export function expected(report: Report): HTMLElement | undefined {
  const costs = report.costs.filter(({ plans }) => plans > 0);
  if (costs.length === 0) {
    return undefined;
  }
  const time = slots(costs);
  const planned = sum(costs, (cost) => cost.planned_usd);
  const without = sum(costs, (cost) => cost.without_plan_usd);
  return drawing({
    title: `Planned cost by ${time.unit}`,
    text: "As estimated before sending: with the plan applied, and as the prompt was.",
    label: `Estimated ${usd(planned)} with the plan, ${usd(without)} without it.`,
    config: {
      type: "bar",
      labels: time.all,
      series: [
        {
          type: "bar",
          label: "with the plan",
          data: added(costs, time, (one) => one.planned_usd),
          colour: 0,
        },
        {
          type: "bar",
          label: "without it",
          data: added(costs, time, (one) => one.without_plan_usd),
          colour: "quiet",
        },
      ],
      options: {
        interaction: { mode: "index", intersect: false },
        scales: { x: {}, y: money },
        plugins: { tooltip: told },
      },
    },
    table: {
      caption: "Planned cost by day and model",
      head: ["Day", "Model", "Plans", "With the plan", "Without it"],
      rows: costs.map((cost) => [
        cost.day,
        cost.model,
        count(cost.plans),
        usd(cost.planned_usd),
        usd(cost.without_plan_usd),
      ]),
    },
  });
}
