"""The choice of cache breakpoints: their segments and their lifetime.

An anchor pays if the prefix up to it is asked for again while it is warm. `boundaries` says how probable that is at
the few places after which it falls; `best_of` takes those of largest expected saving, at most as many as the provider
allows. Their lifetime is the bet's: what is written last lends its lifetime to the whole prefix, so a longer one costs
more for the new tokens only. docs/explain/placement.md explains it.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf
from operator import attrgetter

import msgspec

from anchorline.cache import markers
from anchorline.cache.boundary_reuse import Boundary, boundaries
from anchorline.cache.lifetime import Bet, rewrite
from anchorline.cache.predict import Warmth
from anchorline.cache.rules import Lifetime, Provider
from anchorline.plan import Anchor
from anchorline.prompt.model import Prompt


def place(
    prompt: Prompt, provider: Provider, model: str, warmth: Warmth, bet: Bet, totals: Sequence[int], mode: str
) -> tuple[Anchor, ...]:
    """Returns all anchors that the request should carry, in order, the client's own among them.

    `mode` is ``respect``, ``extend`` or ``replace`` (config `cache.anchors`). Never more than the provider takes, and
    never a shorter lifetime before a longer one.
    """
    kept = [] if mode == "replace" else list(clients(prompt, totals))
    if mode == "respect" and (kept or prompt.automatic_ttl):
        return tuple(kept)
    lifetime = bet.lifetime
    others = _others(prompt, mode)
    free = provider.max_breakpoints - provider.implicit - len(others)
    if lifetime is None or free <= 0:
        return tuple(kept)
    candidates = boundaries(prompt, warmth, totals, bet.p_reuse, lifetime.seconds, provider.lookback)
    if not candidates:
        return tuple(kept)
    minimum = provider.minimum(model)
    taken = {anchor.segment for anchor in kept}
    nodes = [node for node in candidates if node.tokens >= minimum and node.segment not in taken]
    ttls = (
        {node.segment: _ordered(lifetime, node.segment, others, provider) for node in nodes} if others else {}
    )
    nodes = [node for node in nodes if ttls.get(node.segment, "") is not None]
    tail = candidates[-1]
    for anchor in kept:
        later = next((node for node in candidates if node.segment >= anchor.segment), tail)
        nodes.append(Boundary(anchor.segment, anchor.prefix_tokens, later.p, anchored=True))
    if provider.implicit or prompt.automatic_ttl:  # the provider anchors the tail itself
        nodes = [node for node in nodes if node.segment != tail.segment]
        nodes.append(Boundary(tail.segment, tail.tokens, tail.p, anchored=True))
    elif lifetime is not provider.lifetimes[0] and tail.p >= bet.p_reuse / 2 and tail in nodes:
        # What is written last lends its lifetime to all before it: that was the bet.
        nodes[nodes.index(tail)] = Boundary(tail.segment, tail.tokens, tail.p, tail.reason, anchored=True)
        free -= 1
    if taken:
        nodes.sort(key=lambda node: node.segment)
    prices = CachePrices(provider.read_price(model), lifetime.write, rewrite(provider))
    warm = WarmPrefix(warmth.last, warmth.tokens, warmth.p_hit, provider.lookback)
    for node in best_of(nodes, free, prices, warm)[1]:
        if node.reason:
            ttl = ttls.get(node.segment) or lifetime.name
            kept.append(Anchor(node.segment, prompt.pointer(node.segment), node.tokens, ttl, node.reason))
    if taken:
        kept.sort(key=lambda anchor: anchor.segment)
    return tuple(kept)


class CachePrices(msgspec.Struct, frozen=True):
    """Multiples of the base input price: reading, writing now, and writing later what was not found."""

    read: float
    write: float
    rewrite: float


class WarmPrefix(msgspec.Struct, frozen=True):
    """The prefix that this request itself may read: up to `segment` (-1: nothing), `tokens`, with probability `p`.

    It is found from an anchor there, or at most `lookback` blocks behind it (None: any number).
    """

    segment: int = -1
    tokens: int = 0
    p: float = 0.0
    lookback: int | None = None


def best_of(
    nodes: Sequence[Boundary], free: int, prices: CachePrices, warm: WarmPrefix
) -> tuple[float, tuple[Boundary, ...]]:
    """Returns the largest expected saving, in tokens at the base price, and the boundaries that carry an anchor.

    Dynamic programming over `nodes` in order. An anchor at a boundary adds, for the tokens since the anchor before it,

        p·(rewrite − read)·tokens − (write − 1)·fresh tokens

    and what this request reads itself, if it is the first one at or after the end of the warm prefix and near enough.
    At most `free` anchors are added to those that stand there `anchored`. Where the probability falls from node to node
    and all of them fit, an anchor between others never costs anything: only the last one is to be chosen.
    """
    if sum([not node.anchored for node in nodes]) <= free and all(
        earlier.p >= later.p for earlier, later in pairwise(nodes)
    ):
        return _all_up_to(nodes, prices, warm)
    unit, premium = prices.rewrite - prices.read, prices.write - 1.0
    count = len(nodes)
    least = next((i for i in range(count - 1, -1, -1) if nodes[i].anchored), -1)
    # rows[i][k]: the best (saving, path) with the last anchor at boundary i, k of them added; row -1 is the start
    start = (0.0, ())
    rows: list[list[tuple[float, tuple[int, ...]] | None]] = []
    best: tuple[float, tuple[int, ...]] | None = start if least < 0 else None
    for i, node in enumerate(nodes):
        fresh = max(node.tokens - warm.tokens, 0)
        near = node.segment >= warm.segment >= 0 and (
            warm.lookback is None or node.segment - warm.segment <= warm.lookback
        )
        own = 0 if node.anchored else 1
        row: list[tuple[float, tuple[int, ...]] | None] = [None] * (free + 1)
        for j in range(i - 1, -2, -1):
            last = nodes[j] if j >= 0 else None
            tokens = last.tokens if last is not None else 0
            gain = node.p * unit * (node.tokens - tokens)
            gain -= premium * (fresh - max(tokens - warm.tokens, 0))
            if near and (last is None or last.segment < warm.segment):
                gain += warm.p * unit * warm.tokens
            for k in range(own, free + 1):
                candidate = (
                    start if last is None and k == own else rows[j][k - own] if last is not None else None
                )
                if candidate is not None and ((old := row[k]) is None or candidate[0] + gain > old[0]):
                    row[k] = (candidate[0] + gain, (*candidate[1], i))
            if last is not None and last.anchored:
                break
        rows.append(row)
        if i >= least:
            for candidate in row:
                if candidate is not None and (best is None or candidate[0] > best[0]):
                    best = candidate
    saving, path = best if best is not None else start
    return saving, tuple(nodes[i] for i in path)


def _all_up_to(
    nodes: Sequence[Boundary], prices: CachePrices, warm: WarmPrefix
) -> tuple[float, tuple[Boundary, ...]]:
    """Returns the best saving of anchors at all nodes up to some last one, and these nodes."""
    unit, premium = prices.rewrite - prices.read, prices.write - 1.0
    saving = 0.0
    best, count = 0.0, 0
    tokens, met = 0, warm.segment < 0
    for index, node in enumerate(nodes, 1):
        saving += node.p * unit * (node.tokens - tokens)
        saving -= premium * (max(node.tokens - warm.tokens, 0) - max(tokens - warm.tokens, 0))
        if not met and node.segment >= warm.segment:
            met = True
            if warm.lookback is None or node.segment - warm.segment <= warm.lookback:
                saving += warm.p * unit * warm.tokens
        tokens = node.tokens
        if saving > best or node.anchored:
            best, count = saving, index
    return best, tuple(nodes[:count])


def clients(prompt: Prompt, totals: Sequence[int]) -> tuple[Anchor, ...]:
    """Returns the breakpoints that the client has set, as anchors: one a segment.

    A marker within a block counts as one at its end: what follows it there is the smaller part.
    """
    anchors = {
        mark.segment: Anchor(
            mark.segment,
            prompt.pointer(mark.segment),
            totals[mark.segment],
            markers.lifetime(prompt, mark),
            "set by the client",
            "client",
        )
        for mark in prompt.markers
        if mark.acts
    }
    return tuple(anchor for _, anchor in sorted(anchors.items()))


def _others(prompt: Prompt, mode: str) -> list[tuple[float, str]]:
    """Returns what takes a slot beside the plan's own anchors, as (segment, lifetime).

    They are the client's markers that stay, one on what is not rendered (after its segment) in any mode, and the
    automatic breakpoint, which is last.
    """
    slots = [
        (mark.segment + (0.5 if mark.standing == "unrendered" else 0.0), markers.lifetime(prompt, mark))
        for mark in prompt.markers
        if mark.standing == "unrendered" or (mark.acts and mode != "replace")
    ]
    return [*slots, (inf, prompt.automatic_ttl)] if prompt.automatic_ttl else slots


def _ordered(
    wanted: Lifetime, index: int, others: Sequence[tuple[float, str]], provider: Provider
) -> str | None:
    """Returns the lifetime that may stand at `index` between the others, or None if none may.

    A longer one that follows lends its price to all before it, so an anchor takes it over at no cost. One that the
    provider does not know makes no order: it refuses the request for that anyway.
    """
    if not provider.longer_first:
        return wanted.name
    neighbours = [(at, lifetime) for at, name in others if (lifetime := provider.lifetime(name)) is not None]
    after = [lifetime for at, lifetime in neighbours if at > index]
    least = max([wanted, *after], key=_SECONDS)
    most = min([lifetime for at, lifetime in neighbours if at < index], key=_SECONDS, default=least)
    if any(later.seconds > most.seconds for later in after):
        return None
    return min(least, most, key=_SECONDS).name


_SECONDS = attrgetter("seconds")
