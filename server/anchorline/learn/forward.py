"""The network's arithmetic, written once for numpy and for MLX: `xp` is either's module.

    x = text ⊕ standardised numbers ⊕ which are known        text: mean of the draft's bucket embeddings
    h = relu(x·W₀ + b₀);  h = h + relu(h·Wᵢ + bᵢ)            the trunk
    z = h ⊕ x                                                what the heads see

All heads return log odds.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from anchorline.learn.architecture import Architecture
from anchorline.learn.table import Batch, Values

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
) -> tuple[Values, Values]:
    """Return h and z. `view` hides parts (see `Architecture.view`), `drop` is applied to h while training."""
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
    return h, xp.concatenate([h, x], axis=1)


def gap(arrays: Arrays, z: Values, batch: Batch, columns: Values) -> Values:
    """Return the log odds that the gap is longer than each time, if longer than the one before (n × times)."""
    return _offset(z @ arrays["gap.weight"] + arrays["gap.bias"], batch, columns)


def hit(arrays: Arrays, z: Values, batch: Batch, columns: Values) -> Values:
    """Return the log odds that the cache hits (n × 1)."""
    return _offset(z @ arrays["hit.weight"] + arrays["hit.bias"], batch, columns)


def reuse(arrays: Arrays, h: Values, owners: Values, boundaries: Values, xp: Module) -> Values:
    """Return the log odds that the prefix up to each boundary is asked for again (boundaries × 1).

    `owners` are the rows of h that they belong to.
    """
    numbers = (boundaries - arrays["scale.boundary_mean"]) / arrays["scale.boundary_deviation"]
    numbers = xp.clip(numbers, -LIMIT, LIMIT)
    inner = numbers @ arrays["reuse.boundary"] + (h @ arrays["reuse.trunk"])[owners] + arrays["reuse.bias"]
    return xp.maximum(inner, 0.0) @ arrays["reuse.out"] + arrays["reuse.out_bias"]


def solve(arrays: Arrays, z: Values, embeddings: Values, biases: Values) -> Values:
    """Return the log odds that each model solves each prompt (n × models)."""
    prompt = z @ arrays["solve.prompt"] + arrays["solve.prompt_bias"]
    return z @ arrays["solve.easy"] + prompt @ embeddings.T + biases


def models(arrays: Arrays, skills: Values, own: Values, own_bias: Values) -> tuple[Values, Values]:
    """Return embeddings (models × factors) and biases: what the skill gives, and `own` for models that were seen."""
    embeddings = arrays["solve.base"] + skills[:, None] * arrays["solve.skill"] + own
    odds = arrays["solve.odds"]
    return embeddings, odds[0] + skills * odds[1] + own_bias


def _offset(odds: Values, batch: Batch, columns: Values) -> Values:
    return odds + batch.dense[:, columns] if columns is not None else odds
