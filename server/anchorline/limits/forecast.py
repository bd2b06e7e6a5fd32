"""Forecasts a window's figure: by how one's own work went on, at the moments of the past that were most like now.

What a person does next is no steady pace: work stops, pauses, speeds up. So the past moments with the most similar use
in the last hour are looked up, and what was used after each is one path in which it may go on now. All quantiles
(the interval, the wall, its probability) are those of these paths; there is no model of work behind them to be wrong.
With little history, paths that a general rule makes up stand in for those that are missing.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import ceil, exp, log
from random import Random
from statistics import NormalDist
from typing import NamedTuple

from anchorline.limits.model import Estimate, PastUse, Wall
from anchorline.limits.windows import WindowSpan
from anchorline.rate_limits import DAY_S, HOUR_S

MOMENTS = 60
"""Past moments that a forecast goes by."""
FEW = 25
"""With fewer moments, made-up paths fill up to these."""
TAIL = 0.05
"""On either side of an interval."""
SMALL = 0.5
"""Per cent: paces that differ by less are alike."""
BUSY_S = 300.0
"""Whoever has sent something within so many seconds is at work."""
SHORTEST_S = 600.0
"""The pace of less time says nothing."""
FULL = 100.0
ROUNDING = 0.5
"""Per cent by which a figure may differ from what is used."""


def recent_s(length: float | None) -> float:
    """Returns the seconds over which moments are compared: an hour, of a window of days one of its sevenths."""
    return HOUR_S if length is None or length <= DAY_S else length / 7


def figure(span: WindowSpan, at: float) -> float:
    """Returns a window's figure at a time: 0 before it began, else the newest one, at least the first one, told."""
    if span.begins is not None and at <= span.begins:
        return 0.0
    used = span.points[0].used
    for point in span.points:
        if point.at > at:
            break
        used = point.used
    return used


class Pace(NamedTuple):
    """How a window was used of late.

    `recent` and `last` are the per cent of the last `recent_s` and of its last part, `hourly` those of the last hour,
    or of as much of it as was told of, as per cent an hour. `idle` are the seconds since the last request.
    """

    recent: float
    last: float
    hourly: float
    idle: float


def last_s(recent: float) -> float:
    """Returns the seconds of the last part: a quarter of an hour, of a day an hour."""
    return recent / 24 if recent >= DAY_S else recent / 4


def pace(span: WindowSpan, past: PastUse, now: float, active_at: float) -> Pace:
    """Returns how a window was used until `now`; before it began, by what was used of the one before.

    `active_at` is when something was sent last.
    """
    span_s = recent_s(span.length)

    def used(seconds: float) -> float:
        more = 0.0
        if span.begins is not None and now - seconds < span.begins:
            first, last = ((at - past.begins) / past.step for at in (now - seconds, span.begins))
            more = sum(past.parts[max(int(first), 0) : max(int(last), 0)])
        return max(figure(span, now) - figure(span, now - seconds), 0.0) + more

    since = span.begins if span.begins is not None and now - span.begins <= HOUR_S else span.points[0].at
    watched = min(max(now - since, SHORTEST_S), HOUR_S)
    hourly = (figure(span, now) - figure(span, now - watched)) * HOUR_S / watched
    return Pace(used(span_s), used(last_s(span_s)), max(hourly, 0.0), now - active_at)


class Forecast:
    """The paths in which a window may go on from `now`: what is used more, by parts of time."""

    def __init__(self, span: WindowSpan, past: PastUse, now: float, active_at: float | None = None) -> None:
        self._used = span.points[-1].used
        self._step = past.step
        until = span.resets_at if span.resets_at is not None else now + (span.length or 5 * HOUR_S)
        self._until = until
        self._now = now
        parts = max(ceil((until - now) / past.step), 1)
        self.pace = pace(span, past, now, span.newest if active_at is None else active_at)
        paths = _paths(past, now, self.pace, parts, recent_s(span.length))
        count = len(paths)
        self._paths = [
            # Where between two whole per cents the figure is, is as unknown as how it goes on.
            [
                self._used + ROUNDING * (2 * ((7 * number) % count + 0.5) / count - 1) + more
                for more in accumulate(path)
            ]
            for number, path in enumerate(paths)
        ]

    def at(self, at: float) -> Estimate:
        """Returns what will be used by then, as a figure: never more than the whole."""
        index = min(max(ceil((at - self._now) / self._step), 1), len(self._paths[0])) - 1
        part = (at - self._now) / self._step - index
        ends = []
        for path in self._paths:
            before = path[index - 1] if index else self._used
            ends.append(before + min(max(part, 0.0), 1.0) * (path[index] - before))
        ends.sort()
        value, low, high = (_quantile(ends, share) for share in (0.5, TAIL, 1 - TAIL))
        low, high = max(low - ROUNDING / 2, self._used), high + ROUNDING / 2
        return Estimate(*(min(max(end, self._used), FULL) for end in (value, low, high)))

    def at_reset(self) -> Estimate:
        """Returns what will be used when the window resets."""
        return self.at(self._until)

    def wall(self) -> Wall | None:
        """Returns when the window will be full; None where none of the paths gets there before it resets."""
        arrivals = [self._arrival(path) for path in self._paths]
        times = sorted(arrival for arrival in arrivals if arrival is not None)
        if not times:
            return None
        count = len(arrivals)

        def time_of(share: float) -> float | None:
            index = ceil(share * count) - 1
            return times[max(index, 0)] if index < len(times) else None

        return Wall(len(times) / count, time_of(TAIL), time_of(0.5), time_of(1 - TAIL))

    def _arrival(self, path: Sequence[float]) -> float | None:
        before = self._used
        for number, used in enumerate(path):
            if used >= FULL:
                part = (FULL - before) / (used - before) if used > before else 0.0
                at = self._now + self._step * (number + min(max(part, 0.0), 1.0))
                return at if at <= self._until else None
            before = used
        return None


