"""The cost of a history under a rule, in USD: what is read, written and neither, by session and by day."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np

from anchorline.replay.history import ReplayedRequest, input_price
from anchorline.replay.rule import CachingRule
from anchorline.replay.simulation import simulate
from anchorline.replay.timeline import Flags, Floats, Integers, Timeline
from anchorline.route.pricing import Pricing
from anchorline.route.target import Targets

DAY_S = 86_400


class Costs(msgspec.Struct):
    """USD of what was read, written, neither, and of pings, which are counted too; all of it by session and UTC day."""

    read: float = 0.0
    write: float = 0.0
    plain: float = 0.0
    ping: float = 0.0
    pings: int = 0
    sessions: dict[str, float] = {}
    days: dict[str, float] = {}

    @property
    def usd(self) -> float:
        """The cost of everything."""
        return self.read + self.write + self.plain + self.ping


class PricedHistory:
    """Requests, in the order of their starts, that any number of rules is tried on.

    Where `only` says so, some of them are charged and the others stand for what was sent before: at least all that
    were in a conversation with one of these, and all that were in its stretch (`stretches.py`).
    """

    def __init__(
        self, requests: Sequence[ReplayedRequest], targets: Targets, only: Flags | None = None
    ) -> None:
        self._requests = requests
        self._only = np.ones(len(requests), bool) if only is None else only
        models: dict[str, list[int]] = defaultdict(list)
        for place, request in enumerate(requests):
            models[request.model].append(place)
        pricing = Pricing(targets)
        self._prices: Floats = np.array([input_price(request, pricing) for request in requests], float)
        self._timelines: list[tuple[Timeline, Integers]] = []
        for model, places in models.items():
            sent = [requests[place] for place in places]
            timeline = Timeline(model, targets.rules.for_model(model), sent)
            self._timelines.append((timeline, np.array(places, np.int64)[timeline.sent]))

    def uncached(self) -> Floats:
        """Returns what each request costs without any cache, in USD."""
        tokens = np.array([request.tokens for request in self._requests], float)
        return np.where(self._only, self._prices * tokens, 0.0)

    def charges(self, rule: CachingRule) -> "RequestCosts":
        """Returns what each request costs under a rule."""
        costs = RequestCosts(len(self._requests))
        for timeline, places in self._timelines:
            only = self._only[places]
            charged = simulate(timeline, rule, None if only.all() else only)
            prices = np.where(only, self._prices[places], 0.0)
            costs.read[places] = prices * charged.reads
            costs.write[places] = prices * charged.write
            costs.plain[places] = prices * charged.uncached
            costs.ping[places] = prices * charged.ping
            costs.pings[places] = np.where(only, charged.pings, 0)
        return costs


class RequestCosts:
    """What each of some requests costs, in USD, as `Costs` has the sums."""

    def __init__(self, count: int) -> None:
        self.read: Floats = np.zeros(count)
        self.write: Floats = np.zeros(count)
        self.plain: Floats = np.zeros(count)
        self.ping: Floats = np.zeros(count)
        self.pings: Integers = np.zeros(count, np.int64)

    @property
    def usd(self) -> Floats:
        """The cost of each."""
        return self.read + self.write + self.plain + self.ping


class Calendar:
    """The sessions and UTC days of some requests, to add something up by."""

    def __init__(self, requests: Sequence[ReplayedRequest]) -> None:
        numbers: dict[str, int] = {}
        self.session: Integers = np.array(
            [numbers.setdefault(request.session, len(numbers)) for request in requests], np.int64
        )
        self.sessions = list(numbers)
        days, self.day = np.unique(
            np.array([request.at for request in requests], float) // DAY_S, return_inverse=True
        )
        self.days = [datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat() for day in days.tolist()]

    def by_session(self, usd: Floats) -> Floats:
        """Returns the sum of each session."""
        return np.bincount(self.session, usd, len(self.sessions)).astype(float)

    def costs(self, costs: RequestCosts) -> Costs:
        """Returns the sums of all."""
        usd = costs.usd
        by_day = np.bincount(self.day, usd, len(self.days))
        return Costs(
            float(costs.read.sum()),
            float(costs.write.sum()),
            float(costs.plain.sum()),
            float(costs.ping.sum()),
            int(costs.pings.sum()),
            dict(zip(self.sessions, self.by_session(usd).tolist(), strict=True)),
            dict(zip(self.days, by_day.tolist(), strict=True)),
        )
