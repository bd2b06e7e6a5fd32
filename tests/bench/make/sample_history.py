"""Makes `models/sample`: two weeks of invented sessions, which `anchorline` shows where there are none of your own.

    python tests/bench sample_history

Nobody's: the words are filler, and what is billed follows from the providers' rules (a prefix is read within five minutes of
its last use, else written again). The same sessions come out each time.
"""

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "models" / "sample"
START = datetime(2026, 11, 16, 8, 30, tzinfo=UTC).timestamp()
DAY_S, TTL_S = 86_400, 300
SYSTEM_TOKENS = 17_000
OPUS, SONNET = "claude-opus-4-6", "claude-sonnet-5"
FILES = [
    "src/orders.py",
    "src/billing.py",
    "src/api/routes.py",
    "tests/test_orders.py",
    "src/models/customer.py",
]
ASKED = [
    "The total of an order with a discount is wrong. Find out why, and fix it.",
    "Add pagination to the list of customers.",
    "The tests in CI take twelve minutes. Which are slow?",
    "Rename the column and write the migration.",
    "Review what changed on this branch.",
]
LINES = [
    "    def total(self, order: Order) -> Decimal:",
    "        lines = [line.price * line.count for line in order.lines]",
    "        return self.discounted(sum(lines), order.customer)",
    "tests/test_orders.py::test_total_with_discount PASSED",
    "tests/test_orders.py::test_an_empty_order_costs_nothing PASSED",
    "    if customer.invoices and not customer.blocked:",
    "        raise ValueError(f'{customer.id} has no address')",
]


def stamp(at: float) -> str:
    """Return a time as session files have it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def filler(lines: int, dice: random.Random) -> str:
    """Return so many lines that look like source or a log."""
    begin = dice.randrange(len(LINES))
    return "\n".join(LINES[(begin + number) % len(LINES)] for number in range(lines))


class ClaudeSession:
    """A session of Claude Code: its lines, and what its requests are billed."""

    def __init__(self, number: int, project: str, branch: str, at: float, model: str) -> None:
        self.id = f"5a3c0000-0000-4000-8000-{number:012d}"
        self.model, self.at = model, at
        self.lines: list[bytes] = []
        self._common = {"sessionId": self.id, "cwd": project, "gitBranch": branch, "version": "2.1.300"}
        self._newest: str | None = None
        self._tokens, self._cached, self._used = SYSTEM_TOKENS, 0, 0.0
        self._cached_of = model
        self._calls = 0

    def _add(self, type_: str, message: dict[str, Any], **more: Any) -> None:
        uuid = f"{self.id[:-4]}{len(self.lines):04d}"
        line = {
            "parentUuid": self._newest,
            "isSidechain": False,
            **self._common,
            "type": type_,
            "message": message,
            "uuid": uuid,
            "timestamp": stamp(self.at),
            **more,
        }
        self.lines.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
        self._newest = uuid

    def ask(self, text: str, after_s: float) -> None:
        """Add a person's message, so long after what was before."""
        self.at += after_s
        self._add("user", {"role": "user", "content": text})
        self._tokens += len(text) // 4 + 20

    def call(self, tool: str, given: dict[str, str], result: str, took_s: float) -> None:
        """Add an answer that calls a tool, and what that returned."""
        self._calls += 1
        call = f"toolu_sample{self.id[-4:]}{self._calls:04d}"
        self._answer({"type": "tool_use", "id": call, "name": tool, "input": given}, 180)
        self.at += took_s
        block = {"type": "tool_result", "tool_use_id": call, "content": result}
        self._add("user", {"role": "user", "content": [block]})
        self._tokens += len(result) // 3

    def answer(self, text: str) -> None:
        """Add an answer that ends the turn."""
        self._answer({"type": "text", "text": text}, 420)

    def _answer(self, block: dict[str, Any], output: int) -> None:
        self.at += 4
        warm = self._cached_of == self.model and self.at - self._used <= TTL_S
        read = self._cached if warm else 0
        written = self._tokens - read
        usage = {
            "input_tokens": 4,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "service_tier": "standard",
        }
        name = f"sample{self.id[-4:]}{len(self.lines):04d}"
        message = {
            "model": self.model,
            "id": f"msg_{name}",
            "type": "message",
            "role": "assistant",
            "content": [block],
            "usage": usage,
        }
        self._add("assistant", message, requestId=f"req_{name}")
        self._cached, self._used, self._cached_of = self._tokens, self.at, self.model
        self._tokens += output


