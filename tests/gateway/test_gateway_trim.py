"""Mode `trim`: the provider gets less, the same of it for ever, and bills less."""

import json
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from support.gateways import FILE, call, gateway
from support.upstream import Running, Upstream

MODE = 'mode = "trim"'


def turn(messages: list[Any], n: int) -> None:
    use = {"type": "tool_use", "id": f"toolu_{n}", "name": "read", "input": {"path": "a.py"}}
    messages.append({"role": "assistant", "content": [use]})
    text = FILE.replace(f"value_{n} ", f"renamed_{n} ")
    messages.append(
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": text}]}
    )


def request(messages: list[Any]) -> bytes:
    return json.dumps(
        {"model": "claude-sonnet-5", "max_tokens": 9, "messages": messages}, ensure_ascii=False
    ).encode()


def blocks(body: bytes) -> list[str]:
    return [
        json.dumps({key: value for key, value in block.items() if key != "cache_control"})
        for message in json.loads(body)["messages"]
        for block in (
            [{"type": "text", "text": message["content"]}]
            if isinstance(message["content"], str)
            else message["content"]
        )
    ]


def test_a_session_is_sent_the_same_way_also_after_a_restart(tmp_path):
    messages: list[Any] = [{"role": "user", "content": "Rename the values"}]
    read, sent = [], []
    with Running(Upstream()) as behind:
        for _ in range(3):
            with gateway(tmp_path / "g", behind.url, settings=MODE) as running:
                for _ in range(3):
                    turn(messages, len(messages))
                    status, headers, body = call(running.anthropic + "/v1/messages", body=request(messages))
                    assert status == 200
                    assert "anchorline-plan" in dict(headers)
                    read.append(json.loads(body)["usage"]["cache_read_input_tokens"])
                    sent.append(blocks(behind.app.seen[-1].body))
                assert running.stop() == 0
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(sent))
    assert all(0 < earlier < later for earlier, later in pairwise(read[1:]))
    whole = json.dumps(messages, ensure_ascii=False)
    assert len("".join(sent[-1])) < len(whole) / 4
    assert sent[-1][0] == json.dumps({"type": "text", "text": "Rename the values"}), (
        "instructions are never touched"
    )
    for n in range(1, len(messages), 2):
        assert f"renamed_{n} " in "".join(sent[-1])


KEPT = {
    "blocks of addresses": [f'    "10.{n}.0.0/16",' for n in range(20, 28)],
    "keyframes": [f"  {n}% {{ opacity: 0.{n}; }}" for n in (0, 12, 25, 37, 50, 75, 100)],
    "rows": [f"{n},{n * 3},{n * 7}" for n in range(40)],
    "names with dates": [f"var/backup/orders-2026-11-{n:02d}.sql.gz" for n in range(1, 11)],
    "ends of lines": ["@echo off\r", "set NAME=demo\r", "\tcall build.cmd %1 \r", "\x1b[31mred\x1b[0m\r"],
}


@pytest.mark.parametrize("lines", KEPT.values(), ids=KEPT.keys())
@pytest.mark.parametrize("tool", ["Read", "Bash"])
def test_every_line_of_a_file_arrives(lines: list[str], tool: str, tmp_path):
    text = "\n".join(lines * 5)
    given = {"file_path": "a"} if tool == "Read" else {"command": "cat a"}
    use = {"type": "tool_use", "id": "toolu_1", "name": tool, "input": given}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
    messages: list[Any] = [
        {"role": "user", "content": "x " * 20_000},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=MODE) as running:
        assert call(running.anthropic + "/v1/messages", body=request(messages))[0] == 200
        arrived = json.loads(behind.app.seen[-1].body)["messages"][2]["content"][0]["content"]
        assert running.stop() == 0
    assert arrived == text


def test_a_plan_shows_what_the_gateway_sends(tmp_path, monkeypatch):
    messages: list[Any] = [{"role": "user", "content": "Rename the values"}]
    for n in range(3):
        turn(messages, n)
    body = request(messages)
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=MODE) as running:
        assert call(running.anthropic + "/v1/messages", body=body)[0] == 200
        arrived = behind.app.seen[-1].body
        assert running.stop() == 0
    (tmp_path / "a.request.json").write_bytes(body)
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    arguments = [
        "plan",
        str(tmp_path / "a.request.json"),
        "--json",
        "--apply-trims",
        str(tmp_path / "shown.json"),
    ]
    plan = json.loads(CliRunner().invoke(cli, arguments, catch_exceptions=False).output)
    assert blocks((tmp_path / "shown.json").read_bytes()) == blocks(arrived)
    assert [trim["pointer"] for trim in plan["trims"]] == [f"/messages/{n}/content/0" for n in (2, 4, 6)]
    assert plan["trims"][1]["kinds"] == ["line_numbers", "earlier_lines"]
