"""Codex itself tells when a turn ends, and what it was billed is recorded without a gateway."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from clients.programs import PROGRAMS, Place
from clients.provider import TASK, Provider
from clients.session import anchorline, lay, pass_time, say
from support.claude_sessions import billed, wait_for_requests
from support.hook_helpers import HookHelper
from support.tmux import INSTALLED, Terminal
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
CODEX = next(program for program in PROGRAMS if program.name == "codex")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


HOOKS = """
[[hooks.UserPromptSubmit]]
hooks = [{ type = "command", command = "anchorline hook codex" }]
"""
"""As docs/how-to/codex.md says it."""
PROVIDER = """model_provider = "test"
[model_providers.test]
name = "Test"
base_url = "{}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""
"""Not `openai_base_url`: Codex would try web sockets there for eight seconds."""
READY = "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


def test_each_turn_is_recorded_as_it_was_billed(tmp_path: Path):
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    helper = HookHelper(tmp_path / "home" / "data")
    env = os.environ | CODEX.environment(place)
    script = "import sys; open('bell', 'a').write(sys.argv[1] + chr(10))"
    config = place.home / ".codex" / "config.toml"
    config.parent.mkdir()
    with Running(Provider(place.work, steps=2)) as provider:
        config.write_text(
            f"notify = {json.dumps([sys.executable, '-c', script])}\n{PROVIDER.format(provider.url)}"
        )
        before = config.read_text()
        anchorline(["connect", "codex", "--notify", "--write"], env)
        try:
            for turn in range(2):
                said = say(CODEX, place, f"{TASK}: turn {turn}", goes_on=turn > 0)
                assert "Done after" in said
                wait_for_requests(len(provider.app.bills))
        finally:
            helper.retire()
        bills = provider.app.bills
    assert billed() == (len(bills), pytest.approx(sum(bill.usd for bill in bills), abs=0.005))
    assert helper.log == ""
    told = [json.loads(line) for line in (place.work / "bell").read_text().splitlines()]
    assert [event["type"] for event in told] == ["agent-turn-complete"] * 2
    anchorline(["disconnect", "codex"], env)
    assert config.read_text() == before


def test_a_cold_prompt_is_held_back_once(tmp_path: Path):
    assert INSTALLED, "tmux is not here, on whose screen Codex runs"
    assert HOOKS.strip() in (Path(__file__).parents[2] / "docs/how-to/codex.md").read_text()
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    (tmp_path / "home" / "anchorline.toml").write_text("[hooks]\nblock_usd = 0.01\n")
    helper = HookHelper(tmp_path / "home" / "data")
    own = {name: os.environ[name] for name in ("ANCHORLINE_CONFIG", "ANCHORLINE_DATA_DIR")}
    env = CODEX.environment(place) | own | {"TERM": "xterm-256color"}
    env.pop("CI")
    config = place.home / ".codex" / "config.toml"
    config.parent.mkdir()
    command = [place.program("codex"), "-m", "gpt-6.2-sol", "--dangerously-bypass-hook-trust"]
    with Running(Provider(place.work, steps=1)) as provider:
        trusted = f'[projects."{place.work}"]\ntrust_level = "trusted"\n'
        config.write_text(f"{PROVIDER.format(provider.url)}{trusted}{HOOKS}")
        anchorline(["connect", "codex", "--notify", "--write"], os.environ | env)
        try:
            with Terminal(command, place.work, env) as terminal:
                terminal.until(READY)
                ask(terminal, "first")
                terminal.until("Done after 1")
                wait_for_requests(2)
                files = list(place.home.rglob("rollout-*.jsonl"))
                pass_time(timedelta(hours=2), files, helper.folder / "anchorline.db", provider.app)
                ask(terminal, "second, cold")
                screen = " ".join(terminal.until("Blocked by hook(.|\n)*goes\\s+on\\s+with\\s+less").split())
                assert not [one for one in provider.app.seen if b"second, cold" in one.body]
                held = max(provider.app.bills, key=lambda bill: bill.read + bill.write)
                assert "cache expired 90 minutes ago" in screen
                assert f"writes {held.read + held.write:,} tokens anew" in screen
                terminal.press("Up")
                terminal.until(f"{READY}{TASK}: second, cold(.|\n)*Blocked(.|\n)*{READY}{TASK}: second, cold")
                terminal.press("Enter")
                terminal.until("Done after 2")
                wait_for_requests(4)
        finally:
            helper.retire()


def ask(terminal: Terminal, what: str) -> None:
    """Send a prompt."""
    terminal.type(f"{TASK}: {what}")
    terminal.press("Enter")
