"""The boundaries of a prompt worth an anchor, each with the probability that its prefix is asked for again.

Two sources ask for a prefix. The next request of the conversation shares everything up to the first change: rarely the
tail is edited, less often what stands before the newest turn, the system prompt or the tools. And other conversations
and sub-agents start with the same tools and system prompt. The shares were counted in recorded sessions, train split;
``python tests/bench prefix_shares`` reproduces them, docs/explain/placement.md shows them with their intervals.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from anchorline.cache.markers import markable
from anchorline.cache.predict import Warmth
from anchorline.prompt import dates
from anchorline.prompt.model import Prompt
from anchorline.prompt.unrendered import blanked

TABLE = Path(__file__).with_name("boundary_reuse.toml")

UNTRIED = 0.5
"""That a moment in a prompt's head changes with each request, before anything shows whether it does. No recorded
session has such a head, so this is no measurement: of two possibilities, neither is preferred."""


class Unchanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the next requests within an hour, the share that has the prefix unchanged up to each boundary.

    `tail` is the end, `turn` the end of the turn before, `system` that of the system prompt, `tools` that of the tools.
    Between system prompt and the turn before nothing changes the share.
    """

    tail: float
    turn: float
    system: float
    tools: float


class Shares(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`boundary_reuse.toml`: how often prefixes are asked for again.

    `edited_again` is how often, after a change before the newest turn, the next request has one as well.
    `other_chains` gives (seconds, share of the requests after which another conversation on the same head starts within
    them).
    """

    edited_again: float
    other_chains: tuple[tuple[int, float], ...]
    unchanged: Unchanged


SHARES = msgspec.convert(tomllib.loads(TABLE.read_text("utf-8")), Shares)


class Boundary(msgspec.Struct, frozen=True, gc=False):
    """The end of a segment that may carry an anchor, `tokens` of the prompt before it.

    `p` is the probability that a request asks for the prefix again while it is warm. `anchored`: it carries an anchor
    anyway, of the client or of the provider itself.
    """

    segment: int
    tokens: int
    p: float
    reason: str = ""
    anchored: bool = False


def boundaries(
    prompt: Prompt, warmth: Warmth, totals: Sequence[int], p_next: float, seconds: int, lookback: int | None
) -> list[Boundary]:
    """Returns the boundaries after which the probability falls, in order, and the end of what is warm where it matters.

    `p_next`: the next request of the conversation comes within `seconds`, the anchors' lifetime. `totals` are the
    cumulative tokens at each segment's end. Between two boundaries an anchor would hold fewer tokens and be asked for
    no more often than at the later one.
    """
    unchanged = SHARES.unchanged
    segments = prompt.segments
    tail = before(prompt, len(segments))
    if tail < 0:
        return []
    head = tools = 0
    for segment in segments:
        if segment.section == "messages":
            break
        head += 1
        tools += segment.section == "tools"
    turn = segments[tail].message
    start = tail
    while start >= head and segments[start].message == turn:
        start -= 1
    others = next(
        (share for limit, share in SHARES.other_chains if seconds <= limit), SHARES.other_chains[-1][1]
    )
    moment, steady = _changing(prompt, warmth, head)
    edited = any(miss.code == "prefix_edited" for miss in warmth.misses)
    within = f"{seconds // 60} min" if seconds < 3600 else f"{seconds // 3600} h"
    by_segment: dict[int, Boundary] = {}

    def add(segment: int, share: float, reason: str) -> None:
        if segment < 0 or segment in by_segment:
            return
        other = others
        if moment <= segment:
            share, other = share * steady, other * steady
        if edited and segment > warmth.last:
            share *= 1.0 - SHARES.edited_again
        p = p_next * share
        if segment < head:
            p = 1.0 - (1.0 - p) * (1.0 - other)
        by_segment[segment] = Boundary(segment, totals[segment], p, reason)

    add(tail, unchanged.tail, f"the next request comes within {within} with probability {p_next:.2f}")
    if start >= head:
        add(before(prompt, start + 1), unchanged.turn, "holds when the newest turn is edited and sent again")
    add(before(prompt, head), unchanged.system, "tools and system are shared by every conversation")
    if 0 < tools < head:
        add(before(prompt, tools), unchanged.tools, "tools hold when the system prompt changes")
    if moment < head:
        add(before(prompt, moment), unchanged.system, "the last place before a moment that changes")
    if warmth.last >= 0 and (edited or (lookback is not None and tail - warmth.last > lookback)):
        warm = before(prompt, warmth.last + 1)
        share = (
            unchanged.turn if head <= warm <= start else unchanged.system if warm < head else unchanged.tail
        )
        add(
            warm, share, "the warm prefix ends here, further back than the provider looks, or before a change"
        )
    return sorted(by_segment.values(), key=lambda boundary: boundary.segment)


def before(prompt: Prompt, index: int) -> int:
    """Returns the last segment before `index` that may carry a marker, or -1."""
    for candidate in range(index - 1, -1, -1):
        if markable(prompt, candidate):
            return candidate
    return -1


def _changing(prompt: Prompt, warmth: Warmth, head: int) -> tuple[int, float]:
    """Returns the first segment of the head that tells a moment, and the probability that it stays as it is.

    What is warm has stayed. Where the conversation goes on and only what stands before the moment is warm, either it
    changes, or the head was edited for another reason, which is rare.
    """
    segments = prompt.segments
    for index in range(warmth.last + 1, head):
        segment = segments[index]
        if segment.section == "system" and dates.times(blanked(prompt.load(segment.start, segment.end))):
            seen = warmth.last >= 0 and any(later.role == "assistant" for later in segments[head:])
            system = SHARES.unchanged.system
            return index, (1.0 - system) / (2.0 - system) if seen else UNTRIED
    return len(segments), 1.0
