"""What the gateway tells of itself: metrics, `anchorline top`, and the warning before a cold large prompt."""

import http.client
import json
import re
import sqlite3
from contextlib import closing

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from support.gateways import MARKED_BODY, SYSTEM, call, gateway, settled
from support.upstream import Running, Upstream


def test_metrics_and_top_tell_what_was_billed(tmp_path, monkeypatch):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for fault in ("", "", "429"):
            call(running.anthropic + "/v1/messages", body=MARKED_BODY, x_fault=fault)
        state = settled(running, 3)
        billed = behind.app.billed
        assert state["tokens"]["read"] == sum(one.read for one in billed) > 5000
        assert state["requests"] == {"200": 2, "429": 1}
        assert (state["predicted"], state["hits"]) == (1, 1)
        assert 0 < state["saved_usd"] < state["usd"] * 10
        assert [one["model"] for one in state["warm"]] == ["claude-sonnet-5"]

        root = running.anthropic.removesuffix("/anthropic")
        status, headers, body = call(f"{root}/metrics", "GET", b"")
        assert status == 200
        assert dict(headers)["content-type"].startswith("text/plain; version=0.0.4")
        samples = dict(re.findall(r"^(anchorline_[^ ]+) ([0-9.e+-]+)$", body.decode(), re.MULTILINE))
        assert len(samples) == sum(not line.startswith("#") for line in body.decode().splitlines())
        assert samples['anchorline_tokens_total{kind="read"}'] == str(state["tokens"]["read"])
        assert samples['anchorline_requests_total{status="429"}'] == "1"

        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
        (tmp_path / "own.toml").write_text(f"[gateway]\nport = {running.port}\n")
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(tmp_path / "own.toml"))
        shown = CliRunner().invoke(cli, ["top", "--once"])
        assert shown.exit_code == 0
        assert "3 requests, 1 failed" in shown.output
        assert "cache hits 1 of 1" in shown.output
        assert json.loads(CliRunner().invoke(cli, ["top", "--json"]).output)["hits"] == 1
        running.stop()
        gone = CliRunner().invoke(cli, ["top", "--once"])
        assert gone.exit_code == 2
        assert "anchorline gateway" in gone.output


def test_a_request_is_called_by_its_client_its_session_and_its_project(tmp_path):
    system = f"You are an agent.\n<env>\nWorking directory: /home/me/web shop\nPlatform: linux\n{SYSTEM}"
    body = json.dumps(json.loads(MARKED_BODY) | {"system": system}).encode()
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        session = {
            "x_claude_code_session_id": "5f3a9c01-1111-2222-3333-444455556666",
            "user_agent": "claude-cli/2.1.332 (external, cli)",
        }
        call(running.anthropic + "/v1/messages", body=body, **session)
        call(running.anthropic + "/v1/messages", body=MARKED_BODY, user_agent="")
        named, unnamed = settled(running, 2)["last"]
    assert (named["client"], named["session"], named["project"]) == ("claude-code", "5f3a9c01", "web shop")
    assert (unnamed["client"], unnamed["session"], unnamed["project"]) == ("", "", "")


def test_a_large_prompt_into_an_expired_cache_is_warned_of(tmp_path):
    large = MARKED_BODY.replace(SYSTEM.encode(), SYSTEM.encode() * 4)
    with Running(Upstream()) as behind:
        with gateway(tmp_path / "g", behind.url, settings='mode = "anchors"') as running:
            _, headers, _ = call(running.anthropic + "/v1/messages", body=large)
            assert "anchorline-warning" not in dict(headers)
            running.stop()
        with sqlite3.connect(running.database) as database:  # an hour and a half passes
            database.execute(
                "UPDATE ledger SET written_at = written_at - 5400, expires_at = expires_at - 5400"
            )
        database.close()
        with gateway(tmp_path / "g", behind.url, settings='mode = "anchors"') as running:
            _, headers, _ = call(running.anthropic + "/v1/messages", body=large)
            warning = dict(headers)["anchorline-warning"]
    assert "expired" in warning
    assert re.search(r"costs \$\d+\.\d\d; warm it was \$\d+\.\d\d", warning)


