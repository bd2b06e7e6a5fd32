"""The files of the workspace's folders: whether one exists, within bounds of time and number.

Nothing outside the folders is looked at: a symbolic link is never followed out of them, and what can't be told
for certain (too many files, a link, an absolute path elsewhere) is said to be unknown.
"""

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from heapq import nlargest
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

MOST_FILES = 20_000
WALK_S = 0.3
FRESH_S = 10.0
"""Seconds for which a listing is used again."""
NEAR = 0.8
"""Ratio of a `SequenceMatcher` from which on two names are similar."""
MOST_COMPARED = 5_000
MOST_CANDIDATES = 32
LARGEST = 262_144
"""Bytes of a file that is read, at most."""
SKIPPED = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".tox",
        ".nox",
        ".cache",
        ".idea",
        "dist",
    }
    | {"build", "target", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".next", "vendor", "site-packages"}
)
Existence = Literal["exists", "absent", "unknown"]


class Listing(NamedTuple):
    """The files of all folders, relative with forward slashes, by their last part; `complete` if none is left out.

    `similar` keeps what was asked for since: a draft names the same files at every keystroke.
    """

    by_name: dict[str, list[str]]
    complete: bool
    made_at: float
    similar: dict[str, str | None]


class WorkspaceFiles:
    """The files below `roots`. May be used in any thread."""

    def __init__(self, roots: tuple[Path, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self.roots = tuple(Path(os.path.realpath(root)) for root in roots)
        self._clock = clock
        self._listing: Listing | None = None
        self._making = threading.Lock()

    def forget(self) -> None:
        """Lists anew when next asked: a file was created, renamed or deleted."""
        self._listing = None

    def listing(self) -> Listing:
        """Returns the files, listed at most `FRESH_S` ago."""
        with self._making:
            kept = self._listing
            if kept is None or self._clock() - kept.made_at > FRESH_S:
                kept = self._listing = self._list()
            return kept

    def _list(self) -> Listing:
        start = self._clock()
        by_name: dict[str, list[str]] = {}
        count = 0
        for root in self.roots:
            for path in walk(root):
                if count >= MOST_FILES or self._clock() - start > WALK_S:
                    return Listing(by_name, False, start, {})
                by_name.setdefault(path.rsplit("/", 1)[-1], []).append(path)
                count += 1
        return Listing(by_name, True, start, {})

    def find(self, name: str) -> Existence:
        """Says whether a file is there, as a path from a folder of the workspace or as the end of one."""
        parts = PurePosixPath(name)
        if not self.roots or parts.is_absolute() or ".." in parts.parts or "\x00" in name:
            return "unknown"
        for root in self.roots:
            path = root / name
            if path.is_symlink() or path.exists():
                return "exists" if inside(root, path) else "unknown"
        listing = self.listing()
        if any(path.endswith("/" + name) for path in listing.by_name.get(parts.name, ())):
            return "exists"
        return "absent" if listing.complete and not self._below_skipped(parts) else "unknown"

    def _below_skipped(self, parts: PurePosixPath) -> bool:
        return not SKIPPED.isdisjoint(parts.parts)

    def similar(self, name: str) -> str | None:
        """Returns the file whose path is most like `name`, if one is."""
        listing = self.listing()
        last = name.rsplit("/", 1)[-1]
        if last not in listing.similar:
            listing.similar[last] = self._similar(last, listing.by_name)
        return listing.similar[last]

    def _similar(self, last: str, by_name: dict[str, list[str]]) -> str | None:
        if last in by_name:
            return min(by_name[last], key=len)
        near = get_close_matches(last, _candidates(last, by_name), 1, NEAR)
        return min(by_name[near[0]], key=len) if near else None

    def read(self, name: str) -> bytes | None:
        """Returns the bytes of a file, or None if it is too large, no regular file or outside the folders."""
        for root in self.roots:
            path = root / name
            if inside(root, path):
                return read(path)
        return None

    def sources(self, suffixes: frozenset[str]) -> Iterator[str]:
        """Yields the listed files with one of `suffixes`, the ones nearest to the root first."""
        paths = [path for paths in self.listing().by_name.values() for path in paths]
        yield from sorted((path for path in paths if PurePosixPath(path).suffix in suffixes), key=_depth)


def _candidates(name: str, names: Iterable[str]) -> list[str]:
    """Returns those that share most of their beginning and end with `name`.

    Comparing two names in full takes a hundred times as long as looking at their ends, and a repository may hold
    thousands that are nearly the same.
    """
    backwards = name[::-1]

    def shared(other: str) -> int:
        return _alike(name, other) + _alike(backwards, other[::-1])

    fitting = (other for other in names if abs(len(other) - len(name)) <= len(name) // 2)
    return nlargest(MOST_CANDIDATES, islice(fitting, MOST_COMPARED), key=shared)


def _alike(name: str, other: str) -> int:
    """Returns with how many equal characters two names begin."""
    pairs = zip(name, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(name), len(other)))


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def walk(root: Path, closed: Callable[[Path], bool] | None = None) -> Iterator[str]:
    """Yields the regular files below `root`, breadth first, without following a link.

    A folder that is `closed` is not entered: it is yielded itself, with a slash at its end.
    """
    waiting = [(str(root), "")]
    while waiting:
        following: list[tuple[str, str]] = []
        for folder, prefix in waiting:
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in SKIPPED:
                        continue
                    if closed is not None and closed(Path(entry.path)):
                        yield f"{prefix}{entry.name}/"
                    else:
                        following.append((entry.path, f"{prefix}{entry.name}/"))
                elif entry.is_file(follow_symlinks=False):
                    yield prefix + entry.name
        waiting = following


def inside(root: Path, path: Path) -> bool:
    """Says whether a path, its links resolved, lies below `root`, whose own links are resolved."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(root)
    except (OSError, ValueError):
        return False


def read(path: Path, largest: int = LARGEST) -> bytes | None:
    """Returns the bytes of a regular file of at most `largest` bytes that is no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(largest + 1)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return data if len(data) <= largest else None
