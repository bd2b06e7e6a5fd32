"""Where a training starts: numbers standardised, and a place for every model that answered."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from anchorline.learn.architecture import Known
from anchorline.learn.decision import Decision
from anchorline.learn.network import Network
from anchorline.learn.table import Floats, Table

CONSTANT = 1e6
"""Deviation of a number that is always the same in training: whatever it is later, nothing was learnt from it."""
UNKNOWN = 0.5
"""Skill of a model that the catalogue does not know: between a small one and one of the best."""


def standardised(given: Network, decisions: Sequence[Decision]) -> Network:
    """Return a network that takes the decisions' numbers as of mean 0 and deviation 1, where they are known."""
    form, arrays = given.form, dict(given.arrays)
    table, first = Table([one.features for one in decisions], form), 0
    mean, deviation = np.zeros(form.dense, np.float32), np.ones(form.dense, np.float32)
    for index, names in enumerate(form.parts):
        columns = slice(first, first + len(names))
        rows = table.dense[table.present[:, index + 1] > 0, columns]
        if len(rows):
            mean[columns], deviation[columns] = rows.mean(axis=0), _deviation(rows)
        first += len(names)
    arrays["scale.mean"], arrays["scale.deviation"] = mean, deviation
    boundaries = np.array([one for row in decisions for one in row.boundaries], np.float32)
    if len(boundaries):
        arrays["scale.boundary_mean"] = boundaries.mean(axis=0)
        arrays["scale.boundary_deviation"] = _deviation(boundaries)
    return given.replaced(arrays=arrays)


def with_models(given: Network, decisions: Sequence[Decision], skills: Mapping[str, float]) -> Network:
    """Return a network with an embedding for every model that answered; a new one starts as its skill says."""
    known = {one.id for one in given.form.models}
    new = sorted({model for one in decisions for model in one.solve} - known)
    if not new:
        return given
    models = (*given.form.models, *(Known(model, skills.get(model, UNKNOWN)) for model in new))
    arrays = dict(given.arrays)
    arrays["solve.models"] = np.vstack(
        [arrays["solve.models"], np.zeros((len(new), given.form.factors), np.float32)]
    )
    arrays["solve.bias"] = np.concatenate([arrays["solve.bias"], np.zeros(len(new), np.float32)])
    form = msgspec.structs.replace(given.form, models=models)
    return Network(msgspec.structs.replace(given.description, architecture=form), arrays)


def _deviation(rows: Floats) -> Floats:
    found = rows.std(axis=0)
    return np.where(found > 1e-3, found, CONSTANT).astype(np.float32)
