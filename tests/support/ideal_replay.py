"""The ideal replay: what a rule for lifetimes and pings would have cost over recorded chains of requests.

A chain is the requests of one conversation, or of one sub-agent, in order. A request finds in the cache what it has in
common with the request before it, if that was kept warm until then. Ideal: it knows no minimum sizes, no look-back, no
prefixes shared across chains and no branches.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import inf

import msgspec

from anchorline.cache.gaps import WINDOW, GapModel, Moment, Pause, Trigger
from anchorline.cache.lifetime import Action, best, bets
from anchorline.cache.rules import Provider


class ChainStep(msgspec.Struct, frozen=True):
    """One request: when it started (seconds), its input tokens, how many of them it shares with the one before.

    `shared` is 0 for the first request of a chain and after a change of model. `stop`: why its answer ended, `output`:
    tokens of the answer (0: not known).
    """

    at: float
    tokens: int
    shared: int
    trigger: Trigger = "tool"
    stop: str = ""
    output: int = 0


Chain = Sequence[ChainStep]


class ChainPosition(msgspec.Struct, frozen=True):
    """A request whose action is to be chosen: it may look at nothing behind `index`, but at its answer for pings."""

    chain: Chain
    index: int
    hit: int


ChainPolicy = Callable[[ChainPosition], Action]


def cost(chain: Chain, policy: ChainPolicy, read: float = 0.1) -> float:
    """Returns the input cost of a chain, in tokens at the base price. After the last request all pings are paid."""
    total = 0.0
    alive, last = -1.0, inf
    for index, step in enumerate(chain):
        hit = min(step.shared, step.tokens) if last <= alive else 0
        action = policy(ChainPosition(chain, index, hit))
        last, alive = gap(chain, index), action.alive
        total += read * hit + action.write * (step.tokens - hit) + read * step.tokens * action.paid(last)
    return total


def clairvoyant(actions: Sequence[Action], read: float = 0.1) -> Callable[[Chain], ChainPolicy]:
    """Returns the choices among `actions` that cost a chain least: they know the future.

    Going backwards, the rest of a chain costs so much if a request misses, and so much if it hits.
    """

    def foresee(chain: Chain) -> ChainPolicy:
        choices: list[tuple[Action, Action]] = []
        miss_cost = hit_cost = 0.0
        for index in range(len(chain) - 1, -1, -1):
            step, wait = chain[index], gap(chain, index)
            hit = min(step.shared, step.tokens)
            rest = [
                read * step.tokens * action.paid(wait) + (hit_cost if wait <= action.alive else miss_cost)
                for action in actions
            ]
            cold = [action.write * step.tokens + later for action, later in zip(actions, rest, strict=True)]
            warm = [
                action.write * (step.tokens - hit) + later
                for action, later in zip(actions, rest, strict=True)
            ]
            miss_cost, hit_cost = min(cold), read * hit + min(warm)
            choices.append((actions[cold.index(miss_cost)], actions[warm.index(min(warm))]))
        choices.reverse()
        return lambda position: choices[position.index][1 if position.hit else 0]

    return foresee


def fixed(action: Action) -> ChainPolicy:
    """Returns the rule of most editors: the same for every request."""
    return lambda _: action


def delta_rule(short: Action, long: Action, share: float = 0.05) -> ChainPolicy:
    """Returns the rule "`long` where the new part is under `share` of the prefix, else `short`"."""

    def choose(position: ChainPosition) -> Action:
        tokens = position.chain[position.index].tokens
        return long if tokens - position.hit < share * tokens else short

    return choose


def expected(gaps: GapModel, provider: Provider, *, pings: int = 0) -> ChainPolicy:
    """Returns the cheapest action in expectation, as the planner takes it.

    The lifetime is chosen before the answer is there, the pings when it is: its end says whether the agent goes on.
    """

    def choose(position: ChainPosition) -> Action:
        step = position.chain[position.index]
        now = moment(position.chain, position.index)
        fresh = step.tokens - position.hit
        first = best(bets(provider, "", gaps.after(now), fresh, step.tokens, pings=pings)).action
        if not pings or first.lifetime is None:
            return first
        answered = gaps.after(msgspec.structs.replace(now, stop=step.stop, output=step.output))
        later = bets(provider, "", answered, fresh, step.tokens, pings=pings)
        return best(later, first.lifetime.name).action

    return choose


def moment(chain: Chain, index: int) -> Moment:
    """Returns what is known when a request of a chain is sent."""
    first = max(index - WINDOW, 0)
    steps = chain[first : index + 1]
    pauses: list[Pause] = [
        (max(step.at - before.at, 0.0), step.trigger == "user") for before, step in pairwise(steps)
    ]
    step = chain[index]
    return Moment(step.trigger, step.tokens, index, tuple(pauses), step.at - chain[0].at)


def gap(chain: Chain, index: int) -> float:
    """Returns the seconds from the start of a request to the start of the next one, inf after the last."""
    return chain[index + 1].at - chain[index].at if index + 1 < len(chain) else inf
