"""The file that an index is kept in: a row for each file of the workspace, and its git history."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from anchorline import files
from anchorline.index.contents import Contents
from anchorline.index.history import History
from anchorline.workspace.symbols import Symbol

FOLDER = "index"
VERSION = 1
"""Another number is another form: what was kept in an earlier one is thrown away."""
BUSY_S = 2.0
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
  path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, contents BLOB, symbols BLOB
);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_encode = msgspec.msgpack.Encoder().encode
_contents = msgspec.msgpack.Decoder(Contents).decode
_symbols = msgspec.msgpack.Decoder(tuple[Symbol, ...]).decode
_history = msgspec.msgpack.Decoder(History).decode


class FileRow(NamedTuple):
    """What is kept of a file; one that is not indexed has no `contents`, so that it is not read again."""

    path: str
    fingerprint: str
    contents: Contents | None
    symbols: tuple[Symbol, ...] = ()


def locate(root: Path) -> Path:
    """Returns where the index of a workspace is kept."""
    name = hashlib.blake2b(str(root).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return files.data_folder() / FOLDER / f"{name}.db"


class IndexDatabase:
    """The open file, or a database in memory. May be used in any thread; every method may raise sqlite3.Error."""

    def __init__(self, path: Path | None) -> None:
        """Opens the file and makes what is missing of it. Raises sqlite3.Error and OSError."""
        self.path = path
        self._using = threading.Lock()
        if path is not None:
            files.make_folder(path.parent)
            files.make_empty(path)
        self._connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_S, check_same_thread=False, isolation_level=None
        )
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA journal_size_limit = 16777216")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError("it is of another version")
        self._connection.executescript(_TABLES)
        execute(f"PRAGMA user_version = {VERSION}")

    def all(self) -> Iterator[FileRow]:
        """Yields what is kept of every file, without its symbols."""
        with self._using:
            rows = self._connection.execute("SELECT path, fingerprint, contents FROM files").fetchall()
        for path, fingerprint, contents in rows:
            yield FileRow(path, fingerprint, None if contents is None else _contents(contents))

    def find(self, path: str, fingerprint: str) -> FileRow | None:
        """Returns what is kept of a file with this fingerprint."""
        with self._using:
            row = self._connection.execute(
                "SELECT contents FROM files WHERE path = ? AND fingerprint = ?", (path, fingerprint)
            ).fetchone()
        return row and FileRow(path, fingerprint, None if row[0] is None else _contents(row[0]))

    def imports(self, path: str) -> tuple[str, ...]:
        """Returns what a file imports."""
        with self._using:
            row = self._connection.execute("SELECT contents FROM files WHERE path = ?", (path,)).fetchone()
        return _contents(row[0]).imports if row and row[0] is not None else ()

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        """Returns what a file defines."""
        with self._using:
            row = self._connection.execute("SELECT symbols FROM files WHERE path = ?", (path,)).fetchone()
        return _symbols(row[0]) if row and row[0] is not None else ()

    def change(self, put: Iterable[FileRow], remove: Iterable[str] = ()) -> None:
        """Writes and removes files in one transaction."""
        rows = [
            (
                row.path,
                row.fingerprint,
                *((_encode(row.contents), _encode(row.symbols)) if row.contents else (None, None)),
            )
            for row in put
        ]
        with self._using, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
            self._connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in remove])

    def history(self) -> History:
        """Returns the git history that is kept."""
        with self._using:
            row = self._connection.execute("SELECT value FROM about WHERE name = 'history'").fetchone()
        return _history(row[0]) if row else History()

    def keep_history(self, history: History) -> None:
        """Keeps the git history."""
        with self._using:
            self._connection.execute("INSERT OR REPLACE INTO about VALUES ('history', ?)", [_encode(history)])

    def close(self) -> None:
        """Closes the file."""
        with self._using:
            self._connection.close()


def discard(path: Path) -> None:
    """Removes an index's file and what SQLite has beside it."""
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink()
