"""AL209: an edit of an instruction file that is part of a warm prefix, from the session to the editor."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.lsp_client import RawClient
from support.lsp_documents import OWN_MODEL
from support.session_logs import ClaudeLog, stamp

RULES = "# Rules\n\n" + "".join(f"- Rule {n}: keep every public name of module {n}.\n" for n in range(200))
HEAD, TAIL = RULES.replace("# Rules", "# Guide"), RULES.replace("Rule 190:", "The rule:")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with CLAUDE.md and AGENTS.md of yesterday, and no other instruction file that could count."""
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("CLAUDE.md", "AGENTS.md"):
        (folder / name).write_text(RULES)
        yesterday = time.time() - 86_400
        os.utime(folder / name, (yesterday, yesterday))
    return folder


def claude(project: Path, ago: float = 60.0) -> bytes:
    log = ClaudeLog(start=time.time() - ago)
    log.user("fix it", cwd=str(project))
    for turn in range(3):
        log.answer(f"m{turn}", call=f"t{turn}", read=10_000 * (turn + 1), cwd=str(project))
        log.result(f"t{turn}", cwd=str(project))
    return log.bytes()


def codex(project: Path, ago: float = 60.0) -> bytes:
    at = time.time() - ago
    lines = []

    def add(type_: str, payload: dict) -> None:
        lines.append(json.dumps({"timestamp": stamp(at + len(lines)), "type": type_, "payload": payload}))

    def message(role: str, kind: str, *texts: str) -> None:
        content = [{"type": kind, "text": text} for text in texts]
        add("response_item", {"type": "message", "role": role, "content": content})

    add("session_meta", {"id": "c1", "cwd": str(project), "base_instructions": {"text": "Be brief."}})
    add("turn_context", {"model": "gpt-5.5"})
    told = f"# AGENTS.md instructions for {project}\n\n<INSTRUCTIONS>\n{RULES.strip()}\n</INSTRUCTIONS>"
    message("user", "input_text", told, "<environment_context>zsh</environment_context>")
    message("user", "input_text", "why does it fail?")
    message("assistant", "output_text", "let me see")
    usage = {"input_tokens": 22_000, "cached_input_tokens": 1000, "output_tokens": 9}
    add("event_msg", {"type": "token_count", "info": {"last_token_usage": usage}})
    return ("\n".join(lines) + "\n").encode()


