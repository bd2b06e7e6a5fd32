"""Folder, branch, pull request, sub-agent and tools' results of the requests in session files."""

import base64
import json
from pathlib import Path

import msgspec
import pytest

from anchorline.sessions import importing
from anchorline.sessions.facts import Checkout, ToolResult, project
from anchorline.sessions.request import RecordedRequest
from support.session_logs import START, ClaudeLog, stamp

KEY = b"k" * 16
PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1000).to_bytes(4, "big") + (800).to_bytes(4, "big")
).decode()
WHERE = {"cwd": "/srv/shop", "gitBranch": "fix/cart"}


@pytest.fixture(autouse=True)
def _small_files_have_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "STATE_BYTES", 0)


def read(path: Path, agent: str = "claude-code", earlier=None, *, names: bool = True):
    piece = importing.read(path, agent, earlier, path.stat().st_mtime, key=KEY, names=names)
    assert piece is not None
    return msgspec.structs.replace(piece, requests=sorted(piece.requests, key=lambda one: one.sent_at))


def requests(tmp_path: Path, log: ClaudeLog, **more: bool) -> list[RecordedRequest]:
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    return list(read(path, **more).requests)


def call(log: ClaudeLog, number: int, tool: str, /, **given: object) -> None:
    """Add an answer that calls a tool, its result, and nothing more."""
    log.answer(f"m{number}", "x", call=f"t{number}", **WHERE)
    line = json.loads(log.lines.pop())
    line["message"]["content"][0] |= {"name": tool, "input": given}
    log.lines.append(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def test_a_request_has_the_sessions_folder_and_its_lines_branch(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", cwd="/srv/shop", gitBranch="main")
    log.answer("m1", cwd="/srv/shop", gitBranch="main")
    log.user("go on", cwd="/srv/shop/src", gitBranch="fix/cart")
    log.answer("m2", cwd="/srv/shop/src", gitBranch="fix/cart")
    assert [one.checkout for one in requests(tmp_path, log)] == [
        Checkout("/srv/shop", "main"),
        Checkout("/srv/shop", "fix/cart"),
    ]


def test_a_pull_request_is_that_of_the_branch_it_was_opened_on(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    log.answer("m1", **WHERE)
    newest, log.newest = log.newest, None
    log.user("look", isSidechain=True, agentId="a1", cwd="/srv/shop/.worktrees/a1", gitBranch="agent-a1")
    log.newest = newest
    link = {"type": "pr-link", "sessionId": "s1", "prNumber": 12, "prRepository": "acme/shop"}
    log.lines.append(json.dumps(link).encode() + b"\n")
    log.user("and now", **WHERE | {"gitBranch": "main"})
    log.answer("m2", **WHERE | {"gitBranch": "main"})
    assert [one.checkout and one.checkout.pr for one in requests(tmp_path, log)] == ["acme/shop#12", ""]


def test_without_names_nothing_is_named_and_results_are_still_counted(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    call(log, 1, "Read", file_path="/srv/shop/cart.py")
    log.result("t1", "a line " * 50, **WHERE)
    log.answer("m2", **WHERE)
    first, second = requests(tmp_path, log, names=False)
    assert first.checkout is second.checkout is None
    assert second.results[0].tool == "Read"
    assert second.results[0].target is not None


def test_a_secret_in_a_branchs_name_is_masked(tmp_path: Path):
    log = ClaudeLog()
    key = "gh" + "p_" + "q7ZkR2vXw9Lm4Tn8Yc3Bd6Fs1Gh5Jp0aUeNo"
    log.user("begin", cwd="/srv/shop", gitBranch=f"try/{key}")
    log.answer("m1", cwd="/srv/shop", gitBranch=f"try/{key}")
    checkout = requests(tmp_path, log)[0].checkout
    assert checkout is not None
    assert checkout.branch.startswith("try/")
    assert key not in checkout.branch


@pytest.mark.parametrize(
    ("folder", "kept"),
    [
        ("{home}/src/shop", "~/src/shop"),
        ("{home}", "~"),
        ("{home}r/src", "{home}r/src"),
        ("/srv/shop/.worktrees/fix/cart", "/srv/shop"),
        ("/srv/shop/.claude/worktrees/brave-fox/src", "/srv/shop"),
        ("/srv/.codex/worktrees/045e/shop", "/srv/.codex/worktrees/shop"),
        ("C:\\src\\shop\\.claude\\worktrees\\x", "C:\\src\\shop"),
    ],
)
def test_a_project_is_named_below_the_home_folder_and_without_its_worktree(folder: str, kept: str):
    home = str(Path.home())
    assert project(folder.format(home=home)) == kept.format(home=home)


def test_a_request_has_what_the_tools_returned_since_the_one_before(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    call(log, 1, "Read", file_path="/srv/shop/cart.py", offset=10, limit=40)
    call(log, 1, "mcp__linear__get_issue", id="SHOP-1")
    log.lines[-1] = log.lines[-1].replace(b'"t1"', b'"t2"')
    log.result("t1", "a line of code\n" * 100, **WHERE)
    log.result("t2", "the issue", **WHERE)
    log.answer("m3", **WHERE)
    log.user("thanks", **WHERE)
    log.answer("m4", **WHERE)
    first, second, third = requests(tmp_path, log)
    assert first.results == third.results == ()
    reading, issue = second.results
    assert (reading.tool, reading.kind, reading.first_line, reading.lines) == ("Read", "text", 10, 40)
    assert 200 < reading.tokens < 800
    assert (issue.tool, issue.target, issue.effect) == ("mcp__linear__get_issue", None, None)


def test_the_same_file_has_the_same_hash_however_it_is_read(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    for number, (tool, given) in enumerate(
        [
            ("Read", {"file_path": "/srv/shop/cart.py"}),
            ("Bash", {"command": "cat cart.py"}),
            ("Bash", {"command": "sed -n 5,20p './cart.py'"}),
            ("Edit", {"file_path": "/srv/shop/cart.py"}),
            ("Bash", {"command": "cat cart.py | head"}),
        ]
    ):
        call(log, number, tool, **given)
        log.result(f"t{number}", **WHERE)
    log.answer("m9", **WHERE)
    results = [result for one in requests(tmp_path, log) for result in one.results]
    targets = [result.target for result in results]
    assert targets[0] is not None
    assert targets == [targets[0]] * 4 + [None]
    assert [(result.first_line, result.lines) for result in results][:3] == [
        (None, None),
        (None, None),
        (5, 16),
    ]


@pytest.mark.parametrize(
    ("tool", "given", "effect"),
    [
        ("Bash", {"command": "git add -A && git -C src commit -m 'Fix the cart'"}, "commit"),
        ("Bash", {"command": "GIT_EDITOR=true git commit --amend"}, "commit"),
        ("Bash", {"command": "git log --grep commit"}, None),
        ("Bash", {"command": "echo git commit"}, None),
        ("Edit", {"file_path": "/srv/shop/CLAUDE.md"}, "instructions"),
        ("Write", {"file_path": "/srv/shop/AGENTS.md"}, "instructions"),
        ("Read", {"file_path": "/srv/shop/CLAUDE.md"}, None),
    ],
)
def test_commits_and_edits_of_instructions_are_known(
    tmp_path: Path, tool: str, given: dict, effect: str | None
):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    call(log, 1, tool, **given)
    log.result("t1", **WHERE)
    log.answer("m2", **WHERE)
    assert requests(tmp_path, log)[1].results[0].effect == effect


def test_a_commit_that_failed_is_none(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    call(log, 1, "Bash", command="git commit -m x")
    log.add("user", {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": "nothing to commit", "is_error": True}
    ]}, **WHERE)  # fmt: skip
    log.answer("m2", **WHERE)
    assert requests(tmp_path, log)[1].results[0].effect is None


def test_images_count_by_their_size_apart_from_the_text(tmp_path: Path):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    log = ClaudeLog()
    log.add("user", {"role": "user", "content": [{"type": "text", "text": "see"}, image]}, **WHERE)
    call(log, 1, "mcp__browser__screenshot")
    log.add("user", {"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "done"}, image]}
    ]}, **WHERE)  # fmt: skip
    log.answer("m2", **WHERE)
    first, second = requests(tmp_path, log)
    by_size = first.results[0].tokens
    assert first.results == (ToolResult("", "image", by_size),)
    assert 900 < by_size < 1200
    assert [(one.tool, one.kind) for one in second.results] == [
        ("mcp__browser__screenshot", "text"), ("mcp__browser__screenshot", "image"),
    ]  # fmt: skip
    assert second.results[1].tokens == by_size


def test_a_sub_agents_type_is_told_by_its_lines_or_by_the_call_that_began_it(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    call(log, 1, "Task", subagent_type="Explore", prompt="Where is the cart?", description="look")
    newest = log.newest
    for prompt, more in (
        ("Where is the cart?", {"agentId": "a1"}),
        ("Review", {"agentId": "a2", "attributionAgent": "code-reviewer"}),
        ("Something else", {"agentId": "a3"}),
    ):
        log.newest = None
        log.user(prompt, isSidechain=True, **more)
        log.answer(f"m-{more['agentId']}", isSidechain=True, **more)
    log.newest = newest
    log.result("t1", **WHERE)
    log.answer("m2", **WHERE)
    assert {one.answer: one.subagent for one in requests(tmp_path, log)} == {
        "m1": None, "m-a1": "Explore", "m-a2": "code-reviewer", "m-a3": "", "m2": None,
    }  # fmt: skip


def test_the_type_of_a_sub_agent_with_a_file_of_its_own_stands_beside_it(tmp_path: Path):
    log = ClaudeLog()
    log.user("Where is the cart?", isSidechain=True, agentId="a1")
    log.answer("m1", isSidechain=True, agentId="a1")
    path = tmp_path / "agent-a1.jsonl"
    path.write_bytes(log.bytes())
    assert [one.subagent for one in read(path).requests] == [""]
    (tmp_path / "agent-a1.meta.json").write_text('{"agentType": "Explore", "description": "look"}')
    assert [one.subagent for one in read(path).requests] == ["Explore"]


def test_a_file_that_is_gone_on_with_knows_what_was_called_before(tmp_path: Path):
    log = ClaudeLog()
    log.user("begin", **WHERE)
    log.answer("m0", **WHERE)
    log.user("go on", **WHERE)
    call(log, 1, "Read", file_path="/srv/shop/cart.py")
    path = tmp_path / "s1.jsonl"
    path.write_bytes(log.bytes())
    first = read(path)
    assert b"cart.py" not in (first.position.state or b"")
    log.result("t1", "a line " * 50, **WHERE)
    path.write_bytes(log.bytes())
    second = read(path, earlier=first.position)
    assert not second.anew
    log.answer("m2", **WHERE)
    path.write_bytes(log.bytes())
    third = read(path, earlier=second.position)
    newest = third.requests[-1]
    assert (newest.answer, newest.checkout) == ("m2", Checkout("/srv/shop", "fix/cart"))
    whole = list(read(path).requests)
    assert newest.results == whole[-1].results != ()
    assert [one.checkout for one in third.requests[:-1]] == [None, None]  # what is recorded of them stays


def rollout(*items: dict, source: object = "cli", git: dict | None = None) -> bytes:
    at = START
    lines = []
    for type_, payload in (
        ("session_meta", {"id": "c1", "source": source, "cwd": "/srv/shop", "git": git}),
        ("turn_context", {"model": "gpt-5.5", "cwd": "/srv/shop"}),
        *(item if isinstance(item, tuple) else ("response_item", item) for item in items),
    ):
        at += 1
        lines.append(json.dumps({"timestamp": stamp(at), "type": type_, "payload": payload}))
    return ("\n".join(lines) + "\n").encode()


def usage(total: int) -> tuple[str, dict]:
    return ("event_msg", {"type": "token_count", "info": {"total_token_usage": {"input_tokens": total}}})


QUESTION = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}]}
ANSWER = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]}


def test_codex_tells_folder_branch_calls_and_what_they_did(tmp_path: Path):
    def called(number: int, name: str, **given: object) -> dict:
        return {
            "type": "function_call",
            "name": name,
            "arguments": json.dumps(given),
            "call_id": f"call_{number}",
        }

    def output(number: int, text: str) -> dict:
        return {"type": "function_call_output", "call_id": f"call_{number}", "output": text}

    path = tmp_path / "rollout.jsonl"
    path.write_bytes(
        rollout(
            QUESTION,
            called(1, "exec_command", cmd="sed -n 1,80p cart.py", workdir="/srv/shop"),
            called(2, "exec_command", cmd="git commit -am x"),
            usage(1000),
            output(1, "Process exited with code 0\nOutput:\n" + "code " * 400),
            output(2, "Process exited with code 1\nOutput:\nnothing to commit"),
            {"type": "custom_tool_call", "name": "apply_patch", "call_id": "call_3",
             "input": "*** Begin Patch\n*** Update File: /srv/shop/AGENTS.md\n@@\n-a\n+b\n*** End Patch"},
            usage(3000),
            {"type": "custom_tool_call_output", "call_id": "call_3", "output": "Success"},
            ANSWER,
            usage(6000),
            git={"branch": "fix/cart"},
        )
    )  # fmt: skip
    first, second, third = read(path, "codex").requests
    assert {one.checkout for one in (first, second, third)} == {Checkout("/srv/shop", "fix/cart")}
    assert first.results == ()
    assert [(one.tool, one.first_line, one.lines, one.effect) for one in second.results] == [
        ("exec_command", 1, 80, None),
        ("exec_command", None, None, None),
    ]
    assert second.results[0].target is not None
    assert second.results[0].tokens > 300
    assert [(one.tool, one.effect) for one in third.results] == [("apply_patch", "instructions")]


def test_codex_tells_images_that_a_person_attached(tmp_path: Path):
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    path = tmp_path / "rollout.jsonl"
    path.write_bytes(rollout(QUESTION | {"content": [*QUESTION["content"], image]}, ANSWER, usage(1000)))
    (only,) = read(path, "codex").requests
    assert [(one.tool, one.kind) for one in only.results] == [("", "image")]
    assert only.results[0].tokens > 500


@pytest.mark.parametrize(
    ("source", "subagent"),
    [
        ("cli", None),
        ({"subagent": "review"}, "review"),
        ({"subagent": {"thread_spawn": {"parent_thread_id": "p", "agent_role": "worker"}}}, "worker"),
        ({"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}, ""),
    ],
)
def test_codex_tells_a_sub_agents_role(tmp_path: Path, source: object, subagent: str | None):
    path = tmp_path / "rollout.jsonl"
    path.write_bytes(rollout(QUESTION, ANSWER, usage(1000), source=source))
    assert [one.subagent for one in read(path, "codex").requests] == [subagent]
