"""The extension with hooks for Gemini CLI and Qwen Code: there and back, what it warns of, and what it records."""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.hooks import extension, launcher
from support.claude_sessions import recorded_requests, wait_for_requests
from support.hook_helpers import HookHelper

AGENTS = ("gemini-cli", "qwen-code")
HOMES = {"gemini-cli": ".gemini", "qwen-code": ".qwen"}
SESSION = "2d13c1cb-8997-4ca8-8b96-20f717d02bd2"
MODEL = "gemini-3.1-pro-preview"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The developer's home."""
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for variable in ("GEMINI_CLI_HOME", "QWEN_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def content(home: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in home.rglob("*") if file.is_file()}


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("gateway", [True, False])
def test_there_and_back(agent: str, gateway: bool, home: Path):
    own = home / HOMES[agent] / "settings.json"
    other = home / HOMES[agent] / "extensions" / "other" / "a.json"
    for file in (own, other):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"hooks": {"AfterAgent": []}, /* mine */ }')
    before = content(home)
    shown = run("connect", agent, "--hooks")
    assert shown.exit_code == 0
    assert "hooks/hooks.json" in shown.output
    assert content(home) == before
    if gateway:
        assert run("connect", agent, "--write").exit_code == 0
    for _ in range(2):
        done = run("connect", agent, "--hooks", "--write")
        assert done.exit_code == 0, done.output
    assert content(home).items() >= before.items() - ({(str(own), before[str(own)])} if gateway else set())
    manifest = json.loads((extension.folder(agent) / extension.SURFACES[agent].manifest).read_text())
    assert manifest["name"] == extension.folder(agent).name == "anchorline"
    assert run("disconnect", agent).exit_code == 0
    assert content(home) == before
    assert run("disconnect", agent).exit_code == 1


@pytest.mark.parametrize("agent", ["codex", "zed"])
def test_other_clients_take_no_extension(agent: str):
    assert "for gemini-cli and qwen-code" in run("connect", agent, "--hooks").output


@pytest.mark.parametrize("agent", AGENTS)
def test_each_hook_starts_the_client_and_says_nothing_of_what_it_does_not_know(
    agent: str, helper: HookHelper
):
    extension.write(agent, helper.folder)
    hooks = json.loads((extension.folder(agent) / "hooks" / "hooks.json").read_text())["hooks"]
    assert tuple(hooks) == extension.SURFACES[agent].events
    for name, groups in hooks.items():
        (hook,) = groups[0]["hooks"]
        event = json.dumps({"hook_event_name": name, "transcript_path": "/etc/passwd", "session_id": SESSION})
        done = subprocess.run(
            hook["command"], shell=True, input=event, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("", "")
    assert helper.log == ""


def test_hooks_do_nothing_once_the_client_is_gone(home: Path, tmp_path: Path):
    extension.write("gemini-cli", tmp_path / "data")
    script = extension.folder("gemini-cli") / launcher.NAME
    script.write_text(script.read_text().replace("client.py", "gone.py"))
    done = subprocess.run([script, "gemini-cli"], input=b"{}", capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def session(home: Path, idle: timedelta, tokens: int = 400_000, *more: dict[str, Any]) -> dict[str, Any]:
    """Write a session whose last request was so long ago; return an event of it."""
    at = (datetime.now(UTC) - idle).isoformat().replace("+00:00", "Z")
    counts = {"input": tokens, "output": 9, "cached": 0, "thoughts": 1, "tool": 0}
    lines = [
        {"sessionId": SESSION, "projectHash": "8", "startTime": at, "kind": "main"},
        {"id": "u", "timestamp": at, "type": "user", "content": [{"text": "Look."}]},
        {"id": "g", "timestamp": at, "type": "gemini", "content": "So.", "model": MODEL, "tokens": counts},
        *more,
    ]
    file = home / ".gemini" / "tmp" / "p" / "chats" / "session-2026-11-30T19-50-2d13c1cb.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return {"session_id": SESSION, "transcript_path": str(file), "cwd": str(home), "prompt": "And now?"}


def warned(helper: HookHelper, event: dict[str, Any]) -> str:
    answer = helper.run("gemini-cli", event | {"hook_event_name": "BeforeAgent"})
    return json.loads(answer)["systemMessage"] if answer else ""


def test_a_prompt_after_a_pause_is_told_what_it_costs_and_goes_through(home: Path, helper: HookHelper):
    """400 000 tokens of Gemini 3.1 Pro, above 200 000: 4 USD a million, a tenth where the cache is read."""
    event = session(home, timedelta(minutes=42))
    said = warned(helper, event)
    assert "42 minutes ago" in said
    assert "400,000 tokens cost $1.60, and $0.1600 if not" in said
    assert "Google states no lifetime" in said
    assert "decision" not in helper.run("gemini-cli", event | {"hook_event_name": "BeforeAgent"})


@pytest.mark.parametrize(
    ("idle", "tokens", "more"),
    [
        (timedelta(minutes=4), 400_000, ()),  # likely warm
        (timedelta(hours=4), 40_000, ()),  # cheap
        (
            timedelta(hours=4),
            400_000,
            ({"$set": {"messages": [{"id": "s", "type": "user", "content": "Sum."}]}},),
        ),
        (timedelta(hours=4), 400_000, ({"$rewindTo": "u"},)),
    ],
)
def test_other_prompts_are_told_nothing(
    home: Path, helper: HookHelper, idle: timedelta, tokens: int, more: tuple
):
    assert warned(helper, session(home, idle, tokens, *more)) == ""
    assert helper.log == ""


def test_a_setting_turns_the_warning_off(home: Path, helper: HookHelper, monkeypatch: pytest.MonkeyPatch):
    settings = home / "anchorline.toml"
    settings.write_text("[hooks]\nblock_usd = 0\n")
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(settings))
    assert warned(helper, session(home, timedelta(hours=4))) == ""


def test_a_turn_is_recorded_once_with_its_sub_agents(home: Path, helper: HookHelper):
    event = session(home, timedelta(0))
    file = Path(event["transcript_path"])
    (file.parent / SESSION).mkdir()
    agent = file.read_text().replace(SESSION, "agent-7").replace('"main"', '"subagent"').replace('"g"', '"h"')
    (file.parent / SESSION / "agent-7.jsonl").write_text(agent)
    for name in ("AfterAgent", "AfterAgent", "SessionEnd"):
        assert helper.run("gemini-cli", event | {"hook_event_name": name}) == ""
    wait_for_requests(2, helper.folder / "anchorline.db")
    done = CliRunner().invoke(cli, ["import", "gemini-cli"], env={"ANCHORLINE_DATA_DIR": str(helper.folder)})
    assert done.exit_code == 0
    assert recorded_requests(helper.folder / "anchorline.db") == 2
    assert helper.log == ""


def test_a_file_of_another_folder_is_not_read(home: Path, helper: HookHelper, tmp_path: Path):
    event = session(home, timedelta(hours=1))
    elsewhere = tmp_path / "session-1.jsonl"
    elsewhere.write_bytes(Path(event["transcript_path"]).read_bytes())
    event["transcript_path"] = str(elsewhere)
    assert warned(helper, event) == ""
    assert helper.run("gemini-cli", event | {"hook_event_name": "AfterAgent"}) == ""
    assert helper.run("qwen-code", event | {"hook_event_name": "Stop"}) == ""
    helper.run("end")
    helper.wait_until_ended()
    assert not (helper.folder / "anchorline.db").exists()
