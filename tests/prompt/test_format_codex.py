"""Codex session files: which request they show, and what it was made of."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutate

from anchorline.prompt.formats import codex
from anchorline.prompt.model import Prompt, PromptError
from anchorline.prompt.source import read_bytes

PRIVATE = {"internal_chat_message_metadata_passthrough": {"turn_id": "t"}}


class Log:
    """Writes a session as the client does, a line a second."""

    def __init__(self, model: str = "gpt-5.6-sol") -> None:
        self.lines: list[bytes] = []
        self.clock = 0.0
        self.total: dict[str, int] = {}
        self.last: dict[str, int] = {}
        tools = [{"type": "function", "name": "browse", "description": "Look at a page."}]
        self.add(
            "session_meta", {"id": "s1", "base_instructions": {"text": "Be good."}, "dynamic_tools": tools}
        )
        self.add("turn_context", {"model": model})

    def add(self, type_: str, payload: dict[str, Any], *, pause: float = 1.0) -> None:
        self.clock += pause
        stamp = f"2026-07-01T20:{int(self.clock) // 60:02}:{self.clock % 60:06.3f}Z"
        line = {"timestamp": stamp, "type": type_, "payload": payload}
        self.lines.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def item(self, pause: float = 1.0, **payload: Any) -> None:
        self.add("response_item", payload | PRIVATE, pause=pause)

    def message(self, role: str, *texts: str, pause: float = 1.0) -> None:
        type_ = "output_text" if role == "assistant" else "input_text"
        content = [{"type": type_, "text": text} for text in texts]
        self.item(pause, type="message", role=role, content=content)

    def usage(self, total: int, read: int = 0, reasoning: int = 0, pause: float = 1.0) -> None:
        told = {"input_tokens": total, "cached_input_tokens": read, "reasoning_output_tokens": reasoning}
        self.add("event_msg", {"type": "token_count", "info": {"last_token_usage": told}}, pause=pause)

    def count(self, last: dict[str, int] | None, pause: float = 1.0) -> dict[str, int]:
        """Tell a response's usage with the session's, or tell both once more."""
        if last is not None:
            self.total = {name: self.total.get(name, 0) + count for name, count in last.items()}
            self.last = last
        info = {"total_token_usage": self.total, "last_token_usage": self.last}
        self.add("event_msg", {"type": "token_count", "info": info}, pause=pause)
        return self.total

    def record(self, id_: str, last: dict[str, int], thread: str = "s1", pause: float = 1.0) -> None:
        """Tell a response's usage as clients since 0.171 do: by its id, before the outputs of its calls."""
        self.total = {name: self.total.get(name, 0) + count for name, count in last.items()}
        self.last = last
        told = {"thread_id": thread, "response_id": id_, "usage": last, "thread_token_usage": self.total}
        self.add("token_usage_record", told, pause=pause)

    def call(self, id_: str, output: str = "ok") -> None:
        self.item(type="function_call", name="run", arguments="{}", call_id=id_)
        self.item(type="function_call_output", call_id=id_, output=output)

    def read(self, folder: Path, end: bytes = b"") -> Prompt:
        path = folder / "rollout.jsonl"
        path.write_bytes(b"".join(self.lines) + end)
        return codex.read(path)


def start(model: str = "gpt-5.6-sol") -> Log:
    log = Log(model)
    log.message("developer", "<permissions instructions>all</permissions instructions>")
    log.message(
        "user", "# AGENTS.md instructions for /src", "<environment_context>\n x</environment_context>"
    )
    log.message("user", "fix the test")
    return log


