"""Cuts windows into steps of work: how far the figure rose over a step, and what was sent in it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import inf
from typing import NamedTuple

import msgspec

from anchorline.limits.windows import WindowSpan
from anchorline.limits.work import Work

RISE = 4.0
"""Per cent that a step should rise by: a figure is rounded to whole ones, so shorter steps tell little."""
IDLE_S = 3600.0
"""A step ends where nothing was sent for so long: what rises then comes from elsewhere."""
LEAST = 0.5
"""A step that ends for want of work counts where it has this part of the work of a whole one."""
FULL = 100.0


class Step(msgspec.Struct, frozen=True):
    """The figure rose by `rise` per cent from `begins` to `ends`, while `work` was sent."""

    begins: float
    ends: float
    rise: float
    work: Sequence[Work]


class _Reading(NamedTuple):
    """A request, by its number in all work, and the figure when it was sent.

    `apart`: what was sent since the one before is no step, after a pause and where a window of the plan was full:
    such work is on credits, and counts for none.
    """

    number: int
    used: float
    apart: bool


def steps(
    spans: Iterable[WindowSpan], work: Sequence[Work], full: Sequence[tuple[float, float]] = ()
) -> list[Step]:
    """Returns the steps of all spans of one window, in order; `work` is all that counts for it, in order.

    A step begins and ends with a request, chosen by what was sent and not by the figure, whose rounding would else be
    no noise but a bias. What answers say of a window was counted before their own request, so a figure that was told
    between a request and the next one has none of either. `full`: when any window of the plan was.
    """
    cut = [list(_readings(span, work, full)) for span in spans]
    per_dollar = _per_dollar(cut, work)
    if per_dollar <= 0:
        return []
    made = [step for readings in cut for step in _of_span(readings, work, RISE / per_dollar)]
    return sorted(made, key=lambda step: step.begins)


def _readings(
    span: WindowSpan, work: Sequence[Work], full: Sequence[tuple[float, float]]
) -> Iterator[_Reading]:
    ends = min(span.newest, span.resets_at if span.resets_at is not None else inf)
    first = bisect_left(work, span.begins if span.begins is not None else span.points[0].at, key=_at)
    points = span.points
    apart = True
    for index in range(first, bisect_right(work, ends, key=_at)):
        at = work[index].at
        following = work[index + 1].at if index + 1 < len(work) else inf
        position = bisect_left(points, following, key=lambda point: point.at) - 1
        apart = apart or at - work[index - 1].at > IDLE_S
        is_current = position >= 0 and points[position].until >= at
        if (is_current and points[position].used >= FULL) or any(
            begin <= following and at <= end for begin, end in full
        ):
            apart = True
        elif is_current:
            yield _Reading(index, points[position].used, apart)
            apart = False


def _at(work: Work) -> float:
    return work.at


def _usd(work: Iterable[Work]) -> float:
    return sum(sum(request.usd) for request in work if request.usd is not None)


def _per_dollar(cut: Iterable[Sequence[_Reading]], work: Sequence[Work]) -> float:
    """Returns about how many per cent a dollar's worth of work is: a median, since some rises come from elsewhere."""
    ratios: list[tuple[float, float]] = []
    for readings in cut:
        rise = usd = 0.0
        for before, after in pairwise(readings):
            if not after.apart:
                rise += after.used - before.used
                usd += _usd(work[before.number : after.number])
        if usd > 0 and rise > 0:
            ratios.append((rise / usd, usd))
    ratios.sort()
    half = sum(usd for _, usd in ratios) / 2
    for ratio, usd in ratios:
        half -= usd
        if half <= 0:
            return ratio
    return 0.0


def _of_span(readings: Iterable[_Reading], work: Sequence[Work], enough: float) -> Iterator[Step]:
    begin: _Reading | None = None
    end: _Reading | None = None
    usd = 0.0

    def made() -> Iterator[Step]:
        if begin is not None and end is not None and usd >= LEAST * enough:
            sent = work[begin.number : end.number]
            yield Step(work[begin.number].at, work[end.number].at, end.used - begin.used, sent)

    for request in readings:
        if end is None or request.apart:
            yield from made()
            begin, usd = request, 0.0
        else:
            usd += _usd(work[end.number : request.number])
        end = request
        if usd >= enough:
            yield from made()
            begin, usd = request, 0.0
    yield from made()
