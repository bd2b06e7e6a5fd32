"""The git history as arrays: how long ago and how often each file was committed, and which were together."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anchorline.index.history import History

Floats = NDArray[np.float64]
HALF_LIVES = (8.0, 50.0, 300.0)
"""Commits after which one counts 1/e for how often a file is committed."""
TOGETHER = 40
"""A commit of more files says nothing about which of them belong together."""
_FADING = 300.0
_PRIOR = 0.7
"""Weight that is added to a file's commits: one commit in common is no rule."""


class Together(NamedTuple):
    """For each file, the share of the commits of some other files that changed it: their sum, and the largest."""

    total: Floats
    most: Floats


class Commits:
    """The commits of HEAD over the rows of a workspace's files.

    `last` counts the commits since each file's newest one, `age` the seconds; a file without one has the number of all
    commits and 200 more, and no age (nan). `frequency` has one row for each of `HALF_LIVES`.
    """

    def __init__(self, history: History, rows: Mapping[str, int]) -> None:
        files = len(rows)
        each = [[rows[path] for path in commit.files if path in rows] for commit in history.commits]
        self.count = len(each)
        self.times = np.array([commit.at for commit in history.commits], np.float64)
        sizes = np.array([max(len(commit.files), 1) for commit in history.commits], np.float64)
        self.newest_size = float(sizes[0]) if self.count else 1.0
        self._commit = np.repeat(np.arange(self.count), [len(own) for own in each])
        self._row = np.array([row for own in each for row in own], np.int64)
        self._order = np.argsort(self._row, kind="stable")
        self._starts = np.searchsorted(self._row[self._order], np.arange(files + 1))
        weights = np.exp(-np.arange(self.count) / _FADING) / np.log2(1 + sizes)
        self._weights = np.where(sizes <= TOGETHER, weights, 0.0)
        self.last = np.full(files, self.count + 200.0)
        self.last[self._row[::-1]] = self._commit[::-1]
        self.age = np.full(files, np.nan)
        if self.count:
            self.age[self._row[::-1]] = (self.times[0] - self.times[self._commit])[::-1]
        self.frequency = np.stack(
            [np.bincount(self._row, np.exp(-self._commit / half), files) for half in HALF_LIVES]
        )
        self._files = files

    def of(self, row: int) -> NDArray[np.int64]:
        """Returns the commits of a file, the newest first."""
        return self._commit[self._order[self._starts[row] : self._starts[row + 1]]]

    def time(self, row: int) -> float | None:
        """Returns when a file was last committed, in epoch seconds."""
        return float(self.times[int(self.last[row])]) if self.last[row] < self.count else None

    def common(self, row: int, other: int) -> int:
        """Returns how many commits changed both files, those of many files left out."""
        both = np.intersect1d(self.of(row), self.of(other))
        return int(np.count_nonzero(self._weights[both]))

    def together(self, seeds: list[int], weights: Floats) -> Together:
        """Returns what was committed together with each of `seeds`, which count as `weights` say."""
        result = Together(np.zeros(self._files), np.zeros(self._files))
        for seed, weight in zip(seeds, weights, strict=True):
            own = self.of(seed)
            counted = np.zeros(self.count)
            counted[own] = self._weights[own]
            mass = counted.sum()
            if not mass:
                continue
            share = np.bincount(self._row, counted[self._commit], self._files) / (mass + _PRIOR)
            share[seed] = 0.0
            share *= weight
            np.add(result.total, share, out=result.total)
            np.maximum(result.most, share, out=result.most)
        return result
