"""Misspellings that are sure: a table of frequent ones, and unknown words with one close common word.

The table holds spellings that are no word of any kind. Beyond it, a lower-case word is corrected only if
SCOWL does not know it (nor its stem), it has five letters or more, and one common word is the only one that a
slip of the most likely sort leads back to: first two neighbours swapped; then a letter wrongly doubled or
single; then, if that is the only common word one slip away at all, a letter too many, missing or wrong.
"""

from functools import lru_cache
from string import ascii_lowercase

from anchorline.refine.words import common, known, misspellings

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
    "ment",
)
PREFIXES = ("re", "un", "non", "pre", "sub", "multi", "auto", "inter", "micro", "super", "meta")


@lru_cache(maxsize=8192)
def correction(word: str) -> str | None:
    """Returns what a lower-case ASCII word surely was meant to be, or None. It never answers with a phrase."""
    listed = misspellings().get(word)
    if listed is not None:
        return listed
    if not SHORTEST <= len(word) <= LONGEST or known(word) or derived(word):
        return None
    targets = common()
    for near in (_swapped(word) & targets, _doubling(word) & targets):
        if near:
            return near.pop() if len(near) == 1 else None
    near = one_slip(word) & targets
    return near.pop() if len(near) == 1 else None


def derived(word: str) -> bool:
    """Says whether a word is a known one with an ending or a beginning that dictionaries leave out."""
    for suffix in SUFFIXES:
        stem = word.removesuffix(suffix)
        if stem == word or len(stem) < 4:
            continue
        vowel = suffix[0] in "aei"
        if known(stem) and not (vowel and (stem[-1] == "e" or _doubles(stem))):
            return True
        if vowel and (known(stem + "e") or (stem[-1] == stem[-2] and known(stem[:-1]))):
            return True
    return any(len(word) - len(p) >= 5 and word.startswith(p) and known(word[len(p) :]) for p in PREFIXES)


def _doubles(stem: str) -> bool:
    """Says whether a stem such as "skip" doubles its last letter before a vowel."""
    return (
        len(stem) == 4
        and stem[-1] in "bdgmnprt"
        and stem[-2] in "aeiou"
        and stem[-3] not in "aeiou"
        and stem[-3] != stem[-2]
    )


def _swapped(word: str) -> set[str]:
    return {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(1, len(word) - 1)}


def _doubling(word: str) -> set[str]:
    """Returns the word with one letter doubled, or one double letter single."""
    more = {word[:i] + word[i] + word[i:] for i in range(1, len(word))}
    return more | {word[:i] + word[i + 1 :] for i in range(1, len(word) - 1) if word[i] == word[i + 1]}


def one_slip(word: str) -> set[str]:
    """Returns all spellings at Damerau distance one that begin alike: slips rarely hit the first letter."""
    near = _swapped(word)
    near.update([word[:i] + word[i + 1 :] for i in range(1, len(word))])
    for i in range(1, len(word) + 1):
        head, tail, rest = word[:i], word[i:], word[i + 1 :]
        near.update([head + letter + tail for letter in ascii_lowercase])
        near.update([head + letter + rest for letter in ascii_lowercase])
    return near
