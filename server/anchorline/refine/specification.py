"""The signs that an unfinished function is underspecified.

A docstring that specifies one says what results, leaves nothing open and shows an example.

The draft is code that ends in a function with a docstring and no body, as in an editor's "complete this".
What leaves open what is wanted are open choices, unspecific nouns and undefined letters. English: the lists are general
knowledge of the language, the weights judgements on the scale of log odds.
"""

import re
from collections.abc import Iterable, Iterator
from math import exp
from typing import Literal, NamedTuple

SignKind = Literal[
    "breaks off", "no rule", "no example", "choice", "unspecific", "undefined", "hedge", "brief"
]


class Sign(NamedTuple):
    """One reason to doubt that a text says what is wanted: how much it counts (log odds), and its characters."""

    kind: SignKind
    weight: float
    start: int
    end: int


BIAS = -2.0
"""Log odds of an incomplete specification without a sign of it."""
MOST: dict[SignKind, int] = {"choice": 2, "unspecific": 2, "undefined": 1, "hedge": 2}
"""Signs of one kind that count; further ones say the same again."""
BRIEF = 0.3
"""Log odds of a rule of no words over one of `LONG` words: the briefer, the likelier something is left out."""
LONG = 60


_STUB = re.compile(
    r"^[ \t]*(?:async )?def \w+\([^\n]*\n[ \t]+[rR]?(?P<quote>\"\"\""
    r"|''')(?P<text>(?:(?!(?P=quote))[\s\S]){0,6000}+)"
    r"(?:(?P=quote)\s*|)\Z",
    re.MULTILINE,
)
"""A function that has a docstring and no body: code to be completed."""
_EXAMPLE = re.compile(
    r">>>|\b(?:for )?examples?\b|\be\.g\.|\bfor instance\b|==>|=>|->\s*\S|\u279e|\u2192|\bassert\b"
    r"|\w\(.*\) ?(?:==?|returns?\b)"
    r"|^\s*(?:input|output)s?:",
    re.IGNORECASE | re.MULTILINE,
)
_FIRST_EXAMPLE = re.compile(
    r">>>|^\s*(?:for )?examples?\b|\bfor (?:example|instance)\b|==>|=>|->\s*\S|\u279e|\u2192|\bassert\b"
    r"|^\s*(?:input|output)s?:",
    re.IGNORECASE | re.MULTILINE,
)
"""Where the examples begin; "f(0) == 1" alone may be part of a definition."""
_RESULT = re.compile(
    r"\b(?:return|output|print|give(?!n)|yield|produce|comput|calculat|check|test|find|creat|writ|determin"
    r"|sort|order|count|filter"
    r"|convert|implement|generat|build|remov|replac|sum|add|multipl|tak|insert|concatenat|encod|decod"
    r"|encrypt|decrypt|get|pars"
    r"|reverse|round|chang|flip|evaluat|rescal|increment|creat|split|select|transform|should|must"
    r"|task is|verif|circular)\w*",
    re.IGNORECASE,
)
"""A verb that says what a function is to do or give."""
_GIVEN = re.compile(r"\boutput(?: should| is|s?:)|\bshould (?:be|have)\b", re.IGNORECASE)
""""output" and the like where they describe and don't instruct."""
_BREAKS_OFF = re.compile(
    r"\b(?:the|of|whether|that are|which are|is|by|with|from|and)(?: ,|[.,](?=\s|\Z)(?<! is\.)(?<!\bis,))"
    r"|\b(?:the|an?|of|whether|that are|which are|is|are|if|when|to|by|from|with|and|or"
    r"|following)\s*(?:\n\s*\n|\Z)"
    r"|=\s*\Z"
)
"""A sentence that ends in a word or sign that cannot end one, or that lacks its middle."""


def unfinished(draft: str) -> re.Match[str] | None:
    """Returns the docstring of an unfinished function, or None if the draft does not end in one."""
    if "def " not in draft:
        return None
    last = draft.rfind("\ndef ") + 1
    return _STUB.match(draft, last) or _STUB.search(draft, last)


def signs(stub: re.Match[str]) -> Iterator[Sign]:
    """Yields the signs that the docstring of an unfinished function leaves something out, the gravest first."""
    text = stub["text"]
    breaks = _BREAKS_OFF.search(text)
    if breaks is not None:
        yield Sign("breaks off", 2.5, *breaks.span())
    first = _FIRST_EXAMPLE.search(text)
    rule = text[: first.start()] if first is not None else text
    if _RESULT.search(_GIVEN.sub("", rule)) is None:
        told_later = first is not None and _RESULT.search(_GIVEN.sub("", text[first.end() :])) is not None
        yield Sign("no rule", 1.0 if told_later else 3.0, 0, len(text))
    if _EXAMPLE.search(text) is None:
        yield Sign("no example", 3.0, 0, len(text))
    yield Sign("brief", BRIEF * max(0.0, 1 - len(rule.split()) / LONG), 0, len(text))
    names = frozenset(re.findall(r"\w+", stub[0][: stub.start("text") - stub.start()]))
    ambiguities = sorted(_ambiguities(rule, names), key=lambda sign: -sign.weight)
    for kind, most in MOST.items():
        yield from [sign for sign in ambiguities if sign.kind == kind][:most]


def unclear(signs: Iterable[Sign]) -> float:
    """Returns the probability that a specification with these signs is incomplete or ambiguous."""
    return 1 / (1 + exp(-BIAS - sum(sign.weight for sign in signs)))


