"""Calibration of a network's heads on held-out sessions."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anchorline.learn.decision import Decision
from anchorline.learn.heads import Targets
from anchorline.learn.network import Network
from anchorline.learn.platt import Line, fit
from anchorline.learn.table import Table


def calibrated(given: Network, held: Sequence[Decision], heads: Sequence[str]) -> Network:
    """Return the network with calibrations of `heads` that were fitted on `held`; other heads keep theirs."""
    lines = {name: found for name, found in given.description.calibration.items() if name not in heads}
    plain = given.replaced(calibration={})
    if not held:
        return given.replaced(calibration=lines)
    form = given.form
    batch, wanted = (
        Table([one.features for one in held], form).all(),
        Targets(held, form).batch(np.arange(len(held))),
    )
    if "gap" in heads:
        odds = plain.gap_odds(batch)
        lines["gap"] = tuple(
            _line(odds[:, place], wanted.gap[:, place], wanted.gap_weight[:, place])
            for place in range(len(form.times))
        )
    if "hit" in heads:
        lines["hit"] = (_line(plain.hit_odds(batch), wanted.hit[:, 0], wanted.hit_weight[:, 0]),)
    if "reuse" in heads and len(wanted.owners):
        odds = plain.reuse_odds(batch, wanted.owners, wanted.boundaries)
        lines["reuse"] = (_line(odds, wanted.reuse[:, 0], wanted.reuse_weight[:, 0]),)
    if "solve" in heads and form.models:
        odds = plain.solve_odds(batch, [(known.id, known.skill) for known in form.models])
        lines["solve"] = (_line(odds, wanted.solve, wanted.solve_weight),)
    return given.replaced(calibration=lines)


def _line(odds: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.ArrayLike) -> Line:
    given = np.ravel(weights) > 0
    return fit(np.ravel(odds)[given], np.ravel(truth)[given], np.ravel(weights)[given])
