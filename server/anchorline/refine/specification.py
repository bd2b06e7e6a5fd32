"""Is an unfinished function specified? Its docstring should say what results, leave nothing open, show an example.

The draft is code that ends in a function with a docstring and no body, as in an editor's "complete this".
"""

import re
from collections.abc import Iterable, Iterator
from math import exp

from anchorline.refine import ambiguity
from anchorline.refine.ambiguity import Sign, SignKind

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
    found = sorted(ambiguity.signs(rule, names), key=lambda sign: -sign.weight)
    for kind, most in MOST.items():
        yield from [sign for sign in found if sign.kind == kind][:most]


def unclear(found: Iterable[Sign]) -> float:
    """Returns the probability that a specification with these signs is incomplete or ambiguous."""
    return 1 / (1 + exp(-BIAS - sum(sign.weight for sign in found)))
