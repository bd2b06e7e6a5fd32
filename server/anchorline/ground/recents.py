"""The files that were worked on last: what an agent or editor tells, else what was written or committed lately."""

import os
from collections.abc import Collection, Iterable
from itertools import groupby
from pathlib import Path

from anchorline.ground.retrieval import Recent
from anchorline.index.workspace_index import WorkspaceIndex

MOST = 30
COMMITS = 5
LATELY_S = 86_400.0
"""Files that were written so long ago belong to another task."""
BURST = 10
BURST_S = 2.0
"""So many files within so many seconds were written by a program, such as git at a branch switch: no one's edits."""


def recents(
    root: Path,
    index: WorkspaceIndex,
    now: float,
    edited: Iterable[str] = (),
    without: Collection[str] = (),
) -> Recent:
    """Returns the files that were worked on last.

    `edited` are those that an agent or an editor has edited, newest first; where it tells none, files that were written
    within a day count, and where there are none, those of the last commits. `without` never count, such as the prompt
    itself. Paths are relative to `root`; `now` is in epoch seconds.
    """
    known = frozenset(index.paths).difference(without)
    told = tuple(path for path in dict.fromkeys(edited) if path in known)
    written = told or tuple(_written(root, known, now))
    if written:
        return Recent(written[:MOST], "edits")
    commits = index.history.commits[:COMMITS]
    committed = dict.fromkeys(path for commit in commits for path in commit.files if path in known)
    return Recent(tuple(committed)[:MOST], "commits")


def _written(root: Path, paths: Collection[str], now: float) -> list[str]:
    """Returns the files that somebody has written lately, newest first."""
    times = []
    for path in paths:
        try:
            at = os.lstat(root / path).st_mtime
        except OSError:
            continue
        if now - LATELY_S < at <= now:
            times.append((at, path))
    times.sort(reverse=True)
    written: list[str] = []
    for burst in _bursts(times):
        if len(burst) < BURST:
            written += burst
    return written


def _bursts(times: list[tuple[float, str]]) -> list[list[str]]:
    """Divides files, newest first, where more than `BURST_S` lie between two of them."""
    number, before, numbered = 0, float("inf"), []
    for at, path in times:
        number += before - at > BURST_S
        before = at
        numbered.append((number, path))
    return [[path for _, path in files] for _, files in groupby(numbered, key=lambda item: item[0])]
