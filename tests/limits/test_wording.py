"""What is said of a plan's windows, and when a warning is due."""

import time
from datetime import UTC, datetime

import msgspec
import pytest

from anchorline.limits import wording
from anchorline.limits.model import Estimate, Wall, WindowCost, WindowState

NOW = datetime(2026, 11, 30, 16, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch):
    if not hasattr(time, "tzset"):
        pytest.skip("the time zone of a process can't be set here")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def window(used: float = 62.0, **further: object) -> WindowState:
    state = WindowState("anthropic", "five_hour", used, NOW - 60, NOW + 2 * HOUR, 5 * HOUR)
    return msgspec.structs.replace(state, **further)


def test_a_window_is_what_is_used_and_when_it_resets():
    assert wording.state(window(), NOW) == "62% used, resets 18:00"
    assert wording.state(window(at=NOW - HOUR), NOW) == "62% used at 15:00, resets 18:00"
    week = window(41.0, window="seven_day", resets_at=NOW + 65 * HOUR)
    assert wording.state(week, NOW) == "41% used, resets Thu 09:00"
    over = window(resets_at=NOW - 60, over=True)
    assert wording.state(over, NOW) == "has reset at 15:59, and nothing was told since"


def test_a_forecast_has_its_interval():
    wall = Wall(0.9, NOW + 0.5 * HOUR, NOW + HOUR, NOW + 1.5 * HOUR)
    assert wording.forecast(window(wall=wall), NOW) == "full at about 17:00 (16:30 to 17:30)"
    open_end = msgspec.structs.replace(wall, latest=None)
    assert wording.forecast(window(wall=open_end), NOW) == "full at about 17:00 (16:30 to the reset)"
    end = Estimate(71.0, 66.0, 80.4)
    assert wording.forecast(window(at_reset=end), NOW) == "71% (66 to 80) at the reset"
    risk = Wall(0.36, None, None, None)
    assert (
        wording.forecast(window(at_reset=end, wall=risk), NOW)
        == "71% (66 to 80) at the reset, full before: 36%"
    )
    assert wording.forecast(window(), NOW) == ""
    assert wording.forecast(window(100.0, at_reset=end), NOW) == ""


def test_near_is_by_the_figure_or_by_a_wall_that_is_likely():
    wall = Wall(0.9, None, NOW + HOUR, None)
    assert wording.nearness(window(62.0)) == ""
    assert wording.nearness(window(80.0)) == "near"
    assert wording.nearness(window(62.0, wall=wall)) == "near"
    assert wording.nearness(window(20.0, wall=wall)) == "", "the pace of a window's beginning says little"
    assert wording.nearness(window(62.0, wall=Wall(0.3, None, None, None))) == ""
    assert wording.nearness(window(100.0)) == "full"
    assert wording.nearness(window(100.0, over=True)) == ""
    assert wording.warning(window(100.0), "5-hour window", NOW) == "your 5-hour window is used up until 18:00"
    assert wording.warning(window(85.0), "5-hour window", NOW) == "your 5-hour window: 85% used, resets 18:00"


def test_windows_are_called_by_plan_and_account_only_where_there_are_several():
    week = window(window="seven_day")
    assert wording.names([window(), week]) == ["5-hour window", "weekly window"]
    codex = window(provider="openai")
    assert wording.names([window(), codex]) == ["Claude 5-hour window", "Codex 5-hour window"]
    two = [window(account="b2:0123456789ab"), window(account="b2:f123456789ab")]
    assert wording.names(two) == ["5-hour window (012345)", "5-hour window (f12345)"]


def test_a_cost_is_that_of_the_window_that_it_takes_most_of():
    week = WindowCost("anthropic", "seven_day", Estimate(0.2, 0.1, 0.3))
    hours = WindowCost("anthropic", "five_hour", Estimate(1.2, 0.9, 1.6))
    unknown = WindowCost("anthropic", "overage", None, "not yet")
    assert wording.costs([week, hours, unknown]) == "about 1.2% [0.9, 1.6] of your 5-hour window"
    assert wording.costs([unknown]) == wording.costs([]) == ""
    assert wording.percent(Estimate(23.4, 11.0, 31.8)) == "23% [11, 32]"
