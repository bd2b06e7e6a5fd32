"""The cost of a history under a rule, in USD: what is read, written and neither, by session and by day."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
import numpy as np

from anchorline.cache.rules import Rules
from anchorline.replay.history import ReplayedRequest, input_price
from anchorline.replay.rule import CachingRule
from anchorline.replay.simulation import simulate
from anchorline.replay.timeline import Floats, Timeline, timelines
from anchorline.route.pricing import Pricing

DAY_S = 86_400


class Costs(msgspec.Struct):
    """USD of what was read, written, neither, and of pings, which are counted too; all of it by session and UTC day."""

    read: float = 0.0
    write: float = 0.0
    plain: float = 0.0
    ping: float = 0.0
    pings: int = 0
    sessions: dict[str, float] = msgspec.field(default_factory=dict)
    days: dict[str, float] = msgspec.field(default_factory=dict)

    @property
    def usd(self) -> float:
        """The cost of everything."""
        return self.read + self.write + self.plain + self.ping


class PricedHistory:
    """Requests, in the order of their starts, that any number of rules is tried on."""

    def __init__(self, requests: Iterable[ReplayedRequest], rules: Rules, pricing: Pricing) -> None:
        self._timelines = [_Priced(timeline, pricing) for timeline in timelines(requests, rules)]

    def uncached(self) -> float:
        """Returns what the requests cost without any cache, in USD."""
        return float(sum(priced.prices @ priced.timeline.tokens for priced in self._timelines))

    def costs(self, rule: CachingRule) -> Costs:
        """Returns what the requests cost under a rule."""
        whole = Costs()
        sessions: dict[str, float] = defaultdict(float)
        days: dict[str, float] = defaultdict(float)
        for priced in self._timelines:
            charges, prices = simulate(priced.timeline, rule), priced.prices
            whole.read += float(prices @ charges.reads)
            whole.write += float(prices @ charges.write)
            whole.plain += float(prices @ charges.uncached)
            whole.ping += float(prices @ charges.ping)
            whole.pings += int(charges.pings.sum())
            usd = prices * charges.input
            for names, numbers, sums in (
                (priced.sessions, priced.session, sessions),
                (priced.days, priced.day, days),
            ):
                for name, value in zip(names, np.bincount(numbers, usd, len(names)).tolist(), strict=True):
                    sums[name] += value
        whole.sessions, whole.days = dict(sessions), dict(days)
        return whole


class _Priced:
    """A timeline with the USD of an uncached token, the session and the day of each request."""

    def __init__(self, timeline: Timeline, pricing: Pricing) -> None:
        self.timeline = timeline
        requests = timeline.requests
        self.prices: Floats = np.array([input_price(request, pricing) for request in requests], float)
        numbers: dict[str, int] = {}
        self.session = [numbers.setdefault(request.session, len(numbers)) for request in requests]
        self.sessions = list(numbers)
        days, self.day = np.unique(timeline.at // DAY_S, return_inverse=True)
        self.days = [datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat() for day in days.tolist()]
