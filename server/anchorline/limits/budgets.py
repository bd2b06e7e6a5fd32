"""Budgets in per cent of a plan's windows, beside what is used of these."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from anchorline.billed.budgets import LEVELS
from anchorline.config import Budget
from anchorline.limits import wording
from anchorline.limits.model import WindowState, title

_STEP_S = 600


class WindowBudget(msgspec.Struct, frozen=True):
    """What is used of a budget in per cent of a window. Both shares are per cent of the whole window.

    `resets_at` is when the window begins anew, in epoch seconds; None where that is not known.
    """

    provider: str
    window: str
    limit_percent: float
    used_percent: float
    resets_at: float | None
    account: str = ""

    @property
    def key(self) -> str:
        """The setting that it is."""
        return f"budget.{self.window}_percent"

    @property
    def begins(self) -> str:
        """What tells this window from the next: the time of its reset, and whose it is."""
        return " ".join(filter(None, (reset_time(self.resets_at), self.provider, self.account)))

    @property
    def project(self) -> str:
        """The project that it is of: none, a plan's windows have no projects."""
        return ""

    @property
    def left_percent(self) -> float:
        """The per cent of the window that are left; below 0 where more was used."""
        return self.limit_percent - self.used_percent

    @property
    def level(self) -> int:
        """The highest one of `LEVELS` that was reached; 0 where none was."""
        reached = 100 * self.used_percent / self.limit_percent
        return max((level for level in LEVELS if reached >= level), default=0)

    def __str__(self) -> str:
        plan = wording.PLANS.get(self.provider, self.provider)
        return (
            f"{self.used_percent:.0f}% of {plan}'s {title(self.window)} used, of the {self.limit_percent:g}% that you "
            f"allow ({self.key})"
        )


def reset_time(resets_at: float | None) -> str:
    """Returns a window's reset as a date and time in UTC that stay the same, though a provider tells it to seconds."""
    if resets_at is None:
        return ""
    return f"{datetime.fromtimestamp(round(resets_at / _STEP_S) * _STEP_S, UTC):%Y-%m-%dT%H:%M}"


def window_budgets(budget: Budget, windows: Sequence[WindowState]) -> tuple[WindowBudget, ...]:
    """Returns what is used of each budget that is set, in the windows that run now."""
    limits = {"five_hour": budget.five_hour_percent, "seven_day": budget.seven_day_percent}
    return tuple(
        WindowBudget(state.provider, state.window, limit, state.used, state.resets_at, state.account)
        for state in windows
        if not state.over and (limit := limits.get(state.window, 0.0))
    )