def test_a_session_that_ends_with_a_tools_output_is_about_the_next_request(tmp_path: Path) -> None:
    log = start()
    log.item(type="reasoning", summary=[], encrypted_content="x" * 100)
    log.call("c1")
    log.usage(9000, read=6000, reasoning=77)
    log.usage(9000, read=6000, reasoning=77)
    prompt = log.read(tmp_path)
    assert [(segment.kind, segment.role, segment.section) for segment in prompt.segments] == [
        ("tool", "system", "tools"),
        ("system", "system", "system"),
        ("system", "system", "messages"),
        ("document", "user", "messages"),
        ("document", "user", "messages"),
        ("text", "user", "messages"),
        ("thinking", "assistant", "messages"),
        ("tool_use", "assistant", "messages"),
        ("tool_result", "tool", "messages"),
    ]
    assert [(segment.message, segment.block) for segment in prompt.segments[2:7]] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
        (3, 0),
    ]
    assert prompt.segments[6].tokens == 77  # as told
    assert prompt.text(prompt.segments[1]) == '"Be good."'
    (sent,) = prompt.sent  # the repeated count is no second request
    assert (sent.model, sent.input, sent.read, sent.write) == ("gpt-5.6-sol", 3000, 6000, None)
    assert sent.prefix == prompt.segments[5].prefix
    assert prompt.draft is not None
    assert prompt.draft.text == "fix the test"
    assert json.loads(prompt.load(prompt.draft.start, prompt.draft.end)) == "fix the test"
    assert (prompt.session, prompt.model) == ("s1", "gpt-5.6-sol")


def test_a_session_that_ends_with_an_answer_is_about_the_request_before_it(tmp_path: Path) -> None:
    log = start()
    log.message("assistant", "done")
    log.usage(9000)
    log.message("user", "thanks, and now?")
    log.message("assistant", "nothing")
    log.usage(9100)
    prompt = log.read(tmp_path)
    assert "thanks" in prompt.text(prompt.segments[-1])
    assert prompt.sent[-1].prefix.hex() == prompt.hash
    assert prompt.sent[-1].at == prompt.now
    assert len(prompt.sent) == 2


@pytest.mark.parametrize(("model", "kept"), [("gpt-5.5", False), ("gpt-5.6-sol", True)])
def test_older_models_go_on_without_the_reasoning_of_former_turns(
    tmp_path: Path, model: str, kept: bool
) -> None:
    log = start(model)
    log.item(type="reasoning", summary=[], encrypted_content="x" * 100)
    log.message("assistant", "done")
    log.usage(9000, reasoning=50)
    log.message("user", "more")
    prompt = log.read(tmp_path)
    assert ("thinking" in [segment.kind for segment in prompt.segments]) is kept


def test_a_compaction_takes_the_place_of_the_messages(tmp_path: Path) -> None:
    log = start()
    log.message("assistant", "done")
    log.usage(9000)
    history = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "in short"}]}]
    log.add("compacted", {"message": "", "replacement_history": history})
    log.message("user", "go on")
    prompt = log.read(tmp_path)
    assert prompt.compacted
    assert [segment.section for segment in prompt.segments] == ["tools", "system", "messages", "messages"]
    assert "in short" in prompt.text(prompt.segments[2])
    assert len(prompt.sent) == 1


def test_counts_that_a_fork_replays_are_no_requests(tmp_path: Path) -> None:
    log = start()
    log.add("session_meta", {"id": "the origin"})
    log.message("user", "copied", pause=0.001)
    log.message("assistant", "copied too", pause=0.001)
    log.usage(9000, pause=0.001)
    log.message("user", "new")
    log.message("assistant", "answer", pause=3)
    log.usage(9500)
    prompt = log.read(tmp_path)
    assert [sent.input for sent in prompt.sent] == [9500]


def used(input_: int, read: int = 0, write: int = 0, output: int = 10) -> dict[str, int]:
    return {
        "input_tokens": input_,
        "cached_input_tokens": read,
        "cache_write_input_tokens": write,
        "output_tokens": output,
    }


