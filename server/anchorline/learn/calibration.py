"""Calibration of a network's heads: a straight line on their log odds, fitted on held-out sessions (Platt, 1999).

It is shrunk towards the identity, so that a handful of rows changes little.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from anchorline.learn.features import Decision
from anchorline.learn.forward import FeatureTable
from anchorline.learn.heads import Labels
from anchorline.learn.network import CalibrationLine, Network

RIDGE = 20.0
"""Weight of the squared distance from the identity."""
Floats = npt.NDArray[np.float64]


def fit(odds: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> CalibrationLine:
    """Returns the line of the least logistic loss by Newton's method. `truth` lies in 0 to 1."""
    x = np.asarray(odds, np.float64)
    y = np.asarray(truth, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    if not len(x):
        return CalibrationLine()
    design = np.stack([x, np.ones_like(x)], axis=1)
    identity = np.array([1.0, 0.0])

    def loss(line: Floats) -> float:
        z = design @ line
        return float(w @ (np.logaddexp(0.0, z) - y * z) + RIDGE / 2 * ((line - identity) ** 2).sum())

    parameters, now = identity, loss(identity)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ parameters, -30, 30)))
        slope = design.T @ (w * (p - y)) + RIDGE * (parameters - identity)
        curve = design.T @ (design * (w * p * (1 - p))[:, None]) + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (then := loss(parameters - size * step)) > now and size > 1e-4:
            size /= 2
        parameters, gained, now = parameters - size * step, now - then, then
        if gained < 1e-9 * max(abs(now), 1.0):
            break
    scale, shift = np.clip(parameters, (0.0, -10.0), (10.0, 10.0))
    return CalibrationLine(float(scale), float(shift))


def calibrated(network: Network, held: Sequence[Decision], heads: Sequence[str]) -> Network:
    """Returns the network with calibrations of `heads` that were fitted on `held`; other heads keep theirs."""
    lines = {
        name: calibration
        for name, calibration in network.description.calibration.items()
        if name not in heads
    }
    plain = network.replaced(calibration={})
    if not held:
        return network.replaced(calibration=lines)
    form = network.form
    batch, labels = (
        FeatureTable([decision.features for decision in held], form).all(),
        Labels(held, form).batch(np.arange(len(held))),
    )
    if "gap" in heads:
        odds = plain.gap_odds(batch)
        lines["gap"] = tuple(
            _line(odds[:, index], labels.gap[:, index], labels.gap_weight[:, index])
            for index in range(len(form.times))
        )
    if "hit" in heads:
        lines["hit"] = (_line(plain.hit_odds(batch), labels.hit[:, 0], labels.hit_weight[:, 0]),)
    if "solve" in heads and form.models:
        odds = plain.solve_odds(batch, [(model.id, model.skill) for model in form.models])
        lines["solve"] = (_line(odds, labels.solve, labels.solve_weight),)
    return network.replaced(calibration=lines)


def _line(odds: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.ArrayLike) -> CalibrationLine:
    mask = np.ravel(weights) > 0
    return fit(np.ravel(odds)[mask], np.ravel(truth)[mask], np.ravel(weights)[mask])
