"""What git's history tells of files: when each was last committed, how often, and with which others."""

import math
from collections.abc import Collection, Iterable
from functools import cached_property

import msgspec

MOST_COMMITS = 1500
MOST_FILES = 1000
"""Files that are kept of one commit."""
TOGETHER = 30
"""A commit of more files says nothing about which of them belong together."""
_HALF = 50
"""The commit, counted from the newest, whose files count half as much for the frequency."""


class Commit(msgspec.Struct, frozen=True, array_like=True):
    """A commit: its id, its time in epoch seconds, and the files it changed, as paths in the workspace."""

    id: str
    at: int
    files: tuple[str, ...]


class History(msgspec.Struct, frozen=True, dict=True):
    """The newest commits of HEAD, newest first, merges left out; `head` is HEAD's id, empty without a repository."""

    head: str = ""
    commits: tuple[Commit, ...] = ()

    def extended(self, head: str, newer: Iterable[Commit]) -> "History":
        """Returns the history of `head`, whose commits are these and `newer` ones."""
        by_id = {commit.id: commit for commit in (*self.commits, *newer)}
        ordered = sorted(by_id.values(), key=lambda commit: (-commit.at, commit.id))
        return History(head, tuple(ordered[:MOST_COMMITS]))

    @cached_property
    def last(self) -> dict[str, int]:
        """How many commits ago each file was last changed: 0 is the newest commit."""
        last: dict[str, int] = {}
        for number, commit in enumerate(self.commits):
            for path in commit.files:
                last.setdefault(path, number)
        return last

    @cached_property
    def frequency(self) -> dict[str, float]:
        """How often each file is changed: commits count 1, and less the longer ago (half at the fiftieth)."""
        frequency: dict[str, float] = {}
        for number, commit in enumerate(self.commits):
            weight = 1 / (1 + number / _HALF)
            for path in commit.files:
                frequency[path] = frequency.get(path, 0.0) + weight
        return frequency

    def together(self, paths: Collection[str]) -> dict[str, float]:
        """Returns how often files were changed in one commit with files of `paths`, other than themselves.

        A commit counts for each of `paths` in it, less the more files it has: 1 / log2(2 + files).
        """
        wanted = frozenset(paths)
        weights: dict[str, float] = {}
        for files, weight in self._small:
            shared = len(files & wanted)
            if shared:
                for path in files:
                    weights[path] = weights.get(path, 0.0) + weight * (shared - (path in wanted))
        return weights

    @cached_property
    def _small(self) -> list[tuple[frozenset[str], float]]:
        """The commits of few files, and what each counts."""
        small = (frozenset(commit.files) for commit in self.commits if len(commit.files) <= TOGETHER)
        return [(files, 1 / math.log2(2 + len(files))) for files in small if files]

    def age(self, path: str) -> int | None:
        """Returns when a file was last committed, in epoch seconds, or None."""
        number = self.last.get(path)
        return self.commits[number].at if number is not None else None
