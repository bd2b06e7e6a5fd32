"""Later copies of a block, each of which can be a reference to the first.

Only what is new may be trimmed. Bytes that the provider already holds cost a tenth; changing one of them means to
pay for all that follows again. Where the prefix is cold nothing is held, so everything may.
"""

from anchorline.plan import Trim
from anchorline.prompt.model import Prompt, Segment

MIN_TOKENS = 100
"""Shorter blocks save less than a reader loses by looking the first copy up."""

REFERENCE_TOKENS = 20
"""What the reference itself costs: about as much as "(same as the output of call toolu_… above)"."""

_TRIMMABLE = frozenset({"tool_result", "document", "fence"})


def duplicates(prompt: Prompt, warm: int) -> tuple[Trim, ...]:
    """Returns the blocks after segment `warm` (-1: none is warm) that repeat an earlier one byte for byte."""
    segments = prompt.segments
    new = {
        segment.digest
        for segment in segments[warm + 1 :]
        if segment.tokens >= MIN_TOKENS and segment.kind in _TRIMMABLE
    }
    if not new:
        return ()
    first: dict[bytes, int] = {}
    trims = []
    for index, segment in enumerate(segments):
        if segment.digest not in new:
            continue
        original = first.setdefault(segment.digest, index)
        if original != index and index > warm and _same(segments[original], segment):
            kind = segment.kind.replace("_", " ")
            trims.append(
                Trim(
                    segment=index,
                    pointer=prompt.pointer(index),
                    action="reference",
                    original=original,
                    tokens_saved=segment.tokens - REFERENCE_TOKENS,
                    reason=f"the same {kind} already stands at {prompt.pointer(original)}",
                )
            )
    return tuple(trims)


def _same(segment: Segment, other: Segment) -> bool:
    """Says whether kind and size fit as well: the hashes are not cryptographic, so they may collide."""
    return segment.kind == other.kind and segment.tokens == other.tokens
