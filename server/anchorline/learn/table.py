"""Features of many decisions as arrays, from which batches are taken."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from anchorline.learn.architecture import Architecture
from anchorline.learn.features import Features

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Values: TypeAlias = Any
"""An array of numpy or of MLX."""


class Batch(NamedTuple):
    """Arrays that a forward pass takes, of numpy or of MLX.

    `grams` (k × most) are the buckets of the k rows that have some, `shares` what each counts (they sum to 1, padding
    is 0), `slot` (n) leads from a row to its draft, 0 meaning none. `dense` (n × …) is draft, moment and return side by
    side, `present` (n × 4) whether grams and each of them are known.
    """

    grams: Values
    shares: Values
    slot: Values
    dense: Values
    present: Values


class Table:
    """The features of `rows`, as `architecture` wants them. Raises ValueError where a row has another width."""

    def __init__(self, rows: Sequence[Features], architecture: Architecture) -> None:
        sizes = np.fromiter((len(row.grams) for row in rows), np.int64, len(rows))
        self.ends = np.cumsum(sizes)
        self.starts = self.ends - sizes
        self.grams: Ints = np.fromiter(
            (bucket % architecture.buckets for row in rows for bucket in row.grams),
            np.int32,
            int(sizes.sum()),
        )
        parts = [
            _stacked([row.draft for row in rows], len(architecture.draft), "draft"),
            _stacked([row.moment for row in rows], len(architecture.moment), "moment"),
            _stacked([row.back for row in rows], len(architecture.back), "return"),
        ]
        self.dense: Floats = np.hstack([values for values, _ in parts])
        self.present: Floats = np.stack(
            [(sizes > 0).astype(np.float32), *(known for _, known in parts)], axis=1
        )

    def __len__(self) -> int:
        return len(self.present)

    def batch(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Return some rows."""
        sizes = (self.ends - self.starts)[rows]
        some = np.flatnonzero(sizes)
        slot = np.zeros(len(rows), np.int32)
        slot[some] = np.arange(1, len(some) + 1)
        if not len(some):
            nothing = np.zeros((1, 1), np.int32)
            return Batch(nothing, nothing.astype(np.float32), slot, self.dense[rows], self.present[rows])
        place = np.arange(int(sizes.max()))
        inside = place < sizes[some, None]
        taken = np.where(inside, self.starts[rows[some], None] + place, 0)
        shares = (inside / sizes[some, None]).astype(np.float32)
        return Batch(self.grams[taken], shares, slot, self.dense[rows], self.present[rows])

    def all(self) -> Batch:
        """Return all rows."""
        return self.batch(np.arange(len(self)))


def _stacked(values: Iterable[tuple[float, ...] | None], width: int, name: str) -> tuple[Floats, Floats]:
    """Return the values as rows, zeros where they are not known, and whether they are."""
    rows = list(values)
    for row in rows:
        if row is not None and len(row) != width:
            raise ValueError(f"{len(row)} numbers of the {name}, the network takes {width}")
    nothing = (0.0,) * width
    known = np.fromiter((row is not None for row in rows), np.float32, len(rows))
    found = np.array([nothing if row is None else row for row in rows], np.float32)
    return np.nan_to_num(found.reshape(len(rows), width), posinf=1e6, neginf=-1e6), known
