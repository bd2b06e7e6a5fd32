"""A database with a history: imported sessions, and plans with what became of them."""

import time
from pathlib import Path

import msgspec
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.outcome import Feedback, Outcome, Usage
from anchorline.plan import Plan
from anchorline.rate_limits import LimitSample
from anchorline.store import database
from anchorline.store.recorder import Recorder
from support.samples import plan, prompt
from support.session_logs import ClaudeLog

MODEL = "claude-sonnet-5"


def imported(folder: Path, days_ago: float = 1.0, gap: float = 1200.0) -> None:
    """One session of two requests: the second comes `gap` seconds later, and reads what the first left if it can."""
    folder.mkdir(parents=True, exist_ok=True)
    log = ClaudeLog("s0", time.time() - days_ago * 86_400)
    log.user("first")
    log.answer("a", read=20_000)
    log.start += gap
    log.user("second")
    warm = gap < 3600
    log.answer("b", read=20_500 if warm else 0, write=(100, 400) if warm else (4100, 16_400))
    (folder / "session.jsonl").write_bytes(log.bytes())
    done = CliRunner().invoke(cli, ["import", "claude-code", str(folder), "--json"])
    assert done.exit_code == 0, done.output


def sessions(folder: Path) -> int:
    """Two weeks of sessions as Claude Code writes them, a few of them with long breaks; return their requests."""
    folder.mkdir(parents=True, exist_ok=True)
    models = ("claude-opus-4-6", "claude-sonnet-5", "claude-haiku-4-5")
    requests = 0
    for day in range(14):
        log = ClaudeLog(f"day-{day}", time.time() - (14 - day) * 86_400)
        read = 20_000
        for turn in range(4 + 5 * day % 9):
            gap = 5000 if (day + turn) % 7 == 3 else 60 + 200 * (turn % 3)
            log.start += gap
            log.user(f"message {turn}")
            cold = gap > 3600 or (day, turn) == (10, 5)
            log.answer(f"{day}-{turn}", read=0 if cold else read, model=models[day % 3], output=400)
            read += 500
            requests += 1
        (folder / f"{day}.jsonl").write_bytes(log.bytes())
    return requests


def months(folder: Path, count: int = 100, turns: int = 30) -> None:
    """Sessions of months, enough to learn from: every fifth pause is long enough that a prefix may be gone."""
    folder.mkdir(parents=True, exist_ok=True)
    for session in range(count):
        log = ClaudeLog(f"months-{session}", time.time() - (count - session) * 86_400)
        for turn in range(turns):
            long = (session + turn) % 5 == 0
            log.start += 400 * (1 + (7 * session + turn) % 20) if long else 10 + 7 * (turn % 11)
            log.user(f"message {turn}")
            cold = long and turn % 3 == 0
            log.answer(f"{session}-{turn}", read=0 if cold else 20_000 + 500 * turn, model=MODEL)
        (folder / f"{session}.jsonl").write_bytes(log.bytes())


def recorded(*happened: tuple[Plan, Outcome | None], feedback: tuple[Feedback, ...] = ()) -> None:
    """Plans and their outcomes."""
    recorder = Recorder(database.locate(), "off", on_notice=lambda notice: None)
    try:
        waiting = []
        for made, outcome in happened:
            recorder.plan(made, prompt())
            if outcome is not None:
                waiting.append(recorder.outcome(outcome))
        waiting += [recorder.feedback(one) for one in feedback]
        for future in waiting:
            future.result(20)
    finally:
        recorder.close()


def plan_limits(five_hour: float, seven_day: float = 41.0, *, rising: float = 0.0) -> None:
    """What a status line tells of a plan: per cent of both windows now, the first of them `rising` in half an hour."""
    now = time.time()
    windows = (("five_hour", five_hour, 7200.0, 18_000.0), ("seven_day", seven_day, 345_600.0, 604_800.0))
    samples = [
        LimitSample(
            now - 60 - ago, "anthropic", name, used - rising * ago / 1800, now + left, length, "status_line"
        )
        for name, used, left, length in windows
        for ago in ((1800.0, 1200.0, 600.0, 0.0) if name == "five_hour" and rising else (0.0,))
    ]
    recorder = Recorder(database.locate())
    recorder.limits(samples)
    assert recorder.close()


def planned(
    plan_id: str, *, warm: int = 4000, p_hit: float = 0.9, at: float | None = None, **more: object
) -> Plan:
    """A plan of 4200 tokens, of which `warm` are believed warm."""
    made = plan(plan_id, at=at or time.time())
    cache = msgspec.structs.replace(made.cache, warm_tokens=warm, p_hit=p_hit)
    return msgspec.structs.replace(made, cache=cache, failure=None, **more)


def billed(plan_id: str, read: int = 4000, *, write: int = 200, decision: str | None = None) -> Outcome:
    """What 4200 tokens were billed as."""
    usage = Usage(input=4200 - read - write, read=read, write=write, output=100)
    return Outcome(plan_id, usage=usage, decision=decision)  # type: ignore[arg-type]
