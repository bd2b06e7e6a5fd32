"""Claude Code itself with the plugin and status line that `anchorline connect` has set, and without them again."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from anchorline.hooks import plugin, status_text
from anchorline.outcome import Usage
from anchorline.route import target
from anchorline.route.pricing import Pricing
from anchorline.store.reader import Reader
from clients.desk import Desk, needs_clients
from clients.provider import TASK, Bill
from support.tmux import PATIENCE_S
from support.upstream import plan_limits

pytestmark = needs_clients


def claude(desk: Desk, *arguments: str) -> str:
    """Return what a command of Claude Code's prints."""
    command = [desk.place.program("claude"), *arguments]
    done = subprocess.run(
        command, cwd=desk.place.work, env=desk.env, capture_output=True, text=True, check=True
    )
    return done.stdout


def written_anew(bill: Bill, *, is_warm: bool) -> str:
    """Return what the cache after a request costs to write, by the bill's own prices: where it is warm, beyond reading."""
    tokens = bill.read + bill.write
    pricing = Pricing(target.load())
    usd = pricing.bill(Usage(write=tokens), bill.model, 0).usd
    usd -= pricing.bill(Usage(read=tokens), bill.model, 0).usd if is_warm else 0.0
    return rf"{status_text.tokens(tokens)} \${usd:.2f}"


def test_the_status_line_is_true_right_after_each_turn(desk: Desk):
    with desk.claude() as terminal:
        for turn in ("first", "second"):
            desk.say(terminal, turn)
            stake = written_anew(desk.provider.bills[-1], is_warm=True)
            terminal.until(rf"(?m)^\s*Opus 5\.5 · cache 4m · {stake} at stake · ", PATIENCE_S)
    desk.pass_time()
    with desk.claude("--continue") as terminal:
        cold = written_anew(desk.provider.bills[-1], is_warm=False)
        terminal.until(rf"cache cold · {cold} to write")
        desk.helper.end()
        terminal.type(f"{TASK}: third, without a helper")
    assert desk.helper.log == ""


def test_on_a_plan_its_windows_are_shown_and_recorded(desk: Desk):
    """A made-up login: the client takes whatever it is given, and this provider any."""
    del desk.env["ANTHROPIC_API_KEY"]
    desk.env["CLAUDE_CODE_OAUTH_TOKEN"] = "sk-ant-oat01-MADEUP"
    desk.env["_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL"] = "1"  # behind another address there are no windows
    began = time.time()
    with desk.claude() as terminal:
        for turn, used in (("first", 0.34), ("second", 0.36)):
            desk.provider.limits = plan_limits(used, 0.12, now=began)
            desk.say(terminal, turn)
            terminal.until(rf"cache \d+m · .* at stake · 5h {100 * used:.0f}%.* · 7d 12%")
    desk.anchorline("disconnect", "claude-code")
    told = Reader(desk.data / "anchorline.db").limit_samples(began - 60)
    five = [sample for sample in told if sample.window == "five_hour" and sample.source == "status_line"]
    assert [sample.used for sample in five] == [34.0, 36.0]
    assert five[0].resets_at == pytest.approx(began + 3 * 3600, abs=2)


def test_the_plugin_is_installed_and_taken_out_without_a_network(desk: Desk):
    settings = desk.place.home / ".claude" / "settings.json"
    with desk.claude() as terminal:
        desk.say(terminal, "first")
    assert "Hooks (" in claude(desk, "plugin", "details", plugin.ID)
    listed = claude(desk, "plugin", "list")
    assert f"{plugin.ID}\n" in listed
    assert f"Read from: {desk.data / plugin.FOLDER}" in listed
    assert "✔ enabled" in listed.partition(plugin.ID)[2]
    assert plugin.NAME in claude(desk, "plugin", "marketplace", "list")
    assert "Validation passed" in claude(desk, "plugin", "validate", str(plugin.shipped()))
    desk.anchorline("disconnect", "claude-code")
    assert not settings.exists()
    assert plugin.NAME not in claude(desk, "plugin", "list")
    assert plugin.NAME not in claude(desk, "plugin", "marketplace", "list")
    noted = [
        str(path)
        for path in (desk.place.home / ".claude" / "plugins").rglob("*")
        if plugin.NAME in path.name or (path.is_file() and plugin.NAME in path.read_text())
    ]
    assert noted == []
    with desk.claude() as terminal:
        terminal.type(f"{TASK}: second, without the plugin")
        terminal.press("Enter")
        terminal.until("Done after 1 tool results")
        assert "cache" not in terminal.screen().splitlines()[-1]
    assert not (desk.data / plugin.FOLDER).exists()


def test_a_status_line_of_the_users_own_is_shown_above(desk: Desk):
    settings = desk.place.home / ".claude" / "settings.json"
    desk.anchorline("disconnect", "claude-code")
    own = json.dumps(
        {"statusLine": {"type": "command", "command": "echo \"my 'own' line\"; cat > /dev/null # mine"}}
    )
    settings.write_text(own)
    desk.anchorline("connect", "claude-code", "--plugin", "--write")
    with desk.claude() as terminal:
        terminal.until(r"my 'own' line *\n\s*Opus 5\.5")
    desk.anchorline("disconnect", "claude-code")
    assert settings.read_text() == own
    assert not list(Path(settings.parent).glob("settings.json.*"))
