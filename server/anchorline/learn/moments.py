"""What the network sees of a conversation's past, and of a request that comes back to a prefix.

The same facts as `cache.gaps.bins` and `cache.hits.terms` take, as numbers instead of bins.
"""

from collections.abc import Mapping
from math import log, log1p

from anchorline.cache import hits
from anchorline.cache.gaps import STOPS, TRIGGERS, WINDOW, Gaps, HazardGaps, Moment
from anchorline.cache.hits import Return

_RULE = HazardGaps()
RATES = (0.5, 0.2, 0.07)
"""Weights of the newest pause in the averages of the logarithm of pauses."""

TIMES = (10.0, 60.0, 180.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 10800.0)
"""Seconds at which the gap head says how probably the next request is still to come; those of `cache.gaps`."""

LONGER = tuple(f"longer_{seconds:g}" for seconds in TIMES)
"""Log odds that the gap is longer than each time, if longer than the one before."""

MOMENT = (
    *(f"trigger_{name}" for name in TRIGGERS),
    *(f"stop_{name}" for name in STOPS),
    "output",
    "depth",
    "tokens",
    "elapsed",
    "known",
    "pause",
    "longest",
    *(f"pace_{rate}" for rate in RATES),
    "turn",
    "turns",
    "long",
    "run",
    *LONGER,
)
"""Facts (0 or 1), logarithms of counts, tokens and seconds.

`stop…` and `output` are of the answer, 0 before it is there. `known`: there are pauses. `turn` averages the pauses that
a person's message ended, `turns` counts them, `long` those over five minutes (the recent ones more), `run` the
requests since the last message. Those of `LONGER` are what the table of `cache.gaps` says, which the network
corrects."""


def of_moment(moment: Moment, table: HazardGaps = _RULE) -> tuple[float, ...]:
    """Return the numbers that `MOMENT` names. `table` is the one that the network corrects."""
    pauses = moment.pauses[-WINDOW:]
    paces = [log1p(pauses[0][0]) if pauses else 0.0] * len(RATES)
    turn, long = -1.0, 0.0
    turns = run = 0
    longest = 0.0
    for seconds, by_user in pauses:
        size = log1p(seconds)
        paces = [pace + rate * (size - pace) for pace, rate in zip(paces, RATES, strict=True)]
        long = 0.95 * long + (seconds > 300)
        longest = max(longest, size)
        run += 1
        if by_user:
            turn = size if turn < 0 else turn + 0.4 * (size - turn)
            turns, run = turns + 1, 0
    return (
        *(float(moment.trigger == name) for name in TRIGGERS),
        *(float(moment.stop == name) for name in STOPS),
        log1p(max(moment.output, 0)),
        log1p(moment.depth),
        log1p(moment.tokens),
        log1p(max(moment.elapsed, 0.0)),
        float(bool(pauses)),
        log1p(pauses[-1][0]) if pauses else 0.0,
        longest,
        *paces,
        turn,
        log1p(turns),
        long,
        log1p(run),
        *_longer(table.after(moment)),
    )


def _longer(gaps: Gaps) -> list[float]:
    found, before = [], 1.0
    for seconds in TIMES:
        beyond = max(1.0 - gaps.within(seconds), 1e-6)
        p = min(max(beyond / before, 1e-6), 1 - 1e-6)
        found.append(log(p / (1.0 - p)))
        before = beyond
    return found


RETURN = (
    "odds",
    "prior",
    "age",
    "left",
    *(f"ttl_{name}" for name in ("5m", "1h", "30m", "idle")),
    "alive",
    "user",
    "first",
    "thoughtless",
    "commands",
    "compacted",
    "model_changed",
)
"""`odds` are the log odds of `hits.probability`, which the network corrects; `prior` those of the plain rule.

`age` is the logarithm of seconds, `left` the logarithm of lifetime over age; the others are facts (0 or 1)."""


def of_return(back: Return, coefficients: Mapping[str, float] = hits.COEFFICIENTS) -> tuple[float, ...]:
    """Return the numbers that `RETURN` names. `coefficients` are those of `odds`."""
    lifetime = hits.kind(back.ttl, back.lifetime)
    return (
        hits.odds_of(back, coefficients),
        hits.prior(back),
        log1p(max(back.age, 0.0)),
        log((back.lifetime + 1.0) / (max(back.age, 0.0) + 1.0)),
        *(float(lifetime == name) for name in ("5m", "1h", "30m", "idle")),
        float(back.age <= back.lifetime),
        float(back.user),
        float(back.first),
        float(back.thoughtless),
        float(back.commands),
        float(back.compacted),
        float(back.model_changed),
    )
