"""What each caching policy would have cost on recorded requests, in USD, beside what was billed."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from anchorline.cache.gaps import GapModel
from anchorline.cache.rules import Provider, Rules
from anchorline.replay import account, policies
from anchorline.replay.account import Paid, Recorded
from anchorline.replay.recorded import conversations
from anchorline.route.pricing import Pricing, Rates, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.request import Billed

DRAWS = 500
BASE = "recorded"
"""What the others are compared with: simulated as they are, so that what a simulation can't know weighs on both."""


class Interval(msgspec.Struct, frozen=True):
    """A share with its 95 % interval, by bootstrap over sessions."""

    value: float
    low: float
    high: float


class Line(msgspec.Struct, frozen=True):
    """One policy: its input cost in USD by what it was paid for, `relative` to no caching at all.

    `saved` is the share of the recorded policy's cost that it saves; `days` are the costs by UTC day.
    """

    policy: str
    does: str
    usd: float
    read_usd: float
    write_usd: float
    plain_usd: float
    ping_usd: float
    pings: int
    relative: float
    saved: Interval
    days: dict[str, float]


class LeftOut(msgspec.Struct, frozen=True):
    """Requests that no policy decides about: to providers that cache by themselves, or without a known price."""

    automatic: int = 0
    unpriced: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """`billed_usd` is the input cost that the recorded usage comes to, `uncached_usd` what no caching would cost."""

    requests: int
    sessions: int
    first_at: float | None
    last_at: float | None
    billed_usd: float
    uncached_usd: float
    left_out: LeftOut
    policies: tuple[Line, ...]


def compare(
    requests: Sequence[Billed],
    names: Sequence[str],
    targets: Targets,
    *,
    gaps: GapModel | None = None,
    done: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Replay `requests` under the policies `names`; `done` is told of each one that is through.

    Raises KeyError for a name that is no policy.
    """
    chosen = policies.named(dict.fromkeys((BASE, *names)), gaps)
    rules, pricing = targets.rules, Pricing(targets)
    taken, left_out = _taken(requests, rules, pricing)
    recorded = conversations((request for request, _ in taken), rules)
    costs: dict[str, dict[str, float]] = {}
    lines = []
    for name, rule in chosen.items():
        paid = list(account.run(recorded, rule, rules.for_model))
        sums = _sums(paid, recorded, pricing, rules.for_model)
        costs[name] = sums.sessions
        if name in names:
            lines.append((name, sums))
        done(name)
    uncached = sum(rates.input * one.tokens for one, rates in taken)
    return Comparison(
        requests=len(taken),
        sessions=len({one.session for one, _ in taken}),
        first_at=min((one.sent_at for one, _ in taken), default=None),
        last_at=max((one.sent_at for one, _ in taken), default=None),
        billed_usd=round(sum(_billed(one, rates) for one, rates in taken), 6),
        uncached_usd=round(uncached, 6),
        left_out=left_out,
        policies=tuple(_line(name, sums, uncached, costs) for name, sums in lines),
    )


def _taken(
    requests: Iterable[Billed], rules: Rules, pricing: Pricing
) -> tuple[list[tuple[Billed, Rates]], LeftOut]:
    taken = []
    automatic = unpriced = 0
    for request in requests:
        provider = rules.for_model(request.model)
        prices = pricing.prices(request.model)
        if provider.mode != "explicit" or provider.implicit:
            automatic += 1
        elif isinstance(prices, Unpriced):
            unpriced += 1
        elif request.tokens:
            taken.append((request, prices.rates(request.sent_at, request.tokens)))
    return taken, LeftOut(automatic, unpriced)


def _billed(request: Billed, rates: Rates) -> float:
    written = request.write_5m + request.write_1h
    return rates.bill(request.input, request.read, written, request.write_1h, 0).prompt


class _Sums:
    """What one policy was charged, in USD, by kind, session and day."""

    def __init__(self) -> None:
        self.read = self.write = self.plain = self.ping = 0.0
        self.pings = 0
        self.sessions: dict[str, float] = defaultdict(float)
        self.days: dict[str, float] = defaultdict(float)

    @property
    def usd(self) -> float:
        return self.read + self.write + self.plain + self.ping


def _sums(
    paid: Iterable[Paid],
    recorded: Sequence[Recorded],
    pricing: Pricing,
    rules: Callable[[str], Provider],
) -> _Sums:
    sums = _Sums()
    for one in paid:
        conversation = recorded[one.conversation]
        prices = pricing.prices(conversation.model)
        if isinstance(prices, Unpriced):  # was left out
            continue
        price = prices.rates(one.at, one.read + one.written + one.uncached).input
        read = one.read * rules(conversation.model).read_price(conversation.model)
        sums.read += price * read
        sums.write += price * (one.charge - read - one.uncached)
        sums.plain += price * one.uncached
        sums.ping += price * one.pings
        sums.pings += one.sent
        usd = price * (one.charge + one.pings)
        sums.sessions[conversation.session] += usd
        sums.days[datetime.fromtimestamp(one.at, UTC).date().isoformat()] += usd
    return sums


def _line(name: str, sums: _Sums, uncached: float, costs: dict[str, dict[str, float]]) -> Line:
    return Line(
        policy=name,
        does=policies.POLICIES[name].does,
        usd=round(sums.usd, 6),
        read_usd=round(sums.read, 6),
        write_usd=round(sums.write, 6),
        plain_usd=round(sums.plain, 6),
        ping_usd=round(sums.ping, 6),
        pings=sums.pings,
        relative=round(sums.usd / uncached, 4) if uncached else 1.0,
        saved=_saved(costs[name], costs[BASE]),
        days={day: round(usd, 6) for day, usd in sorted(sums.days.items())},
    )


def _saved(costs: dict[str, float], base: dict[str, float]) -> Interval:
    sessions = list(base)
    draw = random.Random(0)  # noqa: S311  (a bootstrap)
    shares = sorted(_share(costs, base, draw.choices(sessions, k=len(sessions))) for _ in range(DRAWS))
    low, high = shares[int(0.025 * DRAWS)], shares[int(0.975 * DRAWS)]
    return Interval(round(_share(costs, base, sessions), 4), round(low, 4), round(high, 4))


def _share(costs: dict[str, float], base: dict[str, float], sessions: Sequence[str]) -> float:
    whole = sum(base[one] for one in sessions)
    return 1 - sum(costs[one] for one in sessions) / whole if whole else 0.0
