"""Compares caching policies on recorded requests: the cost of each, in USD, beside what was billed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from xxhash import xxh3_128_digest

from anchorline.cache.gaps import GapModel
from anchorline.replay import policies
from anchorline.replay.bootstrap import share
from anchorline.replay.costs import Calendar, Costs, PricedHistory, whole
from anchorline.replay.history import History, LeftOut
from anchorline.replay.interval import Interval
from anchorline.replay.rule import CachingRule
from anchorline.route.target import Targets
from anchorline.store import worked_out

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
    """`billed_usd` is the input cost that the recorded usage comes to, `uncached_usd` what no caching would cost.

    `recorded_usd` is what the same requests come to as they are simulated: how far the two are apart is how far the
    simulation carries.
    """

    requests: int
    sessions: int
    first_at: float | None
    last_at: float | None
    billed_usd: float
    recorded_usd: float
    uncached_usd: float
    left_out: LeftOut
    policies: tuple[PolicyCost, ...]


class StretchCosts(msgspec.Struct, frozen=True):
    """What a stretch of a history costs without any cache, in USD, and under each policy."""

    uncached: float
    policies: dict[str, Costs]


def compare(
    history: History,
    names: Sequence[str],
    targets: Targets,
    *,
    gaps: GapModel | None = None,
    done: Callable[[str], None] = lambda _: None,
    path: Path | None = None,
) -> Comparison:
    """Replays a history under the policies `names`; `done` is told of each one that is through.

    With the `path` of its database, only the stretches are replayed that have changed since the last time. Raises
    KeyError for a name that is no policy.
    """
    chosen = policies.named(dict.fromkeys((BASE, *names)), gaps)

    def replay(numbers: list[int]) -> list[StretchCosts]:
        return _replay(history, numbers, targets, chosen, done)

    if path is None:
        parts = replay(list(range(history.stretches)))
    else:
        digests = _digests(history, targets, chosen)
        parts = worked_out.of_parts(path, "replay", digests, replay, StretchCosts)
    costs = {name: whole(part.policies[name] for part in parts) for name in chosen}
    uncached = sum(part.uncached for part in parts)
    return Comparison(
        requests=len(history),
        sessions=len(costs[BASE].sessions),
        first_at=history.at[0] if len(history) else None,
        last_at=history.at[-1] if len(history) else None,
        billed_usd=round(history.billed_usd, 6),
        recorded_usd=round(costs[BASE].usd, 6),
        uncached_usd=round(uncached, 6),
        left_out=history.left_out,
        policies=tuple(_line(name, costs[name], uncached, costs[BASE]) for name in names),
    )


def _replay(
    history: History,
    numbers: list[int],
    targets: Targets,
    chosen: Mapping[str, CachingRule],
    done: Callable[[str], None],
) -> list[StretchCosts]:
    """Returns what some stretches cost."""
    requests, own = history.of_stretches(numbers)
    stretch = history.stretch[np.isin(history.stretch, numbers)]
    part, count = np.searchsorted(numbers, stretch), len(numbers)
    priced, calendar = PricedHistory(requests, targets, own), Calendar(requests, part, count, own)
    uncached = np.bincount(part, priced.uncached()[own], count).tolist()
    costs: dict[str, list[Costs]] = {}
    for name, rule in chosen.items():
        costs[name] = calendar.costs(priced.charges(rule))
        done(name)
    return [
        StretchCosts(usd, {name: parts[at] for name, parts in costs.items()})
        for at, usd in enumerate(uncached)
    ]


def _digests(history: History, targets: Targets, chosen: Iterable[str]) -> list[bytes]:
    """Returns the digests of all stretches, with that of the rules and prices that hold for them."""
    resolved = [targets.find(model) for model in history.models]
    basis = msgspec.msgpack.encode((list(chosen), [(target.provider, target.model) for target in resolved]))
    return [xxh3_128_digest(basis + digest) for digest in history.digests()]


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
