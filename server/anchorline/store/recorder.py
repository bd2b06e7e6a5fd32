"""The recorder: one thread that writes plans, outcomes, feedback and the ledger.

Callers never wait. Plans and ledger entries may be dropped when the queue is full, and are counted; outcomes
and feedback never are, and their future is the acknowledgement: it is resolved when the row is committed, so
that not even kill -9 loses it. When the database can't be written, recording stops with one
message and everything else goes on.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.config import TextMode
from anchorline.instructions.warm_files import WarmFile
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Prompt
from anchorline.rate_limits import LimitSample
from anchorline.store import database, instructions, limits, rows
from anchorline.store.additions import ShownIn
from anchorline.store.database import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

CAPACITY = 512
BATCH = 128


class RecorderState(msgspec.Struct, frozen=True):
    """Whether recording goes on, and if not why."""

    status: Literal["ok", "stopped"] = "ok"
    message: str | None = None


class _Job(msgspec.Struct, frozen=True, eq=False):
    write: Callable[["Database", bytes], None]
    done: "Future[None] | None" = None


class Recorder:
    """Writes to the database at `path` from a thread of its own, which starts with the first thing to write.

    `text` says what prompt text may be kept, `features` whether what is learnt from a draft is; both may be changed at
    any time. `shown_in` is where the plans are shown. `on_problem` is called once, with the reason,
    when recording stops; `on_notice` when a damaged database was set aside and recording goes on.
    Both are called in that thread. Call `close` before the process ends.
    """

    def __init__(
        self,
        path: Path,
        text: TextMode = "off",
        on_problem: Callable[[str], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
        capacity: int = CAPACITY,
        *,
        features: bool = True,
        shown_in: ShownIn = "editor",
    ) -> None:
        self.path = path
        self.features = features
        self.text: TextMode = text
        self._shown_in = shown_in
        self._on_problem = on_problem
        self._on_notice = on_notice
        self._capacity = capacity
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._state = RecorderState()
        self._dropped = 0
        self._unsaved_drops = 0
        self._closing = False
        self._give_up_at = float("inf")
        self._opened: database.Opened | None = None
        self._key = b""

    @property
    def state(self) -> RecorderState:
        """Whether recording goes on."""
        return self._state

    @property
    def dropped(self) -> int:
        """How many plans and ledger updates this recorder has dropped."""
        return self._dropped

    def plan(self, plan: Plan, prompt: Prompt, cache: CachePlan | None = None) -> None:
        """Records a plan, if there is room; `cache` is what to expect as the request is sent, if not by the plan."""
        note = rows.note(plan, prompt, self.text, cache, features=self.features)
        self._offer(lambda db, key: rows.put_plan(db, key, note, self._shown_in))

    def shadow(self, plan: Plan, shadow: Plan, version: str) -> None:
        """Records what the policy `version` decided in shadow where `plan` was made, if there is room."""
        self._offer(lambda db, _: rows.put_shadow(db, plan, shadow, version))

    def ledger(self, entries: Iterable[Entry], warm_files: Iterable[WarmFile] = ()) -> None:
        """Records what providers hold now, and the instruction files in it, if there is room."""
        held, files = tuple(entries), tuple(warm_files)

        def write(db: "Database", _key: bytes) -> None:
            rows.put_ledger(db, held)
            instructions.put(db, files)

        if held:
            self._offer(write)

    def limits(self, samples: Iterable[LimitSample]) -> None:
        """Records what was told of a plan's limits, if there is room."""
        told = tuple(samples)
        if told:
            self._offer(lambda db, _: limits.put(db, told))

    def replays(self, made: Mapping[bytes, bytes]) -> None:
        """Records in which form tool results were sent, if there is room."""
        now = time.time()
        self._offer(lambda db, _: rows.put_replays(db, made, now))

    def open(self) -> "Future[None]":
        """Makes the database ready; the future is done when it is, or fails with StoreError."""
        return self._submit(lambda _db, _key: None)

    def outcome(self, outcome: Outcome) -> "Future[None]":
        """Records an outcome; the future is done when it is on disk, or fails with StoreError."""
        now = time.time()
        return self._submit(lambda db, _: rows.put_outcome(db, outcome, now))

    def feedback(self, feedback: Feedback) -> "Future[None]":
        """Records thumbs; the future is done when they are on disk, or fails with StoreError."""
        now, mode = time.time(), self.text
        return self._submit(lambda db, _: rows.put_feedback(db, feedback, mode, now))

    def close(self, timeout: float = 5.0) -> bool:
        """Writes what is queued and closes, within `timeout` seconds; tells whether all was written."""
        with self._changed:
            self._closing = True
            self._give_up_at = time.monotonic() + timeout
            thread = self._thread
            self._changed.notify_all()
        if thread is None:
            return self._state.status == "ok"
        thread.join(timeout)
        return not thread.is_alive() and self._state.status == "ok"

    def _offer(self, write: Callable[["Database", bytes], None]) -> None:
        with self._changed:
            if self._closing or self._state.status == "stopped":
                return
            if len(self._jobs) >= self._capacity:
                self._drop(1)
                return
            self._add(_Job(write))

    def _submit(self, write: Callable[["Database", bytes], None]) -> "Future[None]":
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # who waits may give up, the row is written all the same
        with self._changed:
            if len(self._jobs) >= self._capacity:
                self._make_room()
            if self._state.status == "stopped":
                future.set_exception(StoreError(self._state.message))
            elif self._closing:
                future.set_exception(StoreError(f"{self.path}: recording has ended"))
            else:
                self._add(_Job(write, future))
        return future

    def _make_room(self) -> None:
        """Drops the oldest job that nobody waits for; with none, the queue grows by who waits for an outcome."""
        for index, job in enumerate(self._jobs):
            if job.done is None:
                del self._jobs[index]
                self._drop(1)
                return

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._unsaved_drops += count

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="anchorline-recorder", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _take(self) -> list[_Job]:
        """Waits for something to write; an empty list means the end."""
        with self._changed:
            while not self._jobs and not self._closing:
                self._changed.wait()
            batch = [self._jobs.popleft() for _ in range(min(BATCH, len(self._jobs)))]
            self._changed.notify_all()
            return batch

    def _run(self) -> None:
        try:
            while batch := self._take():
                try:
                    failures = self._write(batch)
                except Exception as error:  # noqa: BLE001  (whatever it is: recording stops, plans go on)
                    self._stop(error, batch)
                    return
                for job in batch:
                    if job.done is not None:
                        failure = failures.get(id(job))
                        job.done.set_exception(failure) if failure else job.done.set_result(None)
        finally:
            self._shut()

    def _write(self, batch: list[_Job]) -> dict[int, StoreError]:
        """Commits `batch`; returns the jobs whose row could not be made, by identity, each with its error."""
        repairs = 0
        while True:
            try:
                return self._commit(batch)
            except sqlite3.Error as error:
                if database.is_damage(error) and self._opened is not None and repairs == 0:
                    repairs += 1
                    damaged = self._opened.identity
                    self._shut()
                    self._tell(self._on_notice, database.set_aside(self.path, damaged))
                elif not database.is_busy(error) or time.monotonic() > self._give_up_at:
                    raise

    def _commit(self, batch: list[_Job]) -> dict[int, StoreError]:
        db = self._database()
        failures: dict[int, StoreError] = {}
        with self._changed:
            drops = self._unsaved_drops
        lost = 0
        with database.writing(db):
            for job in batch:
                try:
                    with db.atomic():
                        job.write(db, self._key)
                except (sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.IntegrityError) as error:
                    failures[id(job)] = StoreError(f"{self.path}: this row can't be stored: {error}")
                except (ValueError, TypeError, OverflowError) as error:
                    failures[id(job)] = StoreError(
                        f"{self.path}: this row can't be stored: {type(error).__name__}"
                    )
            lost = sum(job.done is None and id(job) in failures for job in batch)
            if drops + lost:
                db.execute(
                    "UPDATE about SET value = CAST(value AS INTEGER) + ? WHERE name = 'dropped'",
                    [drops + lost],
                )
        with self._changed:
            self._unsaved_drops -= drops
            self._dropped += lost
        return failures

    def _database(self) -> "Database":
        """Returns the open database, opened again where the file was moved or deleted meanwhile."""
        if self._opened is not None and database.identity(self.path) != self._opened.identity:
            self._shut()
        if self._opened is None:
            self._opened = database.open_for_writing(self.path)
            self._tell(self._on_notice, self._opened.notice)
            self._prepare(self._opened.database)
        return self._opened.database

    def _prepare(self, db: "Database") -> None:
        self._key = database.key(db.conn)
        rows.forget_expired(db, time.time())

    def _shut(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            with suppress(sqlite3.Error):
                database.close(opened.database)

    def _stop(self, error: Exception, batch: list[_Job]) -> None:
        message = database.explain(self.path, error)
        with self._changed:
            self._state = RecorderState("stopped", message)
            jobs = [*batch, *self._jobs]
            self._jobs.clear()
            self._drop(sum(job.done is None for job in jobs))
            self._changed.notify_all()
        self._tell(self._on_problem, message)
        for job in jobs:
            if job.done is not None:
                job.done.set_exception(StoreError(message))

    @staticmethod
    def _tell(listener: Callable[[str], None] | None, message: str | None) -> None:
        if listener is not None and message is not None:
            with suppress(Exception):  # the listener's own trouble is not the writer's
                listener(message)
