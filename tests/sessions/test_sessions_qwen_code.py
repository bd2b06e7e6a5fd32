"""Qwen Code's session files, in the form that its recording service gives them (0.24.4)."""

import json
from pathlib import Path
from typing import Any

from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest

SESSION = "a43fdfb7-54e1-49aa-a3c8-4bad97af0c5b"
MODEL = "qwen3-coder-plus"


def at(second: float) -> str:
    return f"2026-11-30T19:51:{second:06.3f}Z"


class Log:
    """Records, each naming the one before."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.newest: str | None = None

    def add(self, kind: str, second: float, **more: Any) -> str:
        name = f"r{len(self.lines)}"
        record = {
            "uuid": name,
            "parentUuid": self.newest,
            "sessionId": SESSION,
            "timestamp": at(second),
            "type": kind,
        }
        place = {"cwd": "/p", "gitBranch": "main", "version": "0.24.4"}
        self.lines.append(record | place | more)
        self.newest = name
        return name

    def user(self, second: float, text: str, **more: Any) -> str:
        return self.add("user", second, message={"role": "user", "parts": [{"text": text}]}, **more)

    def told(self, second: float, counts: tuple[int, int, int], answer: str, **more: Any) -> str:
        """The record of an answer that took two seconds."""
        whole, output, cached = counts
        event = {"event.name": "qwen-code.api_response", "event.timestamp": at(second), "response_id": answer}
        event |= {"model": MODEL, "duration_ms": 2000, "ttft_ms": 500, "prompt_id": f"{SESSION}########0"}
        event |= {
            "input_token_count": whole,
            "output_token_count": output,
            "cached_content_token_count": cached,
        }
        event |= {"thoughts_token_count": 5, "total_token_count": whole + output}
        return self.add("system", second, subtype="ui_telemetry", systemPayload={"uiEvent": event | more})

    def answer(self, second: float, counts: tuple[int, int, int] | None, call: str = "", **more: int) -> str:
        parts: list[dict[str, Any]] = [{"text": "I look.", "thought": True}, {"text": "So."}]
        if call:
            parts.append(
                {"functionCall": {"id": call, "name": "read_file", "args": {"file_path": "/p/a.py"}}}
            )
        record: dict[str, Any] = {"model": MODEL, "message": {"role": "model", "parts": parts}}
        if counts is not None:
            whole, output, cached = counts
            usage = {"promptTokenCount": whole, "candidatesTokenCount": output, "thoughtsTokenCount": 5}
            usage |= {"cachedContentTokenCount": cached, "totalTokenCount": whole + output}
            record["usageMetadata"] = usage | more
        return self.add("assistant", second, **record)

    def result(self, second: float, call: str) -> str:
        part = {"functionResponse": {"id": call, "name": "read_file", "response": {"output": "text"}}}
        return self.add("tool_result", second, message={"role": "user", "parts": [part]})

    def read(self, folder: Path) -> list[RecordedRequest]:
        file = folder / "projects" / "-p" / "chats" / f"{SESSION}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in self.lines))
        part = importing.read(file, "qwen-code", None, 0.0, names=True)
        assert part is not None
        requests = list(part.requests)
        assert part.problems == []
        return requests


def test_an_answer_is_told_once_with_its_id(tmp_path: Path):
    log = Log()
    log.user(1, "Look.")
    log.told(4, (1000, 10, 0), "chatcmpl-1")
    log.answer(4.1, (1000, 10, 0), "c1")
    log.result(6, "c1")
    log.told(9, (1500, 20, 1000), "chatcmpl-2")
    log.answer(9.1, (1500, 20, 1000))
    one, two = log.read(tmp_path)
    assert [(r.input, r.read, r.output, r.answer) for r in (one, two)] == [
        (1000, 0, 10, "chatcmpl-1"),
        (500, 1000, 20, "chatcmpl-2"),
    ]
    assert (one.first_at, two.first_at) == (one.sent_at + 0.5, one.sent_at + 5.5)
    assert (one.trigger, two.trigger) == ("user", "tool")
    assert one.checkout is not None
    assert (one.checkout.project, one.checkout.branch) == ("/p", "main")
    assert [part.tool for part in two.results] == ["read_file"]


def test_thoughts_count_where_the_answer_is_without_them(tmp_path: Path):
    log = Log()
    log.user(1, "Look.")
    log.answer(4, (1000, 10, 0))
    log.answer(6, (1000, 10, 0), totalTokenCount=1015)  # Gemini's own counts
    assert [(one.output, one.answer) for one in log.read(tmp_path)] == [(10, None), (15, None)]


def test_sub_agents_and_side_requests_are_chains_of_their_own(tmp_path: Path):
    log = Log()
    log.user(1, "Look.")
    log.told(4, (1000, 10, 0), "chatcmpl-1")
    log.told(5, (700, 11, 0), "chatcmpl-2", subagent_name="explorer", prompt_id=f"{SESSION}#explorer-c1#0")
    log.told(6, (300, 12, 0), "chatcmpl-3", prompt_id=f"{SESSION}#title")
    log.answer(7, (1000, 10, 0))
    requests = log.read(tmp_path)
    assert [(one.output, one.chain, one.subagent) for one in requests] == [
        (10, "main", None),
        (11, "explorer-c1", "explorer"),
        (12, "beside", ""),
    ]


def test_a_rewind_leaves_a_branch(tmp_path: Path):
    log = Log()
    log.user(1, "Look.")
    log.told(3, (1000, 10, 0), "chatcmpl-1")
    kept = log.answer(3, (1000, 10, 0))
    log.user(4, "No.")
    log.told(6, (1100, 11, 0), "chatcmpl-2")
    log.answer(6, (1100, 11, 0))
    log.newest = kept
    log.add("system", 7, subtype="rewind", systemPayload={"truncatedCount": 2})
    log.user(8, "Yes.")
    log.told(10, (1100, 12, 0), "chatcmpl-3")
    log.answer(10, (1100, 12, 0))
    requests = log.read(tmp_path)
    assert [(one.output, one.branch) for one in requests] == [(10, 0), (11, 1), (12, 0)]


def test_records_that_hold_nothing_begin_no_branch(tmp_path: Path):
    """A title's record is named by nobody: what follows names the record before it."""
    log = Log()
    for turn in range(3):
        before = log.user(3 * turn + 1, f"Look {turn}.")
        log.add("system", 3 * turn + 1, subtype="custom_title", systemPayload={"customTitle": "x"})
        log.newest = before
        log.answer(3 * turn + 2, (1000, turn + 1, 0))
    assert [(one.output, one.branch) for one in log.read(tmp_path)] == [(1, 0), (2, 0), (3, 0)]


def test_a_compression_is_a_compaction(tmp_path: Path):
    log = Log()
    log.user(1, "Look.")
    log.answer(3, (90_000, 10, 0))
    history = [{"role": "user", "parts": [{"text": "<state_snapshot>"}]}]
    log.add("system", 4, subtype="chat_compression", systemPayload={"compressedHistory": history})
    log.user(5, "On.")
    log.answer(6, (9000, 11, 0))
    assert [one.trigger for one in log.read(tmp_path)] == ["user", "compact"]
