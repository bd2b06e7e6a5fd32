"""Compares caching policies on recorded requests: the cost of each, in USD, beside what was billed."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from anchorline.cache.gaps import GapModel
from anchorline.cache.rules import Rules
from anchorline.replay import account, policies
from anchorline.replay.account import Paid, RecordedConversation
from anchorline.replay.recorded import conversations
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest

DRAWS = 500
BASE = "recorded"
"""What the others are compared with: simulated as they are, so that what a simulation can't know weighs on both."""


class Interval(msgspec.Struct, frozen=True):
    """A share with its 95 % interval, by bootstrap over sessions."""

    value: float
    low: float
    high: float


class PolicyCost(msgspec.Struct, frozen=True):
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
    policies: tuple[PolicyCost, ...]


def compare(
    requests: Sequence[RecordedRequest],
    names: Sequence[str],
    targets: Targets,
    *,
    gaps: GapModel | None = None,
    done: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Replays `requests` under the policies `names`; `done` is told of each one that is through.

    Raises KeyError for a name that is no policy.
    """
    chosen = policies.named(dict.fromkeys((BASE, *names)), gaps)
    rules, pricing = targets.rules, Pricing(targets)
    decided, left_out = _decided(requests, rules, pricing)
    prices = {(decision.request.model, decision.request.sent_at): decision.price for decision in decided}
    recorded = conversations((decision.request for decision in decided), rules)
    costs: dict[str, dict[str, float]] = {}
    lines = []
    for name, rule in chosen.items():
        paid = list(account.run(recorded, rule, rules.for_model))
        sums = _sums(paid, recorded, prices)
        costs[name] = sums.sessions
        if name in names:
            lines.append((name, sums))
        done(name)
    uncached = sum(decision.price * decision.request.tokens for decision in decided)
    return Comparison(
        requests=len(decided),
        sessions=len({decision.request.session for decision in decided}),
        first_at=min((decision.request.sent_at for decision in decided), default=None),
        last_at=max((decision.request.sent_at for decision in decided), default=None),
        billed_usd=round(sum(decision.bill.prompt for decision in decided), 6),
        uncached_usd=round(uncached, 6),
        left_out=left_out,
        policies=tuple(_line(name, sums, uncached, costs) for name, sums in lines),
    )


class _Decided(msgspec.Struct, frozen=True):
    """A request that a policy decides about, with its bill and the price of a token of its input, in USD."""

    request: RecordedRequest
    bill: Bill
    price: float


def _decided(
    requests: Iterable[RecordedRequest], rules: Rules, pricing: Pricing
) -> tuple[list[_Decided], LeftOut]:
    decided = []
    automatic = unpriced = 0
    for request in requests:
        provider = rules.for_model(request.model)
        prices = pricing.prices(request.model)
        bill = pricing.bill(request.bill, request.model, request.sent_at)
        if provider.mode != "explicit" or provider.implicit:
            automatic += 1
        elif isinstance(prices, Unpriced) or isinstance(bill, Unpriced):
            unpriced += 1
        elif request.tokens:
            # What multiplies the bill (a batch, fast mode) would have multiplied any policy's.
            times = prices.times(request.bill)
            price = prices.rates(request.sent_at, request.tokens).input * (
                1.0 if isinstance(times, Unpriced) else times
            )
            decided.append(_Decided(request, bill, price))
    return decided, LeftOut(automatic, unpriced)


class _Sums:
    """What one policy was charged, in USD, by kind, session and day."""

    def __init__(self) -> None:
        self.bill = Bill()
        self.ping = 0.0
        self.pings = 0
        self.sessions: dict[str, float] = defaultdict(float)
        self.days: dict[str, float] = defaultdict(float)

    @property
    def usd(self) -> float:
        return self.bill.prompt + self.ping


def _sums(
    paid: Iterable[Paid], recorded: Sequence[RecordedConversation], prices: Mapping[tuple[str, float], float]
) -> _Sums:
    """Adds up what a policy was charged; `prices` are by model and time of the request."""
    sums = _Sums()
    for payment in paid:
        conversation = recorded[payment.conversation]
        price = prices[conversation.model, payment.at]
        sums.bill = sums.bill.plus(payment.bill, price)
        sums.ping += price * payment.pings
        sums.pings += payment.sent
        usd = price * (payment.charge + payment.pings)
        sums.sessions[conversation.session] += usd
        sums.days[datetime.fromtimestamp(payment.at, UTC).date().isoformat()] += usd
    return sums


def _line(name: str, sums: _Sums, uncached: float, costs: dict[str, dict[str, float]]) -> PolicyCost:
    return PolicyCost(
        policy=name,
        does=policies.POLICIES[name].does,
        usd=round(sums.usd, 6),
        read_usd=round(sums.bill.read, 6),
        write_usd=round(sums.bill.write, 6),
        plain_usd=round(sums.bill.input, 6),
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
    whole = sum(base[session] for session in sessions)
    return 1 - sum(costs[session] for session in sessions) / whole if whole else 0.0
