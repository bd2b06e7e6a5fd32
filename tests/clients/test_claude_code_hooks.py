"""Claude Code itself on a terminal, with the plugin's hooks and status line: what it shows, and what is recorded."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clients.programs import KEYS, PROGRAMS, Place
from clients.provider import TASK, Provider
from clients.session import anchorline, lay
from support.hook_helpers import HookHelper
from support.tmux import INSTALLED, Terminal
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
CLAUDE = next(program for program in PROGRAMS if program.name == "claude-code")
AWAY = timedelta(hours=2)
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
HELD_BACK = r"operation blocked by hook:\s+Anchorline: this conversation's cache expired"
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


class Later(Provider):
    """The provider, with a clock that can be set forward."""

    ahead_s = 0.0

    def bill(self, request: dict, now: float) -> dict[str, int]:
        """Return what a request is billed by that clock."""
        return super().bill(request, now + self.ahead_s)


class Desk:
    """A developer's machine: Claude Code's home and folder, Anchorline's data, and the provider."""

    def __init__(self, folder: Path, provider: Running) -> None:
        self.place = Place(Path(FOLDER).resolve(), folder / "home", folder / "work")
        lay(self.place)
        self.provider = provider.app
        self.provider.files = self.place.work
        self.data = folder / "data"
        self.helper = HookHelper(self.data)
        config = folder / "anchorline.toml"
        config.write_text("[hooks]\nblock_usd = 0.01\n")
        own = {"ANCHORLINE_CONFIG": str(config), "ANCHORLINE_DATA_DIR": str(self.data)}
        claude = CLAUDE.environment(self.place) | {"TERM": "xterm-256color"}
        claude.pop("CI")
        self.env = claude | own | {"ANTHROPIC_BASE_URL": provider.url, "CLAUDE_CODE_MAX_RETRIES": "0"}
        self._answer_questions()
        command = {"type": "command", "command": "anchorline hook claude-code"}
        events = ("SessionStart", "UserPromptSubmit", "Stop", "SubagentStop", "PreCompact", "SessionEnd")
        (self.place.home / ".claude").mkdir()
        hooks = {event: [{"hooks": [command]}] for event in events}
        (self.place.home / ".claude" / "settings.json").write_text(json.dumps({"hooks": hooks}))

    def _answer_questions(self) -> None:
        """Have Claude Code begin without asking for anything."""
        key = KEYS["ANTHROPIC_API_KEY"][-20:]
        settings = {
            "hasCompletedOnboarding": True,
            "customApiKeyResponses": {"approved": [key], "rejected": []},
            "projects": {str(self.place.work): {"hasTrustDialogAccepted": True}},
        }
        (self.place.home / ".claude.json").write_text(json.dumps(settings))

    def claude(self, *arguments: str) -> Terminal:
        """Return a terminal with Claude Code on it."""
        return Terminal([self.place.program("claude"), *arguments], self.place.work, self.env)

    @property
    def transcripts(self) -> list[Path]:
        """The session files."""
        return sorted((self.place.home / ".claude" / "projects").rglob("*.jsonl"))

    def pass_time(self) -> None:
        """Let two hours go by: all that is recorded was so much earlier, and the provider's clock goes on."""
        for file in self.transcripts:
            file.write_text(re.sub(r'(?<="timestamp":")[^"]+', _earlier, file.read_text()))
        with closing(sqlite3.connect(self.data / "anchorline.db")) as db, db:
            away = AWAY.total_seconds()
            db.execute(
                "UPDATE ledger SET written_at = written_at - ?, expires_at = expires_at - ?", [away, away]
            )
        self.provider.ahead_s += away

    def recorded(self) -> dict[str, Any]:
        """Return what the report says."""
        report: dict[str, Any] = json.loads(anchorline(["report", "--json"], os.environ | self.env))
        return report

    def check_recorded(self) -> None:
        """Assert that each request that was billed is recorded, once, and to the cent."""
        bills = self.provider.bills
        wait_for(lambda: self.recorded()["requests"] >= len(bills))
        report = self.recorded()
        assert report["requests"] == len(bills)
        billed = sum(bill.usd for bill in bills)
        assert sum(cost["usd"] for cost in report["costs"]) == pytest.approx(billed, abs=0.005)


def wait_for(condition):
    import time

    until = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.2)


def _earlier(stamp: re.Match[str]) -> str:
    moment = datetime.fromisoformat(stamp[0]) - AWAY
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    assert INSTALLED, "tmux is not here, on whose screen Claude Code runs"
    with Running(Later(tmp_path, steps=1)) as provider:
        desk = Desk(tmp_path / "desk", provider)
        try:
            yield desk
        finally:
            desk.helper.end()


def say(terminal: Terminal, desk: Desk, what: str) -> None:
    """Send a prompt and wait for the end of its turn."""
    results = sum(bill.main for bill in desk.provider.bills) // 2 + 1
    terminal.type(f"{TASK}: {what}")
    terminal.press("Enter")
    terminal.until(f"Done after {results} tool results")


def test_a_cold_prompt_is_held_back_once(desk: Desk):
    with desk.claude() as terminal:
        terminal.until(PROMPT)
        say(terminal, desk, "first")
        say(terminal, desk, "second, warm")
        desk.check_recorded()
        desk.pass_time()
        before = len(desk.provider.bills)
        terminal.type(f"{TASK}: third, cold")
        terminal.press("Enter")
        screen = " ".join(terminal.until(HELD_BACK).split())
        assert "cache expired 115 minutes ago" in screen
        held = desk.provider.bills[-1]
        assert f"writes {held.read + held.write:,} tokens anew" in screen
        assert len(desk.provider.bills) == before
        terminal.until(rf"{PROMPT}\s+{TASK}: third, cold")  # it is still there
        terminal.press("Enter")
        terminal.until("Done after 3 tool results")
        cold = desk.provider.bills[before]
        assert cold.read == 0
        assert cold.write > held.read + held.write
        say(terminal, desk, "fourth, warm")
        desk.check_recorded()
