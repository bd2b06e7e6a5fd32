"""The files that were worked on last, from what can be known of it, the most trusted first."""

import logging
from collections.abc import Iterable
from itertools import chain
from pathlib import Path, PurePosixPath

from anchorline.ground.retrieval import Recent
from anchorline.index import git
from anchorline.index.git import GitError
from anchorline.index.history import History

COMMITS = 5
"""The newest commits that stand in where no edit is known."""
MOST = 40
log = logging.getLogger(__name__)


def recent(
    session: Iterable[str] = (),
    editor: Iterable[str] = (),
    uncommitted: Iterable[str] = (),
    history: History | None = None,
) -> Recent:
    """Returns the recent files, relative to the workspace and newest first.

    `session` are those that the agent's session has edited in its newest tasks (`sessions.edited`), `editor` those that
    were edited in the editor, `uncommitted` what git says has changed (`changed`). Where there are none of these they
    are the files of the newest commits.
    """
    edits = tuple(dict.fromkeys(path for path in chain(session, editor, uncommitted) if _inside(path)))[:MOST]
    if edits:
        return Recent(edits, "edits")
    commits = history.commits[:COMMITS] if history is not None else ()
    files = dict.fromkeys(path for commit in commits for path in commit.files if _inside(path))
    return Recent(tuple(files)[:MOST], "commits")


def _inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return bool(path) and not parts.is_absolute() and ".." not in parts.parts and "\0" not in path


def changed(root: Path) -> tuple[str, ...]:
    """Returns the files below a folder that git says are changed and not committed, those written last first.

    Without a repository there are none.
    """
    try:
        raw = git.run(
            root,
            "diff",
            "--name-only",
            "--relative",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "-z",
            "HEAD",
        )
        new = git.run(root, "ls-files", "--others", "--exclude-standard", "-z")
    except GitError as error:
        log.debug("no changed files of %s: %s", root, error)
        return ()
    names = dict.fromkeys((raw + new).decode("utf-8", "surrogateescape").split("\0"))
    times: dict[str, float] = {}
    for name in names:
        try:
            times[name] = (root / name).lstat().st_mtime
        except (OSError, ValueError):
            continue
    times.pop("", None)
    return tuple(sorted(times, key=lambda name: (-times[name], name)))[:MOST]
