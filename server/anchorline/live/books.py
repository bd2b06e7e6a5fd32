"""The books of a running server: what is warm, which plans were made, and what is written down of both."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Config
from anchorline.live.plans import Plans, Remembered, entries
from anchorline.live.policies import Policies
from anchorline.live.recording import Recording, Shadow
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt

if TYPE_CHECKING:
    from anchorline.cache.instructions import Instructions, Known

EXPIRED_KEPT_S = 7 * 86_400
"""Expired entries explain a miss for a week."""
FORGET_S = 3600.0
"""How often those that are older are looked for: among a hundred thousand that takes a third of a second."""
WRITING_S = 0.5
log = logging.getLogger(__name__)


class Books:
    """Plans, their outcomes, and the ledger that these fill. Used on the event loop only.

    `report` shows a message to the developer; each problem is reported once.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.ledger = MemoryLedger()
        self.plans = Plans()
        self.recording = Recording(report, self.found)
        self.policies = Policies(report, self.decided_by_others)
        self.warm: list[Entry] = []
        self._writing: set[asyncio.Task[None]] = set()
        self._forgot_at = time.time()

    def changed(self) -> None:
        """Note that what is warm has changed."""

    def decided_by_others(self) -> None:
        """Note that another policy decides from now on."""
        self.changed()

    def begin(self, config: Config) -> None:
        """Open the store, and follow the policies, as the settings say."""
        self.recording.apply(config.store)
        self.policies.apply(config)

    def found(self, entries: list[Entry], known: "Instructions") -> None:  # noqa: ARG002  (for who shows files)
        """Take in what other programs have recorded, and what was recorded before the start."""
        self.take(entries)

    async def instruction_files(self, remembered: Remembered, warm: Sequence[Entry]) -> "tuple[Known, ...]":  # noqa: ARG002
        """Return which instruction files stand in what is warm after a request; none where files are not looked at."""
        return ()

    def record(self, remembered: Remembered) -> None:
        """Have a plan written to the store, once. Nobody waits for that."""
        if remembered.recorded or remembered.prompt is None or not self.recording.enabled:
            return
        remembered.recorded = True
        plan, prompt = remembered.plan, remembered.prompt
        shadow = self._shadow(remembered, prompt)
        writing = asyncio.ensure_future(self.recording.plan(plan, prompt, shadow, remembered.cache))
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _shadow(self, remembered: Remembered, prompt: Prompt) -> Shadow | None:
        """Return the version that decides about a plan's prompt in shadow, and what makes that decision."""
        decider = self.policies.shadow(remembered.plan)
        if decider is None:
            return None
        planner, target, at = remembered.planner, remembered.target, remembered.plan.created_at

        def made() -> Plan:
            return planner.plan(prompt, target=target, now=at, decider=decider)

        return decider.policy.version, made

    def _written(self, writing: "asyncio.Task[None]") -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("a plan was not recorded", exc_info=error)

    async def outcome(self, outcome: Outcome) -> bool:
        """Take in an outcome: return once it is on disk, or False where recording is off.

        Raises NotRecordedError. What it tells about the cache holds from the next plan on, recorded or not.
        """
        remembered = self.plans.get(outcome.plan_id)
        warm: list[Entry] = []
        if remembered is not None:
            remembered.outcome = outcome
            warm = list(entries(remembered, outcome))
            self.take(warm)
        if not self.recording.enabled:
            return False
        if remembered is not None:
            self.record(remembered)
        await self.recording.outcome(outcome)
        self.policies.noted()
        files = await self.instruction_files(remembered, warm) if remembered is not None else ()
        await self.recording.ledger(warm, files)
        return True

    async def feedback(self, feedback: Feedback) -> bool:
        """Return once feedback is on disk, or False where recording is off. Raises NotRecordedError."""
        if not self.recording.enabled:
            return False
        remembered = self.plans.get(feedback.plan_id)
        if remembered is not None:
            self.record(remembered)
        await self.recording.feedback(feedback)
        self.policies.noted()
        return True

    def take(self, found: Iterable[Entry]) -> None:
        """Take entries into the ledger."""
        entries_ = list(found)
        for entry in entries_:
            self.ledger.put(entry)
        if entries_:
            now = time.time()
            if not 0 <= now - self._forgot_at < FORGET_S:  # a clock may be set back
                self._forgot_at = now
                self.ledger.forget_before(now - EXPIRED_KEPT_S)
            self.warm = [entry for entry in [*self.warm, *entries_] if entry.is_warm(now)]
            self.changed()

    async def end(self) -> None:
        """Close what is open."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=WRITING_S)
        await self.policies.end()
        await self.recording.close()
