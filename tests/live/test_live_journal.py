"""What a server that runs for weeks keeps in memory, and how often it looks through it."""

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Config, Store
from anchorline.live import recording
from anchorline.live.journal import FORGET_S, Journal
from anchorline.live.recording import Recording
from anchorline.outcome import Outcome
from anchorline.planner import Planner
from anchorline.store import rows
from anchorline.store.recorder import Recorder
from support import samples


def entry(name: str, left: float) -> Entry:
    now = time.time()
    return Entry("anthropic", "default", "claude-sonnet-5", name.encode(), 1000, "5m", now - 9, now + left)


def test_what_has_expired_is_not_known_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "WATCH_S", 0.01)
    told: list[bytes] = []
    path = tmp_path / "anchorline.db"

    async def run() -> None:
        seen = asyncio.Event()

        def take(entries: list[Entry], _: object) -> None:
            told.extend(one.prefix for one in entries)
            if b"another's" in told:
                seen.set()

        own = Recording(told.append, take)
        own.apply(Store(path=str(path)))
        await own.ledger([entry(f"old {number}", -1.0) for number in range(50)] + [entry("own", 60.0)], ())
        other = Recorder(path)
        other.ledger([entry("another's", 60.0)])
        assert await asyncio.to_thread(other.close, 60)
        async with asyncio.timeout(60):
            await seen.wait()
        assert {key[3] for key in own._known} == {b"own", b"another's"}
        await own.close()

    asyncio.run(run())
    assert told == [b"another's"]


def test_the_ledger_is_looked_through_once_in_a_while_and_not_at_each_outcome(
    monkeypatch: pytest.MonkeyPatch,
):
    looked: list[float] = []
    monkeypatch.setattr(MemoryLedger, "forget_before", lambda _self, moment: looked.append(moment))
    clock = time.time()
    monkeypatch.setattr(time, "time", lambda: clock)

    async def run() -> None:
        nonlocal clock
        journal = Journal(lambda _: None)
        for _ in range(20):
            journal.add([entry("one", 60.0)])
        assert len(looked) <= 1
        for later in (FORGET_S, -FORGET_S):  # a clock may be set back
            clock += later
            before = len(looked)
            journal.add([entry("one", 60.0)])
            assert len(looked) == before + 1

    asyncio.run(run())


def test_an_outcome_that_is_on_disk_has_its_plan_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, queued = tmp_path / "anchorline.db", threading.Event()
    note, outcome = rows.note, Recorder.outcome

    def last(*given, **named):
        queued.wait(0.2)  # an outcome that does not wait for its plan comes now
        return note(*given, **named)

    def first(*given):
        queued.set()
        return outcome(*given)

    monkeypatch.setattr(rows, "note", last)
    monkeypatch.setattr(Recorder, "outcome", first)

    async def run() -> list[tuple]:
        journal = Journal(print)
        journal.begin(Config(store=Store(path=str(path))))
        await journal.recording.opened()
        plan, prompt = samples.plan("p1"), samples.prompt()
        journal.plans.add(plan, prompt, Planner(Config(), journal.ledger))
        assert await journal.outcome(Outcome(plan.id))
        with closing(sqlite3.connect(path)) as database:
            written = database.execute(
                "SELECT plans.id FROM plans JOIN outcomes ON outcomes.plan = plans.id"
            ).fetchall()
        await journal.end()
        return written

    assert asyncio.run(run()) == [("p1",)]
