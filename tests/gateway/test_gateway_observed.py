"""What is recorded and foretold of a request that goes on as its client sends it: that is of what was sent."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from anchorline.report.collect import collect
from anchorline.route.target import load as targets
from support.gateways import call, gateway, settled
from support.upstream import Running, Upstream

WORDS = "Keep to the style of the file, and say why. "


def mark(text: str, ttl: str | None = None) -> dict:
    return {
        "type": "text",
        "text": text,
        "cache_control": {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {}),
    }


def steps(count: int, ttl: str | None = None) -> list[bytes]:
    """A conversation of a client that marks the system prompt and the person's message, and no tool's result."""
    messages: list[dict] = [{"role": "user", "content": [mark("Read the files.")]}]
    made = []
    for step in range(count):
        body = {
            "model": "claude-sonnet-5",
            "max_tokens": 9,
            "system": [mark(WORDS * 800, ttl)],
            "messages": messages,
        }
        made.append(json.dumps(body).encode())
        call_ = {"type": "tool_use", "id": f"t{step}", "name": "read", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"t{step}", "content": WORDS * 100}
        messages = [
            *({**one, "content": [{"type": "text", "text": "Read the files."}]} if index == 0 and step else one
              for index, one in enumerate(messages)),
            {"role": "assistant", "content": [call_]},
            {"role": "user", "content": [result]},
        ]  # fmt: skip
    return made


def rows(database: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_a_miss_is_not_foretold_of_a_plan_that_was_never_sent(tmp_path):
    """The message's marker goes after the second request: only the system prompt can be read from then on."""
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for body in steps(5):
            call(running.anthropic + "/v1/messages", body=body)
        state = settled(running, 5)
        billed = list(behind.app.billed)
        running.stop()
    assert [one.read > 0 for one in billed] == [False, True, True, True, True]
    assert len({one.read for one in billed[2:]}) == 1
    assert (state["predicted"], state["hits"]) == (4, 4)
    assert state["expected_hits"] > 3.5
    report = collect(running.database, targets())
    assert (report.hits.returns, report.hits.hits, report.hits.first) == (4, 4, 1)
    assert report.hits.misses == ()
    believed = [row[0] for row in rows(running.database, "SELECT warm_tokens FROM plans ORDER BY created_at")]
    assert believed[1] > believed[2] == believed[3] == believed[4] > 0


def test_a_client_without_breakpoints_has_nothing_to_miss(tmp_path):
    bodies = [body.replace(b', "cache_control": {"type": "ephemeral"}', b"") for body in steps(3)]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        for body in bodies:
            call(running.anthropic + "/v1/messages", body=body)
        state = settled(running, 3)
        assert not any(one.read for one in behind.app.billed)
        running.stop()
    assert (state["predicted"], state["expected_hits"]) == (0, 0.0)
    assert {one["p_hit"] for one in state["last"]} == {0.0}
    hits = collect(running.database, targets()).hits
    assert (hits.returns, hits.first) == (0, 3)
    (row,) = rows(
        running.database, "SELECT DISTINCT ttl, p_hit, expected_read_tokens, expected_write_tokens FROM plans"
    )
    assert row == (None, 0.0, 0, 0)


@pytest.mark.parametrize(("mode", "ttl"), [("observe", "1h"), ("observe", "5m"), ("anchors", "5m")])
def test_what_was_written_counts_by_its_own_lifetime(mode: str, ttl: str, tmp_path):
    settings = f'mode = "{mode}"\n[cache]\nttl = "{"5m" if ttl == "1h" else "1h"}"'
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=settings) as running:
        for body in steps(2, ttl if mode == "observe" else None):
            call(running.anthropic + "/v1/messages", body=body)
        state = settled(running, 2)
        usd, written = behind.app.usd, [one.written for one in behind.app.billed]
        running.stop()
    report = collect(running.database, targets())
    assert sum(one.usd or 0.0 for one in report.costs) == pytest.approx(state["usd"], abs=1e-6)
    found = rows(running.database, "SELECT write_tokens, write_1h_tokens FROM outcomes ORDER BY id")
    assert found == [(sum(one.values()), one.get("1h", 0)) for one in written]
    assert any(long for _, long in found) is (ttl == "1h" or mode == "anchors")
    assert usd > 0
