"""The files that were worked on last, from what can be known of it, the most trusted first."""

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path, PurePosixPath

from anchorline.ground.retrieval import Recent
from anchorline.index.history import History

COMMITS = 5
"""The newest commits that stand in where no edit is known."""
MOST = 40
LATELY_S = 86_400.0
"""Files that were written before belong to another task."""
BURST = 10
BURST_S = 2.0
"""So many files, with no more seconds between two of them, are no one's edits."""


def recent(
    session: Iterable[str] = (),
    editor: Iterable[str] = (),
    lately: Iterable[str] = (),
    history: History | None = None,
) -> Recent:
    """Returns the recent files, relative to the workspace and newest first.

    `session` are those that the agent's session has edited in its newest tasks (`sessions.edited`), `editor` those that
    were edited in the editor, `lately` what was written lately (`written`). Where there are none of these they are the
    files of the newest commits.
    """
    edits = tuple(dict.fromkeys(path for path in chain(session, editor, lately) if _inside(path)))[:MOST]
    if edits:
        return Recent(edits, "edits")
    commits = history.commits[:COMMITS] if history is not None else ()
    files = dict.fromkeys(path for commit in commits for path in commit.files if _inside(path))
    return Recent(tuple(files)[:MOST], "commits")


def _inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts and "\0" not in path


def written(root: Path, paths: Iterable[str], now: float) -> tuple[str, ...]:
    """Returns those of the files below a folder that somebody has written within a day, newest first.

    By their times alone: git would compare contents, and so start what a stranger's repository names as a filter. Many
    files at once were written by a program, such as git at a branch switch. `now` is in epoch seconds.
    """
    times = []
    for path in paths:
        try:
            at = os.lstat(root / path).st_mtime
        except (OSError, ValueError):
            continue
        if now - LATELY_S < at <= now:
            times.append((at, path))
    times.sort(key=lambda file: (-file[0], file[1]))
    edits = (burst for burst in _bursts(times) if len(burst) < BURST)
    return tuple(chain.from_iterable(edits))[:MOST]


def _bursts(times: Iterable[tuple[float, str]]) -> list[list[str]]:
    """Divides files, newest first, where more than `BURST_S` lie between two of them."""
    bursts: list[list[str]] = []
    before = float("inf")
    for at, path in times:
        if before - at > BURST_S:
            bursts.append([])
        bursts[-1].append(path)
        before = at
    return bursts
