"""The language of a passage, cheaply and only when sure; and whether it may be edited as English."""

import re
from functools import cache

from anchorline.refine.words import known, misspellings

STOPWORDS = {
    "en": "the of and to is that it this with for not be are have from should when must you which",
    "de": "der die das und ist nicht ein eine einen mit von dass wird werden auf wenn soll sind gegeben",
    "fr": "le les des est une dans pour que qui sur vous avec sont pas doit cette aux votre liste donne",
    "es": "el los las una para que por con del es son debe lista dado como si cada entonces",
    "pt": "os uma para que com da do dos em não são deve você lista dada como cada se ou",
    "it": "il gli che una per con della del di sono deve lista non nella è dei data ogni se",
    "nl": "het een van dat niet met voor zijn op aan deze moet wordt die en lijst gegeven als bij",
    "af": "die van nie is 'n wat jy met vir het moet word lys gegee en dit jou as hierdie",
    "et": "ja on ei et mis kui teie see või tuleb antud funktsioon sellest iga mitte nende",
    "hu": "a az és egy nem hogy van ha vagy kell lista függvény adott minden melyek legyen",
    "id": "yang dan di untuk dari dengan ini itu tidak adalah anda pada jika fungsi senarai daftar dalam",
    "tl": "ang ng mga sa na at ay kung hindi isang ito para bilang listahan ibalik dapat iyong",
    "tr": "ve bir bu için ile olarak da de değil eğer liste verilen fonksiyon her olan göre veya",
}

SCRIPTS = (
    ("latin", "A", "\u024f"),
    ("greek", "\u0370", "\u03ff"),
    ("cyrillic", "\u0400", "\u052f"),
    ("hebrew", "\u0590", "\u05ff"),
    ("arabic", "\u0600", "\u077f"),
    ("devanagari", "\u0900", "\u097f"),
    ("thai", "\u0e00", "\u0e7f"),
    ("kana", "\u3040", "\u30ff"),
    ("han", "\u3400", "\u9fff"),
    ("hangul", "\uac00", "\ud7a3"),
)
SAMPLE = 80
"""Words looked at: enough for a verdict, and bounded."""
_LETTERS = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_VOTES = {name: frozenset(words.split()) for name, words in STOPWORDS.items()}


@cache
def _foreign() -> frozenset[str]:
    """Returns the stop words that settle that a passage is not English: none of them is an English word."""
    listed = set().union(*(words for name, words in _VOTES.items() if name != "en"))
    return frozenset(word for word in listed if not word.isascii() or (len(word) > 1 and not known(word)))


def words(passage: str) -> list[str]:
    """Returns the first words of a passage, lower case."""
    return [match[0].lower() for match, _ in zip(_LETTERS.finditer(passage), range(SAMPLE), strict=False)]


def english(passage: str) -> bool:
    """Says whether a passage is surely English prose: most words are in the dictionary, none is telling.

    Up to three words one unknown may be a typo; a longer passage needs seven known words of ten.
    """
    sample = words(passage)
    if not sample or not _foreign().isdisjoint(sample):
        return False
    hits = sum(map(_usual, sample))
    return hits * 2 > len(sample) if len(sample) <= 3 else hits * 10 >= len(sample) * 7


def _usual(word: str) -> bool:
    """Says whether a word is in the dictionary, contracted ("don't") or a well-known misspelling."""
    return "'" in word or "\u2019" in word or (word.isascii() and (known(word) or word in misspellings()))


def language(passage: str) -> str | None:
    """Returns a language code or the name of a script that is not Latin, or None when it can't be told."""
    name = script(passage)
    if name != "latin":
        return name
    sample = set(words(passage))
    votes = [(len(stop & sample), code) for code, stop in _VOTES.items()]
    votes.sort(reverse=True)
    (best, code), (second, _) = votes[:2]
    return code if best >= 2 and best > second * 1.3 else None


def script(passage: str) -> str | None:
    """Returns the script of most letters of a passage."""
    if passage.isascii():
        return "latin" if any(map(str.isalpha, passage)) else None
    plain = passage.encode("ascii", "ignore")
    if len(plain) * 10 >= len(passage) * 9 and any(map(str.isalpha, passage)):
        return "latin"
    counts: dict[str, int] = {}
    for letter in passage[:4000]:
        if letter.isalpha():
            for name, low, high in SCRIPTS:
                if low <= letter <= high:
                    counts[name] = counts.get(name, 0) + 1
                    break
    return max(counts, key=lambda name: counts[name]) if counts else None
