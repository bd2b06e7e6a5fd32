"""What OpenCode, Pi, Cline, Copilot CLI, Gemini CLI and Qwen Code write down: the same conversation is the same requests, whoever had it."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.config import Config
from anchorline.prompt.source import Line
from anchorline.route.target import load as load_targets
from anchorline.sessions import importing, session_files
from anchorline.sessions.cline import Cline
from anchorline.sessions.conversation import qualified
from anchorline.sessions.facts import Checkout, Facts
from anchorline.sessions.importing import FilePart
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database
from anchorline.store.session_import import ImportSummary, import_sessions
from support.agent_sessions import (
    COUNTS,
    FOLDER,
    START,
    TOOLS,
    CopilotLog,
    OpenCodeDatabase,
    PiLog,
    cline,
    copilot,
    lay_cline,
    opencode,
    pi,
    write,
)

AGENTS = ("opencode", "pi", "cline", "copilot-cli", "gemini-cli", "qwen-code")
WRITES_UNTOLD = ("gemini-cli", "qwen-code")
"""Agents that don't record what was written to a cache: it is input."""
KEY = b"k" * 16
Counts = tuple[int, int, int, int]


def read(agent: str, path: Path, earlier: importing.ReadPosition | None = None, **more: object) -> FilePart:
    options = {"key": KEY, "names": True, **more}
    part = importing.read(path, agent, earlier, START + 60, **options)  # type: ignore[arg-type]
    assert part is not None
    return msgspec.structs.replace(part, requests=list(part.requests))


def requests(agent: str, path: Path) -> list[RecordedRequest]:
    part = read(agent, path)
    assert part.problems == []
    return list(part.requests)


def counts(read_requests: list[RecordedRequest]) -> list[Counts]:
    return [
        (request.input, request.read, request.write_5m + request.write_1h, request.output)
        for request in read_requests
    ]


def imported(agent: str, *paths: Path) -> ImportSummary:
    return import_sessions(agent, paths, Config(), load_targets(), lambda: None)


def rows() -> list[tuple[object, ...]]:
    with database.reading(database.locate()) as connection:
        return list(connection.execute("SELECT * FROM imported ORDER BY id"))


@pytest.mark.parametrize("agent", AGENTS)
def test_a_conversation_is_its_requests(agent: str, tmp_path: Path):
    first, second, third = requests(agent, write(agent, tmp_path))
    told = (
        [(new + write, read, 0, out) for new, read, write, out in COUNTS]
        if agent in WRITES_UNTOLD
        else list(COUNTS)
    )
    assert counts([first, second, third]) == told
    assert [request.trigger for request in (first, second, third)] == ["user", "tool", "tool"]
    assert len({request.id for request in (first, second, third)}) == 3
    assert first.blocks < second.blocks < third.blocks
    assert START <= first.sent_at < second.sent_at < third.sent_at < START + 7
    assert {request.chain for request in (first, second, third)} == {"main"}
    checkout = Checkout(FOLDER, "main" if agent == "copilot-cli" else "")
    assert [request.checkout for request in (first, second, third)] == [checkout] * 3


@pytest.mark.parametrize("agent", AGENTS)
def test_what_tools_returned_is_told_without_a_word_of_it(agent: str, tmp_path: Path):
    first, second, third = requests(agent, write(agent, tmp_path))
    assert first.results == ()
    (result,) = second.results
    assert result.target == Facts(KEY, names=True)._target("/src/app/a.py")
    assert result.tokens > 100
    if agent != "cline":
        assert (result.first_line, result.lines) == (5, 20)
    assert [result.effect for result in third.results] == ["commit"]


@pytest.mark.parametrize("agent", AGENTS)
def test_names_are_kept_only_where_they_may_be(agent: str, tmp_path: Path):
    part = read(agent, write(agent, tmp_path), names=False)
    assert [request.checkout for request in part.requests] == [None] * 3


@pytest.mark.parametrize("agent", AGENTS)
def test_importing_twice_changes_nothing(agent: str, tmp_path: Path):
    path = write(agent, tmp_path / "sessions")
    assert imported(agent, path).requests == 3
    before = rows()
    again = imported(agent, path)
    assert (again.requests, again.unchanged, rows()) == (0, 1, before)
    path.touch()
    again = imported(agent, path)
    assert (again.requests, again.unchanged, rows()) == (0, 0, before)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_moved_session_counts_once(agent: str, tmp_path: Path):
    path = write(agent, tmp_path / "sessions" / "s1")
    imported(agent, path)
    before = rows()
    moved = tmp_path / "archive" / "s1"
    moved.parent.mkdir()
    path.parent.rename(moved)
    assert imported(agent, moved / path.relative_to(tmp_path / "sessions" / "s1")).requests == 0
    assert rows() == before


