"""A session of Claude Code's that grows in a home of its own, and what is recorded of it by hooks, imports and gateway."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from anchorline.billed.request import PricedModels
from anchorline.billed.requests import billed_requests
from anchorline.hooks import session_events
from anchorline.outcome import Outcome, Usage
from anchorline.route.pricing import Unpriced
from anchorline.route.target import load
from anchorline.store import database
from support.history import planned, recorded
from support.hook_helpers import wait_for
from support.session_logs import ClaudeLog

MODEL = "claude-opus-4-6"
START = 1_795_000_000.0
TARGETS = load()


class Session:
    """A session of Claude Code's that grows, with a sub-agent's file, and what the provider bills for it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "projects" / "-work" / "s1.jsonl"
        self.agent = self.file.with_suffix("") / "subagents" / "agent-a1.jsonl"
        self.agent.parent.mkdir(parents=True)
        self.logs = (ClaudeLog("s1", START), ClaudeLog("s1", START + 0.5))
        self.bills: list[Usage] = []
        self.sent_at: list[float] = []

    def grow(self, *, agent: bool = False) -> None:
        """Answer one more request, each with a bill of its own."""
        log, number = self.logs[agent], len(self.bills)
        more: dict[str, Any] = {"isSidechain": True, "agentId": "a1"} if agent else {}
        log.user(f"message {number}", **more)
        self.sent_at.append(log.start + len(log.lines) - 1)
        usage = Usage(input=3, read=10_000 + number, write=500, output=7, write_1h=400)
        log.answer(
            f"m{number}", model=MODEL, read=usage.read, requestId=f"req_{number}", output=usage.output, **more
        )
        self.bills.append(usage)
        (self.agent if agent else self.file).write_bytes(log.bytes())

    def hook(self, name: str = "Stop") -> None:
        """Have Claude Code tell its hook."""
        event = {"hook_event_name": name, "transcript_path": str(self.file)}
        assert (
            session_events.claude_code(event | {"environment": {"CLAUDE_CONFIG_DIR": str(self.home)}}) == ""
        )

    def import_all(self) -> None:
        """Run `anchorline import` on all there is, as a program of its own."""
        command = [sys.executable, "-m", "anchorline", "import", "claude-code", str(self.home / "projects")]
        subprocess.run(command, check=True, capture_output=True)

    def pass_gateway(self, number: int) -> None:
        """Have the gateway record a request; a second time does nothing."""
        outcome = Outcome(
            f"p{number}",
            usage=self.bills[number],
            target=MODEL,
            sent_at=self.sent_at[number],
            latency_ms=1000.0,
            answer_id=f"m{number}",
            request_id=f"req_{number}",
        )
        recorded((planned(f"p{number}", at=self.sent_at[number]), outcome))

    def check(self) -> None:
        """Assert that each request is billed once, at its price."""
        assert billed() == pytest.approx((len(self.bills), self.usd))

    @property
    def usd(self) -> float:
        """What the provider charges for all."""
        price, output = TARGETS.find(MODEL).prices(10_500)
        return sum(
            price * (bill.input + 0.1 * bill.read + 1.25 * 100 + 2 * 400) + output * bill.output
            for bill in self.bills
        )


def billed(path: Path | None = None) -> tuple[int, float]:
    """Return how many requests are recorded, and their bill in USD."""
    with closing(sqlite3.connect(path or database.locate())) as connection:
        connection.row_factory = sqlite3.Row
        bills = [request.bill for request in billed_requests(connection, PricedModels(TARGETS), 0.0)]
    return len(bills), sum(bill.usd for bill in bills if not isinstance(bill, Unpriced))


def wait_for_requests(count: int, path: Path | None = None) -> None:
    """Return once so many requests are recorded."""
    wait_for(lambda: recorded_requests(path) >= count)


def recorded_requests(path: Path | None = None) -> int:
    """Return how many requests are recorded by now."""
    try:
        return billed(path)[0]
    except sqlite3.Error:  # it is just being made
        return 0
