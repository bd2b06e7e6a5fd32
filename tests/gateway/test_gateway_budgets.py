"""Budgets in the gateway: said with each answer, and a refusal only where it was asked for."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.gateway.budget_watch import FRESH_S
from support.gateways import MARKED_BODY, Gateway, call, gateway, settled
from support.history import billed, planned, recorded
from support.session_logs import ClaudeLog
from support.upstream import Running, Upstream


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gateway's home with a database: some $0.003 were spent just now."""
    home = tmp_path / "g"
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
    recorded((planned("p1", at=time.time()), billed("p1")))
    return home


def ask(running: Gateway, body: bytes = MARKED_BODY) -> tuple[int, dict[str, str], dict]:
    status, headers, answer = call(running.anthropic + "/v1/messages", body=body)
    return status, dict(headers), json.loads(answer)


def told(running: Gateway) -> tuple[int, dict[str, str]]:
    """Ask until the sums are read: no request waits for them."""
    for _ in range(1000):
        status, headers, _ = ask(running)
        if "x-anchorline-budget" in headers:
            return status, headers
    raise AssertionError("no header")


def test_an_answer_says_what_was_spent_and_so_does_the_state(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nday = 2.0\nweek = 9.0") as running,
    ):
        status, headers = told(running)
        assert status == 200
        assert headers["x-anchorline-budget"] == "day=0.00/2.00, week=0.00/9.00"
        state = settled(running, 1)
        assert [(one["period"], one["limit_usd"]) for one in state["budgets"]] == [
            ("day", 2.0),
            ("week", 9.0),
        ]
        assert 0 < state["budgets"][0]["spent_usd"] < 0.1


def test_a_request_of_an_imported_session_counts_for_its_project(home: Path, tmp_path: Path):
    name = "5f3a9c01-1111-2222-3333-444455556666"
    log = ClaudeLog(name, time.time())
    for folder in ("/srv/shop", "/srv/shop/src"):
        log.user("begin", cwd=folder)
        log.answer(f"m-{len(log.lines)}", cwd=folder)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / f"{name}.jsonl").write_bytes(log.bytes())
    assert CliRunner().invoke(cli, ["import", "claude-code", str(tmp_path / "sessions")]).exit_code == 0
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nproject = 3.0") as running,
    ):
        for _ in range(1000):
            _, headers, _ = call(
                running.anthropic + "/v1/messages", body=MARKED_BODY, x_claude_code_session_id=name
            )
            if "x-anchorline-budget" in dict(headers):
                break
        assert dict(headers)["x-anchorline-budget"] == "project=0.02/3.00"
        assert "x-anchorline-budget" not in ask(running)[1]  # of no session


def test_a_budget_that_is_used_up_stops_nothing_by_itself(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nday = 0.001") as running,
    ):
        assert told(running)[0] == 200
        running.stop()
        log = running.log(home)
        assert log.count("(budget.day)") == 1
        assert "today" in log


def test_with_block_it_refuses_and_names_the_key_and_the_way_out(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nday = 0.001\nblock = true") as running,
    ):
        before = len(behind.app.seen)
        status, _, answer = ask(running)
        assert status == 402
        message = answer["error"]["message"]
        for words in (
            "budget.day",
            "budget.block = false",
            str(home / "anchorline.toml"),
            "restart the gateway",
        ):
            assert words in message
        assert len(behind.app.seen) == before
        # What is no prompt costs nothing.
        assert call(running.anthropic + "/v1/models", "GET", b"")[0] != 402


def test_with_block_what_was_spent_just_now_counts_at_once(tmp_path: Path):
    settings = "[budget]\nday = 0.01\nblock = true"
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        assert ask(running)[0] == 200
        assert settled(running, 1)["usd"] > 0.01
        before = time.monotonic() + FRESH_S - 5  # else the sums are read anew
        status, answer = 200, {}
        while status == 200 and time.monotonic() < before:  # until its outcome is on disk
            status, _, answer = ask(running)
        assert (status, "budget.day" in answer["error"]["message"]) == (402, True)


def test_with_block_and_something_left_requests_go_on(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nday = 50.0\nblock = true") as running,
    ):
        assert ask(running)[0] == 200


def test_where_the_sums_cannot_be_read_requests_go_on_and_it_is_said(tmp_path: Path):
    home = tmp_path / "g"
    (home / "data" / "anchorline.db").mkdir(parents=True)  # a folder is no database
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings="[budget]\nday = 0.001\nblock = true") as running,
    ):
        assert ask(running)[0] == 200
        running.stop()
        assert "budgets are not watched" in running.log(home)
