"""Sums of sessions that are kept: only those are added up anew in which something has changed.

What the gateway or an editor has recorded may be of any session's requests, so where that has a bill, all are added up.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec
from xxhash import xxh3_128_digest

from anchorline.billed.request import PricedModels
from anchorline.findings.sessions import SessionSums, session_sums
from anchorline.route.target import Targets
from anchorline.store import database, worked_out

FORM = 1
"""Sums that are counted in another way differ in this."""

_STATES = """
    SELECT session, count(*), max(rowid), total(rowid), max(sent_at), total(input_tokens), total(read_tokens),
        total(write_5m_tokens), total(write_1h_tokens), total(output_tokens), total(place)
    FROM imported GROUP BY session ORDER BY session
"""
"""What changes of a session with whatever an import writes: a row that is read anew is another row."""
_BILLED = "SELECT EXISTS (SELECT 1 FROM outcomes WHERE input_tokens IS NOT NULL)"


def all_sessions(connection: sqlite3.Connection, path: Path, targets: Targets) -> Iterable[SessionSums]:
    """Returns the sums of all sessions in the database at `path`, and keeps them beside it."""
    models = PricedModels(targets)
    facts = (database.read_schema(connection) or 0) >= database.FACTS
    if not facts or connection.execute(_BILLED).fetchone()[0]:
        return session_sums(connection, models)
    states = connection.execute(_STATES).fetchall()
    names = [state[0] for state in states]
    basis = _basis(connection, targets)
    digests = [xxh3_128_digest(basis + msgspec.msgpack.encode(state)) for state in states]

    def make(places: list[int]) -> Iterable[SessionSums]:
        wanted = [names[place] for place in places]
        sums = {part.session: part for part in session_sums(connection, models, sessions=wanted)}
        return [sums.get(name) or SessionSums(name) for name in wanted]

    return worked_out.of_parts(path, "findings", digests, make, SessionSums)


def _basis(connection: sqlite3.Connection, targets: Targets) -> bytes:
    """Returns what all sums rest on: how they are counted, and the prices and rules of all models."""
    models = [
        targets.find(name) for (name,) in connection.execute("SELECT DISTINCT model FROM imported ORDER BY 1")
    ]
    return msgspec.msgpack.encode((FORM, [(target.provider, target.model) for target in models]))
