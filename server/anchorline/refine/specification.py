"""Is an unfinished function specified? Its docstring should say what results, and show one example.

The draft is code that ends in a function with a docstring and no body, as in an editor's "complete this".
"""

import re
from functools import cache
from typing import Literal

Gap = Literal["breaks off", "no rule", "no example"]


@cache
def _stub() -> re.Pattern[str]:
    """Match a function that has a docstring and no body: code to be completed."""
    return re.compile(
        r"^[ \t]*(?:async )?def \w+\([^\n]*\n[ \t]+[rR]?(?P<quote>\"\"\""
        r"|''')(?P<text>(?:(?!(?P=quote))[\s\S]){0,6000}+)"
        r"(?:(?P=quote)\s*|)\Z",
        re.MULTILINE,
    )


@cache
def _example() -> re.Pattern[str]:
    return re.compile(
        r">>>|\b(?:for )?examples?\b|\be\.g\.|\bfor instance\b|==>|=>|->\s*\S|\u279e|\u2192|\bassert\b"
        r"|\w\(.*\) ?(?:==?|returns?\b)"
        r"|^\s*(?:input|output)s?:",
        re.IGNORECASE | re.MULTILINE,
    )


@cache
def _result() -> re.Pattern[str]:
    """Match a verb that says what a function is to do or give."""
    return re.compile(
        r"\b(?:return|output|print|give|yield|produce|comput|calculat|check|test|find|creat|writ|determin"
        r"|sort|order|count|filter"
        r"|convert|implement|generat|build|remov|replac|sum|add|multipl|tak|insert|concatenat|encod|decod"
        r"|encrypt|decrypt|get|pars"
        r"|reverse|round|chang|flip|evaluat|rescal|increment|creat|split|select|transform|should|must"
        r"|task is|verif|circular)\w*",
        re.IGNORECASE,
    )


@cache
def _breaks_off() -> re.Pattern[str]:
    """Match a sentence that ends in a word or sign that cannot end one, or that lacks its middle."""
    return re.compile(
        r"\b(?:the|of|whether|that are|which are|is|by|with|from|and)(?: ,|[.,](?=\s|\Z)(?<! is\.)(?<!\bis,))"
        r"|\b(?:the|an?|of|whether|that are|which are|is|are|if|when|to|by|from|with|and|or"
        r"|following)\s*(?:\n\s*\n|\Z)"
        r"|=\s*\Z"
    )


def unfinished(draft: str) -> re.Match[str] | None:
    """Return the docstring of an unfinished function, or None if the draft does not end in one."""
    if "def " not in draft:
        return None
    last = draft.rfind("\ndef ") + 1
    return _stub().match(draft, last) or _stub().search(draft, last)


def gap(text: str) -> Gap | None:
    """Return what keeps a specification from being one, or None if it reads complete."""
    if _breaks_off().search(text):
        return "breaks off"
    first = _example().search(text)
    rule = text[: first.start()] if first is not None else text
    if _result().search(rule) is None and (first is None or _result().search(text, first.end()) is None):
        return "no rule"
    return "no example" if first is None else None
