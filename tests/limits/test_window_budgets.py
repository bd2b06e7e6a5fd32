"""Budgets in per cent of a plan's windows."""

from anchorline.config import Budget
from anchorline.limits.budgets import window_budgets
from anchorline.limits.model import WindowState

NOW = 1_796_054_400.0
HOUR = 3600.0


def window(
    used: float = 62.0, name: str = "five_hour", *, left: float = 2 * HOUR, over: bool = False
) -> WindowState:
    return WindowState("anthropic", name, used, NOW - 60, NOW + left, 5 * HOUR, over=over)


def test_a_budget_is_of_the_window_that_runs_now():
    budget = Budget(five_hour_percent=80.0, seven_day_percent=50.0)
    windows = [window(64.0), window(49.9, "seven_day"), window(name="overage")]
    hours, week = window_budgets(budget, windows)
    assert (hours.level, week.level) == (80, 80)
    assert str(hours) == (
        "64% of Claude's 5-hour window used, of the 80% that you allow (budget.five_hour_percent)"
    )
    assert window_budgets(budget, [window(80.0)])[0].level == 100
    assert window_budgets(budget, [window(63.9)])[0].level == 0
    assert window_budgets(budget, [window(over=True)]) == ()
    assert window_budgets(Budget(), windows) == ()


def test_a_reset_that_is_told_to_a_few_seconds_is_of_one_window():
    budget = Budget(five_hour_percent=80.0)
    begins = {window_budgets(budget, [window(left=2 * HOUR + off)])[0].begins for off in (-3.0, 0, 4.0)}
    assert len(begins) == 1
    assert window_budgets(budget, [window(left=7 * HOUR)])[0].begins not in begins
