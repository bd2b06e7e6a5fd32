"""Plan limits in the gateway: headers of answers become samples, and pass on as they came."""

import json
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from anchorline.rate_limits import LimitSample
from anchorline.store.reader import Reader
from support.gateways import MARKED_BODY, SYSTEM, Gateway, call, gateway, settled, state
from support.sessions_in_store import MODEL, plan_work
from support.upstream import Running, Upstream, plan_limits

TOKEN = "sk-ant-oat01-" + "a" * 40
OTHER = "sk-ant-oat01-" + "b" * 40


def ask(running: Gateway, token: str = TOKEN, body: bytes = MARKED_BODY, **headers: str) -> tuple[int, dict]:
    status, answered, _ = call(
        f"{running.anthropic}/v1/messages", body=body, authorization=f"Bearer {token}", **headers
    )
    return status, dict(answered)


def samples(running: Gateway) -> list[LimitSample]:
    """Return what was recorded, once the gateway has ended."""
    running.stop()
    return Reader(running.database).limit_samples(0.0)


def of_user(account: str, session: str) -> bytes:
    """Return a body as Claude Code sends it, which names the account."""
    user = json.dumps({"device_id": "d" * 64, "account_uuid": account, "session_id": session})
    return json.dumps(json.loads(MARKED_BODY) | {"metadata": {"user_id": user}}).encode()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "g"


