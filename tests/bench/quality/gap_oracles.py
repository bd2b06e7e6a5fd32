"""Policies that are told a part of the future: they show which knowledge the rest of the headroom hangs on."""

from collections.abc import Callable
from math import isinf

from msgspec.structs import replace

from anchorline.cache.gaps import GapModel, Gaps
from anchorline.cache.lifetime import Action, best, bets
from anchorline.cache.rules import Provider
from support.ideal_replay import ChainPolicy, ChainPosition, gap, moment

View = Callable[[GapModel, ChainPosition], Gaps]


def before(model: GapModel, position: ChainPosition) -> Gaps:
    """What is known when the request is sent."""
    return model.after(moment(position.chain, position.index))


def answered(model: GapModel, position: ChainPosition) -> Gaps:
    """What is known when the answer is there."""
    step = position.chain[position.index]
    return model.after(replace(moment(position.chain, position.index), stop=step.stop, output=step.output))


def future(_model: GapModel, position: ChainPosition) -> Gaps:
    """When the next request comes."""
    wait = gap(position.chain, position.index)
    if isinf(wait):
        return Gaps((1.0,), (1.0,))
    return Gaps((max(wait - 1e-3, 1e-6), max(wait, 2e-6)), (1.0, 0.0))


ORACLES: dict[str, tuple[View, View]] = {
    "knows-answer": (answered, answered),
    "knows-pings": (before, future),
    "knows-lifetime": (future, answered),
    "knows-gap": (future, future),
}
"""What the lifetime, and what the pings are chosen by."""


def informed(model: GapModel, provider: Provider, views: tuple[View, View], pings: int) -> ChainPolicy:
    """Return our policy with two views of the time to the next request."""

    def choose(position: ChainPosition) -> Action:
        tokens = position.chain[position.index].tokens
        fresh = tokens - position.hit
        by_lifetime, by_pings = (view(model, position) for view in views)
        first = best(bets(provider, "", by_lifetime, fresh, tokens, pings=pings)).action
        if first.lifetime is None:
            return first
        later = bets(provider, "", by_pings, fresh, tokens, pings=pings)
        return best(later, first.lifetime.name).action

    return choose