def test_a_count_that_is_told_again_after_an_interruption_is_no_request(tmp_path: Path) -> None:
    log = start()
    log.call("c1")
    log.count(used(9000, 6000))
    log.item(type="reasoning", summary=[])  # what was under way when it was interrupted
    log.count(None)
    log.message("user", "<turn_aborted>\n</turn_aborted>")
    log.add("event_msg", {"type": "turn_aborted", "reason": "interrupted"})
    log.message("user", "only the parser's")
    log.message("assistant", "done")
    log.count(used(9500, 9000))
    prompt = log.read(tmp_path)
    assert [(sent.input, sent.read) for sent in prompt.sent] == [(3000, 6000), (500, 9000)]
    assert "parser" in prompt.text(prompt.segments[prompt.sent[-1].segments - 1])


def test_the_tools_that_newer_clients_write_down_are_no_answer(tmp_path: Path) -> None:
    log = Log("gpt-6.1-sol")
    log.item(type="additional_tools", role="developer", tools=[{"type": "custom", "name": "exec"}])
    log.message("user", "fix the test")
    log.message("assistant", "I look.")
    log.item(type="custom_tool_call", name="exec", input="ls", call_id="c1")
    log.record("resp_1", used(9000, 0, 9000))
    log.item(type="custom_tool_call_output", call_id="c1", output="ok")
    log.count(None)
    log.message("assistant", "done")
    log.record("resp_2", used(9500, 9000, 400))
    log.count(None)
    prompt = log.read(tmp_path)
    assert [(sent.input, sent.read, sent.write) for sent in prompt.sent] == [(0, 0, 9000), (100, 9000, 400)]
    first = prompt.segments[prompt.sent[0].segments - 1]
    assert prompt.text(first).endswith('"fix the test"}')
    assert "tool" in [one.kind for one in prompt.segments if one.section == "messages"]


def test_an_agent_is_asked_by_another(tmp_path: Path) -> None:
    log = Log("gpt-6.1-sol")
    task = [
        {"type": "input_text", "text": "Task: read"},
        {"type": "encrypted_content", "encrypted_content": "x"},
    ]
    log.item(type="agent_message", author="/root", recipient="/root/helper", content=task)
    log.message("assistant", "done")
    log.record("resp_1", used(9000))
    (sent,) = log.read(tmp_path).sent
    assert (sent.input, sent.segments) == (9000, 4)


def test_a_response_of_which_nothing_was_written_down_counts(tmp_path: Path) -> None:
    log = start()
    log.message("assistant", "done")
    log.count(used(9000))
    log.count(used(9300))  # a summary's, say
    log.message("user", "more")
    log.message("assistant", "done")
    log.count(used(2000))
    assert [sent.input for sent in log.read(tmp_path).sent] == [9000, 9300, 2000]


@given(st.data())
def test_all_requests_together_are_the_total_of_the_file(data: st.DataObject) -> None:
    """Whatever was interrupted, told again, compacted or damaged in between."""
    log = start("gpt-6.1-sol")
    total: dict[str, int] = {}
    damaged = set()
    for turn in range(data.draw(st.integers(1, 8))):
        kind = data.draw(st.sampled_from(("answer", "recorded", "interrupted", "compacted", "damaged")))
        log.message("user", f"question {turn}")
        if kind != "compacted":
            log.message("assistant", "answer")
        last = used(*sorted(data.draw(st.tuples(*[st.integers(1, 10**6)] * 2)), reverse=True))
        if kind == "recorded":
            log.record(f"resp_{turn}", last)
        if kind in ("answer", "damaged"):
            log.count(last)
            damaged |= {len(log.lines) - 1} if kind == "damaged" else set()
        else:
            log.count(None)
        if kind == "interrupted":
            log.add("event_msg", {"type": "turn_aborted", "reason": "interrupted"})
        elif kind == "compacted":
            log.add("compacted", {"message": "all of it"})
    log.message("user", "the last one")
    log.message("assistant", "answer")
    total = log.count(used(100, 50))
    for index in damaged:
        log.lines[index] = log.lines[index][:20] + b"\n"
    with tempfile.TemporaryDirectory() as folder:
        prompt = log.read(Path(folder))
    assert len(prompt.left_out) == len(damaged)
    billed = [one.input + (one.read or 0) + (one.write or 0) for one in prompt.sent]
    assert sum(billed) == total["input_tokens"]
    assert sum(one.read or 0 for one in prompt.sent) == total["cached_input_tokens"]


