"""Sums of requests and their bills by day and model, and of how many read what was there before."""

from bisect import bisect_right
from collections import Counter, defaultdict
from datetime import UTC, datetime
from math import inf, sqrt

from anchorline.billed.request import BilledTokens, ModelFacts, PrefixReturn, PricedModels, Source
from anchorline.billed.requests import BilledRequest
from anchorline.cache.miss_causes import Cause
from anchorline.report.model import Bin, Cost, Curve, Hits, MissCost
from anchorline.route.pricing import Unpriced
from anchorline.route.target import Targets

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
"""Of the bins: finer at the end, where most probabilities are."""
_Z = 1.96
_DAY_S = 86_400


class _CostLine:
    __slots__ = ("planned_usd", "plans", "requests", "uncached_usd", "unpriced", "usd", "without_plan_usd")

    def __init__(self) -> None:
        self.requests = self.plans = self.unpriced = 0
        self.usd = self.uncached_usd = self.planned_usd = self.without_plan_usd = 0.0

    def priced(self, usd: float) -> float | None:
        """Returns dollars of the requests; None where the price of none of them is known."""
        return None if self.unpriced and self.unpriced == self.requests else round(usd, 6)


class Sums:
    """What was added up so far, and the `models` that it was billed by."""

    def __init__(self, targets: Targets) -> None:
        self.models = PricedModels(targets)
        self.unknown: Counter[str] = Counter()
        self._lines: defaultdict[tuple[int, str], _CostLine] = defaultdict(_CostLine)
        self._misses: defaultdict[Cause, list[float]] = defaultdict(lambda: [0, 0.0])
        self._bins: defaultdict[Source, list[list[float]]] = defaultdict(
            lambda: [[0, 0.0, 0] for _ in EDGES[1:]]
        )
        self._returns = self._hits = 0
        self.pings, self._pings_usd, self._unpriced_pings = 0, 0.0, 0
        self.first = self.requests = self.unpriced = 0
        self.begin, self.end = inf, -inf

    def span(self, first: float, last: float) -> None:
        """Takes in when something began and ended."""
        self.begin = min(self.begin, first)
        self.end = max(self.end, last)

    def add(self, request: BilledRequest, prefix_return: PrefixReturn | None) -> None:
        """Adds a request: its bill, and whether it read what was there."""
        line, bill = self._line(request.at, request.facts), request.bill
        if isinstance(bill, Unpriced):
            line.unpriced += 1
            self.unpriced += 1
            self.unknown[str(bill)] += 1
        else:
            line.usd += bill.usd
            line.uncached_usd += bill.uncached
        if request.tokens is None:
            return
        if prefix_return is None:
            self.first += 1
        else:
            self._return(prefix_return, request.facts, request.tokens, request.at)

    def _line(self, at: float, facts: ModelFacts) -> _CostLine:
        """Returns the line of a request that was sent then, and counts it."""
        self.requests += 1
        if not self.begin <= at <= self.end:
            self.span(at, at)
        line = self._lines[int(at // _DAY_S), facts.shown]
        line.requests += 1
        return line

    def ping(self, at: float, facts: ModelFacts, tokens: BilledTokens) -> None:
        """Adds the bill of a keep-alive ping, which is no request."""
        self.pings += 1
        bill = self.models.bill(at, facts, tokens)
        if isinstance(bill, Unpriced):
            self._unpriced_pings += 1
        else:
            self._pings_usd += bill.usd

    @property
    def pings_usd(self) -> float | None:
        """What the pings cost of which the price is known; None where there are some and none is."""
        return None if self.pings and self._unpriced_pings == self.pings else round(self._pings_usd, 6)

    def expect(self, day: int, name: str, plans: int, usd: float, without_plan_usd: float) -> None:
        """Adds what plans of one day (counted from 1970-01-01) and model expected."""
        line = self._lines[day, self.models.find(name).shown]
        line.plans += plans
        line.planned_usd += usd
        line.without_plan_usd += without_plan_usd

    def _return(
        self, prefix_return: PrefixReturn, facts: ModelFacts, tokens: BilledTokens, at: float
    ) -> None:
        self._returns += 1
        hit = prefix_return.cause is None
        self._hits += hit
        if prefix_return.cause is not None:
            miss = self._misses[prefix_return.cause]
            miss[0] += 1
            miss[1] += self.models.unread_usd(at, facts, tokens, prefix_return.believed)
        if prefix_return.p is not None:
            totals = self._bins[prefix_return.source][
                min(bisect_right(EDGES, prefix_return.p) - 1, len(EDGES) - 2)
            ]
            totals[0] += 1
            totals[1] += prefix_return.p
            totals[2] += hit

    def costs(self) -> tuple[Cost, ...]:
        """Returns the costs by day and model."""
        return tuple(
            Cost(
                datetime.fromtimestamp(day * _DAY_S, UTC).date().isoformat(),
                model,
                line.requests,
                line.priced(line.usd),
                line.priced(line.uncached_usd),
                line.plans,
                round(line.planned_usd, 6),
                round(line.without_plan_usd, 6),
                line.unpriced,
            )
            for (day, model), line in sorted(self._lines.items())
        )

    def hits(self) -> Hits:
        """Returns how often prefixes were read, and why not, the most expensive cause first."""
        misses = [MissCost(cause, int(count), round(usd, 6)) for cause, (count, usd) in self._misses.items()]
        misses.sort(key=lambda miss: (-miss.usd, -miss.requests))
        return Hits(self._returns, self._hits, self.first, tuple(misses))

    def calibration(self) -> tuple[Curve, ...]:
        """Returns P(hit) against what happened."""
        return tuple(
            Curve(source, tuple(_bin(index, *totals) for index, totals in enumerate(bins) if totals[0]))
            for source, bins in sorted(self._bins.items(), reverse=True)
        )


def _bin(index: int, count: float, predicted: float, hits: float) -> Bin:
    share = hits / count
    low, high = wilson(share, count)
    figures = (predicted / count, share, low, high)
    return Bin(EDGES[index], EDGES[index + 1], int(count), *(round(figure, 4) for figure in figures))


def wilson(share: float, count: float) -> tuple[float, float]:
    """Returns the 95 % interval of a share (Wilson 1927), which holds for few cases and near 0 and 1."""
    square = _Z * _Z / count
    middle = (share + square / 2) / (1 + square)
    half = _Z * sqrt(share * (1 - share) / count + square / count / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
