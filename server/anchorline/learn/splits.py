"""Which decisions are trained on, which choose and calibrate, and which judge: by session, by user, and by time.

A session or user falls where the hash of its name does, so that it stays there in every later dataset. The moments
between the parts of time are fixed when a dataset is first built, and kept.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Literal, get_args

import msgspec

Part = Literal["train", "held", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
SHARES = (0.7, 0.15)
"""Of train and held; the rest is test."""


class Moments(msgspec.Struct, frozen=True):
    """Epoch seconds from which decisions are held out, and from which they test."""

    held: float
    test: float


def by_name(name: str) -> Part:
    """Return the part of a session or user."""
    place = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()) / 2**64
    return "train" if place < SHARES[0] else "held" if place < sum(SHARES) else "test"


def by_time(at: float, moments: Moments) -> Part:
    """Return the part of a moment."""
    return "train" if at < moments.held else "held" if at < moments.test else "test"


def moments(times: Iterable[float]) -> Moments:
    """Return the moments that divide `times` by `SHARES`."""
    ordered = sorted(times)
    if not ordered:
        return Moments(0.0, 0.0)
    places = (int(SHARES[0] * len(ordered)), int(sum(SHARES) * len(ordered)))
    held, test = (ordered[min(place, len(ordered) - 1)] for place in places)
    return Moments(held, test)
