"""Imported sessions: a file's rows and how far it was read are written in one transaction.

A crash leaves whole files behind: the next import goes on there. A file of very many requests is written in parts, and
how far it was read with the last one: after a crash the next import reads it once more.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from anchorline import files
from anchorline.cache.ledger import Entry
from anchorline.instructions.in_sessions import SessionFiles
from anchorline.learn.features import Features
from anchorline.sessions.agents import AGENTS, Recognised
from anchorline.sessions.facts import Checkout
from anchorline.sessions.importing import FilePart, ReadPosition
from anchorline.sessions.request import RecordedRequest
from anchorline.store import billing, database, instructions, limits, privacy, rows, tags
from anchorline.store.database import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS = (
    "id, file, agent, session, chain, branch, model, sent_at, first_at, trigger, switched, blocks, prefix, "
    "input_tokens, read_tokens, write_5m_tokens, write_1h_tokens, output_tokens, billing, answer, request, "
    "subagent, place"
)
_NAMES = _COLUMNS.split(", ")
# A file that repeats another's request (a fork, a copy, a session that was archived) does not take it over: its usage
# counts once. It is the same one by the ids of its answer and its request and the time of its first line (a relay may
# give all one id), or where that line is damaged by its tokens; or by its session and its times; or by its own id.
_SAME: dict[Recognised, str] = {
    "answer": "other.answer = :answer "
    "AND (other.request = :request OR other.request IS NULL OR :request IS NULL) AND (other.first_at = :first_at "
    "OR (other.request = :request AND other.input_tokens = :input_tokens AND other.read_tokens = :read_tokens "
    "AND other.write_5m_tokens = :write_5m_tokens AND other.write_1h_tokens = :write_1h_tokens "
    "AND other.output_tokens = :output_tokens))",
    "times": "other.session = :session AND other.chain = :chain AND other.sent_at = :sent_at "
    "AND other.first_at IS :first_at",
    "id": "other.id = :id",
}
_PUT = {
    recognised: f"""
    INSERT INTO imported ({_COLUMNS}) SELECT {", ".join(f":{name}" for name in _NAMES)}
    WHERE NOT EXISTS (SELECT 1 FROM imported AS other WHERE other.file != :file AND {same})
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _NAMES[3:-1])},
        place = coalesce(excluded.place, imported.place)
    WHERE imported.file = excluded.file
"""  # noqa: S608  (constants)
    for recognised, same in _SAME.items()
}
_PUT_RESULT = """
    INSERT OR REPLACE INTO tool_results (request, number, tool, target, first_line, lines, tokens, kind, effect)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

WAIT_S = 60.0
"""How long an import waits for another one."""
BATCH = 1000
"""Rows that are written at once: a transaction writes whole pages of the indexes, however few rows there are."""
PART = 10_000
"""Requests of a file that are held in memory and written at once."""

_session = lru_cache(256)(privacy.session)
_name = lru_cache(256)(privacy.name)


class ImportedFile(msgspec.Struct, frozen=True):
    """What was read of a file, with what is warm of it, and the instruction files in that.

    `requests` are all of them, or the last part after others that made the file's rows `added` more.
    """

    path: Path
    agent: str
    requests: list[RecordedRequest]
    piece: FilePart
    warm: list[Entry]
    seen: SessionFiles | None = None
    added: int | None = None


class Imports:
    """The tables `imported`, `imports` and `ledger`, open for an import.

    `notice` tells what the developer should know about the opening.
    """

    def __init__(self, db: "Database", notice: str | None = None) -> None:
        self._db = db
        self.notice = notice

    def position(self, path: Path, agent: str) -> ReadPosition | None:
        """Returns how far a file was read as that tool's; None where it was not."""
        row = self._db.execute(
            "SELECT size, mtime_ns, offset, line, head, tail, state FROM imports WHERE file = ? AND agent = ?",
            [tags.tag(str(path)), agent],
        ).fetchone()
        return ReadPosition(*row) if row is not None else None

    @property
    def key(self) -> bytes:
        """The random key of this database, for hashes that must confirm nobody's guess."""
        return database.key(self._db.conn)

    def put_parts(
        self,
        path: Path,
        agent: str,
        part: list[RecordedRequest],
        following: Iterator[RecordedRequest],
        *,
        anew: bool,
    ) -> tuple[list[RecordedRequest], int | None]:
        """Writes all but the last part of a file's requests; returns that, and what the others made the rows more.

        `part` is the first one; the sum is None where it is the only one. `anew`: the file was read from its beginning,
        so that they replace all that is known of it.
        """
        added: int | None = None
        while further := list(islice(following, PART)):
            added = (added or 0) + self._put_part(path, agent, part, anew=anew and added is None)
            part = further
        return part, added

    def _put_part(self, path: Path, agent: str, requests: list[RecordedRequest], *, anew: bool) -> int:
        with database.writing(self._db):
            file = tags.tag(str(path))
            before = _count(self._db, file)
            if anew:  # what follows may not come: how far the file was read is not known until then
                self._db.execute("DELETE FROM imports WHERE file = ? AND agent = ?", [file, agent])
            _put_requests(self._db, file, agent, requests, anew=anew)
            return _count(self._db, file) - before

    def put(self, files: Iterable[ImportedFile]) -> int:
        """Writes what was read of some files, in one transaction; returns how many more of their requests are known."""
        with database.writing(self._db):
            return sum(_put(self._db, file) for file in files)


