"""What is known of a plan's windows, for the requests that pass: read beside them, and waited for by none."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from anchorline.config import Config
from anchorline.gateway.credential import PLANS, Credential
from anchorline.gateway.limit_headers import Headers, LimitHeaders
from anchorline.gateway.upstream import Upstream
from anchorline.limits import shares, wording
from anchorline.limits.budgets import reset_time
from anchorline.limits.model import TokenCounts, WindowCost, WindowState
from anchorline.limits.state import Limits, limits
from anchorline.rate_limits import LimitSample
from anchorline.route.target import Targets
from anchorline.store import database
from anchorline.store.database import StoreError

WARNING = b"anchorline-warning"
FRESH_S = 30.0
"""How old a forecast may be; what an answer tells is read at once."""
END_S = 1.0
log = logging.getLogger(__name__)


class LimitWatch:
    """The windows of the plans that requests are on. Used on the event loop only, but for `share`.

    `record` returns once samples are on disk, `report` tells the developer that a window is nearly used up, or used up.
    `key` is a secret of this machine, with which accounts are hashed.
    """

    def __init__(
        self,
        settings: Config,
        targets: Targets,
        key: bytes,
        record: Callable[[tuple[LimitSample, ...]], Awaitable[None]],
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path: Path = database.locate(settings.store.path)
        self._targets = targets
        self._headers = LimitHeaders(key, self._take)
        self._record = record
        self._report = report
        self._clock = clock
        self._limits: Limits | None = None
        self._at = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None
        self._reported: set[tuple[str, ...]] = set()

    @property
    def windows(self) -> tuple[WindowState, ...]:
        """All windows, as far as they are known now."""
        return self._limits.windows if self._limits is not None else ()

    def note(
        self, upstream: Upstream, headers: Headers, body: bytes, answer: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Takes in what the answer to a request tells of limits."""
        self._headers.note(upstream, headers, body, answer, self._clock())

    def of(self, upstream: Upstream, headers: Headers, credential: Credential) -> tuple[WindowState, ...]:
        """Returns the windows that a request counts for; none where nothing says that it is on a plan."""
        account = self._headers.account(upstream, headers)
        if not account and credential not in PLANS:
            return ()
        self.read()
        return tuple(
            window
            for window in self.windows
            if window.provider == upstream.name and window.account in ("", account)
        )

    def warnings(self, windows: Iterable[WindowState]) -> list[tuple[bytes, bytes]]:
        """Returns the headers that warn of the windows that are nearly used up, or are."""
        now = self._clock()
        texts = (wording.warning(window, window.title, now) for window in windows if wording.nearness(window))
        return [(WARNING, text.encode("ascii", "replace")) for text in texts]

    def share(self, model: str, tokens: int, ttl: str) -> str:
        """Returns what it takes of a window to write so many tokens. May be called in any thread."""
        known = self._limits
        return shares.of_write(known, model, tokens, ttl) if known is not None else ""

    def spent(self, work: Mapping[str, TokenCounts]) -> tuple[WindowCost, ...]:
        """Returns what the tokens of requests on a plan, by model, took of its windows."""
        return shares.of_work(self._limits, work) if self._limits is not None else ()

    def read(self) -> asyncio.Task[None]:
        """Has the windows read where what is known is too old; returns what reads them."""
        if self._reading is None or (self._reading.done() and not 0 <= self._clock() - self._at < FRESH_S):
            self._reading = asyncio.ensure_future(self._renew())
        return self._reading

    async def end(self) -> None:
        """Waits for what is being recorded and read."""
        tasks = {task for task in (*self._tasks, self._reading) if task is not None}
        if tasks:
            await asyncio.wait(tasks, timeout=END_S)

    def _take(self, samples: tuple[LimitSample, ...]) -> None:
        task = asyncio.ensure_future(self._recorded(samples))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recorded(self, samples: tuple[LimitSample, ...]) -> None:
        await self._record(samples)
        if self._reading is not None:
            await asyncio.wait({self._reading})
        self._at = float("-inf")
        await self.read()

    async def _renew(self) -> None:
        now = self._clock()
        self._at = now
        try:
            self._limits = await asyncio.to_thread(limits, self._path, self._targets, now)
        except StoreError as error:
            self._limits = None
            log.warning("a plan's limits can't be read: %s", error)
            return
        for window, name in zip(self.windows, wording.names(self.windows), strict=True):
            near = wording.nearness(window)
            key = (window.provider, window.account, window.window, reset_time(window.resets_at), near)
            if near and key not in self._reported:
                self._reported.add(key)
                self._report(f"limits: {wording.warning(window, name, now)}")
