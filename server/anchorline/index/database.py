"""The file that an index is kept in: a row for each file of the workspace, and its git history.

It holds nothing that can't be read again from the workspace: one that is damaged, of another version or too old to be
of use is removed.
"""

import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from anchorline import files
from anchorline.index import location
from anchorline.index.contents import Contents
from anchorline.index.history import History
from anchorline.workspace.symbols import Symbol

VERSION = 1
"""Another number is another form of the rows."""
BUSY_S = 1.0
FETCHED = 256
"""Rows that are read in one go."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CHECKSUM = 4
_TABLES = """
CREATE TABLE IF NOT EXISTS files (
  path TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, contents BLOB NOT NULL, symbols BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_encode = msgspec.msgpack.Encoder().encode
_contents = msgspec.msgpack.Decoder(Contents).decode
_symbols = msgspec.msgpack.Decoder(tuple[Symbol, ...]).decode
_history = msgspec.msgpack.Decoder(History).decode
log = logging.getLogger(__name__)


class DamagedIndexError(Exception):
    """The file is not as it was written."""


FAILURES = (sqlite3.Error, DamagedIndexError, msgspec.MsgspecError, UnicodeDecodeError)
"""What may be raised where a file is damaged, locked, or can't be written."""


class FileRow(NamedTuple):
    """What is kept of a file; one that is not indexed has no `contents`, so that it is not read again."""

    path: str
    fingerprint: str
    contents: Contents | None
    symbols: tuple[Symbol, ...] = ()


def locate(root: Path) -> Path:
    """Returns where the index of a workspace is kept."""
    name = hashlib.blake2b(os.fsencode(os.path.realpath(root)), digest_size=16).hexdigest()
    return location.folder() / f"{name}.db"


class IndexDatabase:
    """The open file, or without one a database in memory. May be used in any thread.

    Every method may raise one of `FAILURES`; opening it OSError, too.
    """

    def __init__(self, path: Path | None = None) -> None:
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
        version = execute("PRAGMA user_version").fetchone()[0]
        if version not in {0, VERSION}:
            raise DamagedIndexError("another version of Anchorline made it")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA journal_size_limit = 4194304")
        self._connection.executescript(_TABLES)
        execute(f"PRAGMA user_version = {VERSION}")

    def rows(self) -> Iterator[FileRow]:
        """Yields what is kept of every file, without its symbols, after the whole database was checked."""
        if self._select("PRAGMA integrity_check(1)") != [("ok",)]:
            raise DamagedIndexError("its parts do not fit together")
        with self._using:
            cursor = self._connection.execute("SELECT path, fingerprint, contents FROM files")
        for path, fingerprint, contents in chain.from_iterable(iter(lambda: self._fetch(cursor), [])):
            if not isinstance(path, str) or not isinstance(fingerprint, str):
                raise DamagedIndexError("a file has no name")
            yield FileRow(path, fingerprint, _contents(_checked(contents)) if contents else None)

    def _fetch(self, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        with self._using:
            return cursor.fetchmany(FETCHED)

    def find(self, path: str, fingerprint: str) -> FileRow | None:
        """Returns what is kept of a file with this fingerprint, without its symbols."""
        query = "SELECT contents FROM files WHERE path = ? AND fingerprint = ?"
        for (contents,) in self._select(query, path, fingerprint):
            return FileRow(path, fingerprint, _contents(_checked(contents)) if contents else None)
        return None

    def imports(self, path: str) -> tuple[str, ...]:
        """Returns what a file imports."""
        query = "SELECT contents FROM files WHERE path = ? AND contents <> x''"
        return next((_contents(_checked(row[0])).imports for row in self._select(query, path)), ())

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        """Returns what a file defines."""
        query = "SELECT symbols FROM files WHERE path = ? AND symbols <> x''"
        return next((_symbols(_checked(row[0])) for row in self._select(query, path)), ())

    def history(self) -> History:
        """Returns the git history that is kept."""
        query = "SELECT value FROM about WHERE name = 'history'"
        return next((_history(_checked(row[0])) for row in self._select(query)), History())

    def _select(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._using:
            return self._connection.execute(query, values).fetchall()

    def change(self, put: Iterable[FileRow], remove: Iterable[str] = ()) -> None:
        """Writes and removes files in one transaction."""
        rows = [
            (
                row.path,
                row.fingerprint,
                *((_sealed(row.contents), _sealed(row.symbols)) if row.contents else (b"", b"")),
            )
            for row in put
        ]
        with self._using, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)
            self._connection.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in remove])

    def keep_history(self, history: History) -> None:
        """Keeps the git history."""
        with self._using:
            self._connection.execute("INSERT OR REPLACE INTO about VALUES ('history', ?)", [_sealed(history)])

    def close(self) -> None:
        """Closes the file."""
        with self._using, suppress(sqlite3.Error):
            self._connection.close()


def _sealed(value: object) -> bytes:
    """Returns a value with its checksum: SQLite has none of its own."""
    raw = _encode(value)
    return crc32(raw).to_bytes(_CHECKSUM, "big") + raw


def _checked(sealed: object) -> bytes:
    raw = sealed[_CHECKSUM:] if isinstance(sealed, bytes) else b""
    if not isinstance(sealed, bytes) or crc32(raw).to_bytes(_CHECKSUM, "big") != sealed[:_CHECKSUM]:
        raise DamagedIndexError("what it holds is not what was written")
    return raw


def opened(path: Path | None) -> IndexDatabase:
    """Opens an index's file; one that is damaged is made anew, and where none can be made it is in memory."""
    if path is None:
        return IndexDatabase()
    try:
        with suppress(OSError):
            os.utime(path)
        location.remove_unused(path.parent)
        return IndexDatabase(path)
    except (*FAILURES, OSError) as error:
        return renewed(path, error)


def renewed(path: Path | None, error: Exception) -> IndexDatabase:
    """Returns an empty database in the place of one that failed: a file again if it was damaged, else in memory."""
    if path is not None and is_damaged(error):
        log.warning("the index %s is damaged (%s): it is made anew", path, error)
        location.discard(path)
        try:
            return IndexDatabase(path)
        except (*FAILURES, OSError) as second:
            error = second
    log.warning("the index of this workspace is in memory alone: %s can't be written (%s)", path, error)
    return IndexDatabase()


def is_damaged(error: Exception) -> bool:
    """Says whether an error is the file's, and not the disk's or another program's."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)  # none where a text is not UTF-8
        if code is None:
            return isinstance(error, sqlite3.OperationalError)
        return code & 0xFF in _DAMAGED
    return isinstance(error, FAILURES)
