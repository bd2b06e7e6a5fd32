/** The figures above all. */
import { element } from "../elements";
import type { Report } from "../report";
import { count, known, percent, shareOf, sum, usd } from "../words";

export function tiles(report: Report): HTMLElement {
  const costs = report.costs.filter(({ requests }) => requests > 0);
  const billed = known(costs, ({ usd }) => usd);
  const uncached = known(costs, ({ uncached_usd }) => uncached_usd);
  const { hits, returns } = report.hits;
  const { accepted, modified, rejected } = report.refinements;
  const decided = accepted + modified + rejected;
  const bins = report.calibration.flatMap((curve) => curve.bins);
  const told = sum(bins, ({ requests }) => requests);
  const predicted = sum(bins, ({ predicted, requests }) => predicted * requests);
  const all: [string, string, string][] = [
    ["Billed", usd(billed), `${count(report.requests)} requests${unpriced(report)}${pinged(report)}`],
    [
      "Without a cache",
      usd(uncached),
      billed !== null && uncached !== null && uncached > 0
        ? `the cache saved ${percent(1 - billed / uncached)}`
        : "",
    ],
    ["Cache hit rate", shareOf(hits, returns), `${count(hits)} of ${count(returns)} follow-up requests`],
    ["Mean P(hit)", told > 0 ? percent(predicted / told) : "–", "predicted before each request"],
    [
      "Suggestions accepted",
      shareOf(accepted + modified, decided),
      decided > 0 ? `of ${count(decided)} reviewed` : "none reviewed yet",
    ],
  ];
  const list = element("dl");
  list.className = "tiles";
  for (const [name, figure, note] of all) {
    const small = element("small", note);
    list.append(element("div", element("dt", name), element("dd", element("strong", figure), small)));
  }
  return list;
}

function unpriced({ unpriced, unknown }: Report): string {
  const what = Object.keys(unknown)[0];
  return unpriced > 0 ? `, ${count(unpriced)} not priced (${what})` : "";
}

function pinged({ pings, pings_usd }: Report): string {
  return pings > 0 ? `; ${count(pings)} keep-alive pings, ${usd(pings_usd)}, not included` : "";
}
