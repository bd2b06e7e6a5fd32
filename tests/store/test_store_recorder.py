"""The recorder: what it promises to those who call it."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from anchorline.learn.features import DRAFT, MOMENT
from anchorline.outcome import Feedback, Outcome, Usage
from anchorline.store import database, purging
from anchorline.store.database import StoreError
from anchorline.store.reader import Reader
from anchorline.store.recorder import Recorder
from support import samples


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "anchorline.db"


def rows(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


class Locked:
    """Holds the database's write lock, as a busy program would."""

    def __init__(self, path: Path) -> None:
        database.close(database.open_for_writing(path).database)
        self._connection = sqlite3.connect(path)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.close()


def test_an_acknowledged_outcome_is_on_disk_with_every_field(path: Path) -> None:
    recorder = Recorder(path)
    recorder.plan(samples.plan(), samples.prompt())
    outcome = Outcome(
        "p1",
        decision="modified",
        edit_distance=12,
        usage=Usage(10, 4000, 200, 300),
        latency_ms=1500.5,
        signals={"tests_passed": True, "asked_again": 0},
        sent_at=1_790_000_001.0,
    )
    recorder.outcome(outcome).result(60)
    found = rows(
        path,
        "SELECT plan, known, decision, edit_distance, input_tokens, read_tokens, write_tokens, "
        "output_tokens, latency_ms, signals, sent_at FROM outcomes",
    )
    assert found == [
        (
            "p1",
            1,
            "modified",
            12,
            10,
            4000,
            200,
            300,
            1500.5,
            '{"tests_passed":true,"asked_again":0}',
            1_790_000_001.0,
        )
    ]
    assert recorder.close()


def test_a_plan_logs_candidates_scores_arm_and_propensity(path: Path) -> None:
    recorder = Recorder(path)
    recorder.plan(samples.plan(), samples.prompt())
    recorder.close()
    ((candidates, arm, propensity, policy),) = rows(
        path, "SELECT candidates, arm, propensity, policy FROM plans"
    )
    assert (arm, propensity, policy) == ("b", 0.25, "heuristic")
    logged = msgspec.json.decode(candidates)
    assert [(one["target"], one["score"]) for one in logged] == [
        (samples.MODEL, 0.38),
        ("claude-haiku-5", 0.29),
    ]


def test_feedback_is_kept(path: Path) -> None:
    recorder = Recorder(path)
    recorder.feedback(Feedback("p1", -1, "hm")).result(60)
    recorder.close()
    assert rows(path, "SELECT plan, known, thumbs, note_chars FROM feedback") == [("p1", 0, -1, 2)]


def test_an_outcome_without_its_plan_is_kept_and_marked_until_the_plan_comes(path: Path) -> None:
    recorder = Recorder(path)
    recorder.outcome(Outcome("p1")).result(60)
    recorder.outcome(Outcome("other")).result(60)
    assert rows(path, "SELECT plan, known FROM outcomes") == [("p1", 0), ("other", 0)]
    recorder.plan(samples.plan("p1"), samples.prompt())
    recorder.close()
    assert rows(path, "SELECT plan, known FROM outcomes") == [("p1", 1), ("other", 0)]


def test_prompts_that_begin_alike_share_segments(path: Path) -> None:
    recorder = Recorder(path)
    for turns in (3, 4, 4, 5):
        recorder.plan(samples.plan(f"p{turns}"), samples.prompt("draft", turns=turns))
    recorder.close()
    # Three end in the draft at another place: 4 shared turns and 3 drafts.
    assert rows(path, "SELECT count(*) FROM segments") == [(7,)]
    chain = (
        "WITH RECURSIVE held(hash, parent) AS (SELECT hash, segments.parent FROM segments JOIN requests "
        "ON last_segment = hash WHERE plan = '{}' UNION ALL "
        "SELECT segments.hash, segments.parent FROM segments JOIN held "
        "ON segments.hash = held.parent) SELECT count(*) FROM held"
    )
    assert [rows(path, chain.format(plan)) for plan in ("p3", "p4", "p5")] == [[(3,)], [(4,)], [(5,)]]
    assert all(hashed.startswith("b2:") for (hashed,) in rows(path, "SELECT hash FROM segments"))


def test_of_two_ledger_entries_the_later_expiry_wins(path: Path) -> None:
    recorder = Recorder(path)
    recorder.ledger([samples.entry(expires_at=5000.0, tokens=1)])
    recorder.ledger([samples.entry(expires_at=9000.0, tokens=2), samples.entry(expires_at=7000.0, tokens=3)])
    recorder.close()
    assert [(one.expires_at, one.tokens) for one in Reader(path).ledger(6000.0)] == [(9000.0, 2)]


def test_the_ledger_comes_back_as_it_went_in(path: Path) -> None:
    entries = [samples.entry(bytes([n]) * 16, expires_at=9000.0 + n) for n in range(5)]
    recorder = Recorder(path)
    recorder.ledger(iter(entries))
    recorder.close()
    assert Reader(path).ledger(9000.0) == entries


def test_a_long_expired_entry_is_neither_read_nor_kept(path: Path) -> None:
    recorder = Recorder(path)
    recorder.ledger([samples.entry(expires_at=9000.0)])
    recorder.close()
    assert Reader(path).ledger(9000.0 + database.LEDGER_KEPT_S + 1) == []
    again = Recorder(path)
    again.outcome(Outcome("p")).result(60)
    again.close()
    assert Reader(path).status().counts["ledger"] == 0


