"""The status line as text: what it says, how it gives way to a narrow terminal, and that nothing steers the terminal."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.hooks import status_text
from anchorline.hooks.status_text import Cache, Window, line, told_cache, told_windows

NOW = 1_800_000_000.0
STATUS = {
    "model": {"id": "claude-opus-5-5", "display_name": "Opus 5.5"},
    "context_window": {"used_percentage": 14},
    "cost": {"total_cost_usd": 1.357},
}
WARM = Cache(141_300, NOW + 200, "$0.68")
WINDOWS = (Window("5h", 34, ", full 16:40", is_near=True), Window("7d", 12))
COLORS = re.compile(r"\033\[\d+m")


def shown(
    cache: Cache | None = WARM, windows: tuple[Window, ...] = WINDOWS, columns: int = 120, **more
) -> str:
    return line({**STATUS, **more}, cache, windows, NOW, columns)


def test_all_parts():
    assert shown() == ("Opus 5.5 · cache 3m · 141k $0.68 at stake · 5h 34%, full 16:40 · 7d 12% · ctx 14%")
    assert shown(windows=()) == "Opus 5.5 · cache 3m · 141k $0.68 at stake · ctx 14% · $1.36"


@pytest.mark.parametrize(
    ("left_s", "text"),
    [
        (3599.9, "cache 59m"),
        (120, "cache 2m"),
        (119.5, "cache 1m59s"),
        (60, "cache 1m00s"),
        (59.9, "cache 59s"),
        (0.5, "cache 0s"),
        (0, "cache cold"),
        (-1e6, "cache cold"),
    ],
)
def test_the_countdown(left_s: float, text: str):
    assert f" · {text} · " in shown(WARM._replace(expires_at=NOW + left_s))


def test_what_is_cold_is_said_with_its_price():
    assert "cache cold · 141k $0.71 to write" in shown(Cache(141_300, NOW - 1, "$0.71"))
    assert "cache cold: other model · 141k $0.71 to write" in shown(
        Cache(141_300, NOW + 100, "$0.71", is_other=True)
    )
    assert "141k to write" in shown(Cache(141_300, NOW - 1))


def test_where_nothing_is_cached_that_is_said():
    told = {"warm": False, "caching_observed": False, "expires_at": None, "recache_tokens_if_cold": 5000}
    assert shown(told_cache({"prompt_cache": told}), prompt_cache=told).startswith("Opus 5.5 · not cached · ")
    compacted = {"warm": True, "expires_at": NOW + 100, "recache_tokens_if_cold": None}
    assert "cache" not in shown(told_cache({"prompt_cache": compacted}), prompt_cache=compacted)
    assert "cache" not in shown(None)


def test_a_narrow_terminal_loses_the_least_important_parts_first():
    widths = (120, 83, 70, 60, 50, 40, 30, 24)
    lines = [shown(columns=width) for width in widths]
    assert all(len(text) <= width - status_text.MARGIN for text, width in zip(lines, widths, strict=True))
    assert lines[1:] == [
        "Opus 5.5 · cache 3m · 141k $0.68 at stake · 5h 34%, full 16:40 · 7d 12%",
        "Opus 5.5 · cache 3m · 141k $0.68 at stake · 5h 34%, full 16:40",
        "cache 3m · 141k $0.68 at stake · 5h 34%, full 16:40",
        "cache 3m · 5h 34%, full 16:40",
        "cache 3m · 5h 34%, full 16:40",
        "cache 3m",
        "cache 3m",
    ]
    assert len(shown(columns=0)) <= 80


@given(st.integers(0, 300), st.floats(-1e7, 1e7), st.lists(st.floats(0, 150), max_size=3), st.booleans())
def test_it_is_one_line_that_fits(columns: int, left_s: float, used: list[float], has_color: bool):
    windows = tuple(Window(name, share) for name, share in zip(("5h", "7d", "limit"), used, strict=False))
    text = line(STATUS, Cache(10**7, NOW + left_s, "$12.50"), windows, NOW, columns, has_color=has_color)
    plain = COLORS.sub("", text)
    assert plain.isprintable()
    assert len(plain) <= max((columns or 80) - status_text.MARGIN, status_text.NARROWEST)
    assert "cache" in plain
    assert has_color or plain == text
    assert not has_color or plain == line(STATUS, Cache(10**7, NOW + left_s, "$12.50"), windows, NOW, columns)


def test_colors_say_how_urgent_it_is():
    urgent = {
        "\033[32mcache 3m": shown,
        "\033[33mcache 50s": None,
        "\033[31mcache cold": None,
        "\033[33m5h 34%": None,
        "\033[31m5h 95%": None,
    }
    text = "".join(
        line(STATUS, cache, windows, NOW, 120, has_color=True)
        for cache, windows in [
            (WARM, WINDOWS),
            (WARM._replace(expires_at=NOW + 50.5), WINDOWS),
            (WARM._replace(expires_at=NOW - 1), (Window("5h", 95),)),
        ]
    )
    assert [code for code in urgent if code not in text] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ("model", "prompt_cache", "rate_limits", "context_window", "cost")
INNER = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "display_name",
            "expires_at",
            "recache_tokens_if_cold",
            "five_hour",
            "used_percentage",
            "total_cost_usd",
        ]
    ),
    JSON | st.dictionaries(st.sampled_from(["used_percentage", "resets_at"]), JSON),
)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON | INNER))
def test_whatever_is_told_a_line_comes_out(status: dict):
    text = line(status, told_cache(status), told_windows(status), NOW, 80)
    assert text.isprintable()
    assert len(text) <= 76


@pytest.mark.parametrize(
    "name",
    ["\033]0;owned\007", "a\nb", "\u202eevil", "x" * 500, "\ud800"],
    ids=["title", "line", "bidi", "long", "half"],
)
def test_a_name_steers_no_terminal(name: str):
    text = line({"model": {"display_name": name}}, WARM, (), NOW, 80, has_color=True)
    assert COLORS.sub("", text).isprintable()
    assert "cache 3m" in text


def test_it_needs_nothing_that_has_to_be_installed():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from anchorline.hooks import status_text;"
        "print(status_text.alone(sys.stdin.buffer.read(), 80, has_color=False))"
    )
    folder = str(status_text.__file__).removesuffix("/anchorline/hooks/status_text.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, folder],
        input=json.dumps(STATUS),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Opus 5.5 · ctx 14% · $1.36\n"