def test_an_output_that_the_client_shortens_counts_as_shortened(tmp_path: Path) -> None:
    log = start()
    log.call("c1", "word " * 10_000)
    log.call("c2", "word " * 40_000)
    segments = [segment for segment in log.read(tmp_path).segments if segment.kind == "tool_result"]
    assert segments[1].tokens == pytest.approx(segments[0].tokens, rel=0.1)


def test_what_the_client_notes_for_itself_changes_no_digest(tmp_path: Path) -> None:
    log = start()
    first = log.read(tmp_path)
    log.lines[-1] = log.lines[-1].replace(b'{"turn_id":"t"}', b'{"turn_id":"other"}')
    assert log.read(tmp_path).hash == first.hash


def test_a_line_that_is_just_being_written_is_left_out(tmp_path: Path) -> None:
    log = start()
    assert log.read(tmp_path, end=b'{"timestamp":"2026-07').hash == log.read(tmp_path).hash


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    log = start()
    log.lines[2] = b'{"type":"response_item","payload":{"type":7}}\n'
    prompt = log.read(tmp_path)
    assert prompt.draft is not None
    assert prompt.draft.text == "fix the test"
    (error,) = prompt.left_out
    assert "line 3: " in str(error)
    assert (error.line, error.offset) == (3, len(log.lines[0]) + len(log.lines[1]))


def test_a_packed_file_reads_alike_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    log = start()
    plain = log.read(tmp_path)
    pack = zstandard.ZstdCompressor().compress
    path = tmp_path / "rollout.jsonl.zst"
    path.write_bytes(pack(b"".join(log.lines[:3])) + pack(b"".join(log.lines[3:])))  # two frames
    packed = codex.read(path)
    assert packed.hash == plain.hash
    assert [packed.text(one) for one in reversed(packed.segments)] == [
        plain.text(one) for one in reversed(plain.segments)
    ]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PromptError, match="zstd"):
        codex.read(path)


def test_a_session_without_a_message_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="no message"):
        Log().read(tmp_path)


def test_it_knows_its_own_files() -> None:
    assert codex.sniff(Log().lines[0])
    assert not codex.sniff(b'{"type":"user","sessionId":"s","message":{}}')
    assert not codex.sniff(b"")


def test_real_sessions_are_read(data: Path) -> None:
    paths = sorted((data / "transcripts" / "codex").iterdir())
    assert len(paths) == 10
    for path in paths:
        prompt = codex.read(path)
        whole = read_bytes(path)
        assert prompt.sent
        assert prompt.draft is not None
        assert prompt.model is not None
        items = [json.loads(whole[segment.start : segment.end]) for segment in prompt.segments]
        calls = {item["call_id"] for item in items if "call_id" in item and item["type"].endswith("call")}
        assert calls == {
            item["call_id"] for item in items if "call_id" in item and item["type"].endswith("output")
        }
        # nothing but the client's built-in tools is missing: a few thousand tokens
        total = prompt.sent[-1].input + (prompt.sent[-1].read or 0)
        assert prompt.tokens < 1.15 * total


def test_broken_real_sessions_are_read_or_refused(data: Path, tmp_path: Path) -> None:
    generator = random.Random(2)
    files = [read_bytes(path) for path in sorted((data / "transcripts" / "codex").iterdir())]
    path = tmp_path / "broken.jsonl"
    named = 0
    for _ in range(80):
        path.write_bytes(mutate(generator.choice(files), generator))
        try:
            named += bool(codex.read(path).left_out)
        except PromptError as error:
            named += error.offset is not None
    assert 10 < named < 75
