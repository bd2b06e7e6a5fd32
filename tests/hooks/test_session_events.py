"""Live outcomes without a gateway: what hooks import counts once, whoever else has seen it, and whatever breaks."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from anchorline import files
from anchorline.cli.main import cli
from anchorline.hooks import handlers, plugin, session_events
from anchorline.hooks.grounding import Grounding
from anchorline.hooks.status_line import StatusLine
from anchorline.store import database
from support.claude_sessions import MODEL, START, Session, billed, recorded_requests, wait_for_requests
from support.examples import examples
from support.hook_helpers import HookHelper
from support.session_logs import ClaudeLog, codex_log

EVENTS = ("SessionStart", "Stop", "SubagentStop", "PreCompact", "SessionEnd")


@pytest.fixture(autouse=True)
def written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of these tests are whole when an event comes."""
    monkeypatch.setattr(session_events, "SETTLE_S", 0.0)


STEPS = st.one_of(
    st.just(("grow", 0)),
    st.just(("agent", 0)),
    st.just(("hook", 0)),
    st.just(("import", 0)),
    st.tuples(st.just("gateway"), st.integers(0, 9)),
)


@examples(50)
@given(st.lists(STEPS, min_size=4, max_size=12))
def test_in_any_order_each_request_counts_once(tmp_path_factory: pytest.TempPathFactory, steps: list):
    folder = tmp_path_factory.mktemp("any-order")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORLINE_DATA_DIR", str(folder / "data"))
        session = Session(folder / "claude")
        session.grow()
        passed: set[int] = set()
        for step, number in steps:
            if step in ("grow", "agent"):
                session.grow(agent=step == "agent")
            elif step == "hook":
                session.hook()
            elif step == "import":
                done = CliRunner().invoke(cli, ["import", "claude-code", str(session.home / "projects")])
                assert done.exit_code == 0
            elif number < len(session.bills) and number not in passed:
                passed.add(number)
                session.pass_gateway(number)
        session.hook("SessionEnd")
        session.check()


def test_at_the_same_time_each_request_counts_once(tmp_path: Path):
    session = Session(tmp_path / "claude")
    for number in range(6):
        session.grow(agent=number % 3 == 2)
        session.pass_gateway(number)
    doing = [threading.Thread(target=session.hook, args=(name,)) for name in EVENTS]
    doing += [threading.Thread(target=session.import_all) for _ in range(2)]
    for thread in doing:
        thread.start()
    session.grow()
    for thread in doing:
        thread.join()
    session.hook()
    session.check()


@pytest.mark.parametrize("name", EVENTS)
def test_each_event_imports_and_the_agent_does_not_wait(name: str, tmp_path: Path, helper: HookHelper):
    session = Session(tmp_path / "claude")
    for number in range(4):
        session.grow(agent=number > 1)
    event = {"hook_event_name": name, "transcript_path": str(session.file), "session_id": "s1"}
    with files.lock(
        helper.folder / f"{database.FILE_NAME}-import"
    ):  # the import has to wait, so the answer came before
        assert helper.run("claude-code", event, CLAUDE_CONFIG_DIR=str(session.home)) == ""
        assert recorded_requests() == 0
    wait_for_requests(4)
    session.check()
    assert helper.log == ""


def test_codex_names_its_thread(tmp_path: Path, helper: HookHelper):
    thread = "01a22df3-c2f4-7e93-ac68-a85d7b0ca49c"
    day = tmp_path / "codex" / "sessions" / "2026" / "11" / "30"
    day.mkdir(parents=True)
    (day / f"rollout-2026-11-30T19-34-39-{thread}.jsonl").write_bytes(codex_log(thread))
    (day / "rollout-2026-11-30T19-34-39-01a22df3.jsonl").write_bytes(codex_log("other"))
    event = json.dumps(
        {"type": "agent-turn-complete", "thread-id": thread, "turn-id": "t", "input-messages": ["hi"]}
    )
    command = [*helper.command("codex"), event]
    env = os.environ | {"CODEX_HOME": str(tmp_path / "codex")}
    done = subprocess.run(command, env=env, capture_output=True, check=True, stdin=subprocess.DEVNULL)
    assert (done.stdout, done.stderr) == (b"", b"")
    wait_for_requests(1)
    once = billed()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "anchorline",
            "import",
            "codex",
            str(day / f"rollout-2026-11-30T19-34-39-{thread}.jsonl"),
        ],
        check=True,
        capture_output=True,
    )
    assert billed() == once
    with closing(sqlite3.connect(database.locate())) as connection:
        assert connection.execute("SELECT count(*) FROM imports").fetchone() == (1,)


@pytest.mark.parametrize("thread", ["*", "../../../x", "", "a/b", "[a-z]", 7, None])
def test_no_other_thread_is_read(tmp_path: Path, thread: Any):
    day = tmp_path / "codex" / "sessions" / "2026" / "11" / "30"
    day.mkdir(parents=True)
    (day / "rollout-2026-11-30T19-34-39-01a22df3.jsonl").write_bytes(codex_log("other"))
    event = {"thread-id": thread, "environment": {"CODEX_HOME": str(tmp_path / "codex")}}
    assert session_events.codex(event) == ""
    assert not database.locate().exists()


def test_nothing_outside_of_the_agents_folder_is_imported(tmp_path: Path):
    session = Session(tmp_path / "claude")
    session.grow()
    outside = tmp_path / "outside.jsonl"
    other = ClaudeLog("s2", START)
    other.user("private")
    other.answer("x1", model=MODEL)
    outside.write_bytes(other.bytes())
    session.agent.with_name("agent-b.jsonl").symlink_to(outside)
    session.hook()
    session.check()
    event = {"transcript_path": str(outside), "environment": {"CLAUDE_CONFIG_DIR": str(session.home)}}
    session_events.claude_code(event)
    session.check()


def test_where_recording_is_off_nothing_is_imported(tmp_path: Path):
    session = Session(tmp_path / "claude")
    session.grow()
    (tmp_path / "home" / "anchorline.toml").write_text("[store]\nenabled = false\n")
    session.hook()
    assert not database.locate().exists()


def test_the_plugin_asks_for_the_events_that_are_handled():
    hooks = json.loads((plugin.shipped() / "hooks" / "hooks.json").read_text())["hooks"]
    assert set(hooks) == {
        name for source, name in handlers.handlers(StatusLine(), Grounding()) if source == "claude-code"
    }
