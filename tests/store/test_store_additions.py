"""Decisions about additions are kept, each once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.outcome import Outcome, Usage
from anchorline.plan import Addition, Plan
from anchorline.report.collect import collect
from anchorline.route.target import load as load_targets
from anchorline.store import purging
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder
from support import samples

AT = 1_790_000_000.0
FIXTURES = Path(__file__).parent / "fixtures"
Kind = Literal["file", "symbol", "command"]


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


PRIVATE = "northropi"


def plan_with(*additions: Addition, plan_id: str = "p1", at: float = AT) -> Plan:
    plan = samples.plan(plan_id, at=at)
    refinement = msgspec.structs.replace(plan.refinement, additions=additions)
    return msgspec.structs.replace(plan, refinement=refinement)


def proposed(number: int, probability: float, kind: Kind = "file") -> Addition:
    path = f"src/{PRIVATE}.py"
    return Addition(
        f"a{number}", kind, f"Context: `{path}`", f"matches {PRIVATE}", probability, path, 3, PRIVATE
    )


@pytest.mark.parametrize("decided_first", [True, False])
def test_what_was_shown_and_what_was_decided_meet_in_one_row(path: Path, decided_first: bool) -> None:
    """An editor may report a decision before the program that made the plan has written it."""
    recorder = Recorder(path, shown_in="cli")
    plan = plan_with(proposed(1, 0.75), proposed(2, 0.5), proposed(3, 0.9, "command"))
    outcome = Outcome("p1", additions={"a1": "modified", "a3": "rejected"})
    if decided_first:
        recorder.outcome(outcome).result(60)
    recorder.plan(plan, samples.prompt())
    recorder.outcome(outcome).result(60)
    recorder.plan(plan, samples.prompt())
    assert recorder.close()
    with closing(sqlite3.connect(path)) as connection:
        shown = connection.execute(
            "SELECT addition, kind, probability, shown_at, shown_in, decision FROM additions ORDER BY addition"
        ).fetchall()
    assert shown == [
        ("a1", "file", 0.75, AT, "cli", "modified"),
        ("a2", "file", 0.5, AT, "cli", None),
        ("a3", "command", 0.9, AT, "cli", "rejected"),
    ]
    learnt = Reader(path).addition_decisions(0)
    assert [(decision.probability, decision.accepted) for decision in learnt] == [(0.75, True)]


def test_of_what_was_proposed_no_word_is_kept(path: Path) -> None:
    recorder = Recorder(path)
    recorder.plan(plan_with(proposed(1, 0.75)), samples.prompt())
    recorder.outcome(Outcome("p1", additions={"a1": "accepted"})).result(60)
    assert recorder.close()
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert PRIVATE.encode() not in written
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM additions").fetchone() == (1,)


def test_the_report_says_what_became_of_them_and_how_calibrated_they_were(path: Path) -> None:
    recorder = Recorder(path, shown_in="cli")
    for number, decision in enumerate(("accepted", "accepted", "rejected", None)):
        plan_id, at = f"p{number}", AT + number
        additions = (
            proposed(1, 0.9 if number else 0.6),
            proposed(2, 0.2, "symbol"),
            proposed(3, 0.9, "command"),
        )
        recorder.plan(plan_with(*additions, plan_id=plan_id, at=at), samples.prompt())
        if decision is not None:
            decided = Outcome(plan_id, usage=Usage(input=9), additions={"a1": decision, "a2": "modified"})
            recorder.outcome(decided).result(60)
    assert recorder.close()
    added = collect(path, load_targets()).additions
    assert (added.shown, added.accepted, added.modified, added.rejected) == (8, 2, 3, 1)
    assert (added.predicted, added.observed) == (pytest.approx(0.8), pytest.approx(2 / 3))
    done = CliRunner().invoke(cli, ["report"], env={"ANCHORLINE_DATA_DIR": str(path.parent)})
    assert "Additions: 8, of which 2 accepted, 3 edited, 1 rejected; of files 67% taken, 80% predicted." in (
        " ".join(done.output.split())
    )


def test_what_is_purged_is_not_learnt_from(path: Path) -> None:
    recorder = Recorder(path)
    recorder.plan(plan_with(proposed(1, 0.75)), samples.prompt())
    recorder.plan(plan_with(proposed(1, 0.6), plan_id="p2", at=AT + 100), samples.prompt())
    for plan_id in ("p1", "p2"):
        recorder.outcome(Outcome(plan_id, additions={"a1": "accepted"})).result(60)
    assert recorder.close()
    purging.purge(path, AT + 50)
    assert [decision.probability for decision in Reader(path).addition_decisions(0)] == [0.6]
    purging.purge(path)
    assert Reader(path).addition_decisions(0) == []


def test_a_database_of_an_earlier_schema_has_none(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FIXTURES / "schema-0010.sql").read_text("utf-8"))
    assert Reader(path).addition_decisions(0) == []


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
