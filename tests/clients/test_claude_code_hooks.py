"""Claude Code itself on a terminal, with the plugin's hooks: what it shows, and what is recorded."""

import re
from pathlib import Path

from anchorline.figures import usd
from clients.desk import PROMPT, Desk, needs_clients
from clients.provider import TASK, Call
from support.gateways import gateway
from support.upstream import Running

HELD_BACK = r"operation blocked by hook:\s+Anchorline: this conversation's cache expired"
pytestmark = needs_clients


def test_a_cold_prompt_is_held_back_once(desk: Desk):
    with desk.claude() as terminal:
        desk.say(terminal, "first")
        desk.say(terminal, "second, warm")
        desk.check_recorded()
        desk.pass_time()
        before = len(desk.provider.bills)
        terminal.type(f"{TASK}: third, cold")
        terminal.press("Enter")
        screen = " ".join(terminal.until(HELD_BACK).split())
        held = desk.provider.bills[-1]
        assert "cache expired 115 minutes ago" in screen
        tokens = held.read + held.write
        assert f"writes {tokens:,} tokens anew" in screen
        assert len(desk.provider.bills) == before
        terminal.until(rf"{PROMPT}\s+{TASK}: third, cold")  # it is still there
        terminal.press("Enter")
        terminal.until("Done after 3 tool results")
        cold = desk.provider.bills[before]
        assert (cold.read, cold.input) == (0, 0)
        assert cold.write > tokens
        billed = usd(cold.input_usd * tokens / cold.write)
        assert f"anew for {billed};" in screen
        desk.say(terminal, "fourth, warm")
        desk.pass_time()
        terminal.type(f"{TASK}: fifth, cold again")
        terminal.press("Enter")
        terminal.until(f"Original prompt: {TASK}: fifth, cold again")
    desk.check_recorded()


def test_nobody_is_asked_where_nobody_can_answer(desk: Desk):
    look = {"description": "Look", "prompt": "Look at the files.", "subagent_type": "general-purpose"}
    desk.provider.calls = (Call("Agent", look | {"run_in_background": False}),)
    assert "Done after 1" in desk.ask_headless("first, by a sub-agent")
    assert any("agent-" in file.name for file in desk.transcripts)
    desk.check_recorded()
    desk.pass_time()
    before = len(desk.provider.bills)
    assert "Done after 2" in desk.ask_headless("second, cold", "--continue")
    assert desk.provider.bills[before].read == 0
    desk.check_recorded()


def test_with_the_gateway_beside_each_request_counts_once(tmp_path: Path, provider: Running):
    with gateway(tmp_path / "gate", provider.url) as running:
        desk = Desk(tmp_path / "desk", provider.app, running.anthropic, running.home)
        try:
            with desk.claude() as terminal:
                desk.say(terminal, "first")
                desk.say(terminal, "second")
            desk.ask_headless("third", "--continue")
            desk.check_recorded()
            desk.anchorline("import", "claude-code", str(desk.place.home / ".claude" / "projects"))
            desk.check_recorded()
        finally:
            desk.helper.retire()


def test_with_the_helper_killed_everything_goes_on(desk: Desk):
    with desk.claude() as terminal:
        desk.say(terminal, "first")
        with desk.helper.kept_out():
            desk.say(terminal, "second, without a helper")
            screen = terminal.until(r"without a helper(.|\n)* done ")
            assert not re.search("hook (error|failed)|[Ee]rror:|blocked by", screen)
        desk.say(terminal, "third")
    desk.check_recorded()
