"""The policies that a replay compares: what was done, what other tools do, what we do, what hindsight would do.

Each is a `CachingRule` of the exact replay. The other tools' rules were read in their sources in November 2026. In a
conversation that only grows their anchors differ in two things: where the last one stands, and for how long it lives.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from anchorline.cache.gaps import GapModel, HazardGaps
from anchorline.cache.lifetime import Action
from anchorline.cache.rules import Lifetime, Provider
from anchorline.replay.account import CachingRule, RecordedConversation
from anchorline.replay.chain import ChainPolicy, clairvoyant, delta_rule, expected, fixed

PINGS = 3
"""Keep-alive pings after one request, at most, where a policy sends any."""


RECORDED = "recorded"
"""What the client did: what the others are compared with, and what a change changes."""


class NamedPolicy(NamedTuple):
    """A policy to choose by name: what it does, and its rule."""

    does: str
    rule: Callable[[GapModel], CachingRule]


def _always(lifetime: str, *, pings: int = 0, head: str | None = None, tail: bool = True) -> NamedPolicy:
    def policy(_conversation: RecordedConversation, provider: Provider) -> ChainPolicy:
        return fixed(Action(_lifetime(provider, lifetime), pings))

    does = f"anchors for {lifetime}" if tail else f"only tools and system, for {lifetime}"
    does += f", tools and system for {head}" if head else ""
    does += f", at most {pings} pings" if pings else ""
    return NamedPolicy(does, lambda _: CachingRule(policy, head, tail))


def _recorded(conversation: RecordedConversation, provider: Provider) -> ChainPolicy:
    return lambda position: Action(_lifetime(provider, conversation.ttls[position.index]))


def _delta(_conversation: RecordedConversation, provider: Provider) -> ChainPolicy:
    return delta_rule(Action(provider.lifetimes[0]), Action(provider.lifetimes[-1]))


def _ours(pings: int) -> Callable[[GapModel], CachingRule]:
    return lambda gaps: CachingRule(lambda _, provider: expected(gaps, provider, pings=pings))


def _hindsight(conversation: RecordedConversation, provider: Provider) -> ChainPolicy:
    actions = [Action(), *(Action(life, k) for life in provider.lifetimes for k in range(PINGS + 1))]
    return clairvoyant(actions, provider.read)(conversation.steps)


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
    "all-1h": NamedPolicy(
        "anchors for 1h, as Claude Code sets them in a main conversation on a plan", _always("1h").rule
    ),
    "delta-rule": NamedPolicy(
        "1h where the new part is under 5 % of the prefix, else 5m", lambda _: CachingRule(_delta)
    ),
    "ours": NamedPolicy("Anchorline: the cheapest lifetime in expectation", _ours(0)),
    "ours-pings": NamedPolicy(
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
