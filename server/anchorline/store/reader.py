"""Reads the database: for status, explanation and the ledger. Every call has its own connection.

Nothing here makes a file or imports sqlite-utils; a database that does not exist yet reads as an empty one.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.cache.rules import load as load_rules
from anchorline.ground.threshold import AdditionDecision
from anchorline.instructions.warm_files import WarmFiles
from anchorline.plan import Plan
from anchorline.rate_limits import LimitSample
from anchorline.sessions.request import RecordedRequest
from anchorline.store import additions, billing, database, instructions, limits, privacy
from anchorline.store.database import SCHEMA, StoreError


class StoreStatus(msgspec.Struct, frozen=True):
    """What is recorded. Sizes in bytes, times in epoch seconds; `texts` counts kept texts by mode.

    `dropped` counts plans and ledger updates that found the queue full. `damaged` are files that were set
    aside. `problem` says why the database can't be read or written, and is None when it can.
    """

    path: str
    exists: bool
    size: int = 0
    schema: int | None = None
    counts: dict[str, int] = {}
    texts: dict[str, int] = {}
    oldest: float | None = None
    newest: float | None = None
    dropped: int = 0
    damaged: tuple[str, ...] = ()
    problem: str | None = None


class RecordedPlan(msgspec.Struct, frozen=True):
    """A plan in a list: when it was made (epoch seconds), for what, and the newest decision about it."""

    id: str
    created_at: float
    format: str
    target: str
    decision: str | None


class Reader:
    """Reads the database at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection | None]:
        """Holds a connection, or None where there is nothing to read yet. Raises StoreError."""
        if not self.path.exists():
            yield None
            return
        with database.reading(self.path) as connection:
            yield connection if database.read_schema(connection) else None

    def status(self) -> StoreStatus:
        """Returns what is recorded. Never raises: what is wrong stands in `problem`."""
        damaged = tuple(str(file) for file in database.damaged(self.path))
        status = StoreStatus(str(self.path), self.path.exists(), damaged=damaged)
        try:
            with self._connected() as connection:
                return status if connection is None else self._read_status(connection, status)
        except (StoreError, OSError) as error:
            return msgspec.structs.replace(status, problem=database.explain(self.path, error))

    def _read_status(self, connection: sqlite3.Connection, status: StoreStatus) -> StoreStatus:
        schema = database.read_schema(connection)
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  (constants)
            for table in database.tables(connection)
        }
        texts = dict(connection.execute("SELECT mode, count(*) FROM texts GROUP BY mode").fetchall())
        oldest, newest = connection.execute(
            "SELECT min(at), max(at) FROM (SELECT created_at AS at FROM plans "
            "UNION ALL SELECT recorded_at FROM outcomes UNION ALL SELECT recorded_at FROM feedback)"
        ).fetchone()
        dropped = connection.execute("SELECT value FROM about WHERE name = 'dropped'").fetchone()
        size = 0
        for file in database.members(self.path):
            with suppress(FileNotFoundError):
                size += file.stat().st_size
        newer = schema is not None and schema > SCHEMA
        return msgspec.structs.replace(
            status,
            size=size,
            schema=schema,
            counts=counts,
            texts=texts,
            oldest=oldest,
            newest=newest,
            dropped=int(dropped[0]) if dropped else 0,
            problem=f"a newer Anchorline wrote it (schema {schema}, this one knows {SCHEMA}): "
            "it is read, and nothing is recorded"
            if newer
            else None,
        )

    def knows(self, plan_id: str) -> bool:
        """Says whether a plan is recorded. Raises StoreError."""
        with self._connected() as connection:
            if connection is None:
                return False
            row = connection.execute(
                "SELECT 1 FROM plans WHERE id = ?", [privacy.plan_id(plan_id)]
            ).fetchone()
            return row is not None

    def plans(self, most: int) -> list[RecordedPlan]:
        """Returns the newest plans, the last one first. Raises StoreError when the database can't be read."""
        with self._connected() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT id, created_at, coalesce(target, '') AS target, "
                "coalesce((SELECT format FROM requests WHERE requests.plan = plans.id), '') AS format, "
                "(SELECT decision FROM outcomes WHERE outcomes.plan = plans.id AND decision IS NOT NULL "
                "ORDER BY recorded_at DESC LIMIT 1) AS decision "
                "FROM plans ORDER BY created_at DESC, rowid DESC LIMIT ?",
                [most],
            )
            return [RecordedPlan(**row) for row in rows]

    def plan(self, plan_id: str) -> Plan | None:
        """Returns a recorded plan: whole where its text was kept, else without reasons and texts.

        None where it is not recorded. Raises StoreError when the database can't be read.
        """
        with self._connected() as connection:
            return None if connection is None else _plan(connection, privacy.plan_id(plan_id))

    def last_plan(self) -> Plan | None:
        """Returns the newest plan, as `plan` does."""
        with self._connected() as connection:
            if connection is None:
                return None
            row = connection.execute(
                "SELECT id FROM plans ORDER BY created_at DESC, rowid DESC LIMIT 1"
            ).fetchone()
            return _plan(connection, row["id"]) if row else None

    def ledger(self, now: float) -> list[Entry]:
        """Returns what providers are believed to hold, with what expired in the week before `now`.

        Raises StoreError when the database can't be read.
        """
        with self._connected() as connection:
            if connection is None:
                return []
            return _ledger(connection, now - database.LEDGER_KEPT_S)

    def held(self, conversation: str, now: float) -> list[Entry]:
        """Returns what has not expired of the conversation of that name. Raises StoreError."""
        with self._connected() as connection:
            if connection is None or not database.knows_answers(connection):
                return []
            return _ledger(connection, now, privacy.session(conversation))

    def instructions(self, now: float) -> WarmFiles:
        """Returns which instruction files are part of prefixes that are warm. Raises StoreError."""
        with self._connected() as connection:
            return WarmFiles() if connection is None else instructions.read(connection, now)

    def replays(self) -> dict[bytes, bytes]:
        """Returns in which form tool results were sent, as `Recorder.replays` took it.

        Raises StoreError when the database can't be read.
        """
        with self._connected() as connection:
            if connection is None or "replays" not in database.tables(connection):
                return {}
            return {row[0]: row[1] for row in connection.execute("SELECT prefix, digest FROM replays")}

    def limit_samples(self, since: float) -> list[LimitSample]:
        """Returns what was told of a plan's limits from `since` on, in order. Raises StoreError."""
        with self._connected() as connection:
            return [] if connection is None else limits.read(connection, since)

    def addition_decisions(self, since: float) -> list[AdditionDecision]:
        """Returns the newest decisions about additions, from `since` on. Raises StoreError."""
        with self._connected() as connection:
            return [] if connection is None else additions.decisions(connection, since)

    def imported(self, since: float) -> list[RecordedRequest]:
        """Returns the recorded requests that were sent from `since` on, in order. Raises StoreError."""
        with self._connected() as connection:
            if connection is None or "imported" not in database.tables(connection):
                return []
            details = "billing" if database.knows_answers(connection) else "NULL"
            rows = connection.execute(
                "SELECT id, session, chain, branch, model, sent_at, first_at, trigger, switched, "  # noqa: S608
                "blocks, prefix, input_tokens AS input, read_tokens AS read, write_5m_tokens AS write_5m, "
                f"write_1h_tokens AS write_1h, output_tokens AS output, {details} AS billing "
                "FROM imported WHERE sent_at >= ? ORDER BY sent_at",
                [since],
            )
            rules = load_rules()
            has_5m = cache(lambda model: rules.for_model(model).lifetime("5m") is not None)
            return [_recorded_request(row, has_5m) for row in rows]


