"""Moments are found however they are spelled; dates, examples and histories are none."""

import pytest

from anchorline.prompt import dates


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:15:00.123Z",
        "2026-11-23 10:15:00+01:00",
        "2026-11-23 10:15",
        "2026/11/23 10:15:00 UTC",
        "Nov 23, 2026 10:15 AM",
        "November 23rd, 2026 at 10:15:07 PM CET",
        "Mon Nov 23 10:15:00 2026",
        "Mon Nov 23 10:15:00 UTC 2026",
        "Mon, 23 Nov 2026 10:15:00 GMT",
        "11/23/2026, 10:15:00 AM",
    ],
)
@pytest.mark.parametrize("before", ["Session", "Push on red. Current time:"])
def test_a_moment_is_found_whole(before: str, text: str):
    around = f"A rule.\n{before} {text}\nA rule that is not one, 5 minutes.\n".encode()
    assert [around[start:end] for start, end in dates.times(around)] == [text.encode()]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Current time: ", "1795428900"),
        ("current_timestamp: ", "1795428900123"),
        ("current time is ", "10:15"),
        ("Current time: ", "10:15:07 PM CET"),
    ],
)
def test_a_time_is_found_where_it_is_said_to_be_the_present_one(before: str, text: str):
    around = f"A rule.\n{before}{text}\nA rule.\n".encode()
    assert [around[start:end] for start, end in dates.times(around)] == [text.encode()]


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("Today is ", "Monday, November 23, 2026"),
        ("Today's date: ", "Nov 23, 2026"),
        ("Current date: ", "2026-11-23"),
        ("current_date>", "2026-11-23"),
        ("Today: ", "11/23/2026"),
    ],
)
def test_a_day_is_found_where_it_is_said_to_be_the_present_one(before: str, text: str):
    around = f"A rule.\n<{before}{text}.\nA rule.\n".encode()
    assert [around[start:end] for start, end in dates.days(around)] == [text.encode()]
    assert dates.times(around) == []


@pytest.mark.parametrize(
    "text",
    [
        "Released 2026-11-23.",
        "Nov 23, 2026: the parser is rewritten",
        "Last updated: 2026-11-23 10:15",
        "Log lines begin like 2026-11-23T10:15:00Z.",
        "Write `2026-11-23T10:15:00Z`, in UTC.",
        "The date is stored as ISO 8601, the time is 5 minutes at most.",
        "Keep images at 16:9; see Mar 12 of 2026.",
        "Current date: YYYY-MM-DD, current time: %H:%M:%S",
        "Use `sed -n 10:20p`. The current time complexity is O(n).",
    ],
)
def test_what_stays_as_it_is_is_no_moment(text: str):
    assert (dates.times(text.encode()), dates.days(text.encode())) == ([], [])
