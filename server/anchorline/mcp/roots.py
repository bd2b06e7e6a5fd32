"""The folders that an agent may have files planned from, and how one is read: never through a link, never outside."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePath

LARGEST = 8 * 1024 * 1024
"""Bytes of a file that is read, at most."""
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)
_FOLDER = _FLAGS | getattr(os, "O_DIRECTORY", 0)
_STEPS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether a path can be opened step by step, so that nobody can put a link there between look and use."""


class OutsideError(Exception):
    """A file that is not read; the message says why."""


class Roots:
    """Folders by their real paths. A file system's root and the home folder are none: they hold everything."""

    def __init__(self, folders: Iterable[Path]) -> None:
        home = Path(os.path.realpath(Path.home()))
        real = {Path(os.path.realpath(folder)): folder.absolute() for folder in folders}
        self._named = {folder: name for folder, name in real.items() if not home.is_relative_to(folder)}
        self.folders = tuple(self._named)

    def locate(self, name: str) -> tuple[Path, PurePath]:
        """Returns the folder that a file lies in, and its path from there. Raises OutsideError; reads nothing."""
        if not self.folders:
            raise OutsideError(
                "no folder is open to this server: start it in a project, or with --root FOLDER"
            )
        path = PurePath(name)
        if not name or "\x00" in name or ".." in path.parts:
            raise OutsideError(f"{name!r}: name a file by its path from the workspace folder, without `..`")
        for folder, named in self._named.items():
            for start in (folder, named):
                inner = start / path  # an absolute path stays as it is
                if inner.is_relative_to(start) and os.path.lexists(inner):
                    return folder, inner.relative_to(start)
        where = ", ".join(map(str, self.folders))
        raise OutsideError(f"{name!r}: no such file in the workspace ({where})")

    def read(self, name: str) -> tuple[Path, bytes]:
        """Returns a plain file's path and bytes. Raises OutsideError, which says what is wrong."""
        folder, inner = self.locate(name)
        path = folder / inner
        try:
            descriptor = _open(folder, inner)
        except OSError as error:
            linked = next((part for part in (path, *path.parents) if part.is_symlink()), None)
            reason = "links are not followed" if linked is not None else error.strerror or str(error)
            raise OutsideError(f"{name!r}: {reason}") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OutsideError(f"{name!r}: not a plain file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(LARGEST + 1)
        except OSError as error:
            raise OutsideError(f"{name!r}: {error.strerror or error}") from error
        finally:
            os.close(descriptor)
        if len(data) > LARGEST:
            raise OutsideError(f"{name!r}: larger than {LARGEST >> 20} MB")
        return path, data


def _open(folder: Path, inner: PurePath) -> int:
    """Opens a file below a folder. Raises OSError, also where a part of the path is a link."""
    if not _STEPS:
        path = folder / inner
        if os.path.normcase(os.path.realpath(path)) != os.path.normcase(path):
            raise OSError(0, "links are not followed", str(path))
        return os.open(path, _FLAGS | getattr(os, "O_BINARY", 0))
    held = os.open(folder, _FOLDER)
    try:
        for part in inner.parts[:-1]:
            below = os.open(part, _FOLDER, dir_fd=held)
            os.close(held)
            held = below
        return os.open(inner.name, _FLAGS, dir_fd=held)
    finally:
        with suppress(OSError):
            os.close(held)