def test_a_full_queue_drops_plans_and_counts_them_and_no_outcome(path: Path) -> None:
    recorder = Recorder(path, capacity=8)
    with Locked(path):
        futures = []
        for n in range(40):
            recorder.plan(samples.plan(f"p{n}"), samples.prompt())
            if n % 10 == 9:
                futures.append(recorder.outcome(Outcome(f"p{n}")))
    for future in futures:
        future.result(60)
    assert recorder.close()
    counts = Reader(path).status().counts
    assert counts["outcomes"] == 4
    assert recorder.dropped > 0
    assert counts["plans"] == 40 - recorder.dropped
    assert Reader(path).status().dropped == recorder.dropped


def test_outcomes_are_taken_where_there_is_no_room(path: Path) -> None:
    recorder = Recorder(path, capacity=2)
    with Locked(path):  # nothing is written meanwhile, so who waits for room waits for ever
        futures = [recorder.outcome(Outcome(f"p{n}")) for n in range(50)]
    for future in futures:
        future.result(60)
    assert recorder.close()
    assert Reader(path).status().counts["outcomes"] == 50
    assert recorder.dropped == 0


def test_a_file_of_the_database_that_is_removed_meanwhile_is_no_device(path: Path) -> None:
    path.parent.mkdir()
    shared = path.with_name(f"{path.name}-shm")
    ended = threading.Event()

    def remove_again_and_again() -> None:
        while not ended.is_set():  # as the last connection does that is closed
            shared.touch()
            shared.unlink()

    other = threading.Thread(target=remove_again_and_again)
    other.start()
    try:
        for _ in range(20_000):
            database.check_plain(path)
    finally:
        ended.set()
        other.join()


def test_a_row_that_can_not_be_stored_fails_alone(path: Path) -> None:
    recorder = Recorder(path)
    with Locked(path):
        good = recorder.outcome(Outcome("good"))
        bad = recorder.outcome(Outcome("bad", edit_distance=2**70))
        last = recorder.outcome(Outcome("last"))
    assert good.result(60) is None
    assert isinstance(bad.exception(60), StoreError)
    assert last.result(60) is None
    assert recorder.state.status == "ok"
    recorder.close()
    assert rows(path, "SELECT plan FROM outcomes ORDER BY id") == [("good",), ("last",)]


def test_closing_writes_what_is_queued(path: Path) -> None:
    recorder = Recorder(path)
    for n in range(300):
        recorder.plan(samples.plan(f"p{n}"), samples.prompt())
    assert recorder.close(60)
    assert Reader(path).status().counts["plans"] == 300


def test_after_closing_an_outcome_is_refused_and_a_plan_ignored(path: Path) -> None:
    recorder = Recorder(path)
    recorder.outcome(Outcome("p")).result(60)
    recorder.close()
    recorder.plan(samples.plan(), samples.prompt())
    assert isinstance(recorder.outcome(Outcome("p")).exception(60), StoreError)
    assert Reader(path).status().counts["plans"] == 0


def test_closing_an_unused_recorder_makes_no_file(path: Path) -> None:
    assert Recorder(path).close()
    assert not path.parent.exists()


def test_the_text_mode_can_change_while_it_runs(path: Path) -> None:
    recorder = Recorder(path, "full")
    recorder.plan(samples.plan("kept"), samples.prompt("kept draft"))
    recorder.text = "off"
    recorder.plan(samples.plan("not"), samples.prompt("other draft"))
    recorder.close()
    assert rows(path, "SELECT DISTINCT plan FROM texts") == [("kept",)]


def test_whoever_cancels_waiting_does_not_undo_the_row(path: Path) -> None:
    recorder = Recorder(path)
    future = recorder.outcome(Outcome("p"))
    assert not future.cancel()
    future.result(60)
    recorder.close()


@pytest.mark.process
def test_importing_the_recorder_does_not_import_sqlite_utils() -> None:
    script = (
        "import sys, anchorline.store.recorder, anchorline.store.reader\n"
        "print([name for name in ('sqlite_utils', 'rich', 'platformdirs') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


def features_of(path: Path) -> list[tuple]:
    return rows(path, "SELECT id, grams, draft, moment FROM features")


def test_what_is_learnt_from_a_draft_is_kept_without_its_order(path: Path) -> None:
    for order in ("fix the parser", "the parser fix"):
        recorder = Recorder(path)
        recorder.plan(samples.plan(order.replace(" ", "-")), samples.prompt(order))
        assert recorder.close()
    (_, one, numbers, moment), (_, other, *_) = features_of(path)
    words = [set(memoryview(buckets).cast("H")) for buckets in (one, other)]
    assert list(memoryview(one).cast("H")) == sorted(words[0])
    assert words[0] & words[1] > set()
    assert len(numbers) == 4 * len(DRAFT)
    assert len(moment) == 4 * len(MOMENT)


def test_features_can_be_switched_off(path: Path) -> None:
    recorder = Recorder(path, features=False)
    recorder.plan(samples.plan(), samples.prompt())
    assert recorder.close()
    assert features_of(path) == []


def test_features_are_purged_with_their_plan(path: Path) -> None:
    recorder = Recorder(path)
    recorder.plan(samples.plan(), samples.prompt())
    assert recorder.close()
    assert len(features_of(path)) == 1
    purging.purge(path, samples.plan().created_at + 1)
    assert features_of(path) == []
