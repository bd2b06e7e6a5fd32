"""Limits as status line, headers and Codex's session files tell them."""

import json
import math
import string

from hypothesis import given
from hypothesis import strategies as st

from anchorline import rate_limits
from anchorline.rate_limits import LimitSample

NOW = 1_784_600_000.0
HEADERS = {  # as Anthropic sent them to a plan
    "anthropic-ratelimit-unified-status": "allowed",
    "anthropic-ratelimit-unified-5h-status": "allowed",
    "anthropic-ratelimit-unified-5h-reset": "1784607600",
    "anthropic-ratelimit-unified-5h-utilization": "0.05",
    "anthropic-ratelimit-unified-7d-status": "allowed_warning",
    "anthropic-ratelimit-unified-7d-reset": "1785031200",
    "anthropic-ratelimit-unified-7d-utilization": "0.76",
    "anthropic-ratelimit-unified-7d-surpassed-threshold": "0.75",
    "anthropic-ratelimit-unified-7d_oi-status": "allowed",
    "anthropic-ratelimit-unified-7d_oi-reset": "1785031200",
    "anthropic-ratelimit-unified-7d_oi-utilization": "0.27",
    "anthropic-ratelimit-unified-representative-claim": "five_hour",
    "anthropic-ratelimit-unified-fallback-percentage": "0.5",
    "anthropic-ratelimit-unified-reset": "1784607600",
    "anthropic-ratelimit-unified-grace-5h-utilization": "0.3",
    "anthropic-ratelimit-unified-slow-budget-utilization": "0.1",
    "anthropic-ratelimit-unified-overage-disabled-reason": "org_level_disabled",
    "anthropic-ratelimit-unified-overage-status": "rejected",
    "anthropic-ratelimit-requests-remaining": "49",
}
ROLLOUT = {  # as Codex 0.141 wrote it
    "limit_id": "codex",
    "limit_name": None,
    "primary": {"used_percent": 9.0, "window_minutes": 300, "resets_at": 1784610594},
    "secondary": {"used_percent": 1.0, "window_minutes": 10080, "resets_at": 1785197394},
    "credits": None,
    "individual_limit": None,
    "plan_type": "team",
    "rate_limit_reached_type": None,
}


def brief(samples: tuple[LimitSample, ...]) -> list[tuple[str, float, float | None, float | None]]:
    return [(sample.window, sample.used, sample.resets_at, sample.length) for sample in samples]


def test_a_status_line_tells_both_windows() -> None:
    status = {
        "model": {"id": "claude-opus-5"},
        "rate_limits": {
            "five_hour": {"used_percentage": 23.5, "resets_at": 1784607600},
            "seven_day": {"used_percentage": 41, "resets_at": 1785031200},
        },
    }
    assert brief(rate_limits.from_status_line(status, NOW)) == [
        ("five_hour", 23.5, 1784607600.0, 18000.0),
        ("seven_day", 41.0, 1785031200.0, 604800.0),
    ]


def test_a_status_line_without_a_plan_tells_nothing() -> None:
    assert rate_limits.from_status_line({"model": {}, "rate_limits": None}, NOW) == ()
    assert rate_limits.from_status_line({"model": {}}, NOW) == ()


def test_a_window_that_is_over_is_not_told_again() -> None:
    status = {"rate_limits": {"five_hour": {"used_percentage": 90, "resets_at": NOW - 60}}}
    assert rate_limits.from_status_line(status, NOW) == ()


def test_unified_headers_tell_each_window_under_one_name() -> None:
    assert brief(rate_limits.from_headers(HEADERS, NOW)) == [
        ("five_hour", 5.0, 1784607600.0, 18000.0),
        ("seven_day", 76.0, 1785031200.0, 604800.0),
        ("seven_day_overage_included", 27.0, 1785031200.0, 604800.0),
    ]


def test_extra_usage_that_is_not_switched_on_is_no_full_window() -> None:
    assert HEADERS["anthropic-ratelimit-unified-overage-status"] == "rejected"
    assert "overage" not in {sample.window for sample in rate_limits.from_headers(HEADERS, NOW)}
    used = HEADERS | {"anthropic-ratelimit-unified-overage-utilization": "0.31"}
    assert ("overage", 31.0, None, None) in brief(rate_limits.from_headers(used, NOW))


