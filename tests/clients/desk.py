"""A developer's machine for Claude Code itself: on a terminal, with Anchorline's plugin, before a provider of the test's own."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from clients.programs import KEYS, PROGRAMS, Place
from clients.provider import TASK, Provider
from clients.session import anchorline, lay, pass_time
from support.claude_sessions import billed, wait_for_requests
from support.hook_helpers import HookHelper
from support.tmux import Terminal

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
CLAUDE = next(program for program in PROGRAMS if program.name == "claude-code")
AWAY = timedelta(hours=2)
PROMPT = "\N{HEAVY RIGHT-POINTING ANGLE QUOTATION MARK ORNAMENT}"
needs_clients = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)


class Desk:
    """A developer's machine: Claude Code with the plugin, a private home, Anchorline's folder, and the provider.

    `url` is where Claude Code sends its requests. `home` has Anchorline's settings and data.
    """

    def __init__(self, folder: Path, provider: Provider, url: str, home: Path) -> None:
        self.place = Place(Path(FOLDER).resolve(), folder / "home", folder / "work")
        lay(self.place)
        self.provider = provider
        provider.files = self.place.work
        self.data = home / "data"
        self.helper = HookHelper(self.data)
        config = home / "anchorline.toml"
        with config.open("a") as settings:
            settings.write("[hooks]\nblock_usd = 0.01\n")
        own = {"ANCHORLINE_CONFIG": str(config), "ANCHORLINE_DATA_DIR": str(self.data)}
        claude = CLAUDE.environment(self.place) | {"TERM": "xterm-256color"}
        claude.pop("CI")
        self.env = claude | own | {"ANTHROPIC_BASE_URL": url, "CLAUDE_CODE_MAX_RETRIES": "0"}
        self._answer_questions()
        self.anchorline("connect", "claude-code", "--plugin", "--write")

    def _answer_questions(self) -> None:
        """Have Claude Code begin without asking for anything."""
        key = KEYS["ANTHROPIC_API_KEY"][-20:]
        settings = {
            "hasCompletedOnboarding": True,
            "customApiKeyResponses": {"approved": [key], "rejected": []},
            "projects": {str(self.place.work): {"hasTrustDialogAccepted": True}},
        }
        (self.place.home / ".claude.json").write_text(json.dumps(settings))

    def anchorline(self, *arguments: str) -> str:
        """Run the command; return what it prints."""
        return anchorline(list(arguments), os.environ | self.env)

    @contextmanager
    def claude(self, *arguments: str) -> Iterator[Terminal]:
        """Have Claude Code on a terminal, past its start."""
        with Terminal([self.place.program("claude"), *arguments], self.place.work, self.env) as terminal:
            terminal.until(PROMPT)
            yield terminal

    def ask_headless(self, what: str, *arguments: str) -> str:
        """Return what `claude -p` prints."""
        command = [self.place.program("claude"), "-p", f"{TASK}: {what}", *arguments]
        done = subprocess.run(
            command,
            cwd=self.place.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    def say(self, terminal: Terminal, what: str) -> str:
        """Send a prompt, and return the screen once its turn has ended."""
        results = 1 + sum(bill.main for bill in self.provider.bills) // 2
        terminal.type(f"{TASK}: {what}")
        terminal.press("Enter")
        return terminal.until(f"Done after {results} tool results")

    @property
    def transcripts(self) -> list[Path]:
        """The session files."""
        return sorted((self.place.home / ".claude" / "projects").rglob("*.jsonl"))

    def pass_time(self) -> None:
        """Let two hours go by."""
        pass_time(AWAY, self.transcripts, self.data / "anchorline.db", self.provider)

    def check_recorded(self) -> None:
        """Assert that each request that was billed is recorded, once, and to the cent."""
        bills = self.provider.bills
        database = self.data / "anchorline.db"
        wait_for_requests(len(bills), database)
        requests, usd = billed(database)
        assert requests == len(bills)
        assert usd == pytest.approx(sum(bill.usd for bill in bills), abs=0.005)
