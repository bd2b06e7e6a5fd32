"""The distribution of the time until a prefix is asked for again, if at all.

`GapModel` is the interface that every later model serves as well: a `Moment` (what the session has shown when a request
is about to be sent) gives `Gaps`, the distribution of the time to the next request. The first one, `HazardGaps`, is a
small table of coefficients that a bench fits (`gaps.toml`); docs/research/lifetimes.md says how good it is.
"""

import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp, log, log1p
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from anchorline.prompt.model import Prompt

Trigger = Literal["user", "tool", "compact"]
Pause = tuple[float, bool]
"""Seconds between the starts of two successive requests, and whether a user's own message ended it."""

WINDOW = 24
"""Number of pauses that a moment looks back: the averages below hardly see further, and every plan computes them."""

TABLE = Path(__file__).with_name("gaps.toml")


class Moment(msgspec.Struct, frozen=True):
    """The state of a conversation at a request.

    `trigger` is what the request answers. `pauses` are the last ones, the one that this request ended being the last
    (empty: not known, or the first request). `depth` counts the requests before, `tokens` is the whole input, `elapsed`
    the seconds since the conversation began. `stop` is why the *answer* ended and `output` counts its tokens: empty and
    0 until it is there, so only a keep-alive decision knows them.
    """

    trigger: Trigger
    tokens: int
    depth: int = 0
    pauses: tuple[Pause, ...] = ()
    elapsed: float = 0.0
    stop: str = ""
    output: int = 0


