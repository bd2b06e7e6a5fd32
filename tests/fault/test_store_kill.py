"""kill -9 at any moment, and two programs on one database: no acknowledged outcome is lost."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from anchorline.store.reader import Reader

WRITER = """
import sys, pathlib
sys.path.insert(0, sys.argv[3])
from support import samples
from anchorline.outcome import Outcome
from anchorline.store.recorder import Recorder

recorder = Recorder(pathlib.Path(sys.argv[1]), "full", on_problem=lambda message: print("PROBLEM", message))
name, count = sys.argv[2], int(sys.argv[4])
number = 0
while number < count:
    batch = []
    for number in range(number, min(number + 5, count)):
        plan = f"{name}-{number}"
        recorder.plan(samples.plan(plan, session=name), samples.prompt(turns=number % 40 + 1))
        batch.append((plan, recorder.outcome(Outcome(plan, decision="accepted"))))
    for plan, future in batch:
        future.result(60)
        print(plan, flush=True)
    number += 1
assert recorder.close(60)
"""
TESTS = Path(__file__).parents[1]


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(TESTS), str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recorded(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return {plan for (plan,) in connection.execute("SELECT plan FROM outcomes")}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX's")
def test_acknowledged_outcomes_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "data" / "anchorline.db"
    acknowledged: set[str] = set()
    for turn, lines in enumerate((1, 7, 23, 64, 101)):
        with start(path, f"turn{turn}", 1_000_000) as writer:
            assert writer.stdout is not None
            acknowledged.update(writer.stdout.readline().strip() for _ in range(lines))
            writer.kill()
            rest = writer.stdout.read()  # acknowledged before the kill arrived; the last line may be torn
            acknowledged.update(line for line in rest.splitlines(keepends=True) if line.endswith("\n"))
            assert writer.wait(60) == -signal.SIGKILL
        acknowledged = {line.strip() for line in acknowledged}
        assert acknowledged <= recorded(path)
    assert len(acknowledged) >= 196
    assert Reader(path).status().problem is None


def test_two_programs_on_one_database_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data" / "anchorline.db"
    writers = [start(path, name, 200) for name in ("left", "right", "third")]
    for writer in writers:
        out, err = writer.communicate(timeout=170)
        assert err == ""
        assert "PROBLEM" not in out
        assert writer.returncode == 0
        assert len(out.split()) == 200
    assert recorded(path) == {f"{name}-{n}" for name in ("left", "right", "third") for n in range(200)}
    assert Reader(path).status().counts["plans"] == 600
