"""When a window was used in the past, by equal parts of time: what a forecast goes by.

What the figures say counts, whoever used it. Between two figures their difference lies where work was sent that weighs
so much, and evenly where none was. Where no figures were told, it is what the work sent weighs as far as it was learnt.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import ceil, inf

from anchorline.limits.model import PastUse
from anchorline.limits.windows import WindowSpan
from anchorline.limits.work import Work
from anchorline.rate_limits import DAY_S

SHORT_STEP_S = 300.0
LONG_STEP_S = 1800.0
Weigh = Callable[[Work], float]
"""Returns the per cent that a request takes of the window, 0 where that is not known."""


def step_of(length: float | None) -> float:
    """Returns the seconds of a part, for a window of that length."""
    return SHORT_STEP_S if length is None or length <= DAY_S else LONG_STEP_S


def past_use(
    spans: Iterable[WindowSpan], work: Sequence[Work], weigh: Weigh, length: float | None, until: float
) -> PastUse:
    """Returns what was used of a window until then; `work` is all that counts for it, in order."""
    spans = list(spans)
    step = step_of(length)
    firsts = [span.points[0].at for span in spans] + [request.at for request in work[:1]]
    begins = min(firsts, default=until) // step * step
    parts = [0.0] * max(ceil((until - begins) / step), 0)
    weights = [weigh(request) for request in work]
    times = [request.at for request in work]
    counted = bytearray(len(work))

    def put(at: float, per_cent: float) -> None:
        index = int((at - begins) // step)
        if 0 <= index < len(parts):
            parts[index] += per_cent

    for span in spans:
        before_at = span.begins if span.begins is not None else span.points[0].at
        before_until, before_used = before_at, 0.0 if span.begins is not None else span.points[0].used
        for point in span.points:
            first, last = bisect_left(times, before_at), bisect_right(times, point.at)
            counted[first:last] = b"\1" * (last - first)
            rise, total = point.used - before_used, sum(weights[first:last])
            if total > 0:
                for index in range(first, last):
                    put(times[index], rise * weights[index] / total)
            else:
                _spread(put, before_until, point.at, rise, step)
            before_at, before_until, before_used = point.at, point.until, point.used
    for at, weight, already in zip(times, weights, counted, strict=True):
        if not already:
            put(at, weight)
    return PastUse(begins, step, parts)


def _spread(
    put: Callable[[float, float], None], begins: float, ends: float, rise: float, step: float
) -> None:
    count = max(ceil((ends - begins) / step), 1) if ends - begins < inf else 1
    for number in range(count):
        put(begins + (ends - begins) * (number + 0.5) / count, rise / count)
