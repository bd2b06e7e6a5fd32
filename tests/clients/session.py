"""One client's conversation through the gateway, and what each of the three says of it: client, gateway, provider.

The client is pointed at a tap that keeps the bytes of both directions, behind which the gateway runs, and behind that the
scripted provider.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from clients.programs import Place, Program
from clients.provider import FILES, FIRST_OUTPUT, TASK, Bill, Provider
from clients.tap import Passed, Tap, digest
from support.gateways import Gateway, gateway
from support.upstream import Running

PATIENCE_S = 180
SAID = (
    f"{TASK}: look at the files and say what the parser drops.",
    f"{TASK}: and now the next files, please.",
    f"{TASK}: one more time, with the remaining files.",
    f"{TASK}: and at the end a summary.",
)
UPGRADE_REQUIRED = 426


class Record(NamedTuple):
    """What the gateway has recorded of one request."""

    session: str | None
    p_hit: float
    input: int
    read: int
    write: int
    output: int


class History(NamedTuple):
    """What imports of the client's own session files have shown.

    `alone`: imported into a database of its own; `both`: beside the gateway's rows, once in the middle of the run and once at
    its end. `again` are the imports that had nothing new. `costs` is what the client itself worked out, in USD; None where it
    knows no price of the model.
    """

    requests: list[tuple[int, ...]]
    alone: dict[str, Any]
    both: dict[str, Any]
    again: list[dict[str, Any]]
    costs: float | None


class Session(NamedTuple):
    """What a run has shown. `said` is what the client printed, turn by turn."""

    said: list[str]
    passed: list[Passed]
    sent: list[tuple[str, str, str]]
    answered: list[str]
    bills: list[Bill]
    refusals: list[str]
    records: list[Record]
    status: dict[str, Any]
    report: dict[str, Any]
    conversations: int
    history: History | None = None

    @property
    def failed(self) -> list[Passed]:
        """Return the prompts that the client got no answer to."""
        return [one for one in self.passed if one.method == "POST" and one.status != 200]

    @property
    def identical(self) -> bool:
        """Tell whether each byte of both directions went through, but for upgrades, which the gateway refuses."""
        passed = [one for one in self.passed if one.status != UPGRADE_REQUIRED]
        sent = Counter((one.method, one.path.split("/", 3)[3], one.body) for one in passed)
        return sent == Counter(self.sent) and Counter(one.answer for one in passed) == Counter(self.answered)

    @property
    def miscounted(self) -> list[Bill]:
        """Return the requests that are not recorded with the tokens that were billed, once."""
        records = Counter((one.input, one.read, one.write, one.output) for one in self.records)
        billed = {one: (one.input, one.read, one.write, one.output) for one in self.bills}
        return [one for one, tokens in billed.items() if records[tokens] != 1]

    @property
    def sessions(self) -> int:
        """Return how many sessions the conversations' own requests are recorded as."""
        main = {bill.output for bill in self.bills if bill.main}
        return len({one.session for one in self.records if one.output in main})


