"""Gemini CLI's session files, in the forms that its recording service gives them (0.61.0, and the document before)."""

import json
from pathlib import Path
from typing import Any

import pytest

from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest

SESSION = "2d13c1cb-8997-4ca8-8b96-20f717d02bd2"
HEAD = {"sessionId": SESSION, "projectHash": "8615", "startTime": "2026-11-30T19:50:54.284Z", "kind": "main"}
MODEL = "gemini-3.1-pro-preview"


def at(second: int) -> str:
    return f"2026-11-30T19:50:{second:02}.000Z"


def user(name: str, second: int, text: str) -> dict[str, Any]:
    return {"id": name, "timestamp": at(second), "type": "user", "content": [{"text": text}]}


def result(name: str, second: int, call: str, **response: str) -> dict[str, Any]:
    part = {"functionResponse": {"id": call, "name": "read_file", "response": response or {"output": "text"}}}
    return {"id": name, "timestamp": at(second), "type": "user", "content": [part]}


def gemini(
    name: str, second: int, tokens: tuple[int, ...] | None, *calls: str, **more: Any
) -> dict[str, Any]:
    names = ("input", "output", "cached", "thoughts", "tool")
    told = None if tokens is None else dict(zip(names, tokens, strict=False)) | {"total": 1}
    made = [
        {"id": call, "name": "read_file", "args": {"file_path": "/p/a.py"}, "status": "success"}
        for call in calls
    ]
    content = {"id": name, "timestamp": at(second), "type": "gemini", "content": "So.", "model": MODEL}
    thoughts = [{"subject": "", "description": "I look.", "timestamp": at(second)}]
    return content | {"tokens": told, "thoughts": thoughts} | ({"toolCalls": made} if made else {}) | more


def session(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in (HEAD, *lines))


def read(
    folder: Path, content: bytes, name: str = "session-2026-11-30T19-50-2d13c1cb.jsonl"
) -> list[RecordedRequest]:
    file = folder / "tmp" / "p" / "chats" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    (file.parents[1] / ".project_root").write_text("/p\n")
    part = importing.read(file, "gemini-cli", None, 0.0, names=True)
    assert part is not None
    requests = list(part.requests)
    assert part.problems == []
    return requests


def test_a_message_has_the_usage_of_its_request(tmp_path: Path):
    first = gemini("g1", 2, (1000, 10, 0, 5, 0))
    lines = [
        user("u1", 1, "Look."),
        first,
        {"$set": {"lastUpdated": at(2)}},
        first | gemini("g1", 2, (1000, 10, 0, 5, 0), "c1"),  # once more, with the tool that it called
        result("r1", 4, "c1"),
        gemini("g2", 6, (1600, 20, 900, 7, 30)),
    ]
    one, two = read(tmp_path, session(*lines))
    assert (one.input, one.read, one.output) == (1000, 0, 15)
    assert (two.input, two.read, two.output) == (1600 - 900 + 30, 900, 27)
    assert (one.trigger, two.trigger) == ("user", "tool")
    assert (one.model, one.session, one.chain, one.branch) == (MODEL, SESSION, "main", 0)
    assert (two.sent_at - one.sent_at, two.first_at - two.sent_at) == (3.0, 2.0)  # type: ignore[operator]
    assert one.checkout is not None
    assert one.checkout.project == "/p"
    assert [one.blocks, two.blocks] == [1, 5]  # the thought, the text, the call and its result between them
    assert [(part.tool, part.kind) for part in two.results] == [("read_file", "text")]


def test_tokens_told_after_the_message_count_once(tmp_path: Path):
    lines = [
        user("u1", 1, "Look."),
        gemini("g1", 2, None),
        gemini("g1", 2, (1000, 10)),
        gemini("g1", 2, (1000, 10)),
    ]
    (one,) = read(tmp_path, session(*lines))
    assert (one.input, one.output) == (1000, 10)


def test_what_a_rewind_takes_out_was_billed_and_is_a_branch(tmp_path: Path):
    lines = [
        user("u1", 1, "Look."),
        gemini("g1", 2, (1000, 10)),
        user("u2", 3, "No."),
        gemini("g2", 4, (1100, 11)),
        {"$rewindTo": "u2"},
        user("u3", 5, "Yes."),
        gemini("g3", 6, (1100, 12)),
    ]
    requests = read(tmp_path, session(*lines))
    assert [(one.output, one.branch) for one in requests] == [(10, 0), (11, 1), (12, 0)]
    again = read(tmp_path, session(*lines[:2], *lines[5:]))
    assert requests[2].prefix == again[1].prefix


