"""The report is the same whichever version recorded what it adds up."""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from anchorline.plan import Anchor, Miss, Plan
from anchorline.report.collect import collect
from anchorline.report.model import AdditionDecisions, Report
from anchorline.route.target import load as targets
from anchorline.store import database
from support.history import billed, planned, recorded

SCHEMA_6 = Path(__file__).parents[1] / "store" / "fixtures" / "schema-0006.sql"
MISSES = (
    (),
    (Miss("never_sent", ""),),
    (Miss("below_minimum", ""), Miss("compacted", "", 2500), Miss("expired", "", 4000)),
)


def plans() -> list[Plan]:
    made: list[Plan] = []
    for warm, ttls, misses in itertools.product((0, 4000), ((), ("1h",), ("1h", "5m"), ("?",)), MISSES):
        one = planned(f"p{len(made)}", warm=warm, p_hit=len(made) / 24)
        anchors = tuple(Anchor(index, "", 4000, ttl, "") for index, ttl in enumerate(ttls))
        cache = msgspec.structs.replace(one.cache, anchors=anchors, miss_reasons=misses)
        made.append(msgspec.structs.replace(one, cache=cache))
    return made


@pytest.fixture
def new() -> Path:
    """A database as this version records it, but for what earlier ones were not told: what was written for an hour."""
    reads = itertools.cycle((0, 2000, 4000, 0, 4000))
    recorded(*((one, billed(one.id, read)) for one, read in zip(plans(), reads, strict=False)))
    with closing(sqlite3.connect(database.locate())) as connection, connection:
        connection.execute("UPDATE outcomes SET write_1h_tokens = NULL")
    return database.locate()


@pytest.fixture
def old(new: Path, tmp_path: Path) -> Path:
    """The same as schema 6 had it."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA_6.read_text("utf-8"))
        connection.execute("ATTACH ? AS new", [str(new)])
        for table in ("plans", "outcomes", "feedback", "imported"):
            columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
            connection.execute(f"DELETE FROM main.{table}")
            connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        connection.commit()
    return path


def report(path: Path) -> Report:
    """Return the report without the time, and without the additions, which an old database has no table for."""
    return msgspec.structs.replace(collect(path, targets()), made_at=0.0, additions=AdditionDecisions())


def rows(path: Path) -> list[tuple[object, ...]]:
    with database.reading(path) as connection:
        connection.row_factory = None
        return connection.execute(
            "SELECT id, warm_tokens, tokens, ttl, miss, miss_tokens FROM plans ORDER BY id"
        ).fetchall()


def test_an_old_database_has_the_same_report_before_and_after_its_upgrade(old: Path, new: Path) -> None:
    expected = report(new)
    assert (expected.requests, expected.hits.returns, expected.hits.first) == (24, 16, 8)
    assert {miss.cause for miss in expected.hits.misses} == {"dropped", "history_changed", "compacted"}
    assert report(old) == expected
    database.close(database.open_for_writing(old).database)
    assert rows(old) == rows(new)
    assert report(old) == expected


def test_what_an_older_program_goes_on_to_record_counts_as_well(new: Path) -> None:
    expected = report(new)
    with closing(sqlite3.connect(new)) as connection, connection:
        connection.execute(
            "UPDATE plans SET warm_tokens = NULL, tokens = NULL, ttl = NULL, miss = NULL, miss_tokens = NULL "
            "WHERE rowid % 2"
        )
    assert report(new) == expected


def test_a_plan_that_cannot_be_read_spoils_neither_report_nor_upgrade(old: Path, new: Path) -> None:
    expected = report(new)
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.execute("UPDATE plans SET plan = '{' WHERE id = 'p0'")
    database.close(database.open_for_writing(old).database)
    found = report(old)
    assert (found.requests, found.hits.first) == (expected.requests - 1, expected.hits.first - 1)
    assert found.hits.misses == expected.hits.misses
