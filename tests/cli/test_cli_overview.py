"""`anchorline` without a command: what it finds, imports and says, and that it never stands in the way."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline import files
from anchorline.cli.main import cli
from anchorline.sessions.agents import AGENTS
from anchorline.store.database import locate
from bench.make import sample_history
from support.history import plan_limits
from support.session_logs import ClaudeLog

SAMPLE = files.shipped() / "sample"


def run(*words: str, code: int = 0, width: int = 80) -> Result:
    done = CliRunner(env={"COLUMNS": str(width)}).invoke(cli, words)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without sessions."""
    home = tmp_path / "person"
    home.mkdir()
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def sessions(home: Path) -> Path:
    """Sessions of Claude Code and of Codex."""
    shutil.copytree(SAMPLE / "claude-code", home / ".claude" / "projects" / "app")
    shutil.copytree(SAMPLE / "codex", home / ".codex" / "sessions" / "2026")
    return home


def dollars(text: str) -> int:
    """An amount in cents."""
    return int(text.replace(",", "").replace(".", ""))


def test_one_command_imports_and_says_what_it_cost(sessions: Path):
    screen = run().stdout
    first, second, *_ = screen.splitlines()
    total, requests = re.fullmatch(
        r"\$([\d.]+) at API prices: (\d+) requests, 16 sessions, 12 days", first
    ).groups()
    assert int(requests) == json.loads(run("report", "--json").stdout)["requests"]
    assert second.startswith("2026-11-16 to 2026-11-27 · Claude Code $")
    amounts = [dollars(amount) for amount in re.findall(r"^ *\$([\d.]+) +[\d.]+%", screen, re.MULTILINE)]
    assert sum(amounts) == dollars(total), "the findings and no finding are the bill, to the cent"
    assert amounts[:-1] == sorted(amounts[:-1], reverse=True)
    assert screen.endswith("`anchorline undo` takes it back.\n")
    assert len(screen.splitlines()) <= 24


def test_what_is_shown_is_what_the_report_has_been_billed(sessions: Path):
    shown = json.loads(run("--json").stdout)
    billed = json.loads(run("report", "--json").stdout)
    assert shown["imported"] == billed["requests"] > 300
    files = {agent["agent"]: agent["files"] for agent in shown["agents"]}
    assert files == {**dict.fromkeys(AGENTS, 0), "claude-code": 12, "codex": 4}
    overview = shown["overview"]
    parts = [*(finding["usd"] for finding in overview["findings"]), overview["rest"]]
    assert sum(parts) == pytest.approx(overview["usd"], abs=0.005)
    assert overview["usd"] == pytest.approx(sum(cost["usd"] for cost in billed["costs"]), abs=0.005)
    assert shown["fixes"][0]["number"] == 1
    worth = shown["fixes"][0]["fix"]["worth"]
    assert 0 < worth["low"] <= worth["value"] <= worth["high"]


def test_again_it_writes_nothing_and_says_the_same(sessions: Path, isolated_home: Path):
    first = run().stdout
    kept = [path for path in (isolated_home / "data").iterdir() if path.suffix in (".db", ".json")]
    states = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in kept}
    assert run().stdout == first
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in kept} == states


def test_what_is_new_is_added(sessions: Path):
    before = json.loads(run("--json").stdout)["overview"]["requests"]
    log = ClaudeLog("s1", time.time() - 86_400)
    log.user("first")
    log.answer("a")
    (sessions / ".claude" / "projects" / "app" / "new.jsonl").write_bytes(log.bytes())
    shown = json.loads(run("--json").stdout)
    assert (shown["imported"], shown["overview"]["requests"]) == (1, before + 1)


def test_people_on_a_plan_see_its_windows(sessions: Path):
    before = run().stdout
    plan_limits(86.0)
    screen = run().stdout
    hours, week = (line for line in screen.splitlines() if " window " in line and "used" in line)
    assert re.match(r"5-hour window +86% used, resets \d\d:\d\d", hours)
    assert re.match(r"weekly window +41% used, resets \w{3} \d\d:\d\d", week)
    assert screen.replace(before.partition("\n\n")[0], "").startswith(f"\n\n{hours}\n")
    assert screen.endswith(before.partition("\n\n")[2]), "all else stays as it was"
    assert all(len(line) <= 80 for line in screen.splitlines())
    shown = json.loads(run("--json").stdout)["windows"]
    assert [(one["window"], one["used"]) for one in shown] == [("five_hour", 86.0), ("seven_day", 41.0)]


def test_a_fix_is_made_by_its_number_and_marked_as_done(sessions: Path):
    settings = sessions / ".claude" / "settings.json"
    assert "→ fix 1: Keep the cache of main conversations for an hour" in run().stdout
    run("fix", "1")
    assert json.loads(settings.read_text()) == {"promptCacheTtl": "1h"}
    assert "✓ Keep the cache of main conversations for an hour: now set" in run().stdout
    run("undo")
    assert not settings.exists()
    assert "→ fix 1: Keep the cache of main conversations" in run().stdout


def test_a_number_means_what_it_meant_when_it_was_shown(sessions: Path):
    run()
    locate().unlink()
    done = run("fix", "1", "--dry-run").stdout
    assert done.startswith("Keep the cache of main conversations for an hour\n")