class Changed(msgspec.Struct, frozen=True):
    """What has not expired, after another connection has written."""

    ledger: list[Entry]
    instructions: WarmFiles


class Watcher:
    """Tells what is in the ledger when another connection has written, for one thread. Never raises.

    `PRAGMA data_version` says so without reading a page (https://sqlite.org/pragma.html#pragma_data_version).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._identity: database.Identity | None = None
        self._version = -1

    def changed(self) -> Changed | None:
        """Returns what has not expired, where something was written since the last call; else None."""
        try:
            if self._connection is None or database.identity(self._path) != self._identity:
                self._open()
            if self._connection is None:
                return None
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == self._version:
                return None
            now = time.time()
            update = Changed(_ledger(self._connection, now), instructions.read(self._connection, now))
        except (sqlite3.Error, OSError):  # busy, damaged or gone: the recorder tells what is wrong
            self.close()
            return None
        self._version = version
        return update

    def _open(self) -> None:
        self.close()
        self._identity = database.identity(self._path)
        if self._identity is not None:
            uri = database.read_only_uri(self._path.absolute())
            self._connection = sqlite3.connect(uri, uri=True, timeout=0.1, check_same_thread=False)

    def close(self) -> None:
        """Closes the connection."""
        connection, self._connection, self._version = self._connection, None, -1
        if connection is not None:
            connection.close()


def _ledger(
    connection: sqlite3.Connection, expires_after: float, conversation: str | None = None
) -> list[Entry]:
    name = "coalesce(conversation, '')" if database.knows_answers(connection) else "''"
    rows = connection.execute(
        f"SELECT provider, account, model, prefix, tokens, ttl, written_at, expires_at, source, {name} AS name "  # noqa: S608
        "FROM ledger WHERE expires_at >= ? AND (? IS NULL OR name = ?) ORDER BY written_at",
        [expires_after, conversation, conversation],
    )
    return [Entry(*row) for row in rows]


def _recorded_request(row: sqlite3.Row, has_5m: Callable[[str], bool]) -> RecordedRequest:
    values = {**row, "switched": bool(row["switched"])}
    details = values.pop("billing")
    written = "5m" if row["write_5m"] and has_5m(row["model"]) else None
    values["ttl"] = "1h" if row["write_1h"] else written
    if details is not None:
        writes = row["write_5m"] + row["write_1h"]
        counts = (row["input"], row["read"], writes, row["write_1h"], row["output"])
        values["usage"] = billing.usage(*counts, details)
    return msgspec.convert(values, RecordedRequest)


def _plan(connection: sqlite3.Connection, plan_id: str) -> Plan | None:
    row = connection.execute(
        "SELECT coalesce((SELECT text FROM texts WHERE texts.plan = plans.id AND kind = 'plan'), plan) "
        "FROM plans WHERE id = ?",
        [plan_id],
    ).fetchone()
    if row is None:
        return None
    try:
        return msgspec.json.decode(row[0], type=Plan)
    except msgspec.DecodeError as error:
        raise StoreError(f"plan {plan_id} can't be read by this version: {error}") from error
