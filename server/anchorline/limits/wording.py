"""A plan's windows in words, the same wherever they are shown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from anchorline.figures import share
from anchorline.limits.model import Estimate, WindowCost, WindowState, title

PLANS = {"anthropic": "Claude", "openai": "Codex"}
"""What people call the plans of a provider."""
NEAR = 80.0
"""Per cent of a window from which on it is nearly used up."""
HALF = 50.0
"""Per cent from which on a wall that is more likely than not is worth a warning: before, the pace says little."""
RISK = 0.1
"""The probability of a wall from which on it is told, where it is more likely not to come."""
FULL = 100.0
_DAY_S = 86_400.0
_OLD_S = 15 * 60.0
"""A figure that is older is shown with its age."""
_NEXT_DAY_S = 18 * 3600.0
"""A time that is further away is shown with its day."""
_ACCOUNT = 6
"""Characters of an account's hash that tell it from others."""
Nearness = Literal["", "near", "full"]


def nearness(window: WindowState) -> Nearness:
    """Returns whether a window is full, or near that: by its figure, or more likely than not before it resets."""
    if window.over:
        return ""
    if window.used >= FULL:
        return "full"
    comes = window.wall is not None and window.wall.at is not None and window.used >= HALF
    return "near" if comes or window.used >= NEAR else ""


def current(windows: Iterable[WindowState], now: float) -> tuple[WindowState, ...]:
    """Returns the windows that say something of now: not those that have reset long ago."""
    return tuple(window for window in windows if not window.over or now - (window.resets_at or 0.0) < _DAY_S)


def names(windows: Sequence[WindowState]) -> list[str]:
    """Returns what to call each window: with its plan where there are several, and its account where it has several."""
    providers = {window.provider for window in windows}
    accounts = {(window.provider, window.account) for window in windows}
    shown = []
    for window in windows:
        name = window.title
        if len(providers) > 1:
            name = f"{PLANS.get(window.provider, window.provider)} {name}"
        if sum(provider == window.provider for provider, _ in accounts) > 1:
            name = f"{name} ({window.account.removeprefix('b2:')[:_ACCOUNT] or 'account not told'})"
        shown.append(name)
    return shown


def state(window: WindowState, now: float) -> str:
    """Returns a window's state in a sentence without its name: what is used, its reset, and its forecast."""
    if window.over:
        since = moment(window.resets_at or window.at, now)
        return f"has reset at {since}, and nothing was told since"
    used = f"{window.used:.0f}% used"
    if window.age(now) > _OLD_S:
        used += f" at {moment(window.at, now)}"
    parts = [used]
    if window.resets_at is not None:
        parts.append(f"resets {moment(window.resets_at, now)}")
    text = ", ".join(parts)
    coming = forecast(window, now)
    return f"{text}; {coming}" if coming else text


def forecast(window: WindowState, now: float) -> str:
    """Returns when a window will be full, or what of it will be used at its reset; nothing where that is not known."""
    if window.over or window.used >= FULL:
        return ""
    wall = window.wall
    if wall is not None and wall.at is not None:
        between = [moment(at, now) for at in (wall.earliest, wall.latest) if at is not None]
        span = f" ({between[0]} to {between[-1] if len(between) > 1 else 'the reset'})" if between else ""
        return f"full at about {moment(wall.at, now)}{span}"
    if window.at_reset is None:
        return ""
    end = window.at_reset
    text = f"{min(end.value, FULL):.0f}% ({min(end.low, FULL):.0f} to {min(end.high, FULL):.0f}) at the reset"
    risk = f", full before: {share(wall.likely)}" if wall is not None and wall.likely >= RISK else ""
    return f"{text}{risk}"


def warning(window: WindowState, name: str, now: float) -> str:
    """Returns what is said of a window that is near its wall or at it."""
    until = f" until {moment(window.resets_at, now)}" if window.resets_at is not None else ""
    if nearness(window) == "full":
        return f"your {name} is used up{until}"
    return f"your {name}: {state(window, now)}"


def percent(estimate: Estimate) -> str:
    """Returns a share of a window with its interval, as in ``1.2% [0.9, 1.6]``."""
    digits = 1 if estimate.value < 10 else 0
    low, high = (f"{max(end, 0.0):.{digits}f}" for end in (estimate.low, estimate.high))
    return f"{share(estimate.value / 100)} [{low}, {high}]"


def costs(window_costs: Iterable[WindowCost]) -> str:
    """Returns what tokens cost of the window that they take most of, as in ``about 1.2% of your 5-hour window``.

    Nothing where that is not known of any.
    """
    learnt = [(cost.percent, cost.window) for cost in window_costs if cost.percent is not None]
    if not learnt:
        return ""
    most, window = max(learnt, key=lambda cost: cost[0].value)
    return f"about {percent(most)} of your {title(window)}"


def moment(at: float, now: float) -> str:
    """Returns a time of the clock, with its day where that is not soon."""
    local = datetime.fromtimestamp(at).astimezone()
    return local.strftime("%H:%M" if abs(at - now) < _NEXT_DAY_S else "%a %H:%M")
