"""Which session files have something that was not imported yet."""

from collections.abc import Iterable
from pathlib import Path

from anchorline.sessions.session_files import stamp
from anchorline.store import database, tags


def unread(path: Path, agent: str, files: Iterable[Path]) -> list[Path]:
    """Returns the files that differ from what was read of them as that agent's, by size and time.

    It only reads, so that nothing is waited for where nothing is new. Raises StoreError.
    """
    read: dict[str, tuple[int, int]] = {}
    if path.exists():
        with database.reading(path) as connection:
            if database.read_schema(connection) == database.SCHEMA:  # else an import brings it up to date
                rows = connection.execute("SELECT file, size, mtime_ns FROM imports WHERE agent = ?", [agent])
                read = {file: (size, mtime_ns) for file, size, mtime_ns in rows}
    return [file for file in files if _state(file) != read.get(tags.tag(str(file)), ())]


def _state(file: Path) -> tuple[int, int] | None:
    try:
        return stamp(file)
    except OSError:  # gone by now, or not readable: reading it says so
        return None
