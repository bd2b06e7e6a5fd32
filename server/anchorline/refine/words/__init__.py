"""English spellings: the common words, and a filter that holds nearly all others.

`common()` are the words worth correcting to. `known()` asks a Bloom filter over SCOWL (sizes up to 70, all
spellings): it never misses a word of the list and wrongly knows about 1 % of the others, which only means
that a misspelling is left alone. Both files are made by ``python tests/bench words``; `misspellings()`, the list of
frequent ones, and `technologies()` are kept by hand.
"""

from functools import cache
from pathlib import Path

from xxhash import xxh3_64_intdigest

PROBES = 7
FOLDER = Path(__file__).parent


@cache
def common() -> frozenset[str]:
    """Returns the most frequent English and software words, lower case."""
    return frozenset((FOLDER / "common.txt").read_text("ascii").split())


@cache
def technologies() -> frozenset[str]:
    """Returns names of libraries, tools, languages and services: what a rewrite may not bring in."""
    return frozenset((FOLDER / "technologies.txt").read_text("ascii").split())


@cache
def misspellings() -> dict[str, str]:
    """Returns frequent misspellings of English and of software's words, each with its correction.

    None of the misspellings is a word, an abbreviation or a usual identifier. The list is kept by hand.
    """
    lines = (FOLDER / "misspellings.txt").read_text("ascii").splitlines()
    return dict(line.split(" ", 1) for line in lines)


@cache
def _filter() -> bytes:
    return (FOLDER / "known.bloom").read_bytes()


def positions(word: str, bits: int) -> list[int]:
    """Returns a word's bits in a Bloom filter of `bits` (double hashing of Kirsch and Mitzenmacher)."""
    value = xxh3_64_intdigest(word.encode())
    first, step = value & 0xFFFFFFFF, value >> 32 | 1
    return [(first + i * step) % bits for i in range(PROBES)]


def known(word: str) -> bool:
    """Says whether `word` (ASCII, lower case) is English or a usual word of software."""
    if word in common():
        return True
    table = _filter()
    return all(table[bit >> 3] >> (bit & 7) & 1 for bit in positions(word, len(table) * 8))
