"""Misspellings that are sure: a table of frequent ones, and unknown words with one close common word.

The table holds spellings that are no word of any kind. Beyond it, a lower-case word is corrected only if
SCOWL does not know it (nor its stem), it has five letters or more, and exactly one common word is one slip
away: two neighbours swapped, a letter too many, a letter missing or a wrong one (Damerau's four).
"""

from functools import cache, lru_cache
from string import ascii_lowercase

from anchorline.refine.words import common, known

SHORTEST = 5
LONGEST = 20
SUFFIXES = (
    "s",
    "es",
    "ed",
    "d",
    "ing",
    "er",
    "ers",
    "ly",
    "able",
    "ness",
    "less",
    "ize",
    "ized",
    "ish",
    "y",
    "ment",
)
PREFIXES = (
    "re",
    "un",
    "non",
    "pre",
    "sub",
    "multi",
    "auto",
    "de",
    "mis",
    "co",
    "inter",
    "micro",
    "super",
    "meta",
)


@cache
def table() -> dict[str, str]:
    """Return the frequent misspellings with their corrections."""
    from anchorline.refine.misspellings import MISSPELLINGS  # noqa: PLC0415  (read when first needed)

    return dict(pair.split(" ", 1) for pair in MISSPELLINGS.replace("\n", "|").strip("|").split("|"))


@lru_cache(maxsize=8192)
def correction(word: str) -> str | None:
    """Return what a lower-case ASCII word surely was meant to be, or None. It never answers with a phrase."""
    listed = table().get(word)
    if listed is not None:
        return listed
    if not SHORTEST <= len(word) <= LONGEST or known(word) or _derived(word):
        return None
    near = _one_slip(word)
    return near.pop() if len(near) == 1 else None


def _derived(word: str) -> bool:
    """Tell whether a word is a known one with an ending or a beginning that dictionaries leave out."""
    for suffix in SUFFIXES:
        if word.endswith(suffix):
            stem = word[: -len(suffix)]
            if len(stem) >= 3 and (
                known(stem) or known(stem + "e") or (stem[-1] == stem[-2] and known(stem[:-1]))
            ):
                return True
    return any(
        word.startswith(prefix) and len(word) - len(prefix) >= 4 and known(word[len(prefix) :])
        for prefix in PREFIXES
    )


def _one_slip(word: str) -> set[str]:
    """Return the common words at Damerau distance one that begin alike: slips rarely hit the first letter."""
    targets = common()
    size = len(word)
    near = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(size - 1)}
    near.update(word[:i] + word[i + 1 :] for i in range(1, size))
    for i in range(1, size + 1):
        head, tail, rest = word[:i], word[i:], word[i + 1 :]
        near.update([head + letter + tail for letter in ascii_lowercase])
        if i < size:
            near.update([head + letter + rest for letter in ascii_lowercase])
    return near & targets
