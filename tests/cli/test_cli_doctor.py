"""`anchorline doctor`: what is broken is called so, with a way out."""

import json
import shutil
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from support import agent_sessions
from support.history import plan_limits


def check(name: str) -> tuple[int, dict[str, str]]:
    done = CliRunner().invoke(cli, ["doctor", "--json"], catch_exceptions=False)
    found = [one for one in json.loads(done.stdout)["checks"] if one["name"] == name]
    return done.exit_code, found[0]


@pytest.fixture
def database(isolated_home: Path) -> Path:
    path = isolated_home / "data" / "anchorline.db"
    path.parent.mkdir()
    return path


def test_a_store_that_is_not_there_yet_is_no_problem(database: Path):
    assert check("store")[1]["status"] == "ok"


def test_a_damaged_database_is_an_error(database: Path):
    database.write_bytes(b"not a database" * 1000)
    code, found = check("store")
    assert (code, found["status"]) == (1, "error")
    assert found["message"] == f"{database}: the file is not a database"


def test_another_programs_database_is_an_error_wherever_it_is_read(database: Path):
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE plans (mine)")
    code, found = check("store")
    assert (code, found["status"]) == (1, "error")
    assert f"{database}: this is another program's database" in found["message"]
    for command in ("report", "warm", "replay", "history"):
        done = CliRunner().invoke(cli, [command], catch_exceptions=False)
        assert done.exit_code == 2, command
        assert "another program's database" in done.stderr


def test_it_says_whose_sessions_can_be_imported(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "none of Claude Code, Codex, OpenCode" in check("sessions")[1]["message"]
    agent_sessions.write("opencode", tmp_path / ".local" / "share" / "opencode")
    agent_sessions.write("pi", tmp_path / ".pi" / "agent" / "sessions")
    assert check("sessions")[1]["message"] == "OpenCode: 1, Pi: 1"


def test_it_says_what_tells_of_a_plan_s_limits_and_what_does_not(database: Path):
    found = check("plan limits")[1]
    assert (found["status"], found["message"]) == ("ok", "nothing has told of any for 14 days")
    assert "status line" in found["advice"]
    plan_limits(62.0)
    found = check("plan limits")[1]
    assert found["message"].startswith("Claude's are told by Claude Code's status line (")
    assert found["advice"].startswith("what tokens take of them: ")


def test_a_folder_that_can_not_be_made_is_an_error(isolated_home: Path):
    (isolated_home / "data").write_text("a file")
    code, found = check("store")
    assert (code, found["status"]) == (1, "error")
    assert str(isolated_home / "data") in found["message"]
    assert found["advice"] == "plans go on, and nothing is recorded"


def test_a_full_disk_is_an_error(database: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(database.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    code, found = check("store")
    assert (code, found["message"]) == (1, f"{database.parent}: the disk is full")


@pytest.mark.skipif(find_spec("mlx") is None, reason="MLX has no build here")
def test_a_measurement_without_a_model_says_how_to_get_one():
    [speed] = [row for row in measured() if row["name"] == "model speed"]
    assert (speed["status"], speed["message"]) == ("warning", "not measured: no local model is installed")
    assert speed["advice"].startswith("run `anchorline model pull ")


def test_a_measurement_with_the_engine_off_says_so(isolated_home: Path, monkeypatch: pytest.MonkeyPatch):
    settings = isolated_home / "off.toml"
    settings.write_text("[engine]\nenabled = false\n")
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(settings))
    [speed] = [row for row in measured() if row["name"] == "model speed"]
    assert (speed["status"], speed["message"]) == ("warning", "not measured: the engine is off")


def measured() -> list[dict[str, str]]:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--measure"], catch_exceptions=False)
    return json.loads(done.stdout)["checks"]
