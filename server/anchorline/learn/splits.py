"""How decisions are divided into train, held and test: by session, by user and by time.

A session or user falls where the hash of its name does, so that it stays there in every later dataset.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal, get_args

import msgspec

from anchorline.learn.features import Decision

Split = Literal["train", "held", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
SHARES = (0.7, 0.15)
"""Of train and held; the rest is test."""


class Cuts(msgspec.Struct, frozen=True):
    """Epoch seconds from which decisions are held out, and from which they test."""

    held: float
    test: float


def by_name(name: str) -> Split:
    """Returns the part of a session or user."""
    fraction = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
    return "train" if fraction < SHARES[0] else "held" if fraction < sum(SHARES) else "test"


def by_time(at: float, cuts: Cuts) -> Split:
    """Returns the part of a moment."""
    return "train" if at < cuts.held else "held" if at < cuts.test else "test"


def cuts(times: Iterable[float]) -> Cuts:
    """Returns the times that divide `times` by `SHARES`."""
    ordered = sorted(times)
    if not ordered:
        return Cuts(0.0, 0.0)
    indices = (int(SHARES[0] * len(ordered)), int(sum(SHARES) * len(ordered)))
    held, test = (ordered[min(index, len(ordered) - 1)] for index in indices)
    return Cuts(held, test)


def part(decisions: Iterable[Decision], split: Split) -> list[Decision]:
    """Returns the decisions whose sessions fall into a part."""
    return [decision for decision in decisions if by_name(decision.session) == split]
