"""Least squares with coefficients that are not negative, by an active set."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def nnls(matrix: Vector, target: Vector) -> Vector:
    """Returns the x ≥ 0 of least ‖matrix · x − target‖.

    Lawson and Hanson, Solving Least Squares Problems (1974), chapter 23: coefficients leave zero one by one, the one
    with the steepest descent first; those that would become negative on the way go back to zero.
    """
    gram, moment = matrix.T @ matrix, matrix.T @ target
    size = gram.shape[0]
    x = np.zeros(size)
    free = np.zeros(size, bool)
    tolerance = 1e-10 * max(float(np.abs(moment).max(initial=0.0)), 1e-300)
    for _ in range(10 * size):
        descent = moment - gram @ x
        descent[free] = -np.inf
        if not size or descent.max() <= tolerance:
            break
        free[int(descent.argmax())] = True
        while free.any():
            step = np.zeros(size)
            step[free] = np.linalg.lstsq(gram[np.ix_(free, free)], moment[free], rcond=None)[0]
            if step[free].min() > 0:
                x = step
                break
            blocked = free & (step <= 0)
            down = x[blocked] - step[blocked]
            reach = float(np.divide(x[blocked], down, out=np.zeros_like(down), where=down > 0).min())
            x = x + reach * (step - x)
            free &= x > 1e-15 * max(float(x.max()), 1e-300)
            x[~free] = 0.0
    return x