def test_a_resumed_session_goes_on_and_counts_nothing_again(tmp_path: Path):
    """The whole history is set again, a tool's result twice and under its call's id, without usage."""
    begun = [
        user("u1", 1, "Look."),
        gemini("g1", 2, (1000, 10), "c1"),
        result("r1", 3, "c1"),
        gemini("g2", 4, (1600, 20)),
    ]
    set_again = [
        user("u1", 1, "Look."),
        {"id": "g1", "timestamp": at(2), "type": "gemini", "content": [{"text": "So."}]},
        result("g1", 2, "c1"),
        result("r1", 3, "c1"),
        {"id": "g2", "timestamp": at(4), "type": "gemini", "content": [{"text": "So."}]},
    ]
    lines = [
        *begun,
        HEAD,
        {"$set": {"messages": set_again}},
        user("u2", 20, "On."),
        gemini("g3", 22, (2000, 30)),
    ]
    requests = read(tmp_path, session(*lines))
    assert [one.output for one in requests] == [10, 20, 30]
    assert [one.trigger for one in requests] == ["user", "tool", "user"]
    assert requests[2].sent_at - requests[0].sent_at == 19.0
    assert requests[2].results == ()


def test_a_summary_is_a_compaction(tmp_path: Path):
    summary = [user("s1", 10, "<state_snapshot>…"), {"id": "s2", "type": "gemini", "content": "Got it."}]
    lines = [
        user("u1", 1, "Look."),
        gemini("g1", 2, (90_000, 10)),
        {"$set": {"messages": summary}},
        user("u2", 11, "On."),
        gemini("g2", 12, (9000, 11)),
    ]
    requests = read(tmp_path, session(*lines))
    assert [one.trigger for one in requests] == ["user", "compact"]


def test_a_sub_agent_is_a_chain_of_its_session(tmp_path: Path):
    head = {**HEAD, "sessionId": "agent-7", "kind": "subagent", "directories": ["/p"]}
    content = b"".join(
        json.dumps(one).encode() + b"\n" for one in (head, user("u", 1, "x"), gemini("g", 2, (9, 1)))
    )
    file = tmp_path / "tmp" / "p" / "chats" / SESSION
    file.mkdir(parents=True)
    (one,) = read(tmp_path, content, f"{SESSION}/agent-7.jsonl")
    assert (one.session, one.chain, one.subagent) == (SESSION, "agent-7", "")
    assert one.checkout is not None


def test_the_document_of_earlier_versions_is_read_and_its_lines_count_once(tmp_path: Path):
    call = {
        "id": "c1",
        "name": "read_file",
        "args": {},
        "result": [{"functionResponse": {}}],
        "timestamp": at(3),
    }
    messages = [
        user("u1", 1, "Look.") | {"content": "Look."},
        gemini("g1", 2, (1000, 10), toolCalls=[call]),
        gemini("g2", 6, (1500, 20, 1000)),
        {"id": "i", "timestamp": at(7), "type": "info", "content": "Update available."},
    ]
    document = json.dumps(HEAD | {"messages": messages}, indent=2).encode()
    old = read(tmp_path, document, "session-2026-11-30T19-50-2d13c1cb.json")
    assert [(one.input, one.read, one.output, one.trigger) for one in old] == [
        (1000, 0, 10, "user"),
        (500, 1000, 20, "tool"),
    ]
    assert old[1].sent_at - old[0].sent_at == 2.0
    new = read(tmp_path, session(*messages))
    assert [one.id for one in new] == [one.id for one in old]


@pytest.mark.parametrize(
    "line", ['{"$rewindTo":"nobody"}', '{"type":"gemini"}', '{"$set":{"messages":[{}]}}', "{}"]
)
def test_odd_lines_tell_nothing(tmp_path: Path, line: str):
    requests = read(
        tmp_path, session(user("u", 1, "x")) + line.encode() + b"\n" + session(gemini("g", 2, (9, 1)))
    )
    assert [one.output for one in requests] == [1]
