"""The newest request of a session file, and what its conversation's next prompt costs once the cache has expired."""

import json
from pathlib import Path

import pytest

from anchorline.hooks.cold_send import ColdSend, cold_send, message
from anchorline.hooks.last_request import TAILS, LastRequest, last_request
from anchorline.route.target import load
from support.session_logs import START, ClaudeLog

TARGETS = load()
MODEL = "claude-opus-4-6"


def written(folder: Path, log: ClaudeLog) -> Path:
    file = folder / "s1.jsonl"
    file.write_bytes(log.bytes())
    return file


def conversation(write: tuple[int, int] = (0, 400)) -> ClaudeLog:
    log = ClaudeLog()
    log.user("Fix the parser.")
    log.answer("m1", "ls", call="c1", model=MODEL, write=write)
    log.result("c1")
    log.answer("m2", model=MODEL, read=10_400, write=(0, 0))
    return log


def test_the_newest_request_and_the_lifetime_that_was_written_last(tmp_path: Path):
    request = last_request(written(tmp_path, conversation()))
    assert request is not None
    assert (request.model, request.cached, request.ttl) == (MODEL, 10_400, "1h")
    assert (request.sent_at, request.answered_at) == (START + 2, START + 3)
    assert request.expires_at(TARGETS) == START + 2 + 3600
    assert not request.scheduled


def test_five_minutes_where_nothing_was_written_for_longer(tmp_path: Path):
    request = last_request(written(tmp_path, conversation((400, 0))))
    assert request is not None
    assert request.expires_at(TARGETS) == START + 2 + 300


def test_an_interrupted_request_has_used_the_cache_again(tmp_path: Path):
    log = conversation()
    log.lines.append(b"")  # a second passes
    log.user("And the lexer?")
    log.add("assistant", {"id": "x", "model": "<synthetic>", "role": "assistant", "content": []})
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert (request.sent_at, request.cached) == (START + 5, 10_400)


def test_what_only_the_client_was_told_has_not_used_it(tmp_path: Path):
    log = conversation()
    log.user("<local-command-stdout>Set model to Sonnet</local-command-stdout>")
    log.add("system", subtype="informational", content="UserPromptSubmit operation blocked by hook")
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.sent_at == START + 2


def test_sub_agents_have_caches_of_their_own(tmp_path: Path):
    log = conversation()
    log.user("Look around.", isSidechain=True, agentId="a")
    log.answer("m3", model=MODEL, read=90_000, isSidechain=True, agentId="a")
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.cached == 10_400


def test_after_a_compaction_nothing_is_known_until_the_next_answer(tmp_path: Path):
    log = conversation()
    log.add("system", subtype="compact_boundary")
    log.user("This session is continued.", isCompactSummary=True)
    assert last_request(written(tmp_path, log)) is None
    log.user("Go on.")
    log.answer("m3", model=MODEL, read=2000, write=(0, 900))
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.cached == 2900


def test_a_conversation_that_waits_for_a_tool_sends_its_result_in_any_case(tmp_path: Path):
    log = conversation()
    assert not is_working(tmp_path, log)
    log.user("And now?")
    log.answer("m3", "make test", call="c3", model=MODEL)
    assert is_working(tmp_path, log)
    log.result("c3")
    assert not is_working(tmp_path, log)
    log.answer("m4", model=MODEL)
    assert not is_working(tmp_path, log)


def is_working(folder: Path, log: ClaudeLog) -> bool:
    request = last_request(written(folder, log))
    assert request is not None
    return request.working


@pytest.mark.parametrize("tool", ["CronCreate", "ScheduleWakeup"])
def test_a_session_that_wakes_itself_up(tmp_path: Path, tool: str):
    log = conversation()
    block = {"type": "tool_use", "id": "c2", "name": tool, "input": {"prompt": "Look again."}}
    log.add("assistant", {"id": "m9", "model": MODEL, "role": "assistant", "content": [block]})
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.scheduled


def test_a_long_file_is_read_from_its_end(tmp_path: Path):
    log = ClaudeLog()
    log.user("x" * (TAILS[0] // 2))
    log.answer("m0", model=MODEL, read=1)
    log.lines += conversation().lines
    log.lines.append(json.dumps({"type": "mode", "note": "y" * (TAILS[0] // 3)}).encode() + b"\n")
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.cached == 10_400
    log.lines.append(json.dumps({"type": "mode", "note": "y" * (2 * TAILS[0])}).encode() + b"\n")
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert request.cached == 10_400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe\n",
        b'{"type":"assistant"}\n',
        b'{"type":"user","uuid":1}\n',
    ],
)
def test_a_file_that_is_no_session_has_none(tmp_path: Path, content: bytes):
    file = tmp_path / "s1.jsonl"
    file.write_bytes(content)
    assert last_request(file) is None


def sent(request: LastRequest, after_s: float) -> ColdSend | None:
    return cold_send(request, TARGETS, START + 2 + after_s)


def test_a_cold_send_costs_what_writing_all_of_it_does(tmp_path: Path):
    request = last_request(written(tmp_path, conversation()))
    assert request is not None
    assert sent(request, 3599) is None
    send = sent(request, 3600 + 2520)
    assert send is not None
    price = TARGETS.find(MODEL).prices(10_400)[0]
    assert send.tokens == 10_400
    assert send.usd == pytest.approx(10_400 * price * 2)
    assert send.read_usd == pytest.approx(10_400 * price * TARGETS.find(MODEL).provider.read)
    text = message(send)
    assert "expired 42 minutes ago" in text
    assert "writes 10,400 tokens anew for $0.1040; from" in text
    share = "about 1.2% [0.9, 1.6] of your 5-hour window"
    assert f"anew for $0.1040, {share}; from" in message(send, share)


def test_an_unknown_model_has_no_price(tmp_path: Path):
    log = ClaudeLog()
    log.user("Hello")
    log.answer("m1", model="somebody/unknown")
    request = last_request(written(tmp_path, log))
    assert request is not None
    assert sent(request, 90_000) is None
