"""Export: the tables as JSON lines, one file a table, for any other program to read.

Without texts an export holds hashes, lengths, kinds and numbers. Hashes of prompts, drafts and prefixes are
keyed with this database's random key on the way out: equal stays equal, and nobody can confirm a guess.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from anchorline import files
from anchorline.store import database, tags
from anchorline.store.database import TABLES, StoreError


def tables(*, text: bool) -> tuple[str, ...]:
    """Returns the tables that an export has: `texts` only where `text` asks for it."""
    return TABLES if text else tuple(table for table in TABLES if table != "texts")


def export(path: Path, folder: Path, names: tuple[str, ...]) -> dict[str, int]:
    """Writes each table of `names` to ``folder/NAME.jsonl``; returns the rows by table.

    All are of one moment. A file is complete or not there; files are the owner's alone. Raises StoreError.
    """
    counts: dict[str, int] = {}
    try:
        files.make_folder(folder)
        with database.reading(path) as connection:
            connection.execute("BEGIN")
            for name in names:
                with files.replacing(folder / f"{name}.jsonl") as part, part.open("wb") as target:
                    counts[name] = _write(connection, name, target)
    except OSError as error:
        raise StoreError(database.explain(folder, error)) from error
    return counts


def stream(path: Path, name: str, target: IO[bytes]) -> int:
    """Writes one table to an open file; returns the number of rows. Raises StoreError."""
    with database.reading(path) as connection:
        return _write(connection, name, target)


def _write(connection: sqlite3.Connection, name: str, target: IO[bytes]) -> int:
    count = 0
    for row in _rows(connection, name):
        target.write(msgspec.json.encode(row) + b"\n")
        count += 1
    return count


def _rows(connection: sqlite3.Connection, name: str) -> Iterator[dict[str, Any]]:
    if database.read_schema(connection) is None or name not in database.tables(connection):
        return
    key = database.key(connection)
    order = "request, number" if name == "tool_results" else "rowid"
    for row in connection.execute(f"SELECT * FROM {name} ORDER BY {order}"):  # noqa: S608  (one of TABLES)
        values = dict(row)
        for column in ("plan", "candidates", "signals"):
            if column in values and values[column] is not None and (name, column) in _JSON:
                values[column] = msgspec.json.decode(values[column])
        if name == "plans":
            for field in ("draft_hash", "prompt_hash"):
                if values["plan"].get(field) is not None:
                    values["plan"][field] = tags.tag(values["plan"][field], key)
        if name in ("imports", "instructions", "replays", "features"):  # hashes of content
            values = {column: value for column, value in values.items() if not isinstance(value, bytes)}
        if name == "tool_results" and values["target"] is not None:  # keyed already
            values["target"] = f"b2:{values['target'].hex()}"
        if name in ("ledger", "imported"):
            values["prefix"] = tags.tag(values["prefix"], key)
        yield values


_JSON = frozenset({("plans", "plan"), ("plans", "candidates"), ("outcomes", "signals")})
