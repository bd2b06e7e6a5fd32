"""The command line where files, disks and databases can't be used: one line that names it, and no traceback."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline.cli import recording
from anchorline.cli.main import cli
from anchorline.store import database as opening
from support.session_logs import ClaudeLog

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PROMPT = EXAMPLES / "fix-parser.prompt.md"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture
def database(isolated_home: Path) -> Path:
    return isolated_home / "data" / "anchorline.db"


def damage(file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"not a database" * 1000)


def test_a_plan_that_another_program_keeps_from_being_recorded_says_so(
    database: Path, monkeypatch: pytest.MonkeyPatch
):
    assert run("plan", PROMPT).exit_code == 0
    monkeypatch.setattr(recording, "WRITE_S", 0.05)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = run("plan", PROMPT)
        other.execute("ROLLBACK")
    assert result.exit_code == 0
    assert "**Model**" in result.stdout
    assert f"not recorded: {database}: another program keeps it locked" in result.stderr


def test_a_plan_says_that_a_damaged_database_was_set_aside(database: Path):
    damage(database)
    result = run("plan", PROMPT)
    (aside,) = database.parent.glob("*.damaged-*")
    assert result.exit_code == 0
    assert f"It is kept as {aside.name}" in result.stderr


def test_an_import_says_that_a_damaged_database_was_set_aside(database: Path, tmp_path: Path):
    damage(database)
    log = ClaudeLog("s")
    log.user("hello")
    log.answer("a", "hello")
    (tmp_path / "s.jsonl").write_bytes(log.bytes())
    result = run("import", "claude-code", tmp_path / "s.jsonl")
    (aside,) = database.parent.glob("*.damaged-*")
    assert result.exit_code == 0
    assert f"It is kept as {aside.name}" in result.stderr


def test_a_body_that_can_not_be_written_is_named(tmp_path: Path):
    target = tmp_path / "missing" / "planned.json"
    result = run("plan", EXAMPLES / "agent.request.json", "--apply-anchors", target)
    assert result.exit_code == 2
    assert f"{target}: No such file or directory" in result.stderr


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_a_body_with_anchors_is_its_owners_alone(tmp_path: Path):
    target = tmp_path / "planned.json"
    assert run("plan", EXAMPLES / "agent.request.json", "--apply-anchors", target).exit_code == 0
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.process
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["rules"], ["plan", "--schema"], ["store", "status"]])
def test_output_that_can_not_be_written_is_said_in_one_line(words: list[str], database: Path):
    assert run("plan", PROMPT).exit_code == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "anchorline", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "Error: standard output: No space left on device\n"
    assert done.returncode == 2


@pytest.mark.process
def test_what_a_newer_library_warns_of_is_nothing_for_a_user():
    program = "; ".join(
        (
            "import warnings",
            "from anchorline.cli import doctor, main",
            "doctor.command.callback = lambda **_: warnings.warn('spelt otherwise in 3.0', FutureWarning)",
            "main.main()",
        )
    )
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    told = [
        subprocess.run(
            [sys.executable, "-c", program, "doctor"], env=env, capture_output=True, text=True, check=True
        ).stderr
        for env in (usual, {**usual, "PYTHONWARNINGS": "default"})
    ]
    assert told[0] == ""
    assert "spelt otherwise in 3.0" in told[1]


def test_a_current_folder_that_was_deleted_is_no_project(tmp_path: Path):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = (
        f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); import sys; "
        "sys.argv = ['anchorline', 'config', 'check']; from anchorline.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_migration_of_a_strange_name_is_a_newer_database(isolated_home: Path):
    file = isolated_home / "data" / "anchorline.db"
    opening.close(opening.open_for_writing(file).database)
    with closing(sqlite3.connect(file)) as rows, rows:
        rows.execute(
            "UPDATE _sqlite_migrations SET name = 'abc' WHERE name = (SELECT max(name) FROM _sqlite_migrations)"
        )
    done = subprocess.run(
        [sys.executable, "-m", "anchorline", "outcome", "p", "--decision", "accepted"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "a newer Anchorline wrote it" in done.stderr
    assert "Traceback" not in done.stderr
