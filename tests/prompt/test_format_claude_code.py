"""Claude Code session files: which request they show, and what it was made of."""

import gzip
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from mutations import mutate

from anchorline.prompt.formats import claude_code
from anchorline.prompt.model import Prompt, PromptError
from anchorline.prompt.source import read_bytes


class Log:
    """Writes a session as the client does."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.newest: str | None = None

    def add(self, type_: str, message: dict[str, Any] | None = None, **more: Any) -> str:
        uuid = f"u{len(self.lines)}"
        line = {
            "parentUuid": self.newest,
            "isSidechain": False,
            "sessionId": "s1",
            "type": type_,
            "uuid": uuid,
            "timestamp": f"2026-01-15T10:{len(self.lines) // 60:02}:{len(self.lines) % 60:02}.500Z",
        }
        if message is not None:
            line["message"] = message
        self.lines.append(json.dumps(line | more, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        if not more.get("isSidechain"):
            self.newest = uuid
        return uuid

    def user(self, content: Any, **more: Any) -> str:
        return self.add("user", {"role": "user", "content": content}, **more)

    def result(self, call: str, text: str = "done", **more: Any) -> str:
        return self.user([{"type": "tool_result", "tool_use_id": call, "content": text}], **more)

    def answer(self, id_: str, *blocks: dict[str, Any], model: str = "claude-opus-4-6", **more: Any) -> str:
        usage = {
            "input_tokens": 3,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 50},
        }
        message = {"id": id_, "model": model, "role": "assistant", "content": list(blocks), "usage": usage}
        return self.add("assistant", message, **more)

    def read(self, folder: Path, end: bytes = b"") -> Prompt:
        path = folder / "s1.jsonl"
        path.write_bytes(b"".join(self.lines) + end)
        return claude_code.read(path)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": "QUJD" * 40}


def call(id_: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "Read", "input": {"path": "a.py"}}


def shown(prompt: Prompt) -> list[str]:
    """What each segment is, in short."""
    return [prompt.text(segment) for segment in prompt.segments]


def test_a_session_that_ends_with_a_tool_result_is_about_the_next_request(tmp_path: Path) -> None:
    log = Log()
    log.user("fix the test")
    log.answer("m1", thinking("hm"))
    log.answer("m1", text("reading"))
    log.answer("m1", call("t1"))
    log.result("t1")
    prompt = log.read(tmp_path)
    assert [segment.kind for segment in prompt.segments] == [
        "text",
        "thinking",
        "text",
        "tool_use",
        "tool_result",
    ]
    assert [segment.role for segment in prompt.segments] == [
        "user",
        "assistant",
        "assistant",
        "assistant",
        "user",
    ]
    assert [(segment.message, segment.block) for segment in prompt.segments] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (1, 2),
        (2, 0),
    ]
    assert prompt.draft is not None
    assert prompt.draft.text == "fix the test"
    assert prompt.load(prompt.draft.start, prompt.draft.end) == b'"fix the test"'
    assert (prompt.model, prompt.session, prompt.format) == ("claude-opus-4-6", "s1", "claude-code")
    assert prompt.now == pytest.approx(1768471204.5)
    # the one request that was sent held the first line only; its usage stands on three lines
    (sent,) = prompt.sent
    assert (sent.input, sent.read, sent.write, sent.ttl) == (3, 1000, 50, "1h")
    assert (sent.segments, sent.prefix) == (1, prompt.segments[0].prefix)
    assert sent.at == pytest.approx(1768471200.5)


def test_a_session_that_ends_with_an_answer_is_about_the_request_before_it(tmp_path: Path) -> None:
    log = Log()
    log.user("one")
    log.answer("m1", text("first"))
    log.user("two")
    log.answer("m2", text("second"))
    prompt = log.read(tmp_path)
    assert [json.loads(part) if part[0] == '"' else json.loads(part)["text"] for part in shown(prompt)] == [
        "one",
        "first",
        "two",
    ]
    assert prompt.sent[-1].prefix.hex() == prompt.hash
    assert prompt.sent[-1].at == prompt.now


def test_the_same_words_have_the_same_prefix_in_another_session(tmp_path: Path) -> None:
    hashes = []
    for last in ("same", "same", "other"):
        log = Log()
        log.user("one")
        log.answer("m1", text("first"))
        log.user(last)
        hashes.append(log.read(tmp_path).hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_way_to_the_newest_line_leaves_out_what_was_taken_back(tmp_path: Path) -> None:
    log = Log()
    log.user("one")
    first = log.answer("m1", text("first"))
    log.user("taken back")
    log.answer("m2", text("gone"))
    log.user("kept", parentUuid=first)
    log.user("a sub-agent's own", isSidechain=True)
    prompt = log.read(tmp_path)
    assert [part for part in shown(prompt) if "gone" in part or "taken" in part or "sub-agent" in part] == []
    assert prompt.draft is not None
    assert prompt.draft.text == "kept"
    assert len(prompt.segments) == 3


def test_answers_to_parallel_calls_are_all_sent_after_the_calls(tmp_path: Path) -> None:
    log = Log()
    log.user("go")
    first = log.answer("m1", call("t1"))
    log.result("t1", "first result", parentUuid=first)
    second = log.answer("m1", call("t2"), parentUuid=first)
    log.result("t2", "second result", parentUuid=second)
    prompt = log.read(tmp_path)
    assert [segment.kind for segment in prompt.segments] == [
        "text",
        "tool_use",
        "tool_use",
        "tool_result",
        "tool_result",
    ]
    assert "first result" in shown(prompt)[3]
    assert len(prompt.sent) == 1


def test_a_summary_takes_the_place_of_what_was_before(tmp_path: Path) -> None:
    log = Log()
    log.user("long ago")
    log.answer("m1", text("answered"))
    newest = log.newest
    log.newest = None
    log.add("system", None, subtype="compact_boundary", logicalParentUuid=newest)
    log.user("This session is being continued", isCompactSummary=True)
    log.user("go on")
    prompt = log.read(tmp_path)
    assert prompt.compacted
    assert shown(prompt) == ['"This session is being continued"', '"go on"']
    assert len(prompt.sent) == 1  # what was sent before is still told
    assert prompt.draft is not None
    assert prompt.draft.text == "go on"


@pytest.mark.parametrize(
    ("model", "kept"), [("claude-sonnet-4-5-20250929", False), ("claude-opus-4-6", True)]
)
def test_older_models_go_on_without_the_thinking_of_former_turns(
    tmp_path: Path, model: str, kept: bool
) -> None:
    log = Log()
    log.user("one")
    log.answer("m1", thinking("secret"), text("first"), model=model)
    log.user("two")
    log.answer("m2", thinking("of this turn"), call("t1"), model=model)
    log.result("t1")
    prompt = log.read(tmp_path)
    thoughts = [part for part in shown(prompt) if "thinking" in part]
    assert len(thoughts) == (2 if kept else 1)
    assert "of this turn" in thoughts[-1]
    assert (prompt.sent[-1].prefix in {segment.prefix for segment in prompt.segments}) is True


@pytest.mark.parametrize(
    "machine",
    [
        "<command-name>/clear</command-name>",
        "<local-command-stdout>ok</local-command-stdout>",
        [text("<system-reminder>be kind</system-reminder>")],
        [text("[Request interrupted by user]")],
    ],
)
def test_the_draft_is_what_a_person_wrote(tmp_path: Path, machine: Any) -> None:
    log = Log()
    log.user([text("<ide_opened_file>a.py</ide_opened_file>"), text("rename it 😂 é")])
    log.answer("m1", call("t1"))
    log.result("t1")
    log.user(machine)
    log.user("a skill's text", isMeta=True)
    prompt = log.read(tmp_path)
    assert prompt.draft is not None
    assert prompt.draft.text == "rename it 😂 é"
    assert prompt.draft.segment == 1
    assert json.loads(prompt.load(prompt.draft.start, prompt.draft.end)) == prompt.draft.text


def test_half_a_surrogate_pair_is_no_reason_to_fail(tmp_path: Path) -> None:
    log = Log()
    log.user("PLACE")
    log.lines[0] = log.lines[0].replace(b"PLACE", rb"cut \ud83d here \ud83d\ude02 \\ud83d")
    prompt = log.read(tmp_path)
    assert prompt.draft is not None
    assert prompt.draft.text == "cut \ufffd here 😂 \\ud83d"


def test_a_line_that_is_just_being_written_is_left_out(tmp_path: Path) -> None:
    log = Log()
    log.user("one")
    whole = log.read(tmp_path)
    assert log.read(tmp_path, end=b'{"parentUuid":"u0","type":"user","mess').hash == whole.hash
    assert log.read(tmp_path, end="é".encode()[:1]).hash == whole.hash


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    log = Log()
    log.user("one")
    log.user("two")
    log.lines.insert(1, b'{"type": "user", oh no}\n')
    prompt = log.read(tmp_path)
    assert [prompt.text(one) for one in prompt.segments] == ['"one"', '"two"']
    (error,) = prompt.left_out
    assert "line 2" in str(error)
    assert (error.line, error.offset) == (2, len(log.lines[0]))


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b'{"type":"summary","summary":"x"}\n', b"\x1f\x8b\x00garbage", b"{"]
)
def test_what_is_no_session_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(PromptError):
        claude_code.read(path)


def test_a_gzip_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    log = Log()
    for _ in range(50):
        log.user("one")
    packed = gzip.compress(b"".join(log.lines))
    path = tmp_path / "s.jsonl.gz"
    path.write_bytes(packed)
    assert len(claude_code.read(path).segments) == 50
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(PromptError, match="gzip"):
        claude_code.read(path)


def test_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    log = Log()
    log.user("start")
    for turn in range(50):
        log.answer(f"m{turn}", call(f"t{turn}"))
        log.result(f"t{turn}", "x" * 1_000_000)
    path = tmp_path / "large.jsonl"
    path.write_bytes(b"".join(log.lines))
    log.lines.clear()
    tracemalloc.start()
    prompt = claude_code.read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 50_000_000
    assert len(prompt.segments) == 101
    assert peak < 16_000_000


def test_it_knows_its_own_files() -> None:
    log = Log()
    log.user("one")
    assert claude_code.sniff(log.lines[0])
    assert claude_code.sniff(b'{"type":"summary","summary":"x","leafUuid":"y"}')
    assert not claude_code.sniff(
        b'{"timestamp":"2026-07-01T20:30:23.317Z","type":"session_meta","payload":{}}'
    )
    assert not claude_code.sniff(b"# a prompt")
    assert not claude_code.sniff(b"[" * 100_000)


def test_real_sessions_are_read(data: Path) -> None:
    paths = sorted((data / "transcripts" / "claude-code").iterdir())
    assert len(paths) == 28
    for path in paths:
        prompt = claude_code.read(path)
        whole = read_bytes(path)
        assert prompt.sent
        assert prompt.now is not None
        assert [sent.at for sent in prompt.sent] == sorted(sent.at for sent in prompt.sent)
        for segment in prompt.segments:
            json.loads(whole[segment.start : segment.end])
        # each call of a tool has its answer, and no answer is without its call
        blocks = [
            json.loads(whole[s.start : s.end])
            for s in prompt.segments
            if s.kind in ("tool_use", "tool_result")
        ]
        calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        assert calls == {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        middle = prompt.segments[len(prompt.segments) // 2]
        assert prompt.text(middle).encode() == whole[middle.start : middle.end]


def test_broken_real_sessions_are_read_or_refused(data: Path, tmp_path: Path) -> None:
    generator = random.Random(1)
    files = [read_bytes(path) for path in sorted((data / "transcripts" / "claude-code").iterdir())]
    path = tmp_path / "broken.jsonl"
    named = 0
    for _ in range(120):
        path.write_bytes(mutate(generator.choice(files), generator))
        try:
            prompt = claude_code.read(path)
        except PromptError as error:
            named += error.offset is not None
        else:
            named += bool(prompt.left_out)
            assert prompt.draft is None or prompt.draft.text.encode()
    assert 10 < named < 110
