"""What the network sees of a draft: hashed pieces of its words, and numbers about its shape.

The hashes are buckets, far fewer than there are words, and no text can be read off them; docs/reference/privacy.md
says what can be guessed all the same.
"""

import re
from itertools import pairwise
from math import log1p

from xxhash import xxh32_intdigest

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
    """Return the buckets of words, numbers and marks, of pairs, and of three to five characters inside of words."""
    words = _PIECES.findall(_ends(text).lower())
    found = dict.fromkeys(_bucket(word) for word in words)
    for pair in pairwise(words):
        found[_bucket(" ".join(pair))] = None
    for word in dict.fromkeys(words):
        if len(found) >= GRAMS:
            break
        marked = f"<{word[:32]}>"
        for size in _SIZES:
            for start in range(len(marked) - size + 1):
                found[_bucket(marked[start : start + size])] = None
    return tuple(found)[:GRAMS]


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


def numbers(text: str) -> tuple[float, ...]:
    """Return the numbers that `DRAFT` names."""
    seen = _ends(text)
    size = len(seen) or 1
    lines = text.count("\n")
    words = len(_WORDS.findall(seen))
    return (
        log1p(len(text)),
        log1p(lines),
        log1p(words),
        sum(map(str.isdigit, seen)) / size,
        sum(map(str.isupper, seen)) / size,
        min(size / (words + 1), 20.0),
        sum(map(_CODE.__contains__, seen)) / size,
        float("?" in seen),
        sum(map(_STOPS.__contains__, seen)) / size,
        log1p(len(text) / (lines + 1)),
        log1p(text.count("```")),
        log1p(len(_PATH.findall(seen))),
        log1p(len(_NUMBER.findall(seen))),
        sum(one > "\x7f" for one in seen) / size,
    )


def _bucket(piece: str) -> int:
    return xxh32_intdigest(piece.encode("utf-8", "surrogatepass")) % BUCKETS


def _ends(text: str) -> str:
    return text if len(text) <= 2 * READ else f"{text[:READ]} {text[-READ:]}"
