"""Codex's `UserPromptSubmit` by the real client and helper: held back once, where a person types."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.hook_helpers import HookHelper
from support.session_logs import stamp

MODEL = "gpt-6.2-sol"
THREAD = "01a22df3-c2f4-7e93-ac68-a85d7b0ca49c"


class Thread:
    """A session of Codex's, whose newest request was so long ago."""

    def __init__(
        self, home: Path, helper: HookHelper, ago_s: float = 5400.0, originator: str = "codex-tui"
    ) -> None:
        self.home = home
        self.helper = helper
        self.at = time.time() - ago_s
        self.file = home / "sessions" / "2026" / "11" / "30" / f"rollout-2026-11-30T19-34-39-{THREAD}.jsonl"
        self.file.parent.mkdir(parents=True)
        self.lines: list[bytes] = []
        self.add("session_meta", {"id": THREAD, "originator": originator, "source": "cli"})
        self.add("turn_context", {"model": MODEL})
        self.answer(280_000, 20_000)

    def add(self, kind: str, payload: dict[str, Any]) -> None:
        line = {"timestamp": stamp(self.at), "type": kind, "payload": payload}
        self.lines.append(json.dumps(line).encode() + b"\n")
        self.file.write_bytes(b"".join(self.lines))

    def answer(self, read: int, write: int) -> None:
        """Have the model answer, and Codex write down what that was billed."""
        usage = {
            "input_tokens": read + write,
            "cached_input_tokens": read,
            "cache_write_input_tokens": write,
            "output_tokens": 7,
        }
        self.add("event_msg", {"type": "token_count", "info": {"last_token_usage": usage}})

    def submit(self, prompt: Any = "And now?", **more: Any) -> dict[str, Any]:
        """Return the hook's answer, {} for none."""
        event = {
            "session_id": THREAD,
            "turn_id": "t",
            "transcript_path": str(self.file),
            "cwd": str(self.home),
            "hook_event_name": "UserPromptSubmit",
            "model": MODEL,
            "permission_mode": "default",
            "prompt": prompt,
        }
        text = self.helper.run("codex", event | more, CODEX_HOME=str(self.home))
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer


def test_a_cold_prompt_is_held_back_once(tmp_path: Path, helper: HookHelper):
    thread = Thread(tmp_path / "codex", helper)
    answer = thread.submit()
    assert answer["decision"] == "block"
    assert "expired 60 minutes ago. Sending now writes 300,000 tokens anew for" in answer["reason"]
    assert "Press Up and Enter" in answer["reason"]
    assert thread.submit() == {}
    thread.at += 60
    thread.answer(0, 300_100)
    assert thread.submit()["decision"] == "block"
    thread.add("compacted", {"message": ""})
    thread.lines.append(b'{"timestamp": 7}\n[[[\n')
    thread.add("event_msg", {"type": "token_count", "info": None})
    assert thread.submit() == {}
    assert helper.log == ""


@pytest.mark.parametrize("originator", ["codex_exec", "codex_sdk_ts", ""])
def test_where_nobody_types_it_goes_through(tmp_path: Path, helper: HookHelper, originator: str):
    assert Thread(tmp_path / "codex", helper, originator=originator).submit() == {}


def test_a_warm_one_goes_through(tmp_path: Path, helper: HookHelper):
    assert Thread(tmp_path / "codex", helper, 1700).submit() == {}


def test_commands_and_what_is_no_prompt_go_through(tmp_path: Path, helper: HookHelper):
    thread = Thread(tmp_path / "codex", helper)
    for prompt in ("/compact", "!ls", "<environment_context>", 7, None):
        assert thread.submit(prompt) == {}
    for more in (
        {"model": 7},
        {"transcript_path": None},
        {"transcript_path": "/etc/x.jsonl"},
        {"session_id": 7},
    ):
        assert thread.submit(**more) == {}
    thread.file.write_bytes(b"\0" * 100)
    assert thread.submit() == {}
