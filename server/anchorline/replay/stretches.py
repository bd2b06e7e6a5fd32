"""Stretches of a history that have nothing to do with each other.

Between two of them nobody sent anything for so long that nothing was warm any more, whatever the policy.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from anchorline.cache.lifetime import Action
from anchorline.cache.rules import Rules
from anchorline.replay.arrays import Flags, Integers

PINGS = 3
"""Keep-alive pings after one request, at most, where a policy sends any."""


def quiet_s(models: Iterable[str], rules: Rules) -> float:
    """Returns for how long at most something that was sent to one of `models` stays warm, pings and all, in seconds."""
    lifetimes = (lifetime for model in set(models) for lifetime in rules.for_model(model).lifetimes)
    return max((Action(lifetime, PINGS).alive for lifetime in lifetimes), default=0.0)


def numbered(at: Sequence[float], quiet: float) -> Integers:
    """Returns the number of each request's stretch. `at` are their starts, in order."""
    starts = np.asarray(at, float)
    return np.cumsum(np.diff(starts, prepend=starts[:1]) > quiet)


def touched(stretch: Integers, changed: Flags) -> Flags:
    """Says which requests are in a stretch with one that is `changed`."""
    return np.isin(stretch, np.unique(stretch[changed]))
