"""The cost of a history under a rule, in USD: what is read, written and neither, by session and by day."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec
import numpy as np

from anchorline.replay.arrays import Flags, Floats, Integers
from anchorline.replay.history import ReplayedRequest, input_prices
from anchorline.replay.rule import CachingRule
from anchorline.replay.simulation import simulate
from anchorline.replay.timeline import Timeline
from anchorline.route.pricing import Pricing
from anchorline.route.target import Targets

DAY_S = 86_400
K = TypeVar("K")


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
        for number, request in enumerate(requests):
            models[request.model].append(number)
        pricing = Pricing(targets)
        self._prices: Floats = np.zeros(len(requests))
        self._timelines: list[tuple[Timeline, Integers]] = []
        for model, numbers in models.items():
            sent = [requests[number] for number in numbers]
            self._prices[numbers] = input_prices(sent, model, pricing)
            timeline = Timeline(model, targets.rules.for_model(model), sent)
            self._timelines.append((timeline, np.array(numbers, np.int64)[timeline.sent]))

    def uncached(self) -> Floats:
        """Returns what each request costs without any cache, in USD."""
        tokens = np.array([request.tokens for request in self._requests], float)
        return np.where(self._only, self._prices * tokens, 0.0)

    def charges(self, rule: CachingRule) -> "RequestCosts":
        """Returns what each request costs under a rule."""
        costs = RequestCosts(len(self._requests))
        for timeline, numbers in self._timelines:
            only = self._only[numbers]
            charged = simulate(timeline, rule, None if only.all() else only)
            prices = np.where(only, self._prices[numbers], 0.0)
            costs.read[numbers] = prices * charged.reads
            costs.write[numbers] = prices * charged.write
            costs.plain[numbers] = prices * charged.uncached
            costs.ping[numbers] = prices * charged.ping
            costs.pings[numbers] = np.where(only, charged.pings, 0)
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


def by_session(requests: Sequence[ReplayedRequest], usd: Floats) -> dict[str, float]:
    """Returns the sum of each session."""
    part = np.zeros(len(requests), np.int64)
    return _Groups(part, [request.session for request in requests]).sums(usd, 1)[0]


class Calendar:
    """The parts of a history, and the sessions and UTC days in each, to add costs up by.

    `part` is the part of each request, by number, and `count` how many parts there are. Where `own` says so, only some
    requests count.
    """

    def __init__(
        self, requests: Sequence[ReplayedRequest], part: Integers, count: int, own: Flags | None = None
    ) -> None:
        self._own = np.ones(len(requests), bool) if own is None else own
        counted = [request for request, counts in zip(requests, self._own.tolist(), strict=True) if counts]
        self._part, self._count = part, count
        days = np.array([request.at for request in counted], float) // DAY_S
        self._sessions = _Groups(part, [request.session for request in counted])
        self._days = _Groups(part, days.tolist())

    def costs(self, costs: RequestCosts) -> list[Costs]:
        """Returns the sums of each part."""
        own, part, count = self._own, self._part, self._count
        kinds = (costs.read, costs.write, costs.plain, costs.ping, costs.pings)
        sums = (np.bincount(part, kind[own], count).tolist() for kind in kinds)
        usd = costs.usd[own]
        sessions, days = self._sessions.sums(usd, count), self._days.sums(usd, count)
        return [
            Costs(
                read,
                write,
                plain,
                ping,
                int(pings),
                by_session,
                {_date(day): usd for day, usd in by_day.items()},
            )
            for read, write, plain, ping, pings, by_session, by_day in zip(*sums, sessions, days, strict=True)
        ]


class _Groups(Generic[K]):
    """Requests by part and key."""

    def __init__(self, part: Integers, keys: Sequence[K]) -> None:
        numbers: dict[tuple[int, K], int] = {}
        pairs = zip(part.tolist(), keys, strict=True)
        self._number = np.array([numbers.setdefault(pair, len(numbers)) for pair in pairs], np.int64)
        self._groups = list(numbers)

    def sums(self, usd: Floats, parts: int) -> list[dict[K, float]]:
        """Returns the sums by key, a dictionary for each part."""
        sums: list[dict[K, float]] = [{} for _ in range(parts)]
        by_group = np.bincount(self._number, usd, len(self._groups)).tolist()
        for (part, key), value in zip(self._groups, by_group, strict=True):
            sums[part][key] = value
        return sums


def _date(day: float) -> str:
    return datetime.fromtimestamp(day * DAY_S, UTC).date().isoformat()


def whole(parts: Iterable[Costs]) -> Costs:
    """Returns the sum of the costs of parts."""
    total = Costs()
    sessions: dict[str, float] = defaultdict(float)
    days: dict[str, float] = defaultdict(float)
    for part in parts:
        total.read += part.read
        total.write += part.write
        total.plain += part.plain
        total.ping += part.ping
        total.pings += part.pings
        for sums, own in ((sessions, part.sessions), (days, part.days)):
            for key, usd in own.items():
                sums[key] += usd
    total.sessions, total.days = dict(sessions), dict(days)
    return total
