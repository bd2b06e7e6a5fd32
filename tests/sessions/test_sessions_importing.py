"""What session files show was sent and billed, read whole or piece by piece."""

import gzip
import json
from pathlib import Path

import msgspec
import pytest

from anchorline.learn import features
from anchorline.prompt import source
from anchorline.prompt.formats import claude_code
from anchorline.prompt.model import PromptError
from anchorline.route.target import load as load_targets
from anchorline.sessions import importing, request, session_files
from anchorline.sessions.importing import FilePart
from anchorline.sessions.request import RecordedRequest, warm
from support.session_logs import START, ClaudeLog, codex_log

NOW = START + 100


@pytest.fixture(autouse=True)
def _small_files_have_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "STATE_BYTES", 0)


def read(path: Path, agent: str = "claude-code", known=None) -> FilePart:
    piece = importing.read(path, agent, known, path.stat().st_mtime)
    return taken(piece)


def taken(piece: FilePart | None) -> FilePart:
    """Return a piece with its requests in a list."""
    assert piece is not None
    return msgspec.structs.replace(piece, requests=list(piece.requests))


def by_answer(requests: list[RecordedRequest]) -> dict[str | None, RecordedRequest]:
    found = {request.answer: request for request in requests}
    assert len(found) == len(requests)
    return found


def by_id(requests: list[RecordedRequest]) -> dict[str, RecordedRequest]:
    found = {request.id: request for request in requests}
    assert len(found) == len(requests)
    return found


def conversation() -> ClaudeLog:
    log = ClaudeLog()
    log.user("fix it")
    log.answer("m1", "ls", call="t1", output=1)
    log.answer("m1", "cat", call="t2", output=30)
    log.result("t1")
    log.result("t2")
    log.answer("m2")
    return log


def test_usage_counts_once_a_response_with_its_last_output(tmp_path: Path):
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    first, second = read(path).requests
    assert (first.answer, first.output, first.trigger, first.blocks) == ("m1", 30, "user", 1)
    assert (first.input, first.read, first.write_5m, first.write_1h) == (3, 10_000, 100, 400)
    assert (first.sent_at, first.first_at) == (START, START + 1)
    assert (second.answer, second.trigger, second.blocks, second.switched) == ("m2", "tool", 5, False)


def test_answers_of_a_relay_that_gives_them_all_one_id_count_each(tmp_path: Path):
    log = ClaudeLog()
    for step in range(3):
        log.user(f"step {step}")
        log.answer("msg_relay", "ls", call=f"t{step}", read=1000 * step)
        log.result(f"t{step}")
        log.answer("msg_relay", read=1000 * step + 500)
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    found = read(path).requests
    assert [(one.answer, one.read, one.trigger, one.blocks) for one in found] == [
        ("msg_relay", 1000 * step + 500 * half, "tool" if half else "user", 4 * step + 2 * half + 1)
        for step in range(3)
        for half in range(2)
    ]
    assert len(by_id(found)) == 6


def test_an_id_that_is_given_again_under_another_requests_counts_again(tmp_path: Path):
    log = ClaudeLog()
    log.user("read two files")
    for number in range(2):
        log.answer("msg_1", "thinking", requestId=f"req_{number}")
        log.answer("msg_1", "cat", call=f"t{number}", requestId=f"req_{number}", output=20 + number)
        log.result(f"t{number}")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    found = read(path).requests
    assert [(one.answer, one.request, one.output) for one in found] == [
        ("msg_1", "req_0", 20),
        ("msg_1", "req_1", 21),
    ]
    assert len(by_id(found)) == 2


def test_a_response_whose_first_call_was_answered_before_its_end_counts_once(tmp_path: Path):
    log = ClaudeLog()
    log.user("read two files")
    log.answer("msg_1", "cat", call="t1")
    log.result("t1")
    log.answer("msg_1", "cat", call="t2", output=30)
    log.result("t2")
    log.answer("msg_2")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    assert [(one.answer, one.output) for one in read(path).requests] == [("msg_1", 30), ("msg_2", 7)]


