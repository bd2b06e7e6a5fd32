"""The folder that the indexes of all workspaces are kept in, a file each."""

import time
from contextlib import suppress
from pathlib import Path

from anchorline import files

FOLDER = "index"
UNUSED_S = 60 * 86_400
"""After so many seconds the index of a workspace that was not opened is removed."""


def folder() -> Path:
    """Returns the folder."""
    return files.data_folder() / FOLDER


def remove_all() -> tuple[str, ...]:
    """Removes all indexes, and returns which: they are made again from the workspaces."""
    indexes = sorted(folder().glob("*.db"))
    for file in indexes:
        discard(file)
    return tuple(map(str, indexes))


def remove_unused(folder: Path) -> None:
    """Removes the indexes that were not opened for `UNUSED_S`."""
    with suppress(OSError):
        for file in folder.glob("*.db"):
            if time.time() - file.stat().st_mtime > UNUSED_S:
                discard(file)


def discard(file: Path) -> None:
    """Removes an index and what SQLite has beside it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            file.with_name(file.name + suffix).unlink()