def claude_sessions() -> Iterator[tuple[str, bytes]]:
    """Yield the sessions of Claude Code, each with its file's name."""
    dice = random.Random(11)
    projects = [("~/shop-api", "main"), ("~/shop-api", "fix/discounts"), ("~/website", "main")]
    for number in range(12):
        at = START + number * DAY_S + dice.randrange(3600)
        project, branch = projects[number % 3]
        session = ClaudeSession(number, project, branch, at, OPUS if number % 4 else SONNET)
        for turn in range(dice.randrange(4, 8)):
            pause = dice.choice([40, 90, 150, 700, 1500, 2600]) if turn else 0
            if (number, turn) in {(5, 3), (9, 2)}:
                session.model = SONNET
            session.ask(ASKED[(number + turn) % len(ASKED)], pause)
            for step in range(dice.randrange(2, 5)):
                file = FILES[(turn + 2 * step) % len(FILES)]
                path = f"{project}/{file}"
                session.call("Read", {"file_path": path}, filler(dice.randrange(70, 180), dice), 1)
            if turn % 2:
                session.call("Bash", {"command": "pytest -v"}, filler(dice.randrange(330, 560), dice), 30)
            session.answer(
                "The sum was rounded too early. It is now rounded once, at the end, and a test covers it."
            )
        if number % 3:
            session.ask("Commit it.", 60)
            session.call("Bash", {"command": "git commit -am 'Round once'"}, "[main 3f2a1b9] Round once", 1)
            session.answer("Done.")
        yield f"{session.id}.jsonl", b"".join(session.lines)


def codex_sessions() -> Iterator[tuple[str, bytes]]:
    """Yield the sessions of Codex, each with its file's name."""
    dice = random.Random(12)
    for number in range(4):
        session = f"019f0000-0000-7000-8000-{number:012d}"
        at = START + (2 + 3 * number) * DAY_S + 9000
        lines: list[str] = []

        def add(type_: str, payload: dict[str, Any], at: float) -> None:
            lines.append(json.dumps({"timestamp": stamp(at), "type": type_, "payload": payload}))  # noqa: B023

        meta = {
            "id": session,
            "cwd": "~/website",
            "source": "cli",
            "git": {"branch": "main"},
            "base_instructions": {"text": "Be brief."},
        }
        add("session_meta", meta, at)
        add("turn_context", {"model": "gpt-5.4", "cwd": "~/website"}, at)
        tokens, cached = 14_000, 0
        for turn in range(6):
            pause = dice.choice([60, 120, 4000]) if turn else 1
            at += pause
            question = ASKED[(number + turn) % len(ASKED)]
            content = [{"type": "input_text", "text": question}]
            add("response_item", {"type": "message", "role": "user", "content": content}, at)
            tokens += dice.randrange(2000, 6000)
            at += 20
            content = [
                {"type": "output_text", "text": "The page now loads its images when they are scrolled to."}
            ]
            add("response_item", {"type": "message", "role": "assistant", "content": content}, at)
            usage = {
                "input_tokens": tokens,
                "cached_input_tokens": cached if pause < 1800 else 0,
                "output_tokens": 300,
            }
            add("event_msg", {"type": "token_count", "info": {"last_token_usage": usage}}, at)
            cached = tokens // 128 * 128
        yield f"rollout-{session}.jsonl", ("\n".join(lines) + "\n").encode()


def sessions() -> Iterator[tuple[Path, bytes]]:
    """Yield the files of the sample below its folder, with their content."""
    for agent, made in (("claude-code", claude_sessions()), ("codex", codex_sessions())):
        for name, content in made:
            yield Path(agent) / f"{name}.gz", content


def main() -> None:
    """Write the files."""
    for name, content in sessions():
        file = FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(gzip.compress(content, mtime=0))


if __name__ == "__main__":
    main()
