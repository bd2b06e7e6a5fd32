"""`hooks.ground` by the real client and helper: an agent is told which files its prompt is about."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from support.grounded import FILE, PROMPT, shop
from support.hook_helpers import HookHelper, wait_for
from support.session_logs import ClaudeLog

AGENTS = {
    "claude-code": "UserPromptSubmit",
    "codex": "UserPromptSubmit",
    "qwen-code": "UserPromptSubmit",
    "gemini-cli": "BeforeAgent",
}


class Folder:
    """A repository that an agent works in, and the settings of its user."""

    def __init__(self, tmp_path: Path, helper: HookHelper) -> None:
        self.home = tmp_path / "home"
        self.root = shop(tmp_path / "work").folder
        self.helper = helper
        self.switch()

    def switch(self, settings: str = "[hooks]\nground = true\n") -> None:
        """Write the user's settings."""
        (self.home / "anchorline.toml").write_text(settings, "utf-8")

    def event(self, agent: str, prompt: str = PROMPT, **more: Any) -> dict[str, Any]:
        """Return what an agent tells its hook."""
        own = {"session_id": "s1", "cwd": str(self.root), "model": "gpt-5.5"}
        return own | {"hook_event_name": AGENTS[agent], "prompt": prompt} | more

    def told(self, agent: str = "claude-code", prompt: str = PROMPT, **more: Any) -> str:
        """Return the context that the agent gets with a prompt."""
        env = {"CLAUDE_CONFIG_DIR": str(self.home / "claude")}
        answer = self.helper.run(agent, self.event(agent, prompt, **more), **env)
        if not answer:
            return ""
        output = json.loads(answer)["hookSpecificOutput"]
        assert output["hookEventName"] == AGENTS[agent]
        return str(output["additionalContext"])

    def wait(self) -> None:
        """Return once the index is loaded."""
        wait_for(lambda: bool(self.told()))


@pytest.fixture
def folder(tmp_path: Path, helper: HookHelper) -> Folder:
    return Folder(tmp_path, helper)


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_is_told_the_files_that_its_prompt_is_about(folder: Folder, agent: str):
    folder.wait()
    told = folder.told(agent)
    assert told.startswith("Anchorline, a local tool of the user's,")
    assert f"- Context: `{FILE}` (" in told
    assert "matches “" in told
    assert "- Check: `pytest tests/test_scheduler.py" in told
    assert folder.helper.log == ""


def test_nothing_is_told_unless_the_user_has_asked_for_it(folder: Folder):
    folder.wait()
    for settings in ("", "[hooks]\nground = false\n", "[hooks]\nground = true\n[ground]\nenabled = false\n"):
        folder.switch(settings)
        assert folder.told() == ""
    folder.switch("")
    (folder.root / "anchorline.toml").write_text("[hooks]\nground = true\n", "utf-8")
    assert folder.told() == ""


@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        ("/compact the scheduler timezone interval", {}),
        ("<task-notification>scheduler timezone interval retry", {}),
        ("yes", {}),
        ("What is the capital of France?", {}),
        (PROMPT, {"agent_id": "a1"}),
        (PROMPT, {"source": "schedule_wakeup"}),
        (PROMPT, {"cwd": 7}),
        (PROMPT, {"cwd": "/"}),
        (PROMPT, {"cwd": "/nowhere/at/all"}),
    ],
)
def test_what_nobody_has_asked_or_nothing_fits_is_told_nothing(
    folder: Folder, prompt: str, more: dict[str, Any]
):
    folder.wait()
    assert folder.told(prompt=prompt, **more) == ""


def test_a_prompt_that_is_held_back_gets_no_context(folder: Folder):
    folder.wait()
    file = folder.home / "claude" / "projects" / "-work" / "s1.jsonl"
    file.parent.mkdir(parents=True)
    log = ClaudeLog("s1", start=time.time() - 7200)
    log.user("Fix the parser.")
    log.answer("m1", read=200_000, write=(0, 400))
    file.write_bytes(log.bytes())
    event = folder.event("claude-code", transcript_path=str(file))
    env = {"CLAUDE_CONFIG_DIR": str(folder.home / "claude"), "CLAUDE_CODE_ENTRYPOINT": "cli"}
    answer = json.loads(folder.helper.run("claude-code", event, **env))
    assert answer["decision"] == "block"
    assert "hookSpecificOutput" not in answer
    again = json.loads(folder.helper.run("claude-code", event, **env))
    assert FILE in again["hookSpecificOutput"]["additionalContext"]


def test_an_index_that_is_not_there_in_time_is_silence(folder: Folder):
    """The first prompt in a folder: it is answered within the deadline, whatever the index takes."""
    folder.helper.run("claude-code", {"hook_event_name": "none"})
    began = time.monotonic()
    folder.told()
    assert time.monotonic() - began < 5
    folder.wait()


def test_what_is_written_meanwhile_is_found(folder: Folder):
    folder.wait()
    named = "The zebra crossing of the zookeeper is striped wrongly; fix zookeeper_crossing."
    (folder.root / "src" / "shop" / "zookeeper.py").write_text(
        'def zookeeper_crossing(zebra):\n    """Paints the zebra crossing."""\n    return zebra\n', "utf-8"
    )
    wait_for(lambda: "src/shop/zookeeper.py" in folder.told(prompt=named))


def test_a_damaged_session_or_database_costs_the_agent_nothing(folder: Folder):
    folder.wait()
    file = folder.home / "claude" / "projects" / "-work" / "s1.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"\x00\xff not a session\n" * 10)
    assert FILE in folder.told(transcript_path=str(file))
    (folder.home / "data" / "anchorline.db").write_bytes(b"no database")
    assert FILE in folder.told()
    assert "without what was done before: StoreError" in folder.helper.log
