"""The chain of hashes that identifies a request's prefixes as a provider compares them."""

from collections.abc import Iterable, Sequence

from xxhash import xxh3_128_digest

from anchorline.cache.rules import Provider
from anchorline.replay.request import Block, RejectedError, Request


def stripped(blocks: Iterable[Block]) -> list[Block]:
    """Return the blocks without the thinking of finished turns: what stands before the person's last message."""
    given = list(blocks)
    turn = next((i for i in range(len(given) - 1, -1, -1) if given[i].kind == "user"), -1)
    return [block for i, block in enumerate(given) if i > turn or block.kind != "thinking"]


def prefixes(provider: Provider, model: str, blocks: Sequence[Block], request: Request) -> list[bytes]:
    """Return the hash of everything up to the end of each block: content, order, and the settings that count there.

    A setting enters the chain where the first section begins that a change of it makes useless.
    """
    order = provider.render_order
    entering: dict[str, list[str]] = {}
    for key, value in sorted(request.settings.items()):
        useless = provider.made_useless(key, model)
        hit = [section for section in order if section in useless]
        if not hit:
            raise ValueError(f"{provider.title} has no rule for the setting {key!r}")
        entering.setdefault(hit[0], []).append(f"{key}={value}")
    chain = b""
    path = []
    reached = -1
    for block in blocks:
        place = order.index(block.section)
        if place < reached:
            raise RejectedError(f"{block.section} must stand before {order[reached]}")
        while reached < place:
            reached += 1
            chain = xxh3_128_digest(chain + "\0".join(entering.get(order[reached], ())).encode())
        chain = xxh3_128_digest(chain + block.digest)
        path.append(chain)
    return path


def positions(given: Sequence[Block], kept: Sequence[Block]) -> list[int]:
    """Return, for each block given, the last block kept up to it: where its breakpoint falls."""
    positions = []
    at = -1
    for block in given:
        if at + 1 < len(kept) and block is kept[at + 1]:
            at += 1
        positions.append(max(at, 0))
    return positions


def common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """Return how many prefixes two chains share. Both are chains, so the first difference can be bisected."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high) // 2
        if one[middle] == other[middle]:
            low = middle + 1
        else:
            high = middle
    return low
