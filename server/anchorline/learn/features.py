"""Features and labels of a decision: what the network sees when a request is about to be sent, and what became of it.

All numbers, and cheap enough to be kept with every plan. Of a draft: hashed pieces of its words and figures about its
shape; the buckets are far fewer than there are words, so no text can be read off them (docs/reference/privacy.md says
what can be guessed all the same). Of a conversation and of a return to a prefix: the facts that `cache.gaps.bins` and
`cache.hits.terms` take, as numbers instead of bins.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from math import log, log1p

import msgspec
from xxhash import xxh32_intdigest

from anchorline.cache import hits
from anchorline.cache.gaps import STOPS, TRIGGERS, WINDOW, Gaps, HazardGaps, Moment
from anchorline.cache.hits import Return

VERSION = 1
"""Of the lists `DRAFT`, `MOMENT` and `RETURN` and of the hashing. Features of another version train nothing."""


class Features(msgspec.Struct, frozen=True, array_like=True):
    """A decision's numbers: buckets of the draft, and what `DRAFT`, `MOMENT` and `RETURN` name. None: not known."""

    grams: tuple[int, ...] = ()
    draft: tuple[float, ...] | None = None
    moment: tuple[float, ...] | None = None
    back: tuple[float, ...] | None = None


class Decision(msgspec.Struct, frozen=True):
    """What was seen when a request was about to be sent, and the labels that are known. Missing labels train nothing.

    `session` and `user` group what must not be split; `source` says where the row is from. `at` is in epoch seconds.

    `gap` is the time in seconds to the next request on this prefix, infinite for never; `censored`: at least so long.
    `hit`: at least 90 % of the prefix was read. `solve` is the success of each model that answered, 0 to 1.
    `weights` are by head, 1 where a head is not named.
    """

    id: str
    session: str
    features: Features
    user: str = ""
    source: str = ""
    at: float = 0.0
    gap: float | None = None
    censored: bool = False
    hit: float | None = None
    solve: Mapping[str, float] = {}
    weights: Mapping[str, float] = {}


def of(draft: str | None = None, moment: Moment | None = None, request: Return | None = None) -> Features:
    """Returns the features of what is known."""
    return Features(
        grams(draft) if draft else (),
        of_draft(draft) if draft else None,
        of_moment(moment) if moment is not None else None,
        of_return(request) if request is not None else None,
    )


BUCKETS = 2**15
GRAMS = 512
"""Distinct buckets that are kept of a draft: the first ones."""
READ = 2000
"""Characters from the beginning, and as many from the end, that are looked at: it bounds the time."""

_WORDS = re.compile(r"\w+")
_PIECES = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
"""Words, numbers, and single marks: marks tell code from prose, and both tell hard contests from easy ones."""
_SIZES = (3, 4, 5)


def grams(text: str) -> tuple[int, ...]:
    """Returns the buckets of words, numbers and marks, of pairs, and of three to five characters inside of words."""
    words = _PIECES.findall(_ends(text).lower())
    buckets = dict.fromkeys(_bucket(word) for word in words)
    for pair in pairwise(words):
        buckets[_bucket(" ".join(pair))] = None
    for word in dict.fromkeys(words):
        if len(buckets) >= GRAMS:
            break
        marked = f"<{word[:32]}>"
        for size in _SIZES:
            for start in range(len(marked) - size + 1):
                buckets[_bucket(marked[start : start + size])] = None
    return tuple(buckets)[:GRAMS]


DRAFT = (
    "characters",
    "lines",
    "words",
    "digits",
    "capitals",
    "word_length",
    "code_marks",
    "question",
    "stops",
    "line_length",
    "fences",
    "paths",
    "numbers",
    "not_ascii",
)
"""Logarithms of counts, and shares of the characters that were looked at."""

_CODE = frozenset("{}[]()<>=;_`/\\*+#$|^&%")
_STOPS = frozenset(".,:!")
_PATH = re.compile(r"\w[/\\.]\w")
_NUMBER = re.compile(r"\b\d+\b")


def of_draft(text: str) -> tuple[float, ...]:
    """Returns the numbers that `DRAFT` names."""
    excerpt = _ends(text)
    size = len(excerpt) or 1
    lines = text.count("\n")
    words = len(_WORDS.findall(excerpt))
    return (
        log1p(len(text)),
        log1p(lines),
        log1p(words),
        sum(map(str.isdigit, excerpt)) / size,
        sum(map(str.isupper, excerpt)) / size,
        min(size / (words + 1), 20.0),
        sum(map(_CODE.__contains__, excerpt)) / size,
        float("?" in excerpt),
        sum(map(_STOPS.__contains__, excerpt)) / size,
        log1p(len(text) / (lines + 1)),
        log1p(text.count("```")),
        log1p(len(_PATH.findall(excerpt))),
        log1p(len(_NUMBER.findall(excerpt))),
        sum(character > "\x7f" for character in excerpt) / size,
    )


def _bucket(piece: str) -> int:
    return xxh32_intdigest(piece.encode("utf-8", "surrogatepass")) % BUCKETS


def _ends(text: str) -> str:
    return text if len(text) <= 2 * READ else f"{text[:READ]} {text[-READ:]}"


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
    """Returns the numbers that `MOMENT` names. `table` is the one that the network corrects."""
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
    odds, before = [], 1.0
    for seconds in TIMES:
        beyond = max(1.0 - gaps.within(seconds), 1e-6)
        p = min(max(beyond / before, 1e-6), 1 - 1e-6)
        odds.append(log(p / (1.0 - p)))
        before = beyond
    return odds


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


def of_return(request: Return, coefficients: Mapping[str, float] = hits.COEFFICIENTS) -> tuple[float, ...]:
    """Returns the numbers that `RETURN` names. `coefficients` are those of `odds`."""
    lifetime = hits.kind(request.ttl, request.lifetime)
    return (
        hits.odds_of(request, coefficients),
        hits.prior(request),
        log1p(max(request.age, 0.0)),
        log((request.lifetime + 1.0) / (max(request.age, 0.0) + 1.0)),
        *(float(lifetime == name) for name in ("5m", "1h", "30m", "idle")),
        float(request.age <= request.lifetime),
        float(request.user),
        float(request.first),
        float(request.thoughtless),
        float(request.commands),
        float(request.compacted),
        float(request.model_changed),
    )
