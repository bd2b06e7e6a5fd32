"""The state of each window of a plan now, and what tokens cost of it."""

from pathlib import Path

from anchorline.limits.model import Estimate, TokenCounts, WindowCost, WindowState
from anchorline.limits.windows import Point, WindowSpan, spans
from anchorline.rate_limits import DAY_S, HOUR_S
from anchorline.route.target import Targets
from anchorline.store.reader import Reader

HISTORY_S = 60 * DAY_S
"""So far back goes what is learnt from."""
FORGOTTEN_S = 14 * DAY_S
"""A window that nothing has told of for so long is not shown any more."""


class Limits:
    """What is known of a plan's windows at one moment."""

    def __init__(self, windows: tuple[WindowState, ...], targets: Targets) -> None:
        self.windows = windows
        self._targets = targets

    def cost(self, model: str, tokens: TokenCounts) -> tuple[WindowCost, ...]:  # noqa: ARG002
        """Returns what these tokens cost of each window that requests to the model count for."""
        provider = plan_provider(self._targets.find(model).provider.name)
        return tuple(
            WindowCost(state.provider, state.window, None, "It is not known yet what tokens cost of it.")
            for state in self.windows
            if state.provider == provider
        )


def plan_provider(name: str) -> str:
    """Returns whose plan requests are on, by the name of their provider's rules (OpenAI has two sets of them)."""
    return "openai" if name.startswith("openai") else name


def limits(path: Path, targets: Targets, now: float) -> Limits:
    """Returns what is known of all windows at the epoch second `now`. Raises StoreError."""
    samples = Reader(path).limit_samples(now - HISTORY_S)
    states = [
        _state(newest, now)
        for group in spans(samples).values()
        if (newest := group[-1]).newest > now - FORGOTTEN_S
    ]
    states.sort(key=lambda state: (state.provider, state.length or 0.0, state.window))
    return Limits(tuple(states), targets)


def _state(span: WindowSpan, now: float) -> WindowState:
    point = span.points[-1]
    over = span.resets_at is not None and span.resets_at <= now
    return WindowState(
        span.series.provider,
        span.series.window,
        point.used,
        point.until,
        span.resets_at,
        span.length,
        span.plan,
        span.series.account,
        pace=None if over else _pace(span.points, now),
        over=over,
    )


def _pace(points: tuple[Point, ...], now: float) -> Estimate | None:
    recent = [point for point in points if point.at >= now - HOUR_S]
    if len(recent) < 2 or recent[-1].at - recent[0].at < 300:
        return None
    hours = (recent[-1].at - recent[0].at) / HOUR_S
    rise = recent[-1].used - recent[0].used
    return Estimate(rise / hours, max(rise - 1, 0) / hours, (rise + 1) / hours)
