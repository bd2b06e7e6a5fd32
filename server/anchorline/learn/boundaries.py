"""What the network sees of a boundary between two segments: where it stands, and what ends there."""

from collections.abc import Iterable, Sequence
from math import log1p
from typing import get_args

from anchorline.prompt.model import Kind

KINDS: tuple[str, ...] = tuple(
    kind for kind in get_args(Kind) if kind not in ("front_matter", "fence", "other")
)
ROLES = ("system", "user", "assistant", "tool")

BOUNDARY = (
    "tokens",
    "share",
    "behind",
    "place",
    "last",
    *(f"kind_{name}" for name in KINDS),
    *(f"role_{name}" for name in ROLES),
)
"""Logarithms of the tokens up to the boundary and of the segments behind it; its share of all tokens and its place
among all segments (0 to 1); whether it is the end of the prompt; the kind and role of the segment that ends there."""


def of_boundaries(segments: Iterable[tuple[str, str, int]]) -> list[tuple[float, ...]]:
    """Return the numbers that `BOUNDARY` names for the end of each segment, given as kind, role and tokens."""
    parts: Sequence[tuple[str, str, int]] = list(segments)
    total = sum(tokens for _, _, tokens in parts) or 1
    found = []
    sent = 0
    for index, (kind, role, tokens) in enumerate(parts):
        sent += tokens
        behind = len(parts) - index - 1
        found.append(
            (
                log1p(sent),
                sent / total,
                log1p(behind),
                (index + 1) / len(parts),
                float(behind == 0),
                *(float(kind == name) for name in KINDS),
                *(float(role == name) for name in ROLES),
            )
        )
    return found