def test_all_that_a_usage_tells_is_kept(tmp_path: Path):
    log = ClaudeLog()
    log.user("go on")
    log.answer("msg_1", requestId="req_1")
    line = json.loads(log.lines.pop())
    line["message"]["usage"] |= {
        "speed": "fast", "service_tier": "priority", "inference_geo": "us", "server_tool_use": {"web_search_requests": 2},
        "iterations": [
            {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
            {"type": "message", "input_tokens": 3, "cache_read_input_tokens": 10_000,
             "cache_creation_input_tokens": 500, "output_tokens": 7},
        ],
    }  # fmt: skip
    log.lines.append(json.dumps(line).encode() + b"\n")
    log.user("and more")
    log.answer("msg_2", requestId="req_2")
    line = json.loads(log.lines.pop())
    line["message"]["usage"] |= {"input_tokens": None, "output_tokens": None, "cache_creation": None}
    log.lines.append(json.dumps(line).encode() + b"\n")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    piece = read(path)
    assert piece.problems == []
    first, second = piece.requests
    assert (first.input, first.output, first.tokens) == (180_003, 3507, 10_503)
    usage = first.bill
    assert (usage.speed, usage.tier, usage.geo, usage.web_searches) == ("fast", "priority", "us", 2)
    assert [one.kind for one in usage.iterations] == ["compaction", "message"]
    assert (second.input, second.read, second.write_5m, second.output) == (0, 10_000, 500, 0)


def test_a_prefix_is_the_one_that_the_planner_knows(tmp_path: Path):
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    sent = claude_code.read(path).sent
    assert [request.prefix for request in read(path).requests] == [one.prefix for one in sent]


def test_compaction_switch_branch_and_sub_agent_are_marked(tmp_path: Path):
    log = conversation()
    end = log.newest
    log.user("left", parentUuid=end)
    log.answer("left")
    log.newest = end
    log.user("go on")
    log.answer("other", model="claude-sonnet-5")
    log.add("system", subtype="compact_boundary", parentUuid=None, logicalParentUuid=log.newest)
    log.user("summary", isCompactSummary=True)
    log.answer("after")
    before = log.newest
    log.user("agent's task", isSidechain=True, parentUuid=None)
    log.answer("side", isSidechain=True)
    log.newest = before
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    found = by_answer(read(path).requests)
    assert set(found) == {"m1", "m2", "left", "other", "after", "side"}
    assert (found["left"].branch, found["other"].branch, found["m1"].branch) == (1, 0, 0)
    assert found["other"].switched
    assert not found["left"].switched
    assert (found["after"].trigger, found["after"].blocks) == ("compact", 1)
    assert found["m1"].chain == "main"
    assert found["side"].chain not in ("main", "")
    assert (found["side"].blocks, found["side"].trigger) == (1, "user")


def test_codex_tells_the_same(tmp_path: Path):
    path = tmp_path / "c1.jsonl"
    path.write_bytes(codex_log())
    found = read(path, "codex").requests
    assert [request.trigger for request in found] == ["user", "user", "compact"]
    assert [request.switched for request in found] == [False, True, False]
    assert [(one.input, one.read, one.output) for one in found] == [
        (1000, 1000, 9), (1001, 1000, 9), (1002, 1000, 9)]  # fmt: skip
    assert all(one.first_at == one.sent_at + 1 for one in found)


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_a_file_that_grew_is_read_from_where_it_ended(tmp_path: Path, agent: str):
    log = conversation()
    log.user("and this")
    log.answer("m3")
    content = log.bytes() if agent == "claude-code" else codex_log(turns=5)
    path = tmp_path / "s1.jsonl"
    path.write_bytes(content)
    whole = by_id(read(path, agent).requests)
    for cut in range(0, len(content), 97):  # most of these are in the middle of a line
        path.write_bytes(content[:cut])
        first = read(path, agent)
        assert first.problems == []
        path.write_bytes(content)
        rest = read(path, agent, first.position)
        assert rest.problems == []
        assert not rest.anew
        assert rest.bytes == len(content) - content[:cut].rfind(b"\n") - 1
        assert by_id(first.requests) | by_id(rest.requests) == whole


@pytest.mark.parametrize("agent", ["claude-code", "codex"])
def test_a_small_file_that_grew_is_read_anew_with_the_same_result(tmp_path: Path, monkeypatch, agent: str):
    monkeypatch.setattr(importing, "STATE_BYTES", 100_000)
    content = conversation().bytes() if agent == "claude-code" else codex_log(turns=5)
    path = tmp_path / "s1.jsonl"
    path.write_bytes(content[:700])
    known = read(path, agent).position
    assert known.state is None
    path.write_bytes(content)
    piece = read(path, agent, known)
    assert piece.anew
    assert piece.requests == read(path, agent).requests


def test_what_did_not_change_is_not_read_and_what_was_replaced_is_read_anew(tmp_path: Path):
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    known = read(path).position
    assert importing.read(path, "claude-code", known, NOW) is None
    other = ClaudeLog("s2")
    for turn in range(9):
        other.user("something else")
        other.answer(f"n{turn}")
    path.write_bytes(other.bytes())
    piece = read(path, known=known)
    assert piece.anew
    assert len(piece.requests) == 9


def test_broken_lines_are_named_and_the_rest_is_read(tmp_path: Path):
    log = conversation()
    log.lines.insert(1, b'{"type": "user", "message": secret words}\n')
    log.lines.insert(4, b"\xff\xfe\n")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    piece = read(path)
    assert [(one.file, one.line) for one in piece.problems] == [(str(path), 2), (str(path), 5)]
    assert "secret" not in "".join(one.message for one in piece.problems)
    assert [request.answer for request in piece.requests] == ["m1", "m2"]


def test_only_a_line_of_the_conversation_has_to_have_a_message_of_its_form(tmp_path: Path):
    log = conversation()
    log.add("system", {"content": "the client's own"}, isMeta=True)
    log.lines.append(log.lines.pop().replace(b'{"content":"the client\'s own"}', b'"a text"'))
    log.add("user", {"role": "user", "content": 3})
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    piece = read(path)
    assert [one.line for one in piece.problems] == [len(log.lines)]
    assert [request.answer for request in piece.requests] == ["m1", "m2"]


@pytest.mark.parametrize("name", ["some words", "two\nwords"])
def test_a_name_that_could_be_text_is_in_no_state(tmp_path: Path, name: str):
    log = conversation()
    log.user("go on", uuid="u9")
    log.user("go on", parentUuid=name)
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    assert read(path).position.state is not None
    path.write_bytes(log.bytes())
    assert read(path).position.state is None


def test_a_packed_file_reads_alike_and_a_broken_one_keeps_its_beginning(tmp_path: Path):
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(conversation().bytes())
    packed.write_bytes(gzip.compress(conversation().bytes()))
    assert read(packed).requests == read(plain).requests
    packed.write_bytes(packed.read_bytes()[:-12])
    (problem,) = read(packed).problems
    assert "gzip" in problem.message


def test_an_id_that_could_be_text_is_not_kept_in_the_position(tmp_path: Path):
    log = conversation()
    log.user("more", uuid="Quetzalcoatlus northropi flies")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    assert read(path).position.state is None


def test_the_same_folders_as_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    assert session_files.homes("claude-code") == (tmp_path / "claude" / "projects",)
    assert session_files.homes("codex") == (tmp_path / "codex/sessions", tmp_path / "codex/archived_sessions")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    monkeypatch.delenv("CODEX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert session_files.homes("claude-code") == (tmp_path / ".claude" / "projects",)
    assert session_files.homes("codex")[0] == tmp_path / ".codex" / "sessions"


def test_a_session_that_is_just_being_packed_is_one(tmp_path: Path):
    for name in ("a.jsonl", "a.jsonl.zst", "b.jsonl.zst", "c.jsonl.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found = [path.name for path in session_files.files("codex", (tmp_path,))]
    assert found == ["a.jsonl", "b.jsonl.zst", "c.jsonl.gz"]


def test_the_clock_is_the_providers_own(tmp_path: Path):
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    (request, _) = read(path).requests
    targets = load_targets()
    later = msgspec.structs.replace(request, first_at=request.sent_at + 50)
    (entry,) = warm([later], targets, "default", NOW)
    assert (entry.ttl, entry.tokens) == ("1h", 10_503)
    assert entry.expires_at == request.sent_at + 3600  # from the request's start
    assert warm([later], targets, "default", request.sent_at + 3600) == []
    openai = msgspec.structs.replace(later, model="gpt-5.5", ttl=None)
    (entry,) = warm([openai], targets, "default", NOW)
    seconds = targets.find("gpt-5.5").provider.lifetimes[0].seconds
    assert entry.expires_at == request.sent_at + 50 + seconds  # from its last use


def test_a_request_that_wrote_nothing_refreshes_under_the_chains_lifetime(tmp_path: Path):
    path = tmp_path / "s1.jsonl"
    path.write_bytes(conversation().bytes())
    first, second = read(path).requests
    read_only = msgspec.structs.replace(second, ttl=None, write_5m=0, write_1h=0)
    entries = warm([first, read_only], load_targets(), "default", NOW)
    assert [entry.ttl for entry in entries] == ["1h", "1h"]


def test_of_many_requests_the_newest_are_kept_with_what_earlier_ones_tell(tmp_path: Path, monkeypatch):
    log = ClaudeLog()
    log.user("fix it")
    log.answer("m0")
    log.user("All that was said.", isCompactSummary=True)
    log.answer("m1")
    unwritten = {"input_tokens": 3, "cache_read_input_tokens": 10_000, "output_tokens": 7}
    for number in range(2, 30):
        log.user("go on")
        log.add("assistant", {"id": f"m{number}", "model": "claude-opus-4-6", "role": "assistant",
                              "content": [{"type": "text", "text": "ok"}], "usage": unwritten})  # fmt: skip
    path = tmp_path / "s.jsonl"
    path.write_bytes(log.bytes())
    every = read(path).requests
    monkeypatch.setattr(request, "NEWEST", 3)
    newest = request.Newest()
    assert len(list(newest.passing(reversed(every)))) == len(every)
    kept = newest.requests()
    assert [one.answer for one in kept] == ["m0", "m1", "m27", "m28", "m29"]
    targets = load_targets()
    assert warm(kept, targets, "default", NOW)[-3:] == warm(every, targets, "default", NOW)[-3:]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
def test_what_a_person_said_is_seen_as_numbers_only(tmp_path: Path, suffix: str):
    log = conversation()
    log.user("<command-name>/clear</command-name>")
    log.user("now rename it")
    log.answer("m3")
    log.result("t9")
    log.answer("m4")
    path = tmp_path / f"s1{suffix}"
    path.write_bytes(gzip.compress(log.bytes()) if suffix.endswith("gz") else log.bytes())
    piece = taken(importing.read(path, "claude-code", None, NOW, features=True))
    found = by_answer(piece.requests)
    assert found["m1"].message.grams == features.grams("fix it")
    assert found["m3"].message.grams == features.grams("now rename it")
    assert found["m3"].message.draft == features.of_draft("now rename it")
    assert found["m2"].message is None
    assert found["m4"].message is None


def test_what_codex_was_asked_is_seen_as_numbers(tmp_path: Path):
    path = tmp_path / "c.jsonl"
    path.write_bytes(codex_log())
    piece = taken(importing.read(path, "codex", None, NOW, features=True))
    messages = [request.message for request in piece.requests if request.trigger == "user"]
    assert [one.grams for one in messages] == [
        features.grams(f"question {turn}") for turn in range(len(messages))
    ]
    assert not any(one.thoughtless or one.commands for one in messages)


def test_a_turn_without_thinking_shows(tmp_path: Path):
    def log(*, thinking: bool) -> bytes:
        made = ClaudeLog()
        made.user("fix it")
        if thinking:
            block = {"type": "thinking", "thinking": "hm", "signature": "x"}
            made.add("assistant", {"id": "m0", "model": "claude-opus-5", "role": "assistant",
                                   "content": [block], "usage": {"output_tokens": 1}})  # fmt: skip
        made.answer("m1", model="claude-opus-5")
        made.user("and that")
        made.answer("m2", model="claude-opus-5")
        return made.bytes()

    for thinking in (True, False):
        path = tmp_path / f"{thinking}.jsonl"
        path.write_bytes(log(thinking=thinking))
        piece = taken(importing.read(path, "claude-code", None, NOW, features=True))
        assert piece.requests[-1].message.thoughtless is not thinking


def test_a_file_that_is_replaced_while_it_is_read_is_read_anew_the_next_time(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(importing, "STATE_BYTES", 0)
    path, other = tmp_path / "s.jsonl", tmp_path / "other.jsonl"
    for file, session, count in ((path, "old", 4), (other, "new", 9)):
        log = ClaudeLog(session)
        for number in range(count):
            log.user("Fix it.")
            log.answer(f"{session}-{number}")
        file.write_bytes(log.bytes())
    every_line = importing.lines

    def replaced_meanwhile(*given):
        for number, line in enumerate(every_line(*given)):
            if number == 3 and other.exists():
                other.replace(path)
            yield line

    monkeypatch.setattr(importing, "lines", replaced_meanwhile)
    first = importing.read(path, "claude-code", None, START)
    assert first is not None
    second = importing.read(path, "claude-code", first.position, START)
    assert second is not None
    assert second.anew
    second = taken(second)
    assert {one.session for one in second.requests} == {"new"}
    assert len(second.requests) == 9


def test_a_small_file_that_unpacks_to_endless_lines_is_refused_at_once(tmp_path: Path):
    file = tmp_path / "bomb.jsonl.gz"
    with gzip.open(file, "wb") as packed:
        for _ in range(8):
            packed.write(b"\n" * 1_000_000)
    with pytest.raises(PromptError, match="more than 500000 lines"):
        list(source.lines(file))
