"""What of the budgets was spent, for the requests that pass: read beside them, and never waited for without need."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from anchorline import config
from anchorline.billed import budgets
from anchorline.billed.budgets import BudgetUse, Spending
from anchorline.config import Config
from anchorline.route.target import Targets
from anchorline.store import database, privacy
from anchorline.store.database import StoreError

HEADER = b"x-anchorline-budget"
FRESH_S = 20.0
"""How old the sums may be. What a request cost is known when its answer has ended and was written."""
WAIT_S = 1.0
"""How long a request waits for them where it may be refused."""


class BudgetWatch:
    """The budgets of a running gateway. Used on the event loop only.

    `report` tells the developer that a budget has reached a level, and, once, that the sums can't be read: then no
    request is refused.
    """

    def __init__(
        self,
        settings: Config,
        targets: Targets,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._budget = settings.budget
        self._path: Path = database.locate(settings.store.path)
        self._targets = targets
        self._report = report
        self._clock = clock
        self._spent: Spending | None = None
        self._at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._reported: set[str] = set()

    async def end(self) -> None:
        """Waits for what is being read."""
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=WAIT_S)

    def headers(self, session: str | None) -> list[tuple[bytes, bytes]]:
        """Returns the header that says what was spent, as far as it is known now."""
        self.read()
        shown = ", ".join(
            f"{use.period}={use.spent_usd:.2f}/{use.limit_usd:.2f}" for use in self.uses(session)
        )
        return [(HEADER, shown.encode())] if shown else []

    def uses(self, session: str | None = None) -> tuple[BudgetUse, ...]:
        """Returns what was spent, as far as it is known now; of the session's project where it is known."""
        if self._spent is None:
            return ()
        project = self._spent.sessions.get(privacy.session(session), "") if session else ""
        return budgets.uses(self._budget, self._spent, self._clock(), project)

    async def refusal(self, session: str | None) -> str | None:
        """Returns why a request is refused; None where it is not: so it is unless `budget.block` asks for it."""
        if not self._budget.block:
            return None
        reading = self.read()
        if reading is not None:
            await asyncio.wait({reading}, timeout=WAIT_S)
        used = next((use for use in self.uses(session) if use.level >= 100), None)
        if used is None:
            return None
        until = "tomorrow (UTC)" if used.period == "day" else "next Monday (UTC)"
        return (
            f"the budget is used up: {used}. Raise {used.key} or set budget.block = false in {config.user_file()} and "
            f"restart the gateway, or go on {until}"
        )

    def read(self) -> asyncio.Task[None] | None:
        """Has the sums read where they are too old; returns what reads them."""
        if self._reading is None and not 0 <= self._clock() - self._at < FRESH_S:
            self._reading = asyncio.ensure_future(self._renew())
        return self._reading

    async def _renew(self) -> None:
        now = self._clock()
        try:
            self._spent = await asyncio.to_thread(budgets.spending, self._path, self._targets, now)
        except StoreError as error:
            self._spent = None
            self._tell("unread", f"budgets are not watched: {error}")
        finally:
            self._at, self._reading = now, None
        for use in self.uses():
            if use.level:
                self._tell(f"{use.key} {use.begins} {use.level}", f"budget: {use}")

    def _tell(self, key: str, message: str) -> None:
        if key not in self._reported:
            self._reported.add(key)
            self._report(message)