def test_without_sessions_it_says_where_it_looked_and_shows_the_sample(home: Path, isolated_home: Path):
    screen = run().stdout
    assert screen.startswith(
        "No requests yet. Anchorline has looked for sessions in\n  Claude Code  ~/.claude/projects (no"
    )
    assert "~/.codex/sessions, ~/.codex/archived_sessions (no sessions)" in screen
    assert "Sample: an invented history, to show what this looks like. None of it is yours." in screen
    assert "Cache expired before you returned" in screen
    assert "anchorline gateway" in screen.splitlines()[-1] + screen.splitlines()[-2]
    assert not (isolated_home / "data").exists(), "nothing is recorded"
    shown = json.loads(run("--json").stdout)
    assert shown["sample"] is True
    assert shown["agents"][0] == {
        "agent": "claude-code",
        "folders": [str(home / ".claude/projects")],
        "files": 0,
    }
    assert "Run `anchorline`" in run("fix", "1", code=1).output, "the sample's fixes are not yours to make"


def test_the_sample_can_be_seen_beside_a_history_of_one_s_own(sessions: Path, isolated_home: Path):
    assert run("--sample").stdout.startswith("Sample: an invented history")
    assert not (isolated_home / "data").exists()


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("used", [False, True])
def test_it_fits_the_terminal(home: Path, width: int, used: bool):
    if used:
        shutil.copytree(SAMPLE / "claude-code", home / ".claude" / "projects" / "app")
    screen = run(width=width).stdout
    assert max(map(len, screen.splitlines())) <= width
    assert "\x1b" not in screen


def test_with_recording_off_nothing_is_imported(sessions: Path, isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[store]\nenabled = false\n")
    done = run()
    assert "recording is off (store.enabled)" in done.stderr
    assert "~/.claude/projects (12 files, no request imported)" in done.stdout
    assert "Sample: " in done.stdout
    assert not (isolated_home / "data").exists()


def test_a_damaged_database_is_begun_anew(sessions: Path):
    run()
    locate().write_bytes(b"no database" * 1000)
    done = run()
    assert "was damaged. It is kept as" in done.stderr
    assert "at API prices: 339 requests" in done.stdout


def test_another_program_s_database_is_left_alone(sessions: Path, isolated_home: Path):
    import sqlite3
    from contextlib import closing

    locate().parent.mkdir(parents=True)
    with closing(sqlite3.connect(locate())) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    done = run(code=2)
    assert "another program's database" in done.stderr
    assert "Traceback" not in done.output


def test_a_folder_that_can_t_be_written_is_said_and_the_sample_is_shown(sessions: Path, isolated_home: Path):
    (isolated_home / "data").write_text("a file in the place of the folder")
    done = run()
    assert "Nothing is imported" in done.stderr
    assert "(4 files, no request imported)" in " ".join(done.stdout.split())
    assert "Sample: " in done.stdout


def test_lines_that_can_t_be_read_are_named_and_the_rest_is_shown(sessions: Path):
    damaged = sessions / ".claude" / "projects" / "app" / "damaged.jsonl"
    damaged.write_bytes(b"".join(b'{"type": %d\n' % number for number in range(9)))
    done = run()
    assert f"{damaged}:1: " in done.stderr
    assert "6 more lines can't be read" in done.stderr
    assert "at API prices: 339 requests" in done.stdout


def test_a_purge_leaves_no_overview(sessions: Path, isolated_home: Path):
    run()
    assert (isolated_home / "data" / "overview.json").exists()
    run("store", "purge", "--all", "--yes")
    assert not (isolated_home / "data" / "overview.json").exists()


def test_other_prices_give_another_overview(sessions: Path, isolated_home: Path):
    run()
    prices = isolated_home / "models.toml"
    shipped = json.loads(run("--json").stdout)["overview"]["usd"]
    prices.write_text('[anthropic.models."claude-opus-4-6"]\ninput = 50.0\noutput = 250.0\n')
    (isolated_home / "anchorline.toml").write_text(f'[files]\nmodels = "{prices}"\n')
    assert json.loads(run("--json").stdout)["overview"]["usd"] > shipped


def test_what_has_no_known_price_does_not_cost_nothing(home: Path):
    log = ClaudeLog("s1")
    log.user("first")
    log.answer("a", model="in-house-70b")
    (home / ".claude" / "projects").mkdir(parents=True)
    (home / ".claude" / "projects" / "s1.jsonl").write_bytes(log.bytes())
    shown = run().stdout
    assert shown.startswith("Cost not known: 1 request, 1 session, 1 day\n")
    assert "$" not in shown


def test_options_of_the_screen_are_not_a_command_s(sessions: Path):
    assert "are for `anchorline` without one" in run("--json", "rules", code=2).output


def test_help_explains_it():
    shown = run("--help").output
    assert "Without a command it reads the agents' sessions that are new" in shown
    assert "anchorline fix 1 --dry-run" in shown


def test_the_sample_is_what_its_program_makes():
    made = {SAMPLE / name: content for name, content in sample_history.sessions()}
    kept = {path: gzip.decompress(path.read_bytes()) for path in SAMPLE.rglob("*.gz")}
    assert kept == made, "python tests/bench sample_history"


@pytest.mark.process
@pytest.mark.parametrize("plain", [False, True])
def test_in_a_terminal_it_has_colours_unless_they_are_not_wanted(sessions: Path, plain: bool):
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"} | ({"NO_COLOR": "1"} if plain else {})
    pty = pytest.importorskip("pty", reason="not on Windows")
    leader, follower = pty.openpty()
    code = "from anchorline.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=follower, stderr=subprocess.PIPE, env=environment
    )
    os.close(follower)
    output = b""
    try:
        while piece := os.read(leader, 65536):
            output += piece
    except OSError:  # the end of a terminal
        pass
    os.close(leader)
    process.communicate()
    assert process.returncode == 0
    assert (b"\x1b[" in output) is not plain
    assert b"\\u001b" not in output
    assert b"Cache expired before you returned" in output
