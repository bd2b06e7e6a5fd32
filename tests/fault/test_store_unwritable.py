"""Disk full, read-only folder, no folder: recording stops with one clear message, and plans go on."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.gateways import BODY, call, free_port
from support.upstream import Running, Upstream

TESTS = Path(__file__).parents[1]
PROGRAM = """
import os, pathlib, sys
path, tests, fault = sys.argv[1:]
sys.path.insert(0, tests)
from support import samples
import sqlite_utils, anchorline.store.migrations  # before the rights are given away
from anchorline.outcome import Outcome
from anchorline.store.database import StoreError
from anchorline.store.recorder import Recorder

path = pathlib.Path(path)
problems = []
recorder = Recorder(path, "full", on_problem=problems.append)
if fault == "full":
    import resource
    recorder.outcome(Outcome("first")).result(60)
    limit = sum(file.stat().st_size for file in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
elif os.geteuid() == 0:
    os.setuid(65534)
failed = 0
for n in range(400):
    recorder.plan(samples.plan(f"p{n}", word="x" * 4000), samples.prompt())
    try:
        recorder.outcome(Outcome(f"p{n}")).result(60)
    except StoreError as error:
        failed += 1
        print("FAILED", error)
print("STATE", recorder.state.status, failed > 0, recorder.close())
for problem in problems:
    print("PROBLEM", problem)
"""


def run(path: Path, fault: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(TESTS), fault],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


def told(lines: list[str]) -> str:
    """Return the one message, which every later call repeats to its own caller."""
    (problem,) = (line for line in lines if line.startswith("PROBLEM "))
    assert {line.removeprefix("FAILED ") for line in lines if line.startswith("FAILED")} == {
        problem.removeprefix("PROBLEM ")
    }
    assert "STATE stopped True False" in lines
    return problem


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files with Linux's RLIMIT_FSIZE")
def test_a_full_disk_stops_recording_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "data" / "anchorline.db"
    lines = run(path, "full")
    assert "full" in told(lines)
    assert str(path) in told(lines)
    from anchorline.store.reader import Reader

    assert Reader(path).status().counts["outcomes"] >= 1


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
@pytest.mark.parametrize("existing", [False, True], ids=["no database", "a database of another user"])
def test_a_read_only_folder_stops_recording_once(existing: bool) -> None:
    # Not under tmp_path: as root, the test gives its rights away and could not even look in there.
    with tempfile.TemporaryDirectory(prefix="anchorline-") as name:
        folder = Path(name)
        path = folder / "anchorline.db"
        if existing:
            from anchorline.store import database

            database.close(database.open_for_writing(path).database)
        folder.chmod(0o555)
        try:
            problem = told(run(path, "read-only"))
        finally:
            folder.chmod(0o755)
    assert str(path) in problem


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_a_database_in_a_read_only_folder_is_still_read() -> None:
    from anchorline.store import database

    program = (
        "import os, pathlib, sys\n"
        "from anchorline.store.reader import Reader\n"
        "if os.geteuid() == 0:\n"
        "    os.setuid(65534)\n"
        "status = Reader(pathlib.Path(sys.argv[1])).status()\n"
        "print(status.problem, status.schema, status.counts['plans'])\n"
    )
    with tempfile.TemporaryDirectory(prefix="anchorline-") as name:
        path = Path(name) / "anchorline.db"
        database.close(database.open_for_writing(path).database)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        path.parent.chmod(0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", program, str(path)],
                capture_output=True,
                text=True,
                check=True,
                timeout=120,
            )
        finally:
            path.parent.chmod(0o755)
    assert done.stdout == f"None {database.SCHEMA} 0\n"


def test_a_folder_that_can_not_be_made_stops_recording_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    from anchorline.outcome import Outcome
    from anchorline.store.recorder import Recorder

    problems: list[str] = []
    recorder = Recorder(tmp_path / "file" / "anchorline.db", on_problem=problems.append)
    failures = [str(recorder.outcome(Outcome("p")).exception(60)) for _ in range(3)]
    assert recorder.state.status == "stopped"
    assert problems == [failures[0]]
    assert set(failures) == {problems[0]}
    assert not recorder.close()


def test_a_gateway_starts_on_a_disk_that_takes_no_token(isolated_home: Path):
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "anchorline", "gateway", "--json", "--port", str(free_port())]
    with Running(Upstream()) as behind:
        (isolated_home / "anchorline.toml").write_text(f'[gateway]\nanthropic = "{behind.url}"\n')
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),  # noqa: PLW1509
        ) as process:
            try:
                address = json.loads(process.stdout.readline())["anthropic"]
                status, _, _ = call(address + "/v1/messages", body=BODY)
            finally:
                process.terminate()
                _, said = process.communicate(timeout=30)
    assert status == 200
    assert "the token can't be kept" in said
