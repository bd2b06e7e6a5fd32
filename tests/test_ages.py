"""A time as people write it."""

from datetime import datetime

import pytest

from anchorline.ages import since

NOW = 1_796_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("12h", 43_200), ("30d", 2_592_000), ("2w ago", 1_209_600), (" 1 d ", 86_400)]
)
def test_an_age_counts_back_from_now(text: str, seconds: int):
    assert since(text, NOW) == NOW - seconds


def test_a_date_is_the_beginning_of_that_day_here():
    assert since("2026-11-23", NOW) == datetime(2026, 11, 23).timestamp()  # noqa: DTZ001  (of this machine)


def test_an_age_before_all_time_is_the_beginning_of_it():
    assert since("99999w", NOW) == 0


@pytest.mark.parametrize("text", ["", "soon", "12", "d", "-3d", "999999d", "0001-01-01T00:00+99:00", "1e9"])
def test_anything_else_is_refused_with_what_would_do(text: str):
    with pytest.raises(ValueError, match=r"neither an age .* nor a date"):
        since(text, NOW)
