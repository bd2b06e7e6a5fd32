"""Calibration of log odds: a straight line, fitted on held-out sessions (Platt, 1999).

It is shrunk towards the identity, so that a handful of rows changes little.
"""

from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

RIDGE = 20.0
"""Weight of the squared distance from the identity."""
Floats = npt.NDArray[np.float64]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`scale` times the log odds plus `shift`. A scale below 1 says that the network was too sure."""

    scale: Annotated[float, Meta(ge=0, le=10)] = 1.0
    shift: Annotated[float, Meta(ge=-10, le=10)] = 0.0


def fit(odds: npt.ArrayLike, truth: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Line:
    """Return the line of the least logistic loss by Newton's method. `truth` lies in 0 to 1."""
    x = np.asarray(odds, np.float64)
    y = np.asarray(truth, np.float64)
    w = np.ones_like(x) if weights is None else np.asarray(weights, np.float64)
    if not len(x):
        return Line()
    design = np.stack([x, np.ones_like(x)], axis=1)
    identity = np.array([1.0, 0.0])

    def loss(line: Floats) -> float:
        z = design @ line
        return float(w @ (np.logaddexp(0.0, z) - y * z) + RIDGE / 2 * ((line - identity) ** 2).sum())

    found, now = identity, loss(identity)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        slope = design.T @ (w * (p - y)) + RIDGE * (found - identity)
        curve = design.T @ (design * (w * p * (1 - p))[:, None]) + RIDGE * np.eye(2)
        step = np.linalg.solve(curve, slope)
        size = 1.0
        while (then := loss(found - size * step)) > now and size > 1e-4:
            size /= 2
        found, gained, now = found - size * step, now - then, then
        if gained < 1e-9 * max(abs(now), 1.0):
            break
    scale, shift = np.clip(found, (0.0, -10.0), (10.0, 10.0))
    return Line(float(scale), float(shift))
