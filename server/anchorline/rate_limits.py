"""Samples of a plan's limits: how many per cent of a window are used, as agents and providers tell it.

Three things tell it: Claude Code's status line, the headers of answers, and Codex's session files. The readers here are
pure and never raise: what has not the form of a limit is left out, and a window that no list knows keeps its own name.
"""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

Source = Literal["status_line", "headers", "rollout"]

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MOST_USED = 1000.0
"""Per cent. Providers tell a little more than 100 where use runs past a cap; far beyond, it is no share of a limit."""
FARTHEST_RESET_S = 400 * DAY_S
"""A reset that lies further in the future is no time of a reset."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,47}\Z")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.:-]{0,80}\Z")
_UNIFIED = re.compile(r"anthropic-ratelimit-unified-([a-z0-9_]+)-(utilization|reset|status)\Z")
_CODEX = re.compile(
    r"x-([a-z0-9-]+?)-(primary|secondary)-(used-percent|window-minutes|reset-at|reset-after-seconds)\Z"
)
_OVERAGE = "overage"
"""Extra usage: ``rejected`` where it is not switched on, as Claude Code 2.1.332 reads it, so it is no full window."""
_CLAIMS = {"5h": "five_hour", "7d": "seven_day"}
_LENGTHS_S = {"five_hour": 5 * HOUR_S, "seven_day": 7 * DAY_S}
_MINUTES = {300: "five_hour", 1440: "one_day", 10080: "seven_day"}


class LimitSample(msgspec.Struct, frozen=True):
    """What was told of one window at one moment. Times are epoch seconds.

    `provider` is the provider's name in the rules (``anthropic``, ``openai``), `window` ``five_hour``, ``seven_day`` or
    the provider's own name, `used` its per cent, which may exceed 100, `length` the window's seconds, where they are
    known. `plan` is the provider's name of the plan and `account` a hash or name of the account, both empty where
    nothing tells them. `until` is when the same was told last: a value that did not change is one sample.
    """

    at: float
    provider: str
    window: str
    used: float
    resets_at: float | None
    length: float | None
    source: Source
    plan: str = ""
    account: str = ""
    until: float | None = None

    @property
    def newest(self) -> float:
        """When this was told last."""
        return self.at if self.until is None else max(self.at, self.until)


def from_status_line(status: object, at: float, account: str = "") -> tuple[LimitSample, ...]:
    """Returns the samples in the JSON that Claude Code gives its status line, read at `at`.

    `rate_limits` is ``{"five_hour": {"used_percentage": 0-100, "resets_at": epoch seconds}, "seven_day": {…}}``
    (code.claude.com/docs/en/statusline; Claude Code 2.1.332 caps the figure at 100, and leaves `rate_limits` out where
    no plan's limits were told). It shows the newest answer's figures, however old that is.
    """
    limits = status.get("rate_limits") if isinstance(status, Mapping) else None
    if not isinstance(limits, Mapping):
        return ()
    samples = [
        _sample(
            at,
            "anthropic",
            name,
            window.get("used_percentage"),
            window.get("resets_at"),
            _length(name),
            "status_line",
            account=account,
        )
        for name, window in limits.items()
        if isinstance(name, str) and isinstance(window, Mapping)
    ]
    return tuple(sample for sample in samples if sample is not None)


def from_headers(
    headers: Mapping[str, str] | Iterable[tuple[str, str]], at: float, account: str = ""
) -> tuple[LimitSample, ...]:
    """Returns the samples in an answer's headers, which tell what was used before that answer.

    Anthropic's are ``anthropic-ratelimit-unified-WINDOW-utilization`` (a fraction of two decimals, above 1 past the
    cap), ``-reset`` (epoch seconds) and ``-status`` (``allowed``, ``allowed_warning``, ``rejected``) with windows
    ``5h``, ``7d``, ``7d_oi`` (the model with an allowance of its own) and ``overage``, as Claude Code 2.1.332 reads
    them. A refusal names its window in ``representative-claim`` alone, which is full then.

    OpenAI's are those that Codex reads: ``x-codex-primary-used-percent``, ``-window-minutes``, ``-reset-at``
    (openai/codex, codex-rs/codex-api/src/rate_limits.rs), also with another limit's name in place of ``codex``.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    values = {
        name.lower(): value.strip()
        for name, value in pairs
        if isinstance(name, str) and isinstance(value, str)
    }
    return (*_unified(values, at, account), *_codex_headers(values, at, account))


def _unified(values: Mapping[str, str], at: float, account: str) -> tuple[LimitSample, ...]:
    windows: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        if match := _UNIFIED.match(name):
            windows.setdefault(match[1], {})[match[2]] = value
    samples = []
    for name, fields in windows.items():
        fraction = _number(fields.get("utilization"))
        if fraction is not None:
            used: float | None = round(100 * fraction, 4)
        else:
            refused = fields.get("status") == "rejected" and name != _OVERAGE
            used = 100.0 if refused else None
        window = _claim(name)
        samples.append(
            _sample(
                at,
                "anthropic",
                window,
                used,
                fields.get("reset"),
                _length(window),
                "headers",
                account=account,
            )
        )
    claim = values.get("anthropic-ratelimit-unified-representative-claim", "")
    if values.get("anthropic-ratelimit-unified-status") == "rejected" and not any(
        sample is not None and sample.window == claim for sample in samples
    ):
        reset = values.get("anthropic-ratelimit-unified-reset")
        samples.append(
            _sample(at, "anthropic", claim, 100.0, reset, _length(claim), "headers", account=account)
        )
    return tuple(sample for sample in samples if sample is not None)