def test_a_refusal_that_names_its_window_alone_says_that_it_is_full() -> None:
    refused = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "anthropic-ratelimit-unified-reset": "2026-07-21T04:20:00Z",
    }
    assert brief(rate_limits.from_headers(refused, NOW)) == [("five_hour", 100.0, 1784607600.0, 18000.0)]


def test_more_than_all_may_be_used() -> None:
    past = {**HEADERS, "anthropic-ratelimit-unified-5h-utilization": "1.04"}
    assert rate_limits.from_headers(past, NOW)[0].used == 104.0


def test_codex_headers_tell_the_same_windows_as_its_files() -> None:
    headers = [
        ("X-Codex-Primary-Used-Percent", "9"),
        ("X-Codex-Primary-Window-Minutes", "300"),
        ("X-Codex-Primary-Reset-At", "1784610594"),
        ("X-Codex-Secondary-Used-Percent", "1.0"),
        ("X-Codex-Secondary-Window-Minutes", "10080"),
        ("X-Codex-Secondary-Reset-At", "1785197394"),
        ("X-Codex-Credits-Has-Credits", "False"),
    ]
    assert brief(rate_limits.from_headers(headers, NOW)) == brief(rate_limits.from_codex(ROLLOUT, NOW))
    assert rate_limits.from_codex(ROLLOUT, NOW)[0].plan == "team"


def test_the_length_names_codex_windows_whichever_is_the_primary() -> None:
    limits = {"primary": ROLLOUT["secondary"], "secondary": None}
    assert brief(rate_limits.from_codex(limits, NOW)) == [("seven_day", 1.0, 1785197394.0, 604800.0)]


def test_older_codex_files_count_the_seconds_to_the_reset() -> None:
    limits = {"primary": {"used_percent": 3, "window_minutes": 43200, "resets_in_seconds": 600}}
    assert brief(rate_limits.from_codex(limits, NOW)) == [("minutes_43200", 3.0, NOW + 600, 2592000.0)]


def test_another_limit_of_codex_keeps_its_name() -> None:
    limits = {**ROLLOUT, "limit_id": "codex_bengalfox"}
    assert rate_limits.from_codex(limits, NOW)[0].window == "codex_bengalfox.five_hour"


def test_times_have_three_forms() -> None:
    times = (1784607600, "1784607600", 1784607600000, "2026-07-21T04:20:00+00:00")
    for reset in times:
        status = {"rate_limits": {"five_hour": {"used_percentage": 1, "resets_at": reset}}}
        assert rate_limits.from_status_line(status, NOW)[0].resets_at == 1784607600.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
windows = st.dictionaries(
    st.sampled_from(("used_percentage", "used_percent", "resets_at", "resets_in_seconds", "window_minutes")),
    json_values,
)
limits = st.dictionaries(
    st.sampled_from(("five_hour", "seven_day", "primary", "secondary", "limit_id", "plan_type")) | st.text(),
    windows | json_values,
)
header_names = st.sampled_from([*HEADERS, "x-codex-primary-used-percent", "x--primary-window-minutes"])
header_values = st.text() | st.text(string.digits + ".-+eE", max_size=400) | st.floats().map(str)


def check(samples: tuple[LimitSample, ...]) -> None:
    for sample in samples:
        assert 0 <= sample.used <= 1000
        assert sample.window.isascii()
        assert len(sample.window) <= 48
        assert sample.resets_at is None or NOW < sample.resets_at < math.inf
        assert sample.length is None or 0 < sample.length < math.inf
        assert json.dumps(sample.__struct_fields__)


@given(json_values | st.builds(lambda inner: {"rate_limits": inner}, limits))
def test_no_status_line_breaks_the_reader(status: object) -> None:
    check(rate_limits.from_status_line(status, NOW))


@given(json_values | limits)
def test_no_rollout_breaks_the_reader(told: object) -> None:
    check(rate_limits.from_codex(told, NOW))


@given(st.dictionaries(header_names | st.text(), header_values))
def test_no_headers_break_the_reader(headers: dict[str, str]) -> None:
    check(rate_limits.from_headers(headers, NOW))


@given(st.integers(0, 100), st.integers(1, 300 * 60))
def test_every_figure_of_a_window_is_kept_as_it_is(used: int, seconds: int) -> None:
    told = {
        "anthropic-ratelimit-unified-5h-utilization": f"{used / 100}",
        "anthropic-ratelimit-unified-5h-reset": f"{int(NOW) + seconds}",
    }
    (sample,) = rate_limits.from_headers(told, NOW)
    assert (sample.used, sample.resets_at) == (used, NOW + seconds)
