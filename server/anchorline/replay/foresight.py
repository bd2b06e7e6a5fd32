"""P(the next request comes within so many seconds) for every request of a timeline.

The table that ships (`cache/gaps.py:HazardGaps`) is asked for all requests at once; the same formulas stand there for
one. Any other model is asked for one after the other.
"""

from collections.abc import Sequence
from math import exp, log, log1p

import numpy as np

from anchorline.cache.gaps import HISTORY, STOPS, TRIGGERS, WINDOW, GapModel, HazardGaps, HazardScores, Moment
from anchorline.replay.arrays import Flags, Floats, Integers
from anchorline.replay.timeline import Timeline


class Foresight:
    """The distributions of the time to the next request, before an answer is there, or with it (`answered`)."""

    def __init__(self, timeline: Timeline, gaps: GapModel, *, answered: bool = False) -> None:
        self._table = _Table(timeline, gaps, answered=answered) if type(gaps) is HazardGaps else None
        self._gaps = (
            [] if self._table else [gaps.after(moment) for moment in moments(timeline, answered=answered)]
        )

    def within(self, seconds: float) -> Floats:
        """Returns the probability that each request's next one starts within `seconds`."""
        if self._table is not None:
            return self._table.within(seconds)
        return np.array([gaps.within(seconds) for gaps in self._gaps], float)


def moments(timeline: Timeline, *, answered: bool) -> list[Moment]:
    """Returns what is known when each request is sent, or when it is `answered`."""
    at, tokens, index = timeline.at.tolist(), timeline.tokens.tolist(), timeline.index.tolist()
    requests = timeline.requests
    seen = []
    for number, request in enumerate(requests):
        oldest = number - min(index[number], WINDOW)
        pauses = tuple(
            (max(at[later] - at[later - 1], 0.0), requests[later].trigger == "user")
            for later in range(oldest + 1, number + 1)
        )
        elapsed = at[number] - at[number - index[number]]
        answer = (request.stop, request.output) if answered else ("", 0)
        seen.append(Moment(request.trigger, tokens[number], index[number], pauses, elapsed, *answer))
    return seen


class _Table:
    """`HazardGaps` for a whole timeline."""

    def __init__(self, timeline: Timeline, gaps: HazardGaps, *, answered: bool) -> None:
        table = gaps.table
        self.times = (*(seconds for seconds, _ in table.early), *table.times)
        bins = _bins(timeline, table.edges)
        stops = np.array(
            [STOPS.index(r.stop) if r.stop in STOPS else -1 for r in timeline.requests], np.int64
        )
        after: Flags = (stops >= 0) & answered
        stop = np.where(after, len(TRIGGERS) * stops + bins[0][1], -1)
        bins.insert(3, ("stop", stop))
        count = len(timeline)
        beyond = np.empty((len(self.times), count))
        for stage, rows in ((table.before, ~after), (table.after, after)):
            if not rows.any():
                continue
            first, further = _total(stage.first, bins), _total(stage.further, bins)
            longer = 1.0 / (1.0 + np.exp(-first - stage.first.intercepts[0]))
            columns = [longer**power for _, power in table.early]
            columns.append(longer)
            for intercept in stage.further.intercepts:
                longer = longer / (1.0 + np.exp(-further - intercept))
                columns.append(longer)
            beyond[:, rows] = np.array(columns)[:, rows]
        self.beyond = beyond

    def within(self, seconds: float) -> Floats:
        """As `Gaps.within`."""
        times, beyond = self.times, self.beyond
        rows: Floats
        if seconds <= times[0]:
            rows = (1.0 - beyond[0]) * max(seconds, 0.0) / times[0]
            return rows
        if seconds >= times[-1]:
            rows = 1.0 - beyond[-1]
            return rows
        index = int(np.searchsorted(times, seconds, "right"))
        low, high = times[index - 1], times[index]
        part = log(seconds / low) / log(high / low)
        rows = 1.0 - beyond[index - 1] - part * (beyond[index] - beyond[index - 1])
        return rows


def _bins(timeline: Timeline, edges: dict[str, tuple[float, ...]]) -> list[tuple[str, Integers]]:
    """Returns the bin of each feature for all requests, -1 where it is not known (`cache/gaps.py:bins`)."""
    trigger = np.array([TRIGGERS.index(request.trigger) for request in timeline.requests], np.int64)
    paused = timeline.index > 0
    return [
        ("trigger", trigger),
        ("depth", np.searchsorted(edges["depth"], timeline.index, "right")),
        ("tokens", np.searchsorted(edges["tokens"], timeline.tokens, "right")),
        *(
            (name, np.where(paused, np.searchsorted(edges[name], values, "right"), -1))
            for name, values in zip(
                HISTORY, _history(timeline, trigger == TRIGGERS.index("user")), strict=True
            )
        ),
    ]


def _history(timeline: Timeline, by_user: Flags) -> Sequence[Floats]:
    """Returns the values of the features `HISTORY`."""
    count = len(timeline)
    pause = np.where(timeline.first, 0.0, np.maximum(timeline.gap, 0.0))
    size = np.array([log1p(seconds) for seconds in pause.tolist()], float)
    pauses = np.minimum(timeline.index, WINDOW)
    pace, tempo, turn = np.zeros(count), np.zeros(count), np.full(count, -1.0)
    long, run = np.zeros(count), np.zeros(count)
    for age in range(WINDOW - 1, -1, -1):
        rows = np.flatnonzero(pauses > age)
        if not len(rows):
            continue
        then = rows - age
        sizes, users = size[then], by_user[then]
        oldest = pauses[rows] == age + 1
        old_pace = np.where(oldest, sizes, pace[rows])
        old_tempo = np.where(oldest, sizes, tempo[rows])
        pace[rows] = old_pace + 0.3 * (sizes - old_pace)
        tempo[rows] = old_tempo + 0.07 * (sizes - old_tempo)
        long[rows] = long[rows] * 0.95 + (pause[then] > 300)
        old = turn[rows]
        turn[rows] = np.where(users, np.where(old < 0, sizes, old + 0.4 * (sizes - old)), old)
        run[rows] = np.where(users, 0.0, run[rows] + 1)
    elapsed = timeline.at - timeline.at[timeline.start]
    seconds = (
        np.array([exp(value) - 1 for value in column.tolist()]) for column in (size, pace, tempo, turn)
    )
    return [*seconds, long, run, elapsed]


def _total(scores: HazardScores, bins: Sequence[tuple[str, Integers]]) -> Floats:
    total = np.zeros(len(bins[0][1]))
    for name, numbers in bins:
        coefficients = scores.coefficients.get(name)
        if coefficients is not None:
            total += np.append(coefficients, 0.0)[numbers]
    return total