def _codex_headers(values: Mapping[str, str], at: float, account: str) -> tuple[LimitSample, ...]:
    windows: dict[tuple[str, str], dict[str, str]] = {}
    for name, value in values.items():
        if match := _CODEX.match(name):
            windows.setdefault((match[1], match[2]), {})[match[3]] = value
    samples = [
        _codex_sample(
            at,
            limit.replace("-", "_"),
            slot,
            fields.get("used-percent"),
            fields.get("window-minutes"),
            _reset(fields.get("reset-at"), fields.get("reset-after-seconds"), at),
            "headers",
            account=account,
        )
        for (limit, slot), fields in windows.items()
    ]
    return tuple(sample for sample in samples if sample is not None)


def from_codex(limits: object, at: float, account: str = "") -> tuple[LimitSample, ...]:
    """Returns the samples in `rate_limits` of one of Codex's ``token_count`` events.

    ``{"limit_id": "codex", "primary": {"used_percent": 9.0, "window_minutes": 300, "resets_at": epoch seconds},
    "secondary": {…}, "plan_type": "team", …}`` (openai/codex, codex-rs/protocol/src/protocol.rs, `RateLimitSnapshot`);
    older clients wrote `resets_in_seconds`. Which window is the primary one changes with the plan, so the
    length names it. `resets_at` differs by a few seconds from one answer to the next.
    """
    if not isinstance(limits, Mapping):
        return ()
    limit, plan = limits.get("limit_id"), limits.get("plan_type")
    samples = []
    for slot in ("primary", "secondary"):
        window = limits.get(slot)
        if isinstance(window, Mapping):
            samples.append(
                _codex_sample(
                    at,
                    limit if isinstance(limit, str) else "codex",
                    slot,
                    window.get("used_percent"),
                    window.get("window_minutes"),
                    _reset(window.get("resets_at"), window.get("resets_in_seconds"), at),
                    "rollout",
                    plan=plan if isinstance(plan, str) and _NAME.match(plan) else "",
                    account=account,
                )
            )
    return tuple(sample for sample in samples if sample is not None)


def _codex_sample(
    at: float,
    limit: str,
    slot: str,
    used: object,
    window_minutes: object,
    resets_at: object,
    source: Source,
    *,
    plan: str = "",
    account: str = "",
) -> LimitSample | None:
    minutes = _number(window_minutes)
    # Codex leaves an all-empty header family out (`parse_rate_limit_window`).
    if minutes == 0 and _number(used) == 0:
        return None
    whole = round(minutes) if minutes is not None and 0 < minutes * 60 <= FARTHEST_RESET_S else None
    window = _MINUTES.get(whole, f"minutes_{whole}") if whole else slot
    if limit.lower() != "codex":
        window = f"{limit}.{window}"
    return _sample(
        at,
        "openai",
        window,
        used,
        resets_at,
        whole * 60.0 if whole else None,
        source,
        plan=plan,
        account=account,
    )


def _sample(
    at: float,
    provider: str,
    window: str,
    used: object,
    resets_at: object,
    length: float | None,
    source: Source,
    *,
    plan: str = "",
    account: str = "",
) -> LimitSample | None:
    """Returns the sample; None where it is none, or where its window was over by then: such a figure is an old one."""
    share, reset = _number(used), _time(resets_at)
    if share is None or not 0 <= share <= MOST_USED or not math.isfinite(at) or not _NAME.match(window):
        return None
    if reset is not None and reset > at + FARTHEST_RESET_S:
        reset = None
    if reset is not None and reset <= at:
        return None
    return LimitSample(
        at,
        provider,
        window,
        share,
        reset,
        length,
        source,
        plan,
        account if _ACCOUNT.match(account) else "",
    )


def _claim(name: str) -> str:
    """Returns a header's window by the name that it has elsewhere: ``7d_opus`` is ``seven_day_opus``."""
    head, underscore, rest = name.partition("_")
    if name == "7d_oi":
        return "seven_day_overage_included"
    return _CLAIMS.get(head, head) + underscore + rest


def _length(window: str) -> float | None:
    return next(
        (seconds for name, seconds in _LENGTHS_S.items() if window == name or window.startswith(f"{name}_")),
        None,
    )


def _reset(resets_at: object, in_seconds: object, at: float) -> object:
    after = _number(in_seconds)
    return resets_at if resets_at is not None or after is None or after < 0 else at + after


def _number(value: object) -> float | None:
    """Returns a number that JSON or a header has, None for all else: no truth value is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _time(value: object) -> float | None:
    """Returns epoch seconds of a time in seconds, in milliseconds or as RFC 3339 has it."""
    number = _number(value)
    if number is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return moment.timestamp() if moment.tzinfo is not None else None
        except (ValueError, OverflowError, OSError):
            return None
    if number is None or number <= 0:
        return None
    return number / 1000 if number > 1e11 else number
