"""Compares caching policies on recorded requests: the cost of each, in USD, beside what was billed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from anchorline.cache.gaps import GapModel
from anchorline.replay import account, history, policies
from anchorline.replay.account import Paid, RecordedConversation
from anchorline.replay.bootstrap import share
from anchorline.replay.history import LeftOut
from anchorline.replay.interval import Interval
from anchorline.route.pricing import Bill, Pricing
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest

BASE = policies.RECORDED
"""What the others are compared with: simulated as they are, so that what a simulation can't know weighs on both."""


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
    replayed = history.read(requests, targets, pricing)
    recorded = history.conversations(replayed.requests, pricing)
    sums = {}
    for name, rule in chosen.items():
        sums[name] = _sums(account.run(recorded, rule, rules.for_model), recorded)
        done(name)
    uncached = sum(
        price * step.tokens
        for conversation in recorded
        for step, price in zip(conversation.steps, conversation.prices, strict=True)
    )
    sent = replayed.requests
    return Comparison(
        requests=len(sent),
        sessions=len({request.session for request in sent}),
        first_at=sent[0].at if sent else None,
        last_at=sent[-1].at if sent else None,
        billed_usd=round(replayed.billed.prompt, 6),
        uncached_usd=round(uncached, 6),
        left_out=replayed.left_out,
        policies=tuple(_line(name, sums[name], uncached, sums[BASE]) for name in names),
    )


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


def _sums(paid: Iterable[Paid], recorded: Sequence[RecordedConversation]) -> _Sums:
    """Adds up what a policy was charged."""
    sums = _Sums()
    sent = [0] * len(recorded)
    for payment in paid:
        number = payment.conversation
        conversation = recorded[number]
        price = conversation.prices[sent[number]]
        sent[number] += 1
        sums.bill = sums.bill.plus(payment.bill, price)
        sums.ping += price * payment.pings
        sums.pings += payment.sent
        usd = price * (payment.charge + payment.pings)
        sums.sessions[conversation.session] += usd
        sums.days[datetime.fromtimestamp(payment.at, UTC).date().isoformat()] += usd
    return sums


def _line(name: str, sums: _Sums, uncached: float, base: _Sums) -> PolicyCost:
    saved = [usd - sums.sessions[session] for session, usd in base.sessions.items()]
    interval = share(saved, list(base.sessions.values()))
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
        saved=Interval(round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)),
        days={day: round(usd, 6) for day, usd in sorted(sums.days.items())},
    )
