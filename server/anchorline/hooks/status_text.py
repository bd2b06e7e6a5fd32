"""The status line as text: the parts that fit the terminal, by what Claude Code tells and what is known beside it.

Standard library only: the client prints it by itself where no helper answers.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

SHORT_S = 120
"""Less than so many seconds are shown as seconds."""
SOON_S = 60
MARGIN = 4
"""Columns that Claude Code (2.1.332) keeps free beside the line."""
NARROWEST = 20
WINDOWS = (("five_hour", "5h"), ("seven_day", "7d"), ("spend_limit", "limit"))
"""The windows of `rate_limits` (code.claude.com/docs/en/statusline), and what they are called here."""
NEAR = 80.0
HIGH = 90.0
_CODES = {"green": "32", "yellow": "33", "red": "31", "dim": "2"}


class Part(NamedTuple):
    """A piece of the line. Of the parts that don't fit, those of the highest `rank` are left out first."""

    rank: int
    text: str
    style: str = ""


class Cache(NamedTuple):
    """What the provider holds of the conversation: `tokens`, until `expires_at` (epoch seconds).

    `stake` is what it costs, as text, to write them anew: while it is warm, what more than reading them. `is_other`:
    the model was changed since, and another one has nothing of it.
    """

    tokens: int
    expires_at: float
    stake: str = ""
    is_other: bool = False

    def is_warm(self, now: float) -> bool:
        """Returns whether the next prompt is read from it."""
        return not self.is_other and now < self.expires_at


class Window(NamedTuple):
    """A window of a plan: its short name, the per cent used, and the forecast as text. `is_near`: a warning is due."""

    name: str
    used: float
    forecast: str = ""
    is_near: bool = False


def line(
    status: Mapping[str, Any],
    cache: Cache | None,
    windows: tuple[Window, ...],
    now: float,
    columns: int = 0,
    *,
    has_color: bool = False,
) -> str:
    """Returns one line of `columns` less a margin at most (0: as if it were 80), without a line feed.

    Without colours it is plain text; what comes from outside has no control characters in it.
    """
    room = max((columns or 80) - MARGIN, NARROWEST)
    parts = [part for part in _parts(status, cache, windows, now) if part.text]
    while len(parts) > 1 and _width(parts) > room:
        parts.remove(max(parts, key=lambda part: part.rank))
    if not has_color:
        return " · ".join(part.text for part in parts)[:room]
    if _width(parts) > room:
        return parts[0].text[:room]
    return _styled(" · ", "dim").join(_styled(part.text, part.style) for part in parts)


def told_cache(status: Mapping[str, Any]) -> Cache | None:
    """Returns what Claude Code tells of the conversation's cache (from 2.1.251 on); None where it does not.

    That is before the first answer, right after a compaction, and where the last answer neither read nor wrote.
    """
    prompt_cache = _mapping(status, "prompt_cache")
    expires_at = _number(prompt_cache, "expires_at")
    tokens = _number(prompt_cache, "recache_tokens_if_cold")
    return None if expires_at is None or not tokens or tokens < 0 else Cache(int(tokens), expires_at)


def told_windows(status: Mapping[str, Any]) -> tuple[Window, ...]:
    """Returns the windows of a plan that Claude Code tells of."""
    limits = _mapping(status, "rate_limits")
    used = [(name, _number(_mapping(limits, window), "used_percentage")) for window, name in WINDOWS]
    return tuple(Window(name, share, "", share >= NEAR) for name, share in used if share is not None)


def tokens(number: int) -> str:
    """Returns a number of tokens in a few characters, as in ``950``, ``14k``, ``1.2M``."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.0f}k" if number < 999_500 else f"{number / 1_000_000:.1f}M"


def left(seconds: float) -> str:
    """Returns a time that is left, as in ``59m``, ``1m40s``, ``5s``."""
    whole = int(seconds)
    if whole >= SHORT_S:
        return f"{whole // 60}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def _parts(
    status: Mapping[str, Any], cache: Cache | None, windows: tuple[Window, ...], now: float
) -> list[Part]:
    model = _mapping(status, "model")
    name = model.get("display_name") or model.get("id")
    parts = [Part(3, _clean(name)[:24] if isinstance(name, str) else "", "dim")]
    if cache is not None:
        parts += _of_cache(cache, now)
    elif (told := _mapping(status, "prompt_cache")) and told.get("expires_at") is None:
        parts.append(Part(0, "not cached", "dim"))
    for rank, window in zip((1, 4, 7), windows, strict=False):
        style = "red" if window.used >= HIGH else "yellow" if window.is_near else ""
        parts.append(Part(rank, f"{window.name} {window.used:.0f}%{window.forecast}", style))
    used = _number(_mapping(status, "context_window"), "used_percentage")
    usd = _number(_mapping(status, "cost"), "total_cost_usd")
    parts.append(Part(5, f"ctx {used:.0f}%" if used else "", "dim"))
    parts.append(Part(6, f"${usd:,.2f}" if usd and not windows else "", "dim"))
    return parts


def _of_cache(cache: Cache, now: float) -> list[Part]:
    remaining = cache.expires_at - now
    size = f"{tokens(cache.tokens)} {cache.stake}".rstrip()
    if cache.is_other:
        return [Part(0, "cache cold: other model", "red"), Part(2, f"{size} to write", "red")]
    if remaining <= 0:
        return [Part(0, "cache cold", "red"), Part(2, f"{size} to write", "red")]
    style = "yellow" if remaining < SOON_S else "green"
    return [Part(0, f"cache {left(remaining)}", style), Part(2, f"{size} at stake")]


def _width(parts: list[Part]) -> int:
    return sum(len(part.text) for part in parts) + 3 * (len(parts) - 1)


def _styled(text: str, style: str) -> str:
    return f"\033[{_CODES[style]}m{text}\033[0m" if style else text


def _clean(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _mapping(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = status.get(name)
    return value if isinstance(value, dict) else {}


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -1e15 < value < 1e15 else None


def alone(raw: bytes, columns: int, *, has_color: bool) -> str:
    """Returns the line that Claude Code's own words are enough for. Raises ValueError and RecursionError."""
    status = json.loads(raw)
    if not isinstance(status, dict):
        raise ValueError("a status is an object")  # noqa: TRY004
    return line(status, told_cache(status), told_windows(status), time.time(), columns, has_color=has_color)