def _put(db: "Database", read: ImportedFile) -> int:
    file, piece = tags.tag(str(read.path)), read.piece
    before = _count(db, file)
    if not read.requests and before and _of_another(db, file, read.agent):
        return 0
    _put_requests(db, file, read.agent, read.requests, anew=piece.anew and read.added is None)
    limits.put(db, piece.limits)
    rows.put_ledger(db, read.warm)
    if read.seen is not None:
        instructions.replace(db, read.seen)
    position = msgspec.structs.asdict(piece.position)
    rows.insert(db, "imports", {"file": file, "agent": read.agent, **position}, conflict="REPLACE")
    return max((read.added or 0) + _count(db, file) - before, 0)


def _put_requests(
    db: "Database", file: str, agent: str, requests: list[RecordedRequest], *, anew: bool
) -> None:
    if anew:
        db.execute("DELETE FROM features WHERE id IN (SELECT id FROM imported WHERE file = ?)", [file])
        db.execute(
            "DELETE FROM tool_results WHERE request IN (SELECT id FROM imported WHERE file = ?)", [file]
        )
        db.execute("DELETE FROM imported WHERE file = ?", [file])
    checkouts = {request.checkout for request in requests}
    places = {checkout: _place(db, checkout) if checkout is not None else None for checkout in checkouts}
    written = [_row(request, file, agent, places[request.checkout]) for request in requests]
    db.conn.executemany(_PUT[AGENTS[agent].recognised], written)
    db.conn.executemany(_PUT_RESULT, _results(db, file, requests, written))
    for request, row in zip(requests, written, strict=True):
        message = request.message
        if message is not None and message.draft is not None:
            rows.put_features(
                db,
                str(row["id"]),
                request.sent_at,
                Features(message.grams, message.draft),
                thoughtless=message.thoughtless,
                commands=message.commands,
            )


def _place(db: "Database", checkout: Checkout) -> int:
    """Returns the number of a project's branch, which gets one where it has none."""
    values = msgspec.structs.astuple(checkout)
    db.execute("INSERT OR IGNORE INTO places (project, branch, pr) VALUES (?, ?, ?)", values)
    number: int = db.execute(
        "SELECT id FROM places WHERE project = ? AND branch = ? AND pr = ?", values
    ).fetchone()[0]
    return number


def _results(
    db: "Database", file: str, requests: list[RecordedRequest], written: list[dict[str, object]]
) -> Iterator[tuple[object, ...]]:
    """Yields what the tools returned, for those of the requests that are this file's and no other's."""
    own = {key for (key,) in db.execute("SELECT id FROM imported WHERE file = ?", [file])}
    for request, row in zip(requests, written, strict=True):
        if request.results and row["id"] in own:
            for number, result in enumerate(request.results):
                yield (
                    row["id"],
                    number,
                    result.tool,
                    result.target,
                    result.first_line,
                    result.lines,
                    result.tokens,
                    result.kind,
                    result.effect,
                )


def _of_another(db: "Database", file: str, agent: str) -> bool:
    """Says whether a file was read as another tool's: an import by mistake takes nothing of it away."""
    row = db.execute("SELECT 1 FROM imports WHERE file = ? AND agent != ?", [file, agent]).fetchone()
    return row is not None


def _count(db: "Database", file: str) -> int:
    count: int = db.execute("SELECT count(*) FROM imported WHERE file = ?", [file]).fetchone()[0]
    return count


def _row(request: RecordedRequest, file: str, agent: str, place: int | None) -> dict[str, object]:
    return {
        "id": tags.tag(request.id),
        "file": file,
        "agent": agent,
        "session": _session(request.session),
        "chain": request.chain if request.chain in ("main", "agent") else tags.tag(request.chain),
        "branch": request.branch,
        "model": _name(request.model),
        "sent_at": request.sent_at,
        "first_at": request.first_at,
        "trigger": request.trigger,
        "switched": request.switched,
        "blocks": request.blocks,
        "prefix": request.prefix,
        "input_tokens": request.input,
        "read_tokens": request.read,
        "write_5m_tokens": request.write_5m,
        "write_1h_tokens": request.write_1h,
        "output_tokens": request.output,
        "billing": billing.details(request.usage) if request.usage is not None else None,
        "answer": tags.tag(request.answer) if request.answer is not None else None,
        "request": tags.tag(request.request) if request.request is not None else None,
        "subagent": request.subagent,
        "place": place,
    }


@contextmanager
def opened(path: Path) -> Iterator[Imports]:
    """Opens the database for an import, one at a time: what two read of one file would be mixed. Raises StoreError."""
    handle = database.open_for_writing(path)
    try:
        with _alone(path):
            rows.forget_expired(handle.database, time.time())
            handle.database.conn.commit()
            yield Imports(handle.database, handle.notice)
    except sqlite3.Error as error:
        raise StoreError(database.explain(path, error)) from error
    finally:
        database.close(handle.database)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(files.lock(path.with_name(f"{path.name}-import"), WAIT_S))
        except TimeoutError:
            raise StoreError(f"{path}: another import is under way; import again when it is done") from None
        except OSError as error:
            raise StoreError(database.explain(path, error)) from error
        yield