def test_limits_become_samples_and_reach_the_client_as_they_came(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        now = time.time()
        behind.app.limits = plan_limits(0.42, 0.17, now=now)
        status, headers = ask(running)
        assert status == 200
        assert behind.app.limits.items() <= headers.items()
        recorded = samples(running)
    assert [(one.provider, one.window, one.used, one.source) for one in recorded] == [
        ("anthropic", "seven_day", 17.0, "headers"),
        ("anthropic", "five_hour", 42.0, "headers"),
    ]
    assert {one.length for one in recorded} == {5 * 3600.0, 7 * 86_400.0}
    assert all(abs(one.at - now) < 60 for one in recorded)


def test_what_does_not_change_is_one_sample_and_a_refusal_tells_of_limits_too(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        now = time.time()
        behind.app.limits = plan_limits(0.98, 0.17, now=now)
        for _ in range(3):
            ask(running)
        behind.app.limits = plan_limits(1.0, 0.17, now=now)
        status, headers = ask(running, x_fault="429")
        assert status == 429
        assert behind.app.limits.items() <= headers.items()
        recorded = samples(running)
    assert [one.used for one in recorded if one.window == "five_hour"] == [98.0, 100.0]
    assert [one.used for one in recorded if one.window == "seven_day"] == [17.0]
    assert next(one for one in recorded if one.used == 98.0).newest > now


def test_accounts_are_told_apart_and_a_credential_is_kept_nowhere(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url, level="debug") as running:
        for token, used in ((TOKEN, 0.42), (OTHER, 0.66)):
            behind.app.limits = plan_limits(used, 0.01, now=time.time())
            ask(running, token)
        recorded = samples(running)
        accounts = {one.account for one in recorded if one.window == "five_hour"}
        assert len(accounts) == 2
        assert all(account.startswith("b2:") for account in accounts)
        for file in (path for path in home.rglob("*") if path.is_file()):
            content = file.read_bytes()
            for token in (TOKEN, OTHER):
                assert token.encode() not in content, file


def test_an_account_stays_the_same_when_its_token_is_renewed(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        for token, used, account in ((TOKEN, 0.42, "u-1"), (OTHER, 0.43, "u-1"), (OTHER[:-1], 0.05, "u-2")):
            behind.app.limits = plan_limits(used, 0.01, now=time.time())
            ask(running, token, of_user(account, "5f3a9c01-1111-2222-3333-444455556666"))
        used = {one.used: one.account for one in samples(running) if one.window == "five_hour"}
    assert used[42.0] == used[43.0] != used[5.0]


def test_without_such_headers_nothing_is_recorded(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        assert ask(running)[0] == 200
        assert samples(running) == []


def until(running: Gateway, name: str, token: str = TOKEN) -> str:
    """Ask until an answer has a header: windows are read beside the requests, which wait for none of it."""
    for _ in range(1000):
        _, headers = ask(running, token)
        if name in headers:
            return headers[name]
    raise AssertionError(f"no {name}")


def test_near_the_wall_answers_and_log_warn_and_the_state_has_the_windows(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        now = time.time()
        behind.app.limits = plan_limits(0.87, 0.17, now=now)
        warning = until(running, "anchorline-warning")
        assert warning.startswith("your 5-hour window: 87% used, resets ")
        windows = {one["window"]: one["used"] for one in state(running)["windows"]}
        assert windows == {"five_hour": 87.0, "seven_day": 17.0}
        _, _, metrics = call(f"{running.anthropic.removesuffix('/anthropic')}/metrics", "GET", b"")
        assert re.search(rb'limit_used_percent\{provider="anthropic",window="five_hour",.*\} 87\n', metrics)
        running.stop()
        assert running.log(home).count("limits: your 5-hour window: 87% used") == 1


def test_far_from_the_wall_nothing_is_said(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url) as running:
        behind.app.limits = plan_limits(0.12, 0.17, now=time.time())
        ask(running)
        while not state(running)["windows"]:
            pass
        assert "anchorline-warning" not in ask(running)[1]
        running.stop()
        assert "limits:" not in running.log(home)


def test_a_cold_send_on_a_plan_says_what_it_takes_of_the_window(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
    plan_work(time.time())
    marker = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": SYSTEM * 4, "cache_control": marker}]
    large = json.dumps(json.loads(MARKED_BODY) | {"model": MODEL, "system": system}).encode()
    with Running(Upstream()) as behind:
        with gateway(home, behind.url) as running:
            ask(running, body=large)
            running.stop()
        with closing(sqlite3.connect(running.database)) as database, database:  # an hour and a half passes
            database.execute(
                "UPDATE ledger SET written_at = written_at - 5400, expires_at = expires_at - 5400"
            )
        with gateway(home, behind.url) as running:
            while not state(running)["windows"]:
                pass
            ask(running, body=large)
            call(f"{running.anthropic}/v1/messages", body=large, x_api_key="sk-ant-api03-x")
            settled(running, 2)
            running.stop()
    warnings = [line for line in running.log(home).splitlines() if "to have them again costs" in line]
    assert re.search(
        r"It takes about \d+(\.\d)?% \[\d+(\.\d)?, \d+(\.\d)?\] of your 5-hour window", warnings[0]
    )
    assert all("It takes" not in line for line in warnings[1:]), "an API key has no windows"


BUDGET = "[budget]\nfive_hour_percent = 50\n"


def test_a_budget_in_per_cent_is_said_and_stops_nothing_by_itself(home: Path):
    with Running(Upstream()) as behind, gateway(home, behind.url, settings=BUDGET) as running:
        behind.app.limits = plan_limits(0.53, 0.17, now=time.time())
        assert until(running, "x-anchorline-budget") == "five_hour=53%/50%"
        (budget,) = state(running)["window_budgets"]
        assert (budget["window"], budget["used_percent"], budget["limit_percent"]) == (
            "five_hour",
            53.0,
            50.0,
        )
        assert ask(running)[0] == 200
        running.stop()
        said = (
            "budget: 53% of Claude's 5-hour window used, of the 50% that you allow (budget.five_hour_percent)"
        )
        assert running.log(home).count(said) == 1


def test_with_block_a_plan_is_held_back_and_an_api_key_is_not(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings=f"{BUDGET}block = true") as running,
    ):
        behind.app.limits = plan_limits(0.53, 0.17, now=time.time())
        until_refused = (ask(running) for _ in range(1000))
        status, headers = next(answer for answer in until_refused if answer[0] != 200)
        assert status == 402
        for words in ("budget.five_hour_percent", "53%", "budget.block = false", "go on at "):
            assert words in headers["anchorline-error"]
        behind.app.limits = {}
        status, _, _ = call(f"{running.anthropic}/v1/messages", body=MARKED_BODY, x_api_key="sk-ant-api03-x")
        assert status == 200


def test_one_account_that_is_full_does_not_hold_back_another(home: Path):
    with (
        Running(Upstream()) as behind,
        gateway(home, behind.url, settings=f"{BUDGET}block = true") as running,
    ):
        now = time.time()
        behind.app.limits = plan_limits(0.53, 0.17, now=now)
        while ask(running)[0] == 200:
            pass
        behind.app.limits = plan_limits(0.02, 0.01, now=now + 3600)
        for _ in range(5):
            assert ask(running, OTHER)[0] == 200
        assert ask(running)[0] == 402
