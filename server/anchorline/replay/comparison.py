"""Compares caching policies on recorded requests: the cost of each, in USD, beside what was billed."""

from collections.abc import Callable, Sequence

import msgspec

from anchorline.cache.gaps import GapModel
from anchorline.replay import policies
from anchorline.replay.bootstrap import share
from anchorline.replay.costs import Calendar, Costs, PricedHistory
from anchorline.replay.history import History, LeftOut
from anchorline.replay.interval import Interval
from anchorline.route.target import Targets

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
    history: History,
    names: Sequence[str],
    targets: Targets,
    *,
    gaps: GapModel | None = None,
    done: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Replays a history under the policies `names`; `done` is told of each one that is through.

    Raises KeyError for a name that is no policy.
    """
    chosen = policies.named(dict.fromkeys((BASE, *names)), gaps)
    sent = history.requests
    priced, calendar = PricedHistory(sent, targets), Calendar(sent)
    costs = {}
    for name, rule in chosen.items():
        costs[name] = calendar.costs(priced.charges(rule))
        done(name)
    uncached = float(priced.uncached().sum())
    return Comparison(
        requests=len(sent),
        sessions=len(calendar.sessions),
        first_at=sent[0].at if sent else None,
        last_at=sent[-1].at if sent else None,
        billed_usd=round(history.billed_usd, 6),
        uncached_usd=round(uncached, 6),
        left_out=history.left_out,
        policies=tuple(_line(name, costs[name], uncached, costs[BASE]) for name in names),
    )


def _line(name: str, costs: Costs, uncached: float, base: Costs) -> PolicyCost:
    saved = [usd - costs.sessions[session] for session, usd in base.sessions.items()]
    interval = share(saved, list(base.sessions.values()))
    return PolicyCost(
        policy=name,
        does=policies.POLICIES[name].does,
        usd=round(costs.usd, 6),
        read_usd=round(costs.read, 6),
        write_usd=round(costs.write, 6),
        plain_usd=round(costs.plain, 6),
        ping_usd=round(costs.ping, 6),
        pings=costs.pings,
        relative=round(costs.usd / uncached, 4) if uncached else 1.0,
        saved=Interval(round(interval.value, 4), round(interval.low, 4), round(interval.high, 4)),
        days={day: round(usd, 6) for day, usd in sorted(costs.days.items())},
    )
