"""What is left of the budgets, for the requests that pass: read beside them, and never waited for without need."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from anchorline import config
from anchorline.billed import budgets
from anchorline.billed.budgets import BudgetUse, Spending
from anchorline.config import Config
from anchorline.limits.budgets import WindowBudget, window_budgets
from anchorline.limits.model import WindowState
from anchorline.limits.wording import moment
from anchorline.route.target import Targets
from anchorline.store import database, privacy
from anchorline.store.database import StoreError

HEADER = b"x-anchorline-budget"
FRESH_S = 20.0
"""How old the sums may be; what this gateway has recorded since is added to them, but for a project's."""
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
        self._since: list[float] = []
        self._at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._reported: set[str] = set()

    def add(self, usd: float) -> None:
        """Counts a request whose outcome is on disk, until the sums are read that have it."""
        self._since.append(usd)

    async def end(self) -> None:
        """Waits for what is being read."""
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=WAIT_S)

    def headers(self, session: str | None, windows: Sequence[WindowState] = ()) -> list[tuple[bytes, bytes]]:
        """Returns the header that says what was spent, as far as it is known now.

        `windows` are those of the plan that the request is on.
        """
        self.read()
        shown = [f"{use.period}={use.spent_usd:.2f}/{use.limit_usd:.2f}" for use in self.uses(session)]
        shown += [
            f"{use.window}={use.used_percent:.0f}%/{use.limit_percent:g}%"
            for use in self.window_uses(windows)
        ]
        return [(HEADER, ", ".join(shown).encode())] if shown else []

    def window_uses(self, windows: Sequence[WindowState]) -> tuple[WindowBudget, ...]:
        """Returns what is used of the budgets in per cent, and tells of those that have reached a level."""
        uses = window_budgets(self._budget, windows)
        self._tell_of(uses)
        return uses

    def uses(self, session: str | None = None) -> tuple[BudgetUse, ...]:
        """Returns what was spent, as far as it is known now; of the session's project where it is known."""
        if self._spent is None:
            return ()
        project = self._spent.sessions.get(privacy.session(session), "") if session else ""
        since = sum(self._since)
        spent = msgspec.structs.replace(
            self._spent, day=self._spent.day + since, week=self._spent.week + since
        )
        return budgets.uses(self._budget, spent, self._clock(), project)

    async def refusal(
        self, session: str | None, windows: Callable[[], Sequence[WindowState]] = tuple
    ) -> str | None:
        """Returns why a request is refused; None where it is not: so it is unless `budget.block` asks for it.

        `windows` returns those of the plan that the request is on.
        """
        if not self._budget.block:
            return None
        reading = self.read()
        if reading is not None:
            await asyncio.wait({reading}, timeout=WAIT_S)
        uses: list[BudgetUse | WindowBudget] = [*self.uses(session), *self.window_uses(windows())]
        used = next((use for use in uses if use.level >= 100), None)
        if used is None:
            return None
        return (
            f"the budget is used up: {used}. Raise {used.key} or set budget.block = false in {config.user_file()} and "
            f"restart the gateway, or go on {self._until(used)}"
        )

    def _until(self, used: BudgetUse | WindowBudget) -> str:
        if isinstance(used, WindowBudget):
            reset = used.resets_at
            return "when the window resets" if reset is None else f"at {moment(reset, self._clock())}"
        return "tomorrow (UTC)" if used.period == "day" else "next Monday (UTC)"

    def read(self) -> asyncio.Task[None] | None:
        """Has the sums read where they are too old; returns what reads them. None where no budget is in USD."""
        if self._budget.in_usd and self._reading is None and not 0 <= self._clock() - self._at < FRESH_S:
            self._reading = asyncio.ensure_future(self._renew())
        return self._reading

    async def _renew(self) -> None:
        now, before = self._clock(), len(self._since)
        try:
            self._spent = await asyncio.to_thread(budgets.spending, self._path, self._targets, now)
        except StoreError as error:
            self._spent = None
            self._tell("unread", f"budgets are not watched: {error}")
        finally:
            self._at, self._reading = now, None
            del self._since[:before]
        self._tell_of(self.uses())

    def _tell_of(self, uses: Sequence[BudgetUse | WindowBudget]) -> None:
        for use in uses:
            if use.level:
                self._tell(f"{use.key} {use.begins} {use.level}", f"budget: {use}")

    def _tell(self, key: str, message: str) -> None:
        if key not in self._reported:
            self._reported.add(key)
            self._report(message)
