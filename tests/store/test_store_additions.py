"""Decisions about additions are kept, each once."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from anchorline.outcome import Outcome
from anchorline.store.recorder import Recorder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anchorline.db"


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT plan, addition, decision FROM additions ORDER BY plan, addition"
        ).fetchall()


def decided_at(path: Path) -> float:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT decided_at FROM additions").fetchone()[0]


def record(path: Path, *outcomes: Outcome) -> None:
    recorder = Recorder(path)
    for outcome in outcomes:
        recorder.outcome(outcome).result(60)
    assert recorder.close()


def test_of_each_addition_the_newest_decision_is_kept(path: Path) -> None:
    record(
        path,
        Outcome("p1", additions={"a1": "accepted", "a2": "rejected"}),
        Outcome("p1", additions={"a1": "rejected"}),
        Outcome("p2", additions={"a1": "modified"}),
        Outcome("p1", decision="accepted"),
    )
    assert rows(path) == [("p1", "a1", "rejected"), ("p1", "a2", "rejected"), ("p2", "a1", "modified")]


def test_a_decision_that_is_reported_again_keeps_its_time(path: Path) -> None:
    record(path, Outcome("p1", additions={"a1": "accepted"}))
    first = decided_at(path)
    record(path, Outcome("p1", additions={"a1": "accepted"}))
    assert decided_at(path) == first
    record(path, Outcome("p1", additions={"a1": "rejected"}))
    assert decided_at(path) > first


@pytest.mark.parametrize(
    "additions",
    [
        {"a1": "liked"},
        {"src/config.py": "accepted"},
        {"configuration": "accepted"},
        {f"a{number}": "accepted" for number in range(33)},
    ],
)
def test_what_is_no_decision_about_an_addition_is_refused(additions: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"planId": "p1", "additions": additions}, Outcome)