@pytest.mark.parametrize("stream", [False, True])
def test_the_provider_s_own_reason_of_a_miss_is_told_and_recorded(stream: bool, tmp_path):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for number, before in enumerate((None, "msg_1")):
            tools = [{"name": f"read_{number}", "input_schema": {"type": "object"}}]
            asked = {"tools": tools, "stream": stream, "diagnostics": {"previous_message_id": before}}
            body = json.dumps(json.loads(MARKED_BODY) | asked).encode()
            call(running.anthropic + "/v1/messages", body=body, anthropic_beta="cache-diagnosis-2026-04-07")
        assert [one["miss"] for one in settled(running, 2)["last"]] == ["", "tools_changed"]
        running.stop()
    with closing(sqlite3.connect(running.database)) as database:
        (_, told) = database.execute("SELECT signals FROM outcomes ORDER BY rowid").fetchall()
    signals = json.loads(told[0])
    assert signals["miss_tools_changed"] is True
    assert signals["missed_tokens"] > 5000


def asked(**more: object) -> bytes:
    return json.dumps(json.loads(MARKED_BODY) | more).encode()


def test_an_hour_s_write_costs_what_it_costs_though_nothing_was_planned(tmp_path):
    hour = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        call(running.anthropic + "/v1/messages", body=asked(system=hour))
        (one,) = settled(running, 1)["last"]
    usage = one["usage"]
    assert usage["write1h"] == usage["write"] > 5000
    assert one["usd"] == pytest.approx((usage["input"] + 2 * usage["write"]) * 2e-6 + usage["output"] * 10e-6)


def test_a_price_that_is_not_known_is_no_zero(tmp_path, monkeypatch):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        call(running.anthropic + "/v1/messages", body=asked(model="claude-nobody-9"))
        state = settled(running, 1)
        assert (state["usd"], state["saved_usd"]) == (None, None)
        assert state["unpriced"] == {"price of claude-nobody-9 not known": 1}
        (tmp_path / "own.toml").write_text(f"[gateway]\nport = {running.port}\n")
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(running.home / "data"))
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(tmp_path / "own.toml"))
        shown = CliRunner().invoke(cli, ["top", "--once"]).output
        assert "not known billed" in shown
        assert "1 not in it: price of claude-nobody-9 not known" in shown
        call(running.anthropic + "/v1/messages", body=MARKED_BODY)
        state = settled(running, 2)
        assert state["usd"] > 0
        assert sum(state["unpriced"].values()) == 1


RESPONSES = json.dumps(
    {"model": "gpt-6.1-sol", "stream": True, "input": "Say hello.", "instructions": SYSTEM}
).encode()


@pytest.mark.parametrize(
    ("path", "body", "partial"),
    [("/openai/v1/responses", RESPONSES, False), ("/anthropic/v1/messages", asked(stream=True), True)],
)
def test_an_answer_that_its_client_left_is_said_to_be_billed(path: str, body: bytes, partial: bool, tmp_path):
    """A Responses stream tells its usage with the last event only, Messages the prompt's with the first."""
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        root = running.anthropic.removesuffix("/anthropic").replace("http://", "")
        address, token = root.split("/")
        connection = http.client.HTTPConnection(address, timeout=60)
        headers = {"content-type": "application/json", "x-fault": "hang"}
        connection.request("POST", f"/{token}{path}", body, headers)
        with connection.getresponse() as answer:
            answer.read(200)
        connection.close()
        state = settled(running, 1)
        (one,) = state["last"]
        running.stop()
    with closing(sqlite3.connect(running.database)) as database:
        ((told,),) = database.execute("SELECT signals FROM outcomes").fetchall()
    assert json.loads(told)["broken_off"] is True
    if partial:
        assert one["usage"]["partial"] is True
        assert one["usd"] > 0
        assert state["unpriced"] == {}
    else:
        assert (one["usage"], one["usd"], state["usd"]) == (None, None, None)
        assert state["unpriced"] == {"usage of an answer that broke off not known": 1}