def observed(prompt: Prompt, tokens: int, now: float) -> Moment:
    """Returns the moment at which `prompt`, of `tokens` input tokens, is about to be sent.

    A session file tells when its requests were sent; a request body only how many turns it has.
    """
    trigger: Trigger = "compact" if prompt.compacted else "user" if prompt.draft else "tool"
    segments = prompt.segments
    sent = prompt.sent
    count = len(sent)
    while count and sent[count - 1].at >= now:  # the request that is planned here
        count -= 1
    if not count:
        return Moment(trigger, tokens, (segments[-1].message + 1) // 2 if segments else 0)
    last, size = sent[max(count - WINDOW, 0)], len(segments)
    pauses: list[Pause] = []
    for request in sent[max(count - WINDOW, 0) + 1 : count]:
        asked = segments[request.segments - 1] if 0 < request.segments <= size else None
        by_user = asked is not None and asked.role == "user" and asked.kind != "tool_result"
        wait = request.at - last.at
        pauses.append((wait if wait > 0 else 0.0, by_user))
        last = request
    pauses.append((now - last.at, trigger == "user"))
    return Moment(trigger, tokens, count, tuple(pauses), now - sent[0].at)


class Gaps(msgspec.Struct, frozen=True):
    """The time from the start of a request to the start of the next one on its prefix.

    `beyond[i]` is the probability that it is longer than `times[i]` seconds, a session's end counting as never. `times`
    rise from more than 0; between them the logarithm of time is interpolated.
    """

    times: tuple[float, ...]
    beyond: tuple[float, ...]

    def within(self, seconds: float) -> float:
        """Returns the probability that the next request starts within `seconds`."""
        times, beyond = self.times, self.beyond
        if seconds <= times[0]:
            return (1.0 - beyond[0]) * max(seconds, 0.0) / times[0]
        if seconds >= times[-1]:
            return 1.0 - beyond[-1]
        index = bisect_right(times, seconds)
        low, high = times[index - 1], times[index]
        part = log(seconds / low) / log(high / low)
        return 1.0 - beyond[index - 1] - part * (beyond[index] - beyond[index - 1])


class GapModel(Protocol):
    """Predicts the time to the next request."""

    def after(self, moment: Moment) -> Gaps:
        """Returns its distribution, as seen from `moment`."""
        ...


class HazardScores(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A logistic score: one intercept for each time, and one coefficient for each bin of each feature."""

    intercepts: tuple[float, ...]
    coefficients: dict[str, tuple[float, ...]]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The regressions before an answer, or after it: longer than the first time, and longer than each further one."""

    first: HazardScores
    further: HazardScores


class Hazards(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`gaps.toml`: bins, times, coefficients.

    `early` gives the times below the first of `times`, each with the power of P(longer than the first) that P(longer
    than it) is: the hazards of all requests are taken to be proportional there.
    """

    early: tuple[tuple[float, float], ...]
    times: tuple[float, ...]
    edges: dict[str, tuple[float, ...]]
    before: Stage
    after: Stage


class HazardGaps:
    """Discrete hazards: P(longer than 5 min), then P(longer than each further time, if longer than the one before).

    Each is a logistic function of a sum over features (`bins`), fitted on recorded requests of train splits;
    ``python tests/bench gaps`` reproduces the table. Coefficients are shrunk towards 0, which is the mean request.
    """

    def __init__(self, table: Hazards | None = None) -> None:
        self.table = table or built_in()
        self._times = (*(seconds for seconds, _ in self.table.early), *self.table.times)

    def after(self, moment: Moment) -> Gaps:
        """Returns the distribution. The stages differ: an answer's end says much about what comes next."""
        table = self.table
        stage = table.after if moment.stop in STOPS else table.before
        feature_bins = bins(moment, table.edges)
        first = _total(stage.first, feature_bins)
        further = _total(stage.further, feature_bins)
        longer = 1.0 / (1.0 + exp(-first - stage.first.intercepts[0]))
        beyond = [longer**power for _, power in table.early]
        beyond.append(longer)
        for intercept in stage.further.intercepts:
            longer /= 1.0 + exp(-further - intercept)
            beyond.append(longer)
        return Gaps(self._times, tuple(beyond))


TRIGGERS = ("tool", "user", "compact")
STOPS = ("tool_use", "end_turn")


def bins(moment: Moment, edges: Mapping[str, Sequence[float]]) -> list[tuple[str, int]]:
    """Returns the bin of each feature that is known.

    pause: the last one. pace, tempo: fast and slow averages of the logarithm of pauses. turn: the same over pauses
    that a user's message ended. long: how many of the last were over five minutes, the recent ones counting more.
    run: requests since the user's last message.
    """
    feature_bins = [
        ("trigger", TRIGGERS.index(moment.trigger)),
        ("depth", bisect_right(edges["depth"], moment.depth)),
        ("tokens", bisect_right(edges["tokens"], moment.tokens)),
    ]
    if moment.stop in STOPS:
        feature_bins.append(("stop", len(TRIGGERS) * STOPS.index(moment.stop) + feature_bins[0][1]))
    pauses = moment.pauses[-WINDOW:]
    if not pauses:
        return feature_bins
    pace = tempo = log1p(pauses[0][0])
    turn, long, run = -1.0, 0.0, 0
    for seconds, by_user in pauses:
        size = log1p(seconds)
        pace += 0.3 * (size - pace)
        tempo += 0.07 * (size - tempo)
        long *= 0.95
        if seconds > 300:
            long += 1
        run += 1
        if by_user:
            turn = size if turn < 0 else turn + 0.4 * (size - turn)
            run = 0
    values = (exp(size) - 1, exp(pace) - 1, exp(tempo) - 1, exp(turn) - 1, long, run, moment.elapsed)
    feature_bins.extend(
        (name, bisect_right(edges[name], value)) for name, value in zip(HISTORY, values, strict=True)
    )
    return feature_bins


HISTORY = ("pause", "pace", "tempo", "turn", "long", "run", "elapsed")
"""The features that need a conversation's pauses."""


def _total(scores: HazardScores, feature_bins: Sequence[tuple[str, int]]) -> float:
    coefficients = scores.coefficients
    return sum(coefficients[name][index] for name, index in feature_bins)


@lru_cache(maxsize=1)
def built_in() -> Hazards:
    """Returns the table that ships."""
    return msgspec.convert(tomllib.loads(TABLE.read_text("utf-8")), Hazards)
