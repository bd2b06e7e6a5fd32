"""Where to put cache breakpoints, and for how long.

An anchor at the tail lets the next request read all of this one. Its lifetime is the one of least expected cost: a
longer one charges more for the new tokens only and insures the whole prefix, which gives the rule "1h when the new
part is small" its threshold from the prices and the gaps instead of by hand. Further anchors cost nothing where the
tail is paid anyway, so the free slots guard what other requests share: the static head, the last warm position (a
provider looks back only so many blocks), and the place just before the newest turn, which is edited most.
"""

from collections.abc import Sequence

from anchorline.cache.action import Bet
from anchorline.cache.markers import markable
from anchorline.cache.predict import Warmth
from anchorline.cache.rules import Provider
from anchorline.plan import Anchor
from anchorline.prompt.model import Prompt


def place(
    prompt: Prompt, provider: Provider, model: str, warmth: Warmth, bet: Bet, totals: Sequence[int], mode: str
) -> tuple[Anchor, ...]:
    """Return all anchors that the request should carry, in order, the client's own among them.

    `mode` is ``respect``, ``extend`` or ``replace`` (config `cache.anchors`). Never more than the provider takes, and
    never a shorter lifetime before a longer one.
    """
    kept = [] if mode == "replace" else list(clients(prompt, totals))
    if mode == "respect" and (kept or prompt.automatic_ttl):
        return tuple(kept)
    lifetime = bet.lifetime
    free = provider.max_breakpoints - provider.implicit - len(kept) - (1 if prompt.automatic_ttl else 0)
    if lifetime is None or free <= 0:
        return tuple(kept)
    taken = {anchor.segment for anchor in kept}
    minimum = provider.minimum(model)
    chosen: list[Anchor] = []
    for index, reason in _candidates(prompt, provider, warmth, bet):
        if len(chosen) == free:
            break
        if index in taken or totals[index] < minimum:
            continue
        ttl = _ordered(lifetime.name, index, kept, provider)
        if ttl is not None:
            taken.add(index)
            chosen.append(Anchor(index, prompt.pointer(index), totals[index], ttl, reason))
    return tuple(sorted((*kept, *chosen), key=lambda anchor: anchor.segment))


def clients(prompt: Prompt, totals: Sequence[int]) -> tuple[Anchor, ...]:
    """Return the breakpoints that the client has set, as anchors."""
    plain = "5m" if prompt.format == "anthropic" else "30m"
    return tuple(
        Anchor(
            mark.segment,
            prompt.pointer(mark.segment),
            totals[mark.segment],
            plain if mark.ttl == "default" else mark.ttl,
            "set by the client",
            "client",
        )
        for mark in sorted(prompt.markers, key=lambda mark: mark.segment)
    )


def _candidates(prompt: Prompt, provider: Provider, warmth: Warmth, bet: Bet) -> list[tuple[int, str]]:
    """Return (segment, reason) in order of worth: the tail first."""
    segments = prompt.segments
    tail = _markable_before(prompt, len(segments))
    if tail < 0:
        return []
    assert bet.lifetime is not None  # noqa: S101  (place() has returned where no anchor pays)
    seconds = bet.lifetime.seconds
    within = f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"
    found = []
    if not provider.implicit:  # else the provider anchors the tail itself
        found.append((tail, f"the next request comes within {within} with probability {bet.p_reuse:.2f}"))
    warm = _markable_before(prompt, warmth.last + 1)
    lookback = provider.lookback
    if warm >= 0 and lookback is not None and tail - warm > lookback:
        found.append(
            (warm, f"the warm prefix ends {tail - warm} blocks before the tail, further than is looked back")
        )
    head = next((i for i, segment in enumerate(segments) if segment.section == "messages"), 0)
    static = _markable_before(prompt, head)
    if static >= 0:
        found.append((static, "tools and system are shared by every conversation"))
    turn = segments[tail].message
    before = next((i for i in range(tail, -1, -1) if segments[i].message != turn), -1)
    previous = _markable_before(prompt, before + 1)
    if previous >= head:
        found.append((previous, "holds when the newest turn is edited and sent again"))
    return found


def _markable_before(prompt: Prompt, index: int) -> int:
    """Return the last segment before `index` that may carry a marker, or -1."""
    for candidate in range(index - 1, -1, -1):
        if markable(prompt, prompt.segments[candidate]):
            return candidate
    return -1


def _ordered(ttl: str, index: int, kept: Sequence[Anchor], provider: Provider) -> str | None:
    """Return the lifetime that may stand at `index` between the client's own anchors, or None if none may."""
    own = provider.lifetime(ttl)
    if own is None or not provider.longer_first:
        return ttl if own is not None else None
    before = [provider.lifetime(anchor.ttl) for anchor in kept if anchor.segment < index]
    after = [provider.lifetime(anchor.ttl) for anchor in kept if anchor.segment > index]
    # A lifetime that the provider does not know makes no order; it refuses the request for that anyway.
    shortest = min((one.seconds, one.name) for one in (*before, own) if one is not None)
    if any(one is not None and one.seconds > shortest[0] for one in after):
        return None
    return shortest[1]
