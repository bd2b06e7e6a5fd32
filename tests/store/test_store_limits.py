"""What was told of a plan's limits is kept once."""

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from anchorline.rate_limits import LimitSample
from anchorline.store import limits, purging
from anchorline.store.migrations import migrations
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder

FIXTURES = Path(__file__).parent / "fixtures"
RESET = 1_784_607_600.0


def sample(at: float, used: float, resets_at: float | None = RESET) -> LimitSample:
    return LimitSample(at, "anthropic", "five_hour", used, resets_at, 18000.0, "status_line")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anchorline.db"


def record(path: Path, *samples: LimitSample) -> list[LimitSample]:
    recorder = Recorder(path)
    recorder.limits(samples)
    assert recorder.close()
    return Reader(path).limit_samples(0)


def test_a_figure_that_is_told_again_is_one_sample(path: Path) -> None:
    kept = record(path, *(sample(1000 + number / 3, 23.0) for number in range(30)), sample(1020, 24.0))
    assert [(one.at, one.newest, one.used) for one in kept] == [(1000, 1000 + 29 / 3, 23), (1020, 1020, 24)]


def test_a_reset_that_moves_by_seconds_is_the_same_one(path: Path) -> None:
    kept = record(path, *(sample(1000 + number, 9.0, RESET + number % 3) for number in range(9)))
    assert len(kept) == 1


def test_the_same_figure_of_the_next_window_is_another_sample(path: Path) -> None:
    kept = record(path, sample(1000, 9.0), sample(20000, 9.0, RESET + 18000))
    assert [one.at for one in kept] == [1000, 20000]


def test_without_a_reset_figures_of_different_days_are_apart(path: Path) -> None:
    assert len(record(path, sample(1000, 9.0, None), sample(90000, 9.0, None))) == 2


def test_it_is_read_from_a_time_on_and_purged(path: Path) -> None:
    record(path, sample(1000, 9.0), sample(2000, 10.0))
    assert [one.used for one in Reader(path).limit_samples(1500)] == [10.0]
    purging.purge(path, 1500.0)
    assert [one.used for one in Reader(path).limit_samples(0)] == [10.0]


def test_a_database_of_an_earlier_schema_has_none(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FIXTURES / "schema-0009.sql").read_text("utf-8"))
    assert Reader(path).limit_samples(0) == []


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from((1.0, 2.0, 3.0))), max_size=20), st.randoms())
def test_the_order_in_which_samples_come_does_not_matter(told: list[tuple[int, float]], random) -> None:
    samples = [sample(float(at), used) for at, used in told]
    shuffled = random.sample(samples, len(samples))
    assert kept(samples) == kept(shuffled + samples)


def kept(samples: list[LimitSample]) -> list[LimitSample]:
    db = Database(memory=True)
    try:
        db.execute(schema())
        limits.put(db, samples)
        return limits.read(db.conn, 0)
    finally:
        db.close()


@cache
def schema() -> str:
    """The table alone: all migrations would take a second for some dozen examples."""
    db = Database(memory=True)
    try:
        migrations.apply(db)
        return db.table("limit_samples").schema
    finally:
        db.close()
