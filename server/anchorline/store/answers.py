"""The file of the response cache: complete answers by the hash of what was asked, within bounds.

It is a SQLite file of its own beside the database, the owner's alone (0600): it holds the text of answers, so nothing
else shares it. Which requests may be answered from it is the gateway's to say.
"""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from anchorline import files
from anchorline.outcome import Usage
from anchorline.store import database
from anchorline.store.database import StoreError

FILE_NAME = "answers.db"
SCHEMA = 1
BUSY_S = 0.25
"""How long a request waits for another program before it goes on without the file."""
SHARE = 8
"""One answer may take this part of the bytes at most."""
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
  exact BLOB PRIMARY KEY, near BLOB, kept_at REAL NOT NULL, used_at REAL NOT NULL, uses INTEGER NOT NULL,
  size INTEGER NOT NULL, answer BLOB NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS answers_near ON answers (near);
CREATE INDEX IF NOT EXISTS answers_used ON answers (used_at, size);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""


class QuestionHashes(msgspec.Struct, frozen=True):
    """What was asked: a keyed hash of all of it, and one of its context and its draft's normal form, if it has one."""

    exact: bytes
    near: bytes | None = None


class KeptAnswer(msgspec.Struct, frozen=True):
    """How a request was answered: the provider's headers, what it was billed, and the model that answered.

    Tokens as `Usage` names them, None where they were not told.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    model: str | None = None
    usage: Usage | None = None


class Kept(msgspec.Struct, frozen=True):
    """An answer that was kept, with its bytes. `exact` is the key that it is kept under, `age` is seconds."""

    exact: bytes
    answer: KeptAnswer
    body: bytes
    age: float


class Bounds(msgspec.Struct, frozen=True):
    """How much is kept, and for how many seconds."""

    entries: int
    size: int
    seconds: float


class AnswersStatus(msgspec.Struct, frozen=True):
    """What the file holds. Times are epoch seconds; `size` is the answers' bytes, `uses` how often one was given."""

    path: str
    exists: bool
    entries: int = 0
    size: int = 0
    uses: int = 0
    oldest: float | None = None
    newest: float | None = None


def locate(setting: str = "") -> Path:
    """Returns the path of the file: beside the database, which `setting` may name."""
    return database.locate(setting).with_name(FILE_NAME)


class AnswerFile:
    """The open file. Used in one thread. Every method may raise StoreError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = _open(path)
        try:
            with self._connection:
                self._connection.execute("INSERT OR IGNORE INTO about VALUES ('key', ?)", [os.urandom(32)])
            row = self._connection.execute("SELECT value FROM about WHERE name = 'key'").fetchone()
            self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(database.explain(path, error)) from error
        self.key: bytes = row[0]

    def find(self, column: Literal["exact", "near"], digest: bytes, oldest: float) -> Kept | None:
        """Returns the newest answer kept after `oldest` of a question with this hash."""
        query = f"SELECT exact, answer, body, kept_at FROM answers WHERE {column} = ? AND kept_at > ?"  # noqa: S608
        try:
            row = self._connection.execute(f"{query} ORDER BY kept_at DESC", [digest, oldest]).fetchone()
        except sqlite3.Error as error:
            raise StoreError(database.explain(self.path, error)) from error
        if row is None:
            return None
        answer = msgspec.json.decode(row[1], type=KeptAnswer)
        return Kept(row[0], answer, row[2], max(time.time() - row[3], 0.0))

    def used(self, exact: bytes) -> None:
        """Counts that an answer was given again."""
        self._write("UPDATE answers SET uses = uses + 1, used_at = ? WHERE exact = ?", [time.time(), exact])

    def keep(self, question: QuestionHashes, answer: KeptAnswer, body: bytes, bounds: Bounds) -> None:
        """Keeps an answer, and removes what has expired or is over the bounds: what was used longest ago goes first."""
        encoded = msgspec.json.encode(answer)
        size = len(body) + len(encoded)
        if size > bounds.size // SHARE:
            return
        now = time.time()
        values = [question.exact, question.near, now, now, 0, size, encoded, body]
        try:
            with self._connection:
                self._connection.execute("DELETE FROM answers WHERE kept_at <= ?", [now - bounds.seconds])
                self._connection.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?,?)", values)
                self._connection.execute(
                    "DELETE FROM answers WHERE exact IN (SELECT exact FROM (SELECT exact, "
                    "row_number() OVER newest AS number, sum(size) OVER newest AS total FROM answers "
                    "WINDOW newest AS (ORDER BY used_at DESC, rowid DESC)) WHERE number > ? OR total > ?)",
                    [bounds.entries, bounds.size],
                )
        except sqlite3.Error as error:
            raise StoreError(database.explain(self.path, error)) from error

    def _write(self, statement: str, values: list[object]) -> None:
        try:
            with self._connection:
                self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(database.explain(self.path, error)) from error

    def close(self) -> None:
        """Closes."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    """Opens the file, made where needed: alone, since SQLite does not wait where two programs change its mode."""
    try:
        database.protect(path)
        with files.lock(path.with_name(f"{path.name}-lock")):
            connection = sqlite3.connect(path, timeout=database.BUSY_S, check_same_thread=False)
            try:
                connection.execute("PRAGMA secure_delete = ON")
                _refuse_newer(path, connection)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(f"{_TABLES} PRAGMA user_version = {SCHEMA};")
            except BaseException:
                connection.close()
                raise
    except (sqlite3.Error, OSError) as error:
        raise StoreError(database.explain(path, error)) from error
    return connection


def _refuse_newer(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] > SCHEMA:
        raise StoreError(f"{path}: a newer Anchorline wrote it; `anchorline cache clear` removes it")


def status(path: Path) -> AnswersStatus:
    """Returns what the file holds. Raises StoreError."""
    if not path.exists():
        return AnswersStatus(str(path), exists=False)
    query = "SELECT count(*), sum(size), sum(uses), min(kept_at), max(kept_at) FROM answers"
    with database.read_only(path) as connection:
        try:
            entries, size, uses, oldest, newest = connection.execute(query).fetchone()
        except sqlite3.Error as error:
            raise StoreError(database.explain(path, error)) from error
    return AnswersStatus(
        str(path),
        exists=True,
        entries=entries,
        size=size or 0,
        uses=uses or 0,
        oldest=oldest,
        newest=newest,
    )


def purge(path: Path, before: float | None = None) -> int:
    """Removes answers kept before `before` (epoch seconds), or all, from every byte on disk; returns how many.

    A gateway may go on meanwhile. A file that can't be read as one of ours is removed where all are to go. Raises
    StoreError.
    """
    if not path.exists():
        return 0
    try:
        connection = _open(path)
    except StoreError as error:
        in_use = isinstance(error.__cause__, sqlite3.Error) and database.is_busy(error.__cause__)
        if before is not None or in_use:  # who has it open would go on with what is removed
            raise
        for file in database.members(path):
            file.unlink(missing_ok=True)
        return 1
    limit = float("inf") if before is None else before
    try:
        with closing(connection):
            with connection:
                count: int = connection.execute("DELETE FROM answers WHERE kept_at < ?", [limit]).rowcount
            connection.execute(
                "PRAGMA temp_store = MEMORY"
            )  # VACUUM's copy must not pass through another file
            connection.execute("VACUUM")
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(database.explain(path, error)) from error
    if busy:
        raise StoreError(
            f"{path}: the answers are deleted, but another program keeps old pages in use; try again"
        )
    return count