def imported(agent: str, folder: Path, content: bytes) -> None:
    session = folder.parent / "s1.jsonl"
    session.write_bytes(content)
    command = [sys.executable, "-m", "anchorline", "import", agent, str(session)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def shown(client: RawClient, uri: str, version: int) -> list[str]:
    """Return AL209's messages in the next diagnostics of a version of a document."""
    method = "textDocument/publishDiagnostics"
    published = client.until(
        lambda message: (
            message.get("method") == method
            and (message["params"]["uri"], message["params"].get("version")) == (uri, version)
        )
    )["params"]
    return [one["message"] for one in published["diagnostics"] if one["code"] == "AL209"]


def opened(start: Callable[..., RawClient], file: Path) -> tuple[RawClient, str]:
    client = start()
    client.initialize(root=file.parent, initializationOptions=OWN_MODEL)
    client.call("anchorline/feedback", {"planId": "none", "thumbs": 1})  # answered once the store is open
    client.open(file.as_uri(), RULES)
    return client, file.as_uri()


@pytest.mark.parametrize(
    ("agent", "log", "name", "where"),
    [
        ("claude-code", claude, "CLAUDE.md", "in 1 conversation if resumed"),
        ("codex", codex, "AGENTS.md", "that a new session would read"),
    ],
)
def test_an_edit_of_what_is_warm_is_priced_until_it_is_undone(start, project, agent, log, name, where):
    imported(agent, project, log(project))
    client, uri = opened(start, project / name)
    assert shown(client, uri, 1) == []
    client.change(uri, 2, {"text": HEAD})
    (message,) = shown(client, uri, 2)
    assert re.search(r"about [\d.]+ k warm tokens, \$\d+\.\d\d, ", message)
    assert where in message
    assert re.search(r"; it is free from \d\d:\d\d on$", message)
    client.change(uri, 3, {"text": RULES})
    assert shown(client, uri, 3) == []
    client.change(
        uri, 4, {"text": RULES.replace("\n", "  \r\n")}
    )  # what the client takes off before it sends it
    assert shown(client, uri, 4) == []


def tokens(message: str) -> float:
    return float(re.search(r"about ([\d.]+) k", message)[1])


def test_an_edit_further_down_costs_less_and_all_that_follows_is_counted(start, project):
    imported("claude-code", project, claude(project))
    client, uri = opened(start, project / "CLAUDE.md")
    client.change(uri, 2, {"text": HEAD})
    (whole,) = shown(client, uri, 2)
    client.change(uri, 3, {"text": TAIL})
    (end,) = shown(client, uri, 3)
    assert 20 <= tokens(end) < tokens(whole)  # 20 k came after the first request, by the provider's count


def test_nothing_is_claimed_of_a_file_that_may_not_be_what_was_sent(start, project, tmp_path):
    (project / "CLAUDE.md").write_text(RULES)  # now: while the conversation ran
    (project / "AGENTS.md").write_text(RULES.replace("Rule 5:", "Another rule:"))
    imported("claude-code", project, claude(project))
    client, uri = opened(start, project / "CLAUDE.md")
    client.change(uri, 2, {"text": HEAD})
    assert shown(client, uri, 2) == []
    for file in (project / "AGENTS.md", tmp_path / "CLAUDE.md"):
        client.open(file.as_uri(), HEAD)
        assert shown(client, file.as_uri(), 1) == []


def test_an_edit_that_was_saved_before_the_next_import_is_still_priced(start, project):
    log = claude(project)
    imported("claude-code", project, log)
    (project / "CLAUDE.md").write_text(HEAD)
    imported("claude-code", project, log + ClaudeLog("s1", time.time()).bytes())
    client, uri = opened(start, project / "CLAUDE.md")
    client.change(uri, 2, {"text": HEAD})
    assert len(shown(client, uri, 2)) == 1


def test_what_has_expired_costs_nothing(start, project):
    imported("claude-code", project, claude(project, ago=7200))
    client, uri = opened(start, project / "CLAUDE.md")
    client.change(uri, 2, {"text": HEAD})
    assert shown(client, uri, 2) == []


def test_an_open_document_learns_what_another_process_imports(start, project):
    client, uri = opened(start, project / "CLAUDE.md")
    assert shown(client, uri, 1) == []
    client.change(uri, 2, {"text": HEAD})
    assert shown(client, uri, 2) == []
    imported("claude-code", project, claude(project))
    assert len(shown(client, uri, 2)) == 1


def test_a_client_that_pulls_is_asked_to_when_another_process_imports(start, project):
    client = start()
    pull = {"textDocument": {"diagnostic": {}}, "workspace": {"diagnostics": {"refreshSupport": True}}}
    client.initialize(pull, root=project, initializationOptions=OWN_MODEL)
    client.open((project / "CLAUDE.md").as_uri(), HEAD)
    document = {"textDocument": {"uri": (project / "CLAUDE.md").as_uri()}}
    before = client.call("textDocument/diagnostic", document)
    imported("claude-code", project, claude(project))
    codes: list[str] = []
    while "AL209" not in codes:  # the settings ask for a first one
        client.until(lambda message: message.get("method") == "workspace/diagnostic/refresh")
        after = client.call("textDocument/diagnostic", {**document, "previousResultId": before["resultId"]})
        codes = [one["code"] for one in after.get("items", [])]


def sent(client: RawClient, ago: float = 0.0) -> None:
    """Plan a request that holds the file, and report that it was sent."""
    system = f"Be careful.\n\nContents of CLAUDE.md:\n{RULES}\n" + "Go on. " * 9000
    request = {
        "model": "claude-sonnet-5",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": "user", "content": "fix it"}],
    }
    plan = client.call("anchorline/plan", {"prompt": {"body": json.dumps(request)}})
    usage = {"write": plan["tokens"]["estimate"]}
    client.call("anchorline/outcome", {"planId": plan["id"], "usage": usage, "sentAt": time.time() - ago})


def test_a_request_that_an_editor_sent_makes_its_instructions_known(start, project):
    client, uri = opened(start, project / "CLAUDE.md")
    assert shown(client, uri, 1) == []
    sent(client)
    client.change(uri, 2, {"text": HEAD})
    (message,) = shown(client, uri, 2)
    assert "in 1 conversation;" in message
    other, uri = opened(start, project / "CLAUDE.md")
    other.change(uri, 2, {"text": HEAD})
    while (found := shown(other, uri, 2)) != [message]:  # it was not yet written when the other one read it
        assert found == []


def test_the_warning_goes_by_itself_when_the_prefix_has_expired(start, project):
    client, uri = opened(start, project / "CLAUDE.md")
    client.change(uri, 2, {"text": HEAD})
    sent(client, ago=297.0)
    while not shown(client, uri, 2):
        pass
    while shown(client, uri, 2):
        pass
