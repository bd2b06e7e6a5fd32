"""Records plans and outcomes for a running server: opens the store after the start, and may fail.

When the database can't be used, plans go on, recording stops, and the developer is told once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from anchorline.cache.ledger import Entry
from anchorline.config import Store
from anchorline.ground.threshold import KEPT_S, AdditionDecision
from anchorline.instructions.warm_files import WarmFile, WarmFiles
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import CachePlan, Plan
from anchorline.prompt.model import Prompt
from anchorline.rate_limits import LimitSample
from anchorline.store import database
from anchorline.store.database import StoreError
from anchorline.store.reader import Reader, Watcher
from anchorline.store.recorder import Recorder

Opening = asyncio.Task[Recorder | None]

Done = TypeVar("Done")
Shadow: TypeAlias = tuple[str, Callable[[], Plan]]
"""A version that decides in shadow, and what makes its plan."""
CLOSE_S = 1.5
WATCH_S = 2.0
"""How often the database is asked whether another program has changed it: a few microseconds each."""
log = logging.getLogger(__name__)


class NotRecordedError(Exception):
    """Nothing was written; the message says why, for the developer."""


class Recording:
    """The recorder, once it is open. `report` gets each problem once, `take` what other programs have recorded.

    The recorder's own queue is the only one: nothing here waits for the disk but for an acknowledgement. Beside it one
    thread reads the database, and makes of a plan and its prompt what is written of them.
    """

    def __init__(self, report: Callable[[str], None], take: Callable[[list[Entry], WarmFiles], None]) -> None:
        self._report = report
        self._take = take
        self._told: set[str] = set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._settings: Store | None = None
        self._opened: asyncio.Task[Recorder | None] | None = None
        self._known: dict[tuple[str, str, str, bytes], float] = {}
        self._watching: asyncio.Task[None] | None = None
        self.problem: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether the settings have outcomes written."""
        return self._settings is not None and self._settings.enabled

    @property
    def on(self) -> bool:
        """Whether outcomes are written."""
        return self.enabled and self.problem is None

    def apply(self, settings: Store) -> None:
        """Opens, closes or changes the store as the settings say."""
        if settings == self._settings:
            return
        before, self._settings = self._opened, settings
        self.problem = None
        self._opened = asyncio.ensure_future(self._reopen(before, settings))

    async def _reopen(self, before: asyncio.Task[Recorder | None] | None, settings: Store) -> Recorder | None:
        await self._unwatch()
        await self._close(before)
        if not settings.enabled:
            return None
        loop = asyncio.get_running_loop()

        def report(message: str) -> None:
            loop.call_soon_threadsafe(self._tell, message)

        try:
            recorder, entries, warm_files = await self._in_thread(lambda: _open(settings, report))
        except Exception as error:
            log.exception("the store can't be opened")
            self.problem = f"the database can't be opened ({type(error).__name__})"
            self._tell(f"Anchorline does not record, plans go on: {self.problem}")
            return None
        self._take_new(entries, warm_files)
        self._watching = asyncio.ensure_future(self._watch(recorder.path))
        return recorder

    def _take_new(self, entries: Iterable[Entry], warm_files: WarmFiles) -> None:
        """Passes on the entries that are not known, or that live longer than was known.

        What has expired is not told again, so that it need not be known any longer.
        """
        now = time.time()
        self._known = {key: until for key, until in self._known.items() if until > now}
        new = [entry for entry in entries if entry.expires_at > self._known.get(_key(entry), 0.0)]
        self._known.update((_key(entry), entry.expires_at) for entry in new if entry.expires_at > now)
        self._take(new, warm_files)

    async def _watch(self, path: Path) -> None:
        """Takes what other programs (a second editor, an import) write into the ledger."""
        watcher = Watcher(path)
        try:
            while True:
                await asyncio.sleep(WATCH_S)
                changed = await self._in_thread(watcher.changed)
                if changed is not None:
                    self._take_new(changed.ledger, changed.instructions)
        finally:
            self._pool.submit(watcher.close)

    async def _unwatch(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._report(message)
        recorder = self._opened.result() if self._opened is not None and self._opened.done() else None
        if recorder is not None and recorder.state.status == "stopped":
            self.problem = recorder.state.message

    async def plan(self, plan: Plan, prompt: Prompt, cache: CachePlan | None = None) -> None:
        """Queues a plan that was shown. Without an acknowledgement.

        `cache` is what is to be expected of the cache as the request is sent, where that is not by the plan.
        """
        recorder = await self._recorder()
        if recorder is not None:
            await self._in_thread(lambda: recorder.plan(plan, prompt, cache))

    async def shadow(self, plan: Plan, shadow: Shadow) -> None:
        """Has a version in shadow decide about what `plan` was made for, and queues that. No acknowledgement."""
        recorder = await self._recorder()
        if recorder is not None:
            version, make_plan = shadow
            await self._in_thread(lambda: recorder.shadow(plan, make_plan(), version))

    async def outcome(self, outcome: Outcome) -> None:
        """Returns once the outcome is on disk. Raises NotRecordedError."""
        await self._written(lambda recorder: recorder.outcome(outcome))

    async def feedback(self, feedback: Feedback) -> None:
        """Returns once the feedback is on disk. Raises NotRecordedError."""
        await self._written(lambda recorder: recorder.feedback(feedback))

    async def ledger(self, entries: list[Entry], warm_files: tuple[WarmFile, ...]) -> None:
        """Writes what a provider holds, and the instruction files in it. Without an acknowledgement."""
        self._known.update((_key(entry), entry.expires_at) for entry in entries)
        recorder = await self._recorder()
        if recorder is not None and entries:
            recorder.ledger(entries, warm_files)

    async def recorded(self, plan_id: str | None) -> Plan | None:
        """Returns a plan that was recorded, without the texts that are not kept (None: the newest one).

        Raises NotRecordedError where the database can't be read.
        """
        recorder = await self._recorder()
        if recorder is None:
            return None
        reader = Reader(recorder.path)
        try:
            return await self._in_thread(
                lambda: reader.plan(plan_id) if plan_id is not None else reader.last_plan()
            )
        except StoreError as error:
            raise NotRecordedError(str(error)) from None

    async def instructions(self) -> WarmFiles:
        """Returns what is recorded of instruction files in warm prefixes."""
        recorder = await self._recorder()
        return WarmFiles() if recorder is None else (await self._in_thread(lambda: _read(recorder)))[1]

    async def opened(self) -> None:
        """Returns once the ledger on disk was read, or can't be."""
        await self._recorder()

    async def replays(self, forms: Mapping[bytes, bytes]) -> None:
        """Writes in which form tool results were sent. Without an acknowledgement."""
        recorder = await self._recorder()
        if recorder is not None:
            recorder.replays(forms)

    async def limits(self, samples: Iterable[LimitSample]) -> None:
        """Returns once what was told of a plan's limits is on disk, or can't be."""
        recorder = await self._recorder()
        if recorder is not None:
            recorder.limits(samples)
            with suppress(StoreError):  # the developer was told when recording stopped
                await asyncio.wrap_future(recorder.open())  # what is queued is written in turn

    async def known_replays(self) -> dict[bytes, bytes]:
        """Returns in which form tool results were sent by earlier processes; nothing where that can't be read."""
        recorder = await self._recorder()
        if recorder is None:
            return {}
        try:
            return await self._in_thread(Reader(recorder.path).replays)
        except StoreError as error:
            log.warning("what was sent before can't be read (%s)", type(error).__name__)
            return {}

    async def addition_decisions(self) -> list[AdditionDecision]:
        """Returns what the developer made of earlier additions; nothing where that can't be read."""
        recorder = await self._recorder()
        if recorder is None:
            return []
        reader, since = Reader(recorder.path), time.time() - KEPT_S
        try:
            return await self._in_thread(lambda: reader.addition_decisions(since))
        except StoreError as error:
            log.warning("earlier decisions can't be read (%s)", type(error).__name__)
            return []

    async def _written(self, write: Callable[[Recorder], Future[None]]) -> None:
        recorder = await self._recorder()
        if recorder is None:
            raise NotRecordedError(self.problem or "recording is off (store.enabled)")
        try:
            await asyncio.wrap_future(write(recorder))
        except StoreError as error:
            raise NotRecordedError(str(error)) from None

    async def _recorder(self) -> Recorder | None:
        # Shielded: a cancelled request must not cancel the opening that all others wait for.
        return await asyncio.shield(self._opened) if self._opened is not None else None

    async def _in_thread(self, work: Callable[[], Done]) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _close(self, opened: Opening | None) -> None:
        if opened is None:
            return
        recorder = await asyncio.shield(opened)
        if recorder is not None:
            await self._in_thread(lambda: recorder.close(CLOSE_S))

    async def close(self) -> None:
        """Writes what is queued and closes, within `CLOSE_S`."""
        opened, self._opened = self._opened, None
        await self._unwatch()
        await asyncio.wait([asyncio.ensure_future(self._close(opened))], timeout=CLOSE_S)


def _key(entry: Entry) -> tuple[str, str, str, bytes]:
    return (entry.provider, entry.account, entry.model, entry.prefix)


def _open(settings: Store, report: Callable[[str], None]) -> tuple[Recorder, list[Entry], WarmFiles]:
    path = database.locate(settings.path)
    recorder = Recorder(path, settings.text, report, features=settings.features)
    return recorder, *_read(recorder)


def _read(recorder: Recorder) -> tuple[list[Entry], WarmFiles]:
    """Returns what was recorded of the cache."""
    reader, now = Reader(recorder.path), time.time()
    try:
        return reader.ledger(now), reader.instructions(now)
    except database.StoreError as error:
        log.warning("the ledger can't be read (%s)", type(error).__name__)
        return [], WarmFiles()