class Kept(Provider):
    """The provider, and what it has answered."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.answered: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        parts: list[bytes] = []

        async def kept(message: Any) -> None:
            parts.append(message.get("body", b""))
            await send(message)

        await super().__call__(scope, receive, kept)
        self.answered.append(digest(b"".join(parts)))


def converse(
    program: Program,
    mode: str,
    clients: Path,
    folder: Path,
    *,
    turns: int = 3,
    steps: int = 3,
    again: bool = True,
    settings: str = "",
) -> Session:
    """Have a client hold a conversation of so many turns and, with `again`, begin another one with the same words."""
    place = Place(clients, folder / "home", folder / "work")
    lay(place)
    provider, tap = Kept(place.work, steps=steps, calls=program.calls), Tap()
    with Running(provider) as behind, Running(tap) as front:
        own = f'mode = "{mode}"\nport = {front.port}\n{settings}'
        with gateway(folder / "gate", behind.url, settings=own) as running:
            tap.target = f"http://127.0.0.1:{running.port}"
            root = f"http://127.0.0.1:{front.port}/{running.token}"
            addresses = {"anthropic": f"{root}/anthropic", "openai": f"{root}/openai/v1"}
            addresses["gemini"] = f"{root}/gemini"
            program.prepare(place, addresses)
            env = os.environ | {"ANCHORLINE_CONFIG": str(folder / "gate/anchorline.toml")}
            env |= {"ANCHORLINE_DATA_DIR": str(folder / "gate/data")}
            if program.client not in ("", "continue"):
                anchorline(["connect", program.client, "--write"], env | program.environment(place))
            said = []
            for turn in range(turns):
                said.append(say(program, place, SAID[turn % len(SAID)], goes_on=turn > 0 and program.resumes))
                if program.history and again and turn == 0:
                    anchorline(["import", program.history, str(place.home), "--json"], env)
            if again:
                said.append(say(program, place, SAID[0], goes_on=False))
            status = settled(running, len(provider.bills) + len(provider.refusals))
            running.stop()
            report = json.loads(anchorline(["report", "--json"], env))
            records = _records(running.database)
            history = _imported(program.history, place, folder, env) if program.history and again else None
    sent = [(one.method, one.path.decode().lstrip("/"), digest(one.body)) for one in provider.seen]
    return Session(
        said,
        tap.passed,
        sent,
        provider.answered,
        provider.bills,
        provider.refusals,
        records,
        status,
        report,
        (1 if program.resumes else turns) + again,
        history,
    )


def _imported(agent: str, place: Place, folder: Path, env: dict[str, str]) -> History:
    """Import what a client recorded, alone and beside what the gateway recorded, each twice."""
    alone = env | {"ANCHORLINE_DATA_DIR": str(folder / "alone")}
    command = ["import", agent, str(place.home), "--json"]
    reports, again = [], []
    for data in (alone, env):
        anchorline(command, data)
        again.append(json.loads(anchorline(command, data)))
        reports.append(json.loads(anchorline(["report", "--json"], data)))
    columns = "input_tokens, read_tokens, write_5m_tokens, write_1h_tokens, output_tokens"
    with closing(sqlite3.connect(folder / "alone" / "anchorline.db")) as db:
        requests = list(db.execute(f"SELECT {columns} FROM imported ORDER BY output_tokens"))
    return History(requests, reports[0], reports[1], again, _costs(place) if agent == "pi" else None)


def _costs(place: Place) -> float:
    """Add up what Pi wrote down as the cost of its answers."""
    total = 0.0
    for file in (place.home / ".pi" / "agent" / "sessions").rglob("*.jsonl"):
        for line in file.read_text().splitlines():
            usage = json.loads(line).get("message", {}).get("usage")
            total += usage["cost"]["total"] if usage else 0.0
    return total


def lay(place: Place) -> None:
    """Lay out a folder to work on: a repository with files that are long enough to be worth trimming."""
    place.home.mkdir(parents=True)
    place.work.mkdir(parents=True)
    for number in range(FILES):
        parts = [
            f'def part_{number}_{k}(value):\n    """Return what rule {number * 100 + k} makes of it."""\n    return value * {k}\n'
            for k in range(60)
        ]
        (place.work / f"file{number}.py").write_text("\n".join(parts))
    subprocess.run(["git", "init", "-q", str(place.work)], check=True)


def say(program: Program, place: Place, message: str, *, goes_on: bool) -> str:
    """Start a client with a message; return what it prints."""
    done = subprocess.run(
        program.command(place, message, goes_on),
        env=program.environment(place),
        cwd=place.work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace")


def pass_time(away: timedelta, files: list[Path], database: Path, provider: Provider) -> None:
    """Let time go by: what session files and ledger tell was so much earlier, and the provider's clock goes on."""

    def earlier(written: re.Match[str]) -> str:
        moment = datetime.fromisoformat(written[0]) - away
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    for file in files:
        file.write_text(re.sub(r'(?<="timestamp":")[^"]+', earlier, file.read_text()))
    with closing(sqlite3.connect(database)) as db, db:
        moved = "written_at = written_at - :away, expires_at = expires_at - :away"
        db.execute(f"UPDATE ledger SET {moved}", {"away": away.total_seconds()})
    provider.ahead_s += away.total_seconds()


def anchorline(arguments: list[str], env: dict[str, str]) -> str:
    """Run the command; return what it prints."""
    command = [sys.executable, "-m", "anchorline", *arguments]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def settled(running: Gateway, prompts: int) -> dict[str, Any]:
    """Return the gateway's state once all that was answered is added up: that happens beside its way."""
    from support.gateways import call

    root = running.anthropic.removesuffix("/anthropic")
    for _ in range(100):
        state = json.loads(call(f"{root}/status", "GET", b"")[2])
        if sum(state["requests"].values()) >= prompts:
            break
        time.sleep(0.05)
    return dict(state)


def _records(database: Path) -> list[Record]:
    columns = "plans.session, plans.p_hit, input_tokens, read_tokens, write_tokens, output_tokens"
    query = f"SELECT {columns} FROM outcomes JOIN plans ON plans.id = outcomes.plan WHERE output_tokens >= ?"
    with closing(sqlite3.connect(database)) as db:
        return [Record(*row) for row in db.execute(query, [FIRST_OUTPUT])]
