"""The network's arithmetic, written once for numpy and for MLX: `xp` is either's module.

    x = text ⊕ standardised numbers ⊕ which are known        text: mean of the draft's bucket embeddings
    h = relu(x·W₀ + b₀);  h = h + relu(h·Wᵢ + bᵢ)            the trunk
    z = h ⊕ x                                                what the heads see

All heads return log odds.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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


class FeatureTable:
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
            [(sizes > 0).astype(np.float32), *(mask for _, mask in parts)], axis=1
        )

    def __len__(self) -> int:
        return len(self.present)

    def batch(self, rows: npt.NDArray[np.int64]) -> Batch:
        """Returns some rows."""
        sizes = (self.ends - self.starts)[rows]
        some = np.flatnonzero(sizes)
        slot = np.zeros(len(rows), np.int32)
        slot[some] = np.arange(1, len(some) + 1)
        if not len(some):
            nothing = np.zeros((1, 1), np.int32)
            return Batch(nothing, nothing.astype(np.float32), slot, self.dense[rows], self.present[rows])
        offset = np.arange(int(sizes.max()))
        inside = offset < sizes[some, None]
        positions = np.where(inside, self.starts[rows[some], None] + offset, 0)
        shares = (inside / sizes[some, None]).astype(np.float32)
        return Batch(self.grams[positions], shares, slot, self.dense[rows], self.present[rows])

    def all(self) -> Batch:
        """Returns all rows."""
        return self.batch(np.arange(len(self)))


def _stacked(values: Iterable[tuple[float, ...] | None], width: int, name: str) -> tuple[Floats, Floats]:
    """Returns the values as rows, zeros where they are not known, and whether they are."""
    rows = list(values)
    for row in rows:
        if row is not None and len(row) != width:
            raise ValueError(f"{len(row)} numbers of the {name}, the network takes {width}")
    nothing = (0.0,) * width
    mask = np.fromiter((row is not None for row in rows), np.float32, len(rows))
    numbers = np.array([nothing if row is None else row for row in rows], np.float32)
    return np.nan_to_num(numbers.reshape(len(rows), width), posinf=1e6, neginf=-1e6), mask


Arrays = Mapping[str, Values]
Module: TypeAlias = Any
LIMIT = 6.0
"""Deviations from the mean beyond which a number counts no more."""


def trunk(
    arrays: Arrays,
    batch: Batch,
    form: Architecture,
    view: Sequence[float],
    xp: Module,
    drop: Callable[[Values], Values] = lambda values: values,
) -> Values:
    """Returns z. `view` hides parts (see `Architecture.view`), `drop` is applied to h while training."""
    present = batch.present * xp.array(view, dtype=xp.float32)
    text = xp.zeros((len(batch.slot), form.text), dtype=xp.float32)
    if view[0]:
        bags = (batch.shares[:, None, :] @ arrays["grams"][batch.grams])[:, 0]
        text = xp.concatenate([text[:1], bags], axis=0)[batch.slot]
    numbers = (batch.dense - arrays["scale.mean"]) / arrays["scale.deviation"]
    numbers = xp.clip(numbers, -LIMIT, LIMIT)
    first = 0
    parts = [text]
    for index, names in enumerate(form.parts):
        parts.append(numbers[:, first : first + len(names)] * present[:, index + 1 : index + 2])
        first += len(names)
    x = xp.concatenate([*parts, present], axis=1)
    h = xp.maximum(x @ arrays["trunk.0.weight"] + arrays["trunk.0.bias"], 0.0)
    for layer in range(1, form.layers):
        h = h + xp.maximum(h @ arrays[f"trunk.{layer}.weight"] + arrays[f"trunk.{layer}.bias"], 0.0)
    h = drop(h)
    return xp.concatenate([h, x], axis=1)


def gap(arrays: Arrays, z: Values, batch: Batch, columns: Values) -> Values:
    """Returns the log odds that the gap is longer than each time, if longer than the one before (n × times)."""
    return _offset(z @ arrays["gap.weight"] + arrays["gap.bias"], batch, columns)


def hit(arrays: Arrays, z: Values, batch: Batch, columns: Values) -> Values:
    """Returns the log odds that the cache hits (n × 1)."""
    return _offset(z @ arrays["hit.weight"] + arrays["hit.bias"], batch, columns)


def solve(arrays: Arrays, z: Values, embeddings: Values, biases: Values) -> Values:
    """Returns the log odds that each model solves each prompt (n × models)."""
    prompt = z @ arrays["solve.prompt"] + arrays["solve.prompt_bias"]
    return z @ arrays["solve.easy"] + prompt @ embeddings.T + biases


def models(arrays: Arrays, skills: Values, own: Values, own_bias: Values) -> tuple[Values, Values]:
    """Returns embeddings (models × factors) and biases: what the skill gives, and `own` for models that were seen."""
    embeddings = arrays["solve.base"] + skills[:, None] * arrays["solve.skill"] + own
    odds = arrays["solve.odds"]
    return embeddings, odds[0] + skills * odds[1] + own_bias


def _offset(odds: Values, batch: Batch, columns: Values) -> Values:
    return odds + batch.dense[:, columns] if columns is not None else odds
