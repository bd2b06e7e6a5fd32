"""Mode `trim`: the provider gets less, the same of it for ever, and bills less."""

import json
from itertools import pairwise
from typing import Any

from gateway.conformance import Running, Upstream
from gateway.running import gateway
from gateway.test_gateway_faults import call

FILE = "\n".join(f"     {n}→    value_{n} = compute({n})  # a line of the file" for n in range(1, 600))
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
