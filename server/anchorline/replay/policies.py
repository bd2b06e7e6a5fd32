"""The policies that a replay compares: what was done, what other tools do, what we do, what hindsight would do.

Each is a `CachingRule` of the exact replay. The other tools' rules were read in their sources in November 2026. In a
conversation that only grows their anchors differ in two things: where the last one stands, and for how long it lives.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from anchorline.cache.gaps import GapModel, HazardGaps
from anchorline.cache.lifetime import Action, ping_every, rewrite
from anchorline.cache.rules import Lifetime, Provider
from anchorline.replay.arrays import Floats, Integers
from anchorline.replay.foresight import Foresight
from anchorline.replay.rule import CachingRule, Choices
from anchorline.replay.stretches import PINGS
from anchorline.replay.timeline import Timeline

RECORDED = "recorded"
"""What the client did: what the others are compared with, and what a change changes."""

OWN = "anchorline"
"""What the gateway does in mode `anchors`."""


class NamedPolicy(NamedTuple):
    """A policy to choose by name: what it does, and its rule."""

    does: str
    rule: Callable[[GapModel], CachingRule]


def _always(lifetime: str, *, pings: int = 0, head: str | None = None, tail: bool = True) -> NamedPolicy:
    def choose(timeline: Timeline) -> Choices:
        same = np.zeros(len(timeline), np.int64)
        return Choices([Action(_lifetime(timeline.provider, lifetime), pings)], same, same)

    does = f"anchors for {lifetime}" if tail else f"only tools and system, for {lifetime}"
    does += f", tools and system for {head}" if head else ""
    does += f", at most {pings} pings" if pings else ""
    return NamedPolicy(does, lambda _: CachingRule(choose, head, tail))


def _recorded(timeline: Timeline) -> Choices:
    asked: dict[str, int] = {}
    numbers = np.array([asked.setdefault(request.ttl, len(asked)) for request in timeline.requests], np.int64)
    return Choices([Action(_lifetime(timeline.provider, ttl)) for ttl in asked], numbers, numbers)


def _delta(timeline: Timeline, share: float = 0.05) -> Choices:
    """Returns the longer lifetime where the new part is under `share` of the prefix, else the shorter one."""
    tokens, lifetimes = timeline.tokens, timeline.provider.lifetimes
    cold, warm = (tokens - hit < share * tokens for hit in (0, timeline.shared))
    return Choices([Action(lifetimes[0]), Action(lifetimes[-1])], cold.astype(int), warm.astype(int))


def _ours(pings: int) -> Callable[[GapModel], CachingRule]:
    return lambda gaps: CachingRule(lambda timeline: _expected(timeline, gaps, pings))


def _expected(timeline: Timeline, gaps: GapModel, pings: int) -> Choices:
    """Returns the cheapest action in expectation, as the planner takes it: its pings are chosen with the answer."""
    provider, tokens = timeline.provider, timeline.tokens
    actions = [Action(), *(Action(life, k) for life in provider.lifetimes for k in range(pings + 1))]
    before = Foresight(timeline, gaps)
    answers = pings and any(request.stop for request in timeline.requests)
    after = Foresight(timeline, gaps, answered=True) if answers else None
    chosen = []
    for hit in (np.zeros_like(tokens), timeline.shared):
        choice = _gains(before, provider, tokens - hit, tokens, pings).argmax(axis=0)
        if after is not None:
            later = _gains(after, provider, tokens - hit, tokens, pings)
            named = np.array(
                [0, *(1 + number for number in range(len(provider.lifetimes)) for _ in range(pings + 1))]
            )
            later[named[:, None] != named[choice]] = -np.inf
            choice = np.where(choice > 0, later.argmax(axis=0), choice)
        chosen.append(choice)
    return Choices(actions, *chosen)


def _gains(foresight: Foresight, provider: Provider, fresh: Integers, prefix: Integers, pings: int) -> Floats:
    """Returns the gain of each action over doing nothing, which is the first one: `cache/lifetime.py:bets`."""
    again = rewrite(provider)
    gains = [np.zeros(len(prefix))]
    for lifetime in provider.lifetimes:
        premium = (lifetime.write - 1) * fresh
        every = ping_every(lifetime)
        for count in range(pings + 1):
            if count:
                premium = premium + provider.read * prefix * (1 - foresight.within(count * every))
            reused = foresight.within(lifetime.seconds + count * every)
            gains.append(reused * (again - provider.read) * prefix - premium)
    return np.array(gains)


def _hindsight(timeline: Timeline) -> Choices:
    """Returns the actions that cost least for one who knows when each next request comes.

    Going backwards, from all conversations' last requests to the first, the rest of a conversation costs so much if a
    request misses, and so much if it hits.
    """
    provider, tokens, wait = timeline.provider, timeline.tokens, timeline.wait
    read, hit = provider.read, timeline.shared
    actions = [Action(), *(Action(life, k) for life in provider.lifetimes for k in range(PINGS + 1))]
    pinging = np.array([(read * tokens) * _paid(action, wait) for action in actions])
    stays = np.array([wait <= action.alive for action in actions])
    write = np.array([action.write for action in actions])[:, None]
    cold_at, warm_at = np.zeros(len(timeline), np.int64), np.zeros(len(timeline), np.int64)
    miss_cost, hit_cost = np.zeros(len(timeline) + 1), np.zeros(len(timeline) + 1)
    last = np.append(timeline.first[1:], [True] * bool(len(timeline)))
    left = np.flatnonzero(last)
    while len(left):
        after = np.where(last[left], len(timeline), left + 1)
        rest = pinging[:, left] + np.where(stays[:, left], hit_cost[after], miss_cost[after])
        cold = write * tokens[left] + rest
        warm = write * (tokens[left] - hit[left]) + rest
        cold_at[left], warm_at[left] = cold.argmin(axis=0), warm.argmin(axis=0)
        miss_cost[left] = cold.min(axis=0)
        hit_cost[left] = read * hit[left] + warm.min(axis=0)
        left = left[~timeline.first[left]] - 1
    return Choices(actions, cold_at, warm_at)


def _paid(action: Action, wait: Floats) -> Floats:
    """As `Action.paid`, for many waits."""
    if action.lifetime is None or not action.pings:
        return np.zeros(len(wait))
    every = ping_every(action.lifetime)
    return np.where(wait >= action.pings * every, action.pings, np.floor(wait / every))


POLICIES: Mapping[str, NamedPolicy] = {
    RECORDED: NamedPolicy(
        "what your client did, simulated: its lifetimes, an anchor at the end",
        lambda _: CachingRule(_recorded),
    ),
    "zed": _always("5m", head="1h"),
    "cline": _always("5m"),
    "continue": _always("5m", tail=False),
    "aider": _always("5m", pings=PINGS),
    "litellm": _always("5m"),
    "all-1h": NamedPolicy("anchors for 1h, as Claude Code's own on a plan", _always("1h").rule),
    "delta-rule": NamedPolicy(
        "1h where the new part is under 5 % of the prefix, else 5m", lambda _: CachingRule(_delta)
    ),
    OWN: NamedPolicy("the cheapest lifetime in expectation", _ours(0)),
    "anchorline-pings": NamedPolicy(
        f"the same with at most {PINGS} keep-alive pings, which need the gateway", _ours(PINGS)
    ),
    "clairvoyant": NamedPolicy(
        f"knows when each next request comes; at most {PINGS} pings", lambda _: CachingRule(_hindsight)
    ),
}
"""All by name. Cline's rule is Roo's, opencode's and OpenHands' as well, and Claude Code's on API credits."""


def named(names: Iterable[str], gaps: GapModel | None = None) -> dict[str, CachingRule]:
    """Returns some policies' rules; ours use `gaps`, else the model that ships. Raises KeyError for an unknown name."""
    model = gaps or HazardGaps()
    return {name: POLICIES[name].rule(model) for name in names}


def _lifetime(provider: Provider, name: str) -> Lifetime | None:
    """Returns the provider's lifetime of that name, else its first one."""
    return provider.lifetime(name) or provider.lifetime("default")
