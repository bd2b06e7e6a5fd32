"""The terms of a text: identifiers whole and in parts, without endings.

`parse_configs` has the terms ``parse_configs``, ``pars`` and ``config``, in a file as in a draft. The index keeps
a term as a number of 32 bits, its hash: of half a million terms about thirty pairs are one.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from xxhash import xxh32_intdigest

WORD = re.compile(r"[^\W\d]\w*")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_ENDINGS = (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("e", ""))
"""Endings, and what takes their place."""
_SHORTEST_STEM = 3
STOP = frozenset({
    "the", "a", "an", "of", "to", "in", "is", "it", "and", "or", "for", "on", "with", "that", "this",
    "be", "as", "at", "by", "from", "are", "was", "were", "i", "you", "we", "can", "could", "should",
    "would", "will", "not", "do", "does", "did", "have", "has", "had", "but", "if", "then", "so",
    "there", "when", "what", "which", "how", "also", "just", "like", "make", "sure", "need", "want",
    "please", "now", "use", "using", "all", "any", "some", "one", "two", "my", "our", "your", "its",
    "into", "out", "up", "than", "more", "other", "only", "same", "new", "get", "see", "add", "let",
})  # fmt: skip
MOST_TERMS = 8192
"""Different terms that are kept of one text: those that are in it most often."""
PIECE = 65_536
"""Bytes of a text that are looked at in one go, so that other threads are not held up."""
LONGEST = 100
"""Characters of a word: a longer one is data."""
_DIGITS = "0123456789"
_WITHOUT_SEPARATORS = bytes(
    byte if byte >= 128 or chr(byte).isalnum() or byte == ord("_") else ord(" ") for byte in range(256)
)


class Terms(NamedTuple):
    """The terms of a text in the order of their hashes: four bytes for each hash, one for how often (255 at most).

    `length` is the number of all terms of the text, each as often as it is there.
    """

    hashes: bytes
    counts: bytes
    length: int


def stem(word: str) -> str:
    """Returns a word without its ending: ``query`` for ``queries``, ``stop`` for ``stopping``.

    A final e goes, too, so that ``parse`` and ``parsing`` are one.
    """
    if word.endswith("ss"):
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)] + instead
            doubled = (
                len(ending) > 1
                and len(word) > _SHORTEST_STEM
                and word[-1] == word[-2]
                and word[-1] not in "aeiouls"
            )
            return word[:-1] if doubled else word
    return word


def split(word: str) -> Iterator[str]:
    """Yields the terms of one word."""
    if len(word) > LONGEST:
        return
    if not word.isascii():
        yield stem(word.lower())
        return
    parts = [part.lower() for part in _PART.findall(word)]
    whole = word.lower().strip("_")
    if len(parts) > 1 and len(whole) > 2:
        yield whole
    for part in parts:
        if len(part) > 1 and part not in STOP:
            yield stem(part)


def terms(text: str) -> Iterator[str]:
    """Yields the terms of a text in its order."""
    for match in WORD.finditer(text):
        yield from split(match[0])


def key(term: str) -> int:
    """Returns the number that stands for a term."""
    return xxh32_intdigest(term.encode())


@lru_cache(maxsize=PIECE)
def _keys(token: bytes) -> tuple[int, ...]:
    """Returns the terms of a run of letters, digits and what is not ASCII."""
    if token.isascii():
        return tuple(map(key, split(token.decode("ascii").lstrip(_DIGITS))))
    return tuple(map(key, terms(token.decode("utf-8", "replace"))))


def count(raw: bytes) -> Terms:
    """Returns the terms of a text in UTF-8: those that `terms` yields."""
    tokens: Counter[bytes] = Counter()
    for piece in _pieces(raw):
        tokens.update(piece.translate(_WITHOUT_SEPARATORS).split())  # four times as fast as `WORD`
    counts: dict[int, int] = {}
    for token, times in tokens.items():
        for term in _keys(token):
            counts[term] = counts.get(term, 0) + times
    return packed(counts)


def packed(counts: dict[int, int]) -> Terms:
    """Returns terms by their hashes, those above `MOST_TERMS` left out."""
    length = sum(counts.values())
    if len(counts) > MOST_TERMS:
        most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        counts = dict(most[:MOST_TERMS])
    hashes = np.fromiter(counts, np.uint32, len(counts))
    times = np.minimum(np.fromiter(counts.values(), np.int64, len(counts)), 255).astype(np.uint8)
    order = np.argsort(hashes)
    return Terms(hashes[order].tobytes(), times[order].tobytes(), length)


def distinct(names: Iterable[str]) -> Terms:
    """Returns names as terms that are there once each, whole and as they are written."""
    return packed(dict.fromkeys(map(key, names), 1))


def _pieces(raw: bytes) -> Iterator[bytes]:
    """Yields a text in pieces that end at a line's end or are one long line."""
    start = 0
    while len(raw) - start > PIECE:
        end = raw.find(b"\n", start + PIECE) + 1 or len(raw)
        yield raw[start:end]
        start = end
    yield raw[start:]