def forecast(
    span: WindowSpan, past: PastUse, now: float, active_at: float | None = None
) -> tuple[Estimate, Estimate, Wall | None]:
    """Returns a window's pace in per cent an hour, what is used at its reset, and its wall.

    `active_at` is when something was sent last: with the newest figure, where nothing is given.
    """
    ahead = Forecast(span, past, now, active_at)
    hourly = ahead.pace.hourly
    around = Estimate(hourly, max(hourly - 2 * ROUNDING, 0.0), hourly + 2 * ROUNDING)
    return around, ahead.at_reset(), ahead.wall()


def _quantile(ordered: Sequence[float], share: float) -> float:
    index = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    low = int(index)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (index - low) * (ordered[high] - ordered[low])


def _paths(past: PastUse, now: float, pace: Pace, parts: int, span_s: float) -> list[list[float]]:
    """Returns paths to go on, each by what is used in each of the next `parts`."""
    first = min(parts, ceil(max(5 * HOUR_S, span_s) / past.step))
    moments = _alike(past, now, pace, first, span_s)
    draw = Random(len(past.parts))  # noqa: S311  (the same each time: a forecast does not flicker)
    paths = [_continued(past.parts[index : index + first], past, now, parts, draw) for index in moments]
    missing = FEW - len(paths)
    paths.extend(_assumed(pace, span_s, past.step, parts, missing) if missing > 0 else ())
    return paths


def _alike(past: PastUse, now: float, pace: Pace, first: int, span_s: float) -> list[int]:
    """Returns where in the past a moment was most like now."""
    sums = [0.0, *accumulate(past.parts)]
    long, short = int(span_s / past.step), max(int(last_s(span_s) / past.step), 1)
    near = max(round(BUSY_S / past.step), 1)
    busy = pace.idle <= near * past.step
    recent, last = pace.recent, pace.last
    clock = (now % DAY_S) / HOUR_S
    end = min(len(past.parts), int((now - past.begins) // past.step)) - first
    apart = max(long // 8, 6)
    days = span_s >= DAY_S / 2
    scored = []
    for index in range(long, end + 1):
        if (sums[index] > sums[index - near]) != busy:
            continue
        before, newest = sums[index] - sums[index - long], sums[index] - sums[index - short]
        hour = ((past.begins + index * past.step) % DAY_S) / HOUR_S
        away = abs(hour - clock)
        away = min(away, 24 - away)
        difference = (
            abs(log((before + SMALL) / (recent + SMALL)))
            + 0.5 * abs(log((newest + SMALL) / (last + SMALL)))
            + away / 8
            + (days and _weekend(past.begins + index * past.step) != _weekend(now))
        )
        scored.append((difference, index))
    scored.sort()
    chosen: list[int] = []
    taken: set[int] = set()
    for _, index in scored:
        if index // apart in taken:
            continue
        taken.add(index // apart)
        chosen.append(index)
        if len(chosen) == MOMENTS:
            break
    return chosen


def _weekend(at: float) -> bool:
    return int(at // DAY_S + 3) % 7 >= 5  # 1970 began on a Thursday


def _continued(path: list[float], past: PastUse, now: float, parts: int, draw: Random) -> list[float]:
    """Returns a path with further days: each is one of the past, from the same time of the day on."""
    day = int(DAY_S / past.step)
    here = int((now - past.begins) // past.step)
    while len(path) < parts:
        ahead = len(path)
        starts = [
            here + ahead - day * back
            for back in range(1, (here + ahead) // day + 1)
            if here + ahead - day * back + day <= min(here, len(past.parts))
        ]
        if not starts:
            path.extend([sum(path) / len(path)] * (parts - ahead))
            break
        start = draw.choice(starts)
        path.extend(past.parts[start : start + day])
    return path[:parts]


def _assumed(pace: Pace, span_s: float, step: float, parts: int, count: int) -> list[list[float]]:
    """Returns paths by a general rule: work goes on for an exponential time at a pace that changes by a factor.

    The mean of the time is an hour and a half, and the factor is between half and twice for two thirds of the paths.
    After that, in a window of days, it goes on as over the last day, or as four hours of such work a day would. All of
    these are guesses, to do until there is a past.
    """
    paths = []
    working = max(pace.hourly, SMALL / 2) * step / HOUR_S
    daily = max(pace.recent * step / span_s, working / 6) if span_s >= DAY_S else 0.0
    for number in range(count):
        factor = exp(0.7 * NormalDist().inv_cdf(((5 * number) % count + 0.5) / count))
        lasts = -1.5 * HOUR_S * log(1 - (number + 0.5) / count) / step
        busy = [min(max(lasts - part, 0.0), 1.0) for part in range(parts)]
        paths.append([factor * (working * part + daily * (1 - part)) for part in busy])
    return paths