OPPOSITES = """
all-one all-some all-none any-all above-below absolute-relative add-remove ascending-descending
ascendingly-descendingly before-after beginning-end bigger-smaller binary-decimal binary-hexadecimal
characters-words count-length disabled-enabled even-odd exclude-include exclusive-inclusive first-last
forward-backward global-local greater-less greater-smaller greatest-smallest high-low higher-lower
highest-lowest horizontal-vertical ignore-keep increasing-decreasing key-value keys-values keep-remove
largest-smallest larger-smaller left-right less-more longer-shorter longest-shortest lower-upper
lowercase-uppercase max-min maximum-minimum mean-median negative-positive number-string once-twice one-two
one-three open-close opening-closing prefix-suffix prefixes-suffixes prime-composite private-public
product-sum product-difference difference-sum row-column rows-columns start-end strict-loose sync-async
three-two top-bottom vowel-consonant vowels-consonants
"""
_OPPOSITES = frozenset(frozenset(pair.split("-")) for pair in OPPOSITES.split())
_CHOICES = re.compile(
    r"(?:\b(?P<before>\w++),?\s+)?\b(?P<one>\w++)\)?\s+or\s+(?:(?:an?|the|in|by|to|with|all|only)\s+)?"
    r"(?P<other>\w++)(?:\s+(?P<after>\w++))?",
    re.IGNORECASE,
)
""""a or b" with the word before a and the word after b."""
_CLOSED = re.compile(
    r"equal|empty|not|none|null|false|true|more|fewer|less|otherwise|an?|the|if|when|vi[cs]e|no|zero",
    re.IGNORECASE,
)
"""Second halves that leave no choice: "or equal", "or not", "or None"."""
_SAME = re.compile(
    r"\bwith\s+\w+\s+or\s+without\b|\b(\w+)\s+or\s+\1\b|\b[A-Za-z]{3,}/[A-Za-z]{2,}\b", re.IGNORECASE
)
_CONDITION = re.compile(
    r"\b(?:if|whether|when|unless|can be|either|no|not|contains?|consists?|between)\b[^.,;]*$",
    re.IGNORECASE,
)
_NOUNS = (
    r"condition|criteri\w+|type|kind|attribute|propert\w+|rule|pattern|form|way|manner|order|position"
    r"|character|element"
)
_UNSPECIFIC = re.compile(
    r"\b(?:certain|specific|particular|arbitrary|unspecified|appropriate|suitable|relevant"
    r"|some\s+(?:kind|sort|type|form|transformation|operation|condition|criteri\w+|rule|way|order)"
    rf"|(?:another|other|some|given|different)\s+(?:{_NOUNS})s?|or\s+(?:an)?others?\b"
    r"|(?:one|some)\s+of\s+(?:the\s+|its\s+|their\s+)?\w+s\b(?=\s+and|,|\s+with)"
    r"|somehow|something|roughly|approximately|and\s+so\s+on|etc)\b",
    re.IGNORECASE,
)
_HEDGES = re.compile(
    r"\b(?:some|several|few|many|various|about|around|close\s+to|nearly|almost|maybe|perhaps|possibly|probably"
    r"|usually|sometimes|often|might|could|different|multiple)\b",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"(?<!['\"\w.\u2019\[-])(?!s\b)[b-zB-HJ-Z](?!['\"\w\u2019-]|\.\w)")
"""A bare letter that stands for something; "a", "I" and "s" are words or plurals."""
_INTRODUCED = re.compile(
    r"(?:integers?|numbers?|strings?|arrays?|lists?|size|length|variables?|elements?|values?|letters?"
    r"|characters?|let|for|where|each|index|tuples?|words?|digits?|and|every)\s+['\"`(]?([A-Za-z])\b",
    re.IGNORECASE,
)
"""A letter where it is introduced: "an integer n", "of size k", "let x", "for each i"."""


def _ambiguities(text: str, names: frozenset[str] = frozenset()) -> Iterator[Sign]:
    """Yields the signs in a passage of prose; `names` are defined elsewhere (parameters). Linear in its length."""
    for match in _CHOICES.finditer(text):
        yield from _choice(text, match)
    for match in _SAME.finditer(text):
        if match[0].lower() not in ("true/false", "and/or"):
            yield Sign("choice", 1.3, *match.span())
    for match in _UNSPECIFIC.finditer(text):
        yield Sign("unspecific", 1.3, *match.span())
    defined_names = names | {match[1] for match in _INTRODUCED.finditer(text)}
    for match in _LETTERS.finditer(text):
        if match[0] not in defined_names:
            yield Sign("undefined", 1.0, *match.span())
    for match in _HEDGES.finditer(text):
        yield Sign("hedge", 0.2, *match.span())


def _choice(text: str, match: re.Match[str]) -> Iterator[Sign]:
    if _CLOSED.fullmatch(match["other"]):
        return
    left = [word.lower() for word in (match["before"], match["one"]) if word]
    right = [word.lower() for word in (match["other"], match["after"]) if word]
    opposite = any(
        frozenset((left_word, right_word)) in _OPPOSITES for left_word in left for right_word in right
    )
    weight = 1.6 if opposite else 1.3
    case = _CONDITION.search(text, max(0, match.start() - 60), match.start("one"))
    if case is not None or match["one"].isdecimal() or match["other"].isdecimal():
        weight *= 0.4  # "if n is even or odd", "divisible by 11 or 13": a case, not a choice
    yield Sign("choice", weight, match.start("one"), match.end("other"))
