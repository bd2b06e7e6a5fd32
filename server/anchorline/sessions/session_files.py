"""Finds the files of agents' sessions, and says how each is read and whether it has changed."""

from pathlib import Path
from typing import Literal

from anchorline.prompt.source import PACKED
from anchorline.sessions.agents import AGENTS

Form = Literal["lines", "document", "database"]
_FORMS: dict[str, Form] = {".json": "document", ".db": "database"}


def homes(agent: str) -> tuple[Path, ...]:
    """Returns the folders in which an agent keeps its sessions."""
    return AGENTS[agent].homes()


def files(agent: str, paths: tuple[Path, ...]) -> list[Path]:
    """Returns an agent's session files at and below `paths`, each once, in a fixed order.

    A packed file beside the plain one of its name is the same session: a client was just packing it.
    """
    session_files: set[Path] = set()
    for path in paths:
        if not path.is_dir():
            session_files.add(path)
            continue
        for pattern in AGENTS[agent].patterns:
            session_files.update(path.rglob(pattern))
            for suffix in PACKED if form(Path(pattern)) != "database" else ():
                packed = path.rglob(pattern + suffix)
                session_files.update(file for file in packed if not file.with_suffix("").exists())
    return sorted({file.resolve() for file in session_files if file.is_file()})


def form(path: Path) -> Form:
    """Returns how a session file is read: line by line, as one JSON document, or as an SQLite database."""
    name = path.with_suffix("") if path.suffix in PACKED else path
    return _FORMS.get(name.suffix, "lines")


def stamp(path: Path) -> tuple[int, int]:
    """Returns size and time of the last change, in ns, of a file, and of a database with its log. Raises OSError."""
    status = path.stat()
    size, changed = status.st_size, status.st_mtime_ns
    if form(path) == "database":
        try:
            log = path.with_name(f"{path.name}-wal").stat()
        except FileNotFoundError:
            return size, changed
        return size + log.st_size, max(changed, log.st_mtime_ns)
    return size, changed
