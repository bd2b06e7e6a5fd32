"""Sums of sessions that are kept: only those are added up anew in which something has changed.

What the gateway or an editor has recorded may be of any session's requests: where that has answers, all are added up.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
from xxhash import xxh3_128, xxh3_128_digest

from anchorline.billed.request import PricedModels
from anchorline.findings.sessions import SessionSums, session_sums
from anchorline.route.target import Targets
from anchorline.store import database, worked_out

FORM = 2
"""Sums that are counted in another way differ in this."""

_REQUESTS = """
    SELECT session, digest(id, chain, branch, model, sent_at, first_at, trigger, switched, agent, input_tokens,
        read_tokens, write_5m_tokens, write_1h_tokens, output_tokens, billing, place)
    FROM imported GROUP BY session ORDER BY session
"""
_RESULTS = """
    SELECT session, digest(result.request, number, tool, target, first_line, lines, tokens, result.kind, effect)
    FROM imported JOIN tool_results AS result ON result.request = imported.id GROUP BY session
"""
_ANSWERED = """
    SELECT EXISTS (SELECT 1 FROM outcomes WHERE input_tokens IS NOT NULL OR signals LIKE '%"status":200%')
"""


def all_sessions(connection: sqlite3.Connection, path: Path, targets: Targets) -> Iterable[SessionSums]:
    """Returns the sums of all sessions in the database at `path`, and keeps them beside it."""
    models = PricedModels(targets)
    facts = (database.read_schema(connection) or 0) >= database.FACTS
    if not facts or connection.execute(_ANSWERED).fetchone()[0]:
        return session_sums(connection, models)
    connection.create_aggregate("digest", -1, cast("Any", _Digest))  # typed for one whole number only
    requests = connection.execute(_REQUESTS).fetchall()
    results = dict(connection.execute(_RESULTS))
    names = [name for name, _ in requests]
    basis = _basis(connection, targets)
    digests = [xxh3_128_digest(basis + digest + results.get(name, b"")) for name, digest in requests]

    def make(places: list[int]) -> Iterable[SessionSums]:
        wanted = [names[place] for place in places]
        sums = {part.session: part for part in session_sums(connection, models, sessions=wanted)}
        return [sums.get(name) or SessionSums(name) for name in wanted]

    return worked_out.of_parts(path, "findings", digests, make, SessionSums)


class _Digest:
    """Hashes rows, in SQL."""

    def __init__(self) -> None:
        self._hash = xxh3_128()

    def step(self, *values: object) -> None:
        """Takes in a row."""
        self._hash.update(repr(values).encode())

    def finalize(self) -> bytes:
        """Returns the digest."""
        return self._hash.digest()


def _basis(connection: sqlite3.Connection, targets: Targets) -> bytes:
    """Returns what all sums rest on: how they are counted, and the prices and rules of all models."""
    models = [
        targets.find(name) for (name,) in connection.execute("SELECT DISTINCT model FROM imported ORDER BY 1")
    ]
    return msgspec.msgpack.encode((FORM, [(target.provider, target.model) for target in models]))
