/** Whether the cache was read, why not, and how well that was foretold. */
import { drawing, type Series } from "../charts";
import { element } from "../elements";
import type { Cause, Curve, Report } from "../report";
import { count, percent, shareOf, sum, usd, usdTick } from "../words";

const CAUSES: Record<Cause, string> = {
  expired: "expired: the next request came after the TTL",
  model_changed: "model changed",
  compacted: "conversation compacted",
  prefix_edited: "an earlier part was edited",
  thinking_stripped: "earlier thinking was removed",
  history_changed: "history changed",
  not_readable: "newest part not readable yet",
  dropped: "dropped: evicted, or tools or system changed",
};
const SOURCES = { plans: "plans", imported: "imported sessions" };
const SHARES = { min: 0, max: 1, ticks: { callback: (value: string | number) => percent(Number(value)) } };

export function misses({ hits }: Report): HTMLElement | undefined {
  if (hits.returns === 0) {
    return undefined;
  }
  const title = "Cache misses";
  const text = `${count(hits.hits)} of ${count(hits.returns)} follow-up requests read the cache (${shareOf(hits.hits, hits.returns)}). ${count(hits.first)} more were first requests, with nothing to read.`;
  if (hits.misses.length === 0) {
    return element("section", element("h2", title), element("p", text));
  }
  const lost = sum(hits.misses, (miss) => miss.usd);
  return drawing({
    title,
    text: `${text} The misses cost ${usd(lost)}:`,
    label: `Causes of misses by cost: ${hits.misses.map((miss) => `${CAUSES[miss.cause]} ${usd(miss.usd)}`).join("; ")}.`,
    rows: hits.misses.length,
    config: {
      type: "bar",
      labels: hits.misses.map((miss) => CAUSES[miss.cause]),
      series: [
        { type: "bar", label: "cost of the misses", data: hits.misses.map((miss) => miss.usd), colour: 4 },
      ],
      options: {
        indexAxis: "y",
        interaction: { mode: "index", axis: "y", intersect: false },
        scales: { x: { beginAtZero: true, ticks: { callback: usdTick } }, y: {} },
        plugins: {
          legend: { display: false },
          tooltip: {
            callbacks: {
              label: ({ dataIndex }) => {
                const miss = hits.misses[dataIndex];
                return miss ? `${count(miss.requests)} requests, ${usd(miss.usd)}` : "";
              },
            },
          },
        },
      },
    },
    table: {
      caption: "Misses by cause",
      head: ["Cause", "Requests", "Cost"],
      rows: hits.misses.map((miss) => [CAUSES[miss.cause], count(miss.requests), usd(miss.usd)]),
    },
  });
}

export function calibration(report: Report): HTMLElement | undefined {
  const curves = report.calibration;
  if (curves.length === 0) {
    return undefined;
  }
  return drawing({
    title: "Predicted and actual cache hits",
    text: "Each point is a group of requests: the predicted P(hit) and the share that hit, with a 95 % interval. On the dashed line the two are equal.",
    label: `Calibration: ${curves.map(inWords).join(" ")}`,
    config: {
      type: "line",
      series: [
        ...curves.flatMap(series),
        {
          type: "line",
          label: "perfect",
          data: [
            { x: 0, y: 0 },
            { x: 1, y: 1 },
          ],
          borderDash: [6, 4],
          pointRadius: 0,
          colour: "quiet",
        },
      ],
      options: {
        parsing: false,
        interaction: { mode: "nearest", intersect: false },
        scales: {
          x: { type: "linear", ...SHARES, title: { display: true, text: "predicted P(hit)" } },
          y: { ...SHARES, title: { display: true, text: "share that hit" } },
        },
        plugins: {
          legend: { labels: { filter: ({ text }) => !text.includes("interval") } },
          tooltip: {
            filter: ({ dataset }) => !dataset.label?.includes("interval"),
            callbacks: {
              title: () => "",
              label: ({ dataset, parsed }) =>
                `${dataset.label}: predicted ${percent(parsed.x ?? 0, 1)}, hit ${percent(parsed.y ?? 0, 1)}`,
            },
          },
        },
      },
    },
    table: {
      caption: "Predicted and actual cache hits",
      head: ["P(hit)", "Source", "Requests", "Mean P(hit)", "Hit", "95 % interval"],
      rows: curves.flatMap((curve) =>
        curve.bins.map((bin) => [
          `${percent(bin.low)} to ${percent(bin.high)}`,
          SOURCES[curve.source],
          count(bin.requests),
          percent(bin.predicted, 1),
          percent(bin.observed, 1),
          `${percent(bin.observed_low)} to ${percent(bin.observed_high)}`,
        ]),
      ),
    },
  });
}

function series(curve: Curve, index: number): Series[] {
  const edge = (y: "observed_low" | "observed_high", label: string) => ({
    type: "line" as const,
    label: `${SOURCES[curve.source]} ${label}`,
    data: curve.bins.map((bin) => ({ x: bin.predicted, y: bin[y] })),
    pointRadius: 0,
    pointHitRadius: 0,
    borderWidth: 0,
    colour: index,
  });
  return [
    {
      type: "line",
      label: SOURCES[curve.source],
      data: curve.bins.map((bin) => ({ x: bin.predicted, y: bin.observed })),
      pointRadius: 4,
      colour: index,
    },
    { ...edge("observed_low", "interval, low"), fill: "+1" },
    edge("observed_high", "interval, high"),
  ];
}

function inWords({ source, bins }: Curve): string {
  const requests = sum(bins, (bin) => bin.requests);
  const predicted = sum(bins, (bin) => bin.predicted * bin.requests) / requests;
  const hit = sum(bins, (bin) => bin.observed * bin.requests) / requests;
  return `${SOURCES[source]}, ${count(requests)} requests: ${percent(predicted, 1)} predicted, ${percent(hit, 1)} hit.`;
}
