"""95 % intervals by bootstrap over sessions: the requests of one are not independent, so whole sessions are drawn."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anchorline.replay.interval import Interval

DRAWS = 500
_PART = 4_000_000
"""Draws of a session that are held in memory at once."""


def total(sessions: Sequence[float]) -> Interval:
    """Returns the sum over sessions."""
    values = np.asarray(sessions, float)
    return _interval(float(values.sum()), _drawn(values[None])[0])


def share(parts: Sequence[float], wholes: Sequence[float]) -> Interval:
    """Returns the sum of `parts` over that of `wholes`, each by session; 0 where there is no whole."""
    values = np.asarray([parts, wholes], float)
    part, whole = values.sum(axis=1)
    drawn_parts, drawn_wholes = _drawn(values)
    shares = np.divide(drawn_parts, drawn_wholes, out=np.zeros(DRAWS), where=drawn_wholes != 0)
    return _interval(float(part / whole) if whole else 0.0, shares)


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    ordered = np.sort(drawn)
    return Interval(value, float(ordered[int(0.025 * DRAWS)]), float(ordered[int(0.975 * DRAWS)]))


def _drawn(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the sum of each row in each draw. The seed is fixed: equal sums give equal intervals."""
    count = rows.shape[1]
    if not count:
        return np.zeros((len(rows), DRAWS))
    draw = np.random.default_rng(0)
    sums = []
    for begin in range(0, DRAWS, step := max(_PART // count, 1)):
        picked = draw.integers(count, size=(min(step, DRAWS - begin), count))
        sums.append([row[picked].sum(axis=1) for row in rows])
    return np.concatenate(sums, axis=1)
