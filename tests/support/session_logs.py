"""Writes sessions as Claude Code and Codex do."""

import json
from datetime import UTC, datetime
from typing import Any

START = 1_790_000_000.0


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ClaudeLog:
    """Lines one second apart, each hanging on the one before."""

    def __init__(self, session: str = "s1", start: float = START) -> None:
        self.session, self.start = session, start
        self.lines: list[bytes] = []
        self.newest: str | None = None

    def add(self, type_: str, message: dict[str, Any] | None = None, **more: Any) -> str:
        uuid = f"{self.session}-u{len(self.lines)}"
        line = {
            "parentUuid": self.newest,
            "isSidechain": False,
            "sessionId": self.session,
            "type": type_,
            "uuid": uuid,
            "timestamp": stamp(self.start + len(self.lines)),
        }
        if message is not None:
            line["message"] = message
        self.lines.append(json.dumps(line | more, separators=(",", ":")).encode() + b"\n")
        self.newest = uuid
        return uuid

    def user(self, text: str, **more: Any) -> str:
        return self.add("user", {"role": "user", "content": text}, **more)

    def result(self, call: str, text: str = "done", **more: Any) -> str:
        block = {"type": "tool_result", "tool_use_id": call, "content": text}
        return self.add("user", {"role": "user", "content": [block]}, **more)

    def answer(self, id_: str, text: str = "ok", *, call: str | None = None, output: int = 7,
               model: str = "claude-opus-4-6", read: int = 10_000, write: tuple[int, int] = (100, 400),
               **more: Any) -> str:  # fmt: skip
        short, long = write
        usage = {
            "input_tokens": 3,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": short + long,
            "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
            "output_tokens": output,
        }
        block = {"type": "text", "text": text}
        if call is not None:
            block = {"type": "tool_use", "id": call, "name": "Bash", "input": {"command": text}}
        message = {"id": id_, "model": model, "role": "assistant", "content": [block], "usage": usage}
        return self.add("assistant", message, **more)

    def bytes(self) -> bytes:
        return b"".join(self.lines)


def codex_log(session: str = "c1", turns: int = 3, start: float = START) -> bytes:
    """Return a session of `turns` questions with an answer each; a compaction comes before the last."""
    at = start
    lines = []

    def add(type_: str, payload: dict[str, Any]) -> None:
        nonlocal at
        at += 1
        lines.append(json.dumps({"timestamp": stamp(at), "type": type_, "payload": payload}))

    def message(role: str, kind: str, text: str) -> None:
        add("response_item", {"type": "message", "role": role, "content": [{"type": kind, "text": text}]})

    add("session_meta", {"id": session, "source": "cli", "base_instructions": {"text": "Be brief."}})
    for turn in range(turns):
        if turn == turns - 1:
            add("compacted", {"message": "All that was said."})
        add("turn_context", {"model": "gpt-5.5" if turn else "gpt-5.4"})
        message("user", "input_text", f"question {turn}")
        message("assistant", "output_text", f"answer {turn}")
        usage = {"input_tokens": 2000 + turn, "cached_input_tokens": 1000, "output_tokens": 9}
        add("event_msg", {"type": "token_count", "info": {"last_token_usage": usage}})
    return ("\n".join(lines) + "\n").encode()
