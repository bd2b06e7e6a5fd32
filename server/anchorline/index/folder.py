"""The files of a folder as they are on disk: what git does not ignore, without links, secrets and generated files."""

import logging
import os
import stat
import time
from itertools import islice
from pathlib import Path

from anchorline.index import git
from anchorline.index.git import GitError
from anchorline.index.history import History
from anchorline.index.snapshot import LARGEST_SOURCE, Listed, counts, fits
from anchorline.workspace import files

MOST_REPOSITORIES = 64
"""Repositories in one workspace that are listed: submodules, and clones beside each other."""
MOST_WALKED = 200_000
"""Files of a folder without a repository that are looked at: those nearest to the folder."""
LONGEST_PATH = 400
RACY_NS = 100_000_000
"""A file that was written so shortly before it was listed may be written again without another time of change."""
log = logging.getLogger(__name__)


class UnindexableError(Exception):
    """A folder that is not indexed; the message names it and says why, for the developer to read."""


class FolderSnapshot:
    """The files below a folder. Repositories are listed by git.

    Submodules and clones below the folder are part of it, linked work trees are not: they hold the same files again.
    One that git can't list has no files. Links are not followed. May be used in any thread.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        self._prefix = os.path.join(self.root, "")  # noqa: PTH118  (joining paths is most of a large listing's time)

    def files(self) -> dict[str, Listed]:
        """Returns the files that count, with times, size and inode as fingerprints. Raises OSError."""
        os.stat(self.root)  # noqa: PTH116  (a folder that is gone is not one without files)
        listed: dict[str, Listed] = {}
        plain_folders: dict[str, bool] = {}
        walked = files.walk(self.root, _has_repository)
        waiting = [""]
        for _ in range(MOST_REPOSITORIES):
            if not waiting:
                break
            prefix = waiting.pop()
            by_git = bool(prefix) or _in_repository(self.root)
            for name in self._by_git(prefix) if by_git else islice(walked, MOST_WALKED):
                path = prefix + name
                if not counts(path):
                    continue
                if path.endswith("/"):
                    waiting += self._repository(path)
                    continue
                file = self._listed(path, plain_folders)
                if file is None:
                    waiting += self._repository(path + "/")
                else:
                    listed[path] = file
        return listed

    def file(self, path: str) -> Listed | None:
        """Returns one file as it is on disk, or None where it does not count."""
        return self._listed(path, {}) if counts(path) and _plain(path) else None

    def _by_git(self, prefix: str) -> list[str]:
        try:
            names = git.listing(self.root / prefix)
        except GitError as error:
            if not prefix:
                raise
            log.warning("%s is not indexed: %s", self.root / prefix, error)
            return []
        return [name for name in names if _plain(name)]

    def _repository(self, prefix: str) -> list[str]:
        """Returns the folder `prefix` if it is a repository in this one: a submodule or a clone."""
        folder = self.root / prefix
        ours = _is_repository(folder) and not folder.is_symlink() and files.inside(self.root, folder)
        return [prefix] if ours else []

    def _listed(self, path: str, plain_folders: dict[str, bool]) -> Listed | None:
        try:
            entry = os.lstat(f"{self._prefix}{path}")
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(entry.st_mode) or not fits(path, entry.st_size):
            return None
        if not self._without_links(path.rpartition("/")[0], plain_folders):
            return None
        racy = "?" if time.time_ns() - entry.st_mtime_ns < RACY_NS else ""
        fingerprint = f"{entry.st_mtime_ns:x}.{entry.st_ctime_ns:x}.{entry.st_ino:x}{racy}"
        return Listed(fingerprint, entry.st_size)

    def _without_links(self, folder: str, plain: dict[str, bool]) -> bool:
        """Says whether a folder lies below the root by itself and not by way of a link."""
        if not folder:
            return True
        if folder not in plain:
            try:
                is_folder = stat.S_ISDIR(os.lstat(f"{self._prefix}{folder}").st_mode)
            except OSError:
                is_folder = False
            plain[folder] = is_folder and self._without_links(folder.rpartition("/")[0], plain)
        return plain[folder]

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file below the root, or None."""
        if not counts(path) or not _plain(path):
            return None
        place = self.root / path
        if not files.inside(self.root, place):
            return None
        raw = files.read(place, LARGEST_SOURCE)
        return raw if raw is not None and fits(path, len(raw)) else None

    def history(self, known: History) -> History:
        """Returns the history of the repository that the root is in."""
        if not _in_repository(self.root):
            return History()
        try:
            return git.history(self.root, known)
        except GitError as error:
            log.warning("the history of %s is not read: %s", self.root, error)
            return known


def _plain(path: str) -> bool:
    """Says whether a path leads down from the root and can be shown: a repository may call its files anything."""
    down = not path.startswith("/") and "/../" not in f"/{path}/" and "\\" not in path and ":" not in path[:2]
    return down and path.isprintable() and len(path) <= LONGEST_PATH


def _is_repository(folder: Path) -> bool:
    """Says whether a folder is the root of a repository of its own: not of another work tree of one."""
    mark = folder / ".git"
    try:
        found = os.lstat(mark)
        if stat.S_ISDIR(found.st_mode):
            return True
        if not stat.S_ISREG(found.st_mode):
            return False
        return b"/worktrees/" not in mark.read_bytes()[:4096].replace(b"\\", b"/")
    except OSError:
        return False


def _has_repository(folder: Path) -> bool:
    return os.path.lexists(folder / ".git")


def _in_repository(folder: Path) -> bool:
    return any(_has_repository(each) for each in (folder, *folder.parents))
