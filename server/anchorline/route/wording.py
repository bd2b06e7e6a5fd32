"""The difficulty of a draft by its words, as far as they are of a kind that was seen.

A kind is a sort of task: programming contests, school mathematics, questions with choices. For each there are small
tables by hashed word: how much it adds to a small model's success and to what a strong one gains, besides what the
length says; how typical it is of the kind against the others; and whether it was seen there. Words mislead outside of
the kind that they were learnt in, so they count as far as the draft's words were seen in it:

    shift = Σ share·mean(table) · most        share ∝ trust·exp(typical / SHARP)        most = max trust

`trust` rises from 0 to 1 while the share of the draft's words that were seen goes from `floor` to `middle`, the 5th
percentile and the median of the kind's own prompts; of a short draft it is less. The tables are in models/router
(`python tests/bench train_prior`).
"""

import re
from functools import cache
from math import exp
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta
from xxhash import xxh32_intdigest

from anchorline import files

BUCKETS = 2**15
READ = 2000
"""Characters from the beginning, and as many from the end, that are looked at: it bounds the time."""
SHARP = 0.15
STRONGEST = 0.15
"""No draft's words move a success by more."""
ENOUGH = 24
"""Distinct words from which on they are trusted fully; fewer say as much less."""
FILE = "wording.msgpack"
MOST_BYTES = 4 << 20

_WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")

Table = Annotated[bytes, Meta(min_length=BUCKETS, max_length=BUCKETS)]
"""A signed byte for every bucket."""
Step = Annotated[float, Meta(ge=0, le=10)]


class TaskKind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sort of task. Each table's values are its bytes times its step."""

    name: str
    floor: Annotated[float, Meta(ge=0, le=1)]
    middle: Annotated[float, Meta(ge=0, le=1)]
    seen: Table
    typical: Table
    typical_step: Step
    weak: Table
    weak_step: Step
    gain: Table
    gain_step: Step


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All kinds that are known."""

    kinds: tuple[TaskKind, ...] = ()

    def shift(self, draft: str) -> tuple[float, float]:
        """Returns what the words add to a small model's success, and to the gain of a strong one over it."""
        draft_buckets = buckets(draft)
        if not draft_buckets:
            return 0.0, 0.0
        total = weak = gain = most = 0.0
        for kind in self.kinds:
            trust = _trust(kind, draft_buckets)
            if trust > 0:
                share = trust * exp(min(_mean(kind.typical, kind.typical_step, draft_buckets), 3.0) / SHARP)
                total += share
                most = max(most, trust)
                weak += share * _mean(kind.weak, kind.weak_step, draft_buckets)
                gain += share * _mean(kind.gain, kind.gain_step, draft_buckets)
        if not total:
            return 0.0, 0.0
        return _bounded(most * weak / total), _bounded(most * gain / total)


def buckets(text: str) -> frozenset[int]:
    """Returns the buckets of a text's words, numbers and marks."""
    seen = text if len(text) <= 2 * READ else f"{text[:READ]} {text[-READ:]}"
    words = set(_WORDS.findall(seen.lower()))
    return frozenset(xxh32_intdigest(word.encode("utf-8", "surrogatepass")) % BUCKETS for word in words)


@cache
def shipped() -> Wording:
    """Returns the tables that ship."""
    return read(files.shipped() / "router" / FILE)


def read(path: Path) -> Wording:
    """Reads tables; none where the file is missing or another version's: then the length decides alone."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return Wording()
        return msgspec.msgpack.decode(path.read_bytes(), type=Wording)
    except (OSError, msgspec.DecodeError):
        return Wording()


def _trust(kind: TaskKind, buckets: frozenset[int]) -> float:
    seen = sum(1 for bucket in buckets if kind.seen[bucket]) / len(buckets)
    familiarity = min(max((seen - kind.floor) / max(kind.middle - kind.floor, 1e-6), 0.0), 1.0)
    return familiarity * min(len(buckets) / ENOUGH, 1.0)


def _mean(table: bytes, step: float, buckets: frozenset[int]) -> float:
    """Returns the mean over the buckets of a table of signed bytes."""
    total = sum((table[bucket] ^ 128) - 128 for bucket in buckets)
    return step * total / len(buckets)


def _bounded(value: float) -> float:
    return min(max(value, -STRONGEST), STRONGEST)
