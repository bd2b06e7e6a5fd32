"""Warm prefixes, recent plans and recording, shared by language server and gateway."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Config
from anchorline.instructions.warm_files import WarmFile, WarmFiles
from anchorline.live.plans import Plans, Remembered, entries
from anchorline.live.policies import Policies
from anchorline.live.recording import Recording, Shadow
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt

Files = Callable[[Remembered, Sequence[Entry]], Awaitable[tuple[WarmFile, ...]]]
Received = Callable[[list[Entry], WarmFiles], None]

EXPIRED_KEPT_S = 7 * 86_400
"""Expired entries explain a miss for a week."""
FORGET_S = 3600.0
"""How often those that are older are looked for: among a hundred thousand that takes a third of a second."""
WRITING_S = 0.5
log = logging.getLogger(__name__)


class Journal:
    """The plans of a running server, their outcomes, and the ledger that these fill. Used on the event loop only.

    `report` shows a message to the developer; each problem is reported once. `warmed` is called after the ledger has
    got entries, `policy_changed` when another policy decides from now on, and `received` with what other programs have
    recorded (at first: with what was recorded before the start). `files` returns the instruction files in what is warm
    after a request.
    """

    def __init__(
        self,
        report: Callable[[str], None],
        *,
        warmed: Callable[[], None] = lambda: None,
        policy_changed: Callable[[], None] = lambda: None,
        received: Received = lambda _entries, _instructions: None,
        files: Files | None = None,
    ) -> None:
        self.ledger = MemoryLedger()
        self.plans = Plans()
        self.recording = Recording(report, self._receive)
        self.policies = Policies(report, policy_changed)
        self.warm: list[Entry] = []
        self._warmed = warmed
        self._received = received
        self._files = files
        self._tasks: set[asyncio.Task[None]] = set()
        self._forgot_at = time.time()

    def begin(self, config: Config) -> None:
        """Opens the store, and follows the policies, as the settings say."""
        self.recording.apply(config.store)
        self.policies.apply(config)

    def background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Runs something that `end` waits for."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("something was not recorded", exc_info=error)

    def record(self, remembered: Remembered) -> None:
        """Writes a plan to the store, once, in the background."""
        plan, prompt = remembered.plan, remembered.prompt
        if remembered.recording is not None or prompt is None or not self.recording.enabled:
            return
        if plan.instructions is not None:  # nothing was decided
            return
        remembered.recording = self.background(self.recording.plan(plan, prompt, remembered.cache))
        shadow = self._shadow(remembered, prompt)
        if shadow is not None:
            self.background(self.recording.shadow(plan, shadow))

    async def _queue_plan(self, remembered: Remembered | None) -> None:
        """Returns once a plan is queued for the store, so that what is queued next is written after it."""
        if remembered is not None:
            self.record(remembered)
            if remembered.recording is not None:
                await asyncio.wait([remembered.recording])

    def _shadow(self, remembered: Remembered, prompt: Prompt) -> Shadow | None:
        """Returns the version that decides about a plan's prompt in shadow, and what makes that decision."""
        decider = self.policies.shadow(remembered.plan)
        if decider is None:
            return None
        planner, target, at = remembered.planner, remembered.target, remembered.plan.created_at

        def made() -> Plan:
            return planner.plan(prompt, target=target, now=at, decider=decider)

        return decider.policy.version, made

    async def outcome(self, outcome: Outcome) -> bool:
        """Takes in an outcome: returns once it is on disk, or False where recording is off.

        Raises NotRecordedError. What it tells about the cache holds from the next plan on, recorded or not.
        """
        remembered = self.plans.get(outcome.plan_id)
        warm: list[Entry] = []
        if remembered is not None:
            if outcome.ping is None:  # the request's own is shown
                remembered.outcome = outcome
            warm = list(entries(remembered, outcome))
            self.add(warm)
        if not self.recording.enabled:
            return False
        await self._queue_plan(remembered)
        await self.recording.outcome(outcome)
        self.policies.noted()
        files = (
            await self._files(remembered, warm) if remembered is not None and self._files is not None else ()
        )
        await self.recording.ledger(warm, files)
        return True

    async def feedback(self, feedback: Feedback) -> bool:
        """Returns once feedback is on disk, or False where recording is off. Raises NotRecordedError."""
        if not self.recording.enabled:
            return False
        await self._queue_plan(self.plans.get(feedback.plan_id))
        await self.recording.feedback(feedback)
        self.policies.noted()
        return True

    def add(self, entries: Sequence[Entry]) -> None:
        """Adds entries to the ledger, and forgets those that expired long ago."""
        for entry in entries:
            self.ledger.put(entry)
        if entries:
            now = time.time()
            if not 0 <= now - self._forgot_at < FORGET_S:  # a clock may be set back
                self._forgot_at = now
                self.ledger.forget_before(now - EXPIRED_KEPT_S)
            self._keep_warm([*self.warm, *entries], now)
            self._warmed()

    def expire(self, now: float) -> None:
        """Drops what is no longer warm from `warm`."""
        self._keep_warm(self.warm, now)

    def _keep_warm(self, entries: Iterable[Entry], now: float) -> None:
        self.warm = [entry for entry in entries if entry.is_warm(now)]

    def _receive(self, entries: list[Entry], instructions: WarmFiles) -> None:
        self.add(entries)
        self._received(entries, instructions)

    async def end(self, wait_s: float = WRITING_S) -> None:
        """Closes what is open, once the background is done or `wait_s` seconds are over."""
        try:
            async with asyncio.timeout(wait_s):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.warning("%d writes were not finished", len(self._tasks))
        await self.policies.end()
        await self.recording.close()
