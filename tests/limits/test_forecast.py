"""A forecast goes by what followed on the moments of the past that were most like now."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.limits.forecast import Forecast, figure, forecast
from anchorline.limits.model import PastUse
from anchorline.limits.use import past_use
from anchorline.limits.windows import Point, Series, WindowSpan
from anchorline.limits.work import Work

HOUR = 3600.0
DAY = 24 * HOUR
BEGIN = 20_000 * DAY
NONE = PastUse(BEGIN, 300.0, [])


def span(*told: tuple[float, float], begins: float = BEGIN, length: float = 5 * HOUR) -> WindowSpan:
    points = tuple(Point(begins + at, begins + at, used) for at, used in told)
    return WindowSpan(Series("anthropic", "", "five_hour"), "", begins + length, length, points)


def test_without_a_past_the_pace_goes_on_for_a_while() -> None:
    working = span(*((60.0 * minute, minute / 3) for minute in range(1, 61)))
    now = BEGIN + HOUR
    ahead = Forecast(working, NONE, now)
    soon = ahead.at(now + 1800)
    assert soon.low <= 25 <= soon.value <= 35 <= soon.high
    pace, at_reset, wall = forecast(working, NONE, now)
    assert pace.value == pytest.approx(20, abs=0.5)
    assert at_reset.high == 100
    assert wall is not None
    assert 0.1 < wall.likely < 0.6


def test_who_always_stops_after_an_hour_is_expected_to() -> None:
    parts = ([2.0] * 12 + [0.0] * 276) * 20
    past = PastUse(BEGIN - 20 * DAY, 300.0, parts)
    working = span(*((60.0 * minute, minute * 0.4) for minute in range(1, 56)))
    now = BEGIN + 55 * 60
    _, at_reset, wall = forecast(working, past, now)
    assert at_reset.high < 40
    assert wall is None


def test_who_always_goes_on_is_told_when_the_wall_comes() -> None:
    past = PastUse(BEGIN - 20 * DAY, 300.0, ([3.0] * 96 + [0.0] * 192) * 20)
    working = span(*((60.0 * minute, minute * 0.6) for minute in range(1, 61)))
    _, _, wall = forecast(working, past, BEGIN + HOUR)
    assert wall is not None
    assert wall.likely == 1
    assert wall.at == pytest.approx(BEGIN + HOUR + 64 / 36 * HOUR, abs=600)
    assert wall.earliest <= wall.at <= wall.latest <= BEGIN + 5 * HOUR


def test_who_has_just_sent_something_is_at_work_though_the_figure_stayed() -> None:
    day = [1.0] * 12 + [0.0] * 276  # an hour a day, without a pause
    past = PastUse(BEGIN - 20 * DAY, 300.0, day * 20)
    told = span((60, 1.0), (120, 2.0))
    now = BEGIN + 1500
    assert Forecast(told, past, now).at(now + 1800).value < 3
    assert Forecast(told, past, now, active_at=now - 20).at(now + 1800).value > 6


def test_a_full_window_is_full() -> None:
    ahead = Forecast(span((60, 100.0)), NONE, BEGIN + 120)
    assert ahead.at_reset().value == 100


@given(
    st.lists(st.tuples(st.floats(1, 17_000), st.floats(0, 100)), min_size=1, max_size=20),
    st.lists(st.floats(0, 30), max_size=900),
    st.floats(0, 18_000),
)
def test_a_forecast_never_falls_and_its_interval_holds_it(
    told: list[tuple[float, float]], parts: list[float], ahead_s: float
) -> None:
    ordered = list(zip(sorted(at for at, _ in told), sorted(used for _, used in told), strict=True))
    window = span(*ordered)
    now = window.newest + 1
    past = PastUse(now - 300.0 * len(parts), 300.0, parts)
    ahead = Forecast(window, past, now)
    used = window.points[-1].used
    sooner, later = ahead.at(now + ahead_s / 2), ahead.at(now + ahead_s)
    for estimate in (sooner, later):
        assert used <= estimate.low <= estimate.value <= estimate.high <= 100
    assert sooner.value <= later.value + 1e-9
    wall = ahead.wall()
    if wall is not None:
        times = [at for at in (wall.earliest, wall.at, wall.latest) if at is not None]
        assert times == sorted(times)
        assert all(now <= at <= window.resets_at for at in times)


def test_the_past_is_where_the_work_was() -> None:
    work = [Work(BEGIN + 600 + 10 * number, "m", (1.0, 0, 0, 0, 0)) for number in range(3)]
    told = span((600, 1.0), (3000, 4.0))
    past = past_use([told], work, lambda request: 0.5, told.length, BEGIN + 3600)
    assert sum(past.parts) == pytest.approx(4.0)
    here = int((BEGIN + 600 - past.begins) // past.step)
    assert past.parts[here] > 2.9


def test_the_past_without_figures_is_what_work_weighs() -> None:
    work = [Work(BEGIN + 600, "m", (1.0, 0, 0, 0, 0))]
    assert sum(past_use([], work, lambda request: 0.5, 5 * HOUR, BEGIN + 3600).parts) == 0.5


def test_of_a_window_of_days_the_last_hour_tells_the_pace_not_its_mean() -> None:
    begins = BEGIN - 5 * DAY
    told = span(
        *((5 * DAY + 60.0 * minute, 19 + minute) for minute in range(30)), begins=begins, length=7 * DAY
    )
    now = BEGIN + 30 * 60
    hourly, _, wall = forecast(told, NONE, now)
    assert hourly.value == pytest.approx(60, rel=0.1)
    assert Forecast(told, NONE, now).at(now + 600).value == pytest.approx(58, abs=3)
    assert wall is not None
    assert wall.earliest < now + 2 * HOUR


def test_the_pace_of_a_window_that_has_just_begun_counts_from_its_beginning() -> None:
    told = span(*((60.0 * minute, float(minute)) for minute in range(1, 16)))
    assert forecast(told, NONE, BEGIN + 15 * 60)[0].value == pytest.approx(60)


def test_the_figure_before_a_window_began_is_nothing() -> None:
    told = span((600, 1.0), (3000, 4.0))
    assert [figure(told, BEGIN + at) for at in (-5, 10, 700, 4000)] == [0, 1, 1, 4]