@pytest.mark.parametrize("agent", AGENTS)
def test_sessions_are_looked_for_where_the_agent_keeps_them(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "XDG_DATA_HOME",
        "PI_CODING_AGENT_DIR",
        "CLINE_DIR",
        "COPILOT_HOME",
        "GEMINI_CLI_HOME",
        "QWEN_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    folder = {
        "opencode": ".local/share/opencode",
        "pi": ".pi/agent/sessions/--work-app--",
        "cline": ".cline/data/sessions",
        "copilot-cli": ".copilot/session-state/c0ffee",
        "gemini-cli": ".gemini/tmp",
        "qwen-code": ".qwen/projects",
    }[agent]
    path = write(agent, tmp_path / folder)
    (tmp_path / folder / "notes.json").write_text("{}")
    assert session_files.files(agent, session_files.homes(agent)) == [path.resolve()]


@pytest.mark.parametrize(
    ("agent", "variable", "value", "below"),
    [
        ("opencode", "OPENCODE_DB", "data/mine.db", "data"),
        ("pi", "PI_CODING_AGENT_SESSION_DIR", "data", "data"),
        ("cline", "CLINE_DATA_DIR", "data", "data/sessions"),
        ("cline", "CLINE_SESSION_DATA_DIR", "data", "data"),
    ],
)
def test_sessions_are_found_where_a_variable_of_the_agents_own_says(
    agent: str, variable: str, value: str, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    path = write(agent, tmp_path / below)
    if agent == "opencode":
        path = path.rename(tmp_path / value)
    monkeypatch.setenv(variable, str(tmp_path / value))
    assert session_files.files(agent, session_files.homes(agent)) == [path.resolve()]


@pytest.mark.parametrize("agent", AGENTS)
def test_a_file_of_something_else_is_refused_by_name(agent: str, tmp_path: Path):
    path = write(agent, tmp_path)
    path.write_bytes(b"something else\n")
    part = read(agent, path)
    assert list(part.requests) == []
    assert part.problems[0].file == str(path)
    assert "something" not in part.problems[0].message


def test_a_model_is_named_with_the_provider_that_sells_it():
    targets = load_targets()
    assert qualified("anthropic", "claude-sonnet-5-5") == "claude-sonnet-5-5"
    assert targets.find(qualified("openrouter", "anthropic/claude-sonnet-5.5")).id == "claude-sonnet-5-5"
    assert targets.find(qualified("github-copilot", "claude-sonnet-4.5")).id == "claude-sonnet-4-5"
    assert targets.find(qualified("opencode", "gpt-5.3-codex")).id == "gpt-5.3-codex"
    assert targets.find(qualified("opencode", "nobody-knows-it")).model is None


# OpenCode


def test_of_a_live_database_only_what_is_new_is_read(tmp_path: Path):
    with closing(OpenCodeDatabase(tmp_path / "opencode.db")) as live:
        live.session()
        live.conversation()
        first = read("opencode", live.path)
        assert len(list(first.requests)) == 3
        assert importing.read(live.path, "opencode", first.position, START) is None
        live.ask("ses_1", "msg_8", 20)
        live.answer("ses_1", "msg_9", 21, (1, 5740, 9, 80))
        live.session("ses_2")
        live.conversation("ses_2", "b")
        second = read("opencode", live.path, first.position)
        assert not second.anew
        names = [(request.session, request.output) for request in second.requests]
        assert names[-1:] == [("ses_1", 80)] or ("ses_1", 80) in names
        assert ("ses_1", 50) not in names  # it was there before
        assert live.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_fork_of_a_session_counts_once(tmp_path: Path):
    path = tmp_path / "opencode.db"
    with closing(OpenCodeDatabase(path)) as made:
        made.session()
        made.conversation()
        made.session("ses_2")
        made.conversation("ses_2", "fork")  # new ids, the same times
        made.ask("ses_2", "msg_8", 30)
        made.answer("ses_2", "msg_9", 31, (1, 5740, 9, 80))
    assert counts(requests("opencode", path)) == [*COUNTS, (1, 5740, 9, 80)]


def test_a_sub_agent_is_a_chain_of_the_session_that_it_works_for(tmp_path: Path):
    path = tmp_path / "opencode.db"
    with closing(OpenCodeDatabase(path)) as made:
        made.session()
        made.conversation()
        made.session("ses_2", parent="ses_1", agent="explore")
        made.ask("ses_2", "msg_b1", 2)
        made.answer("ses_2", "msg_b2", 3, (5, 0, 0, 20))
    own = [request for request in requests("opencode", path) if request.chain != "main"]
    assert [(request.session, request.chain, request.subagent) for request in own] == [
        ("ses_1", "ses_2", "explore")
    ]


def test_sub_agents_that_are_each_others_parents_end(tmp_path: Path):
    path = tmp_path / "opencode.db"
    with closing(OpenCodeDatabase(path)) as made:
        made.session("ses_1", parent="ses_2")
        made.session("ses_2", parent="ses_1")
        made.conversation("ses_1")
    assert len(requests("opencode", path)) == 3


def test_the_request_after_a_compaction_says_so(tmp_path: Path):
    path = tmp_path / "opencode.db"
    with closing(OpenCodeDatabase(path)) as made:
        made.session()
        made.conversation()
        made.message("ses_1", "msg_a", 10, [{"type": "compaction", "auto": True}], role="user")
        made.answer("ses_1", "msg_b", 11, (0, 5000, 900, 500), summary=True)
        synthetic = {"type": "text", "text": "Continue", "synthetic": True}
        made.message("ses_1", "msg_c", 12, [synthetic], role="user")
        made.answer("ses_1", "msg_d", 13, (0, 0, 1200, 40))
    triggers = [request.trigger for request in requests("opencode", path)]
    assert triggers == ["user", "tool", "tool", "tool", "compact"]


def test_what_was_deleted_in_the_agent_stays_billed(tmp_path: Path):
    path = opencode(tmp_path / "opencode.db")
    imported("opencode", path)
    before = rows()
    with closing(OpenCodeDatabase(path)) as made:
        made.connection.execute("DELETE FROM message")
        made.session("ses_2")
        made.ask("ses_2", "msg_b1", 2)
        made.answer("ses_2", "msg_b2", 3, (5, 0, 0, 20))
    assert imported("opencode", path).requests == 1
    assert set(before) < set(rows())


def test_a_database_in_the_place_of_another_is_read_whole(tmp_path: Path):
    path = opencode(tmp_path / "opencode.db")
    first = read("opencode", path)
    path.unlink()
    with closing(OpenCodeDatabase(path)) as made:
        made.session("ses_9")
        made.ask("ses_9", "msg_x1", -500)
        for number in range(5):
            made.answer("ses_9", f"msg_x{number + 2}", 10.0 * number - 499, (5, 0, 0, 20 + number))
    assert len(list(read("opencode", path, first.position).requests)) == 5


def test_a_message_of_an_earlier_clock_is_read(tmp_path: Path):
    path = opencode(tmp_path / "opencode.db")
    first = read("opencode", path)
    with closing(OpenCodeDatabase(path)) as made:
        made.session("ses_2")
        made.ask("ses_2", "msg_b1", -100)
        made.answer("ses_2", "msg_b2", -99, (5, 0, 0, 20))
    assert list(read("opencode", path, first.position).requests)[-1].output == 20


# Pi


def test_a_branch_that_was_left_is_billed_and_is_no_part_of_the_newest(tmp_path: Path):
    log = pi()
    asked = log.entries[1]["id"]
    log.leaf = asked
    log.answer(20, (7, 0, 0, 90), response="msg_9")
    path = tmp_path / "pi.jsonl"
    path.write_bytes(log.bytes())
    first, second, third, again = requests("pi", path)
    assert [request.branch for request in (first, second, third, again)] == [1, 1, 1, 0]
    assert (again.prefix, again.blocks) == (first.prefix, first.blocks)
    assert again.id != first.id


def test_a_fork_repeats_its_origin_and_counts_once(tmp_path: Path):
    first, fork = pi(), PiLog("pi-2")
    fork.entries += first.entries[1:]
    fork.leaf = first.leaf
    fork.ask(30)
    fork.answer(31, (1, 5740, 9, 80), response="msg_7")
    paths = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for path, log in zip(paths, (first, fork), strict=True):
        path.write_bytes(log.bytes())
    assert imported("pi", *paths).requests == 4


def test_an_answer_that_broke_off_is_partial(tmp_path: Path):
    log = PiLog()
    log.ask(0)
    log.answer(1, (10, 0, 0, 2), stopReason="aborted")
    log.answer(2, (0, 0, 0, 0), stopReason="error", response="msg_2")
    path = tmp_path / "pi.jsonl"
    path.write_bytes(log.bytes())
    (request,) = requests("pi", path)
    assert request.usage is not None
    assert request.usage.partial


def test_a_persons_words_are_learnt_from_where_they_stand_in_the_file(tmp_path: Path):
    for agent in ("pi", "copilot-cli"):
        path = write(agent, tmp_path)
        first, *_ = read(agent, path, features=True).requests
        assert first.message is not None
        assert path.read_bytes()[first.message.start : first.message.end] == b'"fix it"'
        assert first.message.grams


# Cline


def test_a_document_that_is_just_being_rewritten_takes_nothing_away(tmp_path: Path):
    path = lay_cline(tmp_path, cline())
    imported("cline", path)
    before = rows()
    whole = path.read_text()
    path.write_text(whole[:200])
    summary = imported("cline", path)
    assert [problem.file for problem in summary.problems] == [str(path)]
    assert rows() == before
    path.write_text(whole)
    assert imported("cline", path).problems == []
    assert rows() == before


def test_requests_that_a_rewritten_document_leaves_out_stay_billed(tmp_path: Path):
    document = cline()
    path = lay_cline(tmp_path, document)
    imported("cline", path)
    document["messages"] = document["messages"][4:]
    lay_cline(tmp_path, document)
    assert imported("cline", path).requests == 0
    assert len(rows()) == 3


def test_a_sub_agents_document_is_a_chain_of_the_session_of_its_folder(tmp_path: Path):
    document = {**cline(), "agent": "subagent", "origin": {"parentThreadId": "s1", "subagent": "agent_1"}}
    path = lay_cline(tmp_path, {**document, "sessionId": "s1__agent_1"}, "agent_1")
    first, *_ = requests("cline", path)
    assert (first.session, first.chain, first.subagent) == ("s1", "agent_1", "subagent")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_messages_of_any_form_are_left_out_or_read(value: object):
    reader = Cline(Facts(KEY, names=True), Path("/nowhere/s1/s1.messages.json"))
    document = {**cline(), "messages": [*cline()["messages"], value, {"role": "assistant", "content": value}]}
    reader.take(Line(1, 0, json.dumps(document).encode(), complete=True))
    assert counts(list(reader.requests()))[:3] == list(COUNTS)


# Copilot CLI


def test_what_was_written_for_an_hour_is_told_by_its_lifetime(tmp_path: Path):
    log = CopilotLog()
    log.answer(1, (0, 0, 1000, 10), cacheTtlSeconds=3600)
    log.answer(3, (0, 1000, 500, 10), cacheTtlSeconds=300)
    path = tmp_path / "events.jsonl"
    path.write_bytes(log.bytes())
    first, second = requests("copilot-cli", path)
    assert (first.write_1h, first.write_5m, second.write_1h, second.write_5m) == (1000, 0, 0, 500)


def test_sub_agents_of_one_file_are_chains_of_their_own(tmp_path: Path):
    log = copilot()
    log.add("subagent.started", 8, agent="a1", toolCallId="x", agentName="explore", agentType="explore")
    log.add("user.message", 8, agent="a1", content="look", source="agent-c0ffee")
    log.answer(8, (5, 0, 0, 20), TOOLS[0], agent="a1")
    log.answer(10, (9, 0, 0, 30), agent="a1")
    log.answer(12, (1, 5740, 9, 80))
    path = tmp_path / "events.jsonl"
    path.write_bytes(log.bytes())
    *_, first, second, main = requests("copilot-cli", path)
    assert [(request.chain, request.subagent, request.trigger) for request in (first, second)] == [
        ("a1", "explore", "user"),
        ("a1", "explore", "tool"),
    ]
    assert [result.tool for result in second.results] == ["read"]
    assert (main.chain, main.results) == ("main", ())


def test_an_events_file_that_grows_is_gone_on_with_wherever_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(importing, "STATE_BYTES", 0)
    monkeypatch.setattr(importing, "STATE_S", 1e9)
    log = copilot()
    log.add("subagent.started", 8, agent="a1", toolCallId="x", agentName="explore", agentType="explore")
    log.add("user.message", 8, agent="a1", content="look", source="agent-c0ffee")
    log.answer(8, (5, 0, 0, 20), TOOLS[0], agent="a1")
    log.answer(9, (6, 0, 0, 25), agent="a1")
    log.add("session.compaction_complete", 10, success=True)
    log.answer(12, (1, 5740, 9, 80))
    lines = log.bytes().splitlines(keepends=True)
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(lines))
    whole = requests("copilot-cli", path)
    assert len(whole) == 6
    for cut in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:cut]))
        first = read("copilot-cli", path)
        assert first.position.state is not None
        path.write_bytes(b"".join(lines))
        second = read("copilot-cli", path, first.position)
        assert not second.anew
        assert [*first.requests, *second.requests] == whole


def test_through_copilots_own_provider_the_ids_are_githubs(tmp_path: Path):
    log = CopilotLog()
    log.answer(1, (10, 0, 0, 10), isByok=False)
    path = tmp_path / "events.jsonl"
    path.write_bytes(log.bytes())
    (request,) = requests("copilot-cli", path)
    assert (request.model, request.request) == ("github-copilot/claude-sonnet-4.5", None)


def paths_of(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("agent", AGENTS)
def test_reading_changes_nothing_beside_the_sessions(agent: str, tmp_path: Path):
    folder = tmp_path / "sessions"
    write(agent, folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths_of(folder)}
    for path in session_files.files(agent, (folder,)):
        imported(agent, path)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths_of(folder)} == before
