"""A score that was tried: whether a longer draft that reports a problem says enough to work on it.

It is at chance on issues that it has not seen (docs/research/refinement.md), so no hint rests on it.

What helps whoever has to act on a report, after "What makes a good bug report?" (Bettenburg et al., FSE 2008,
https://doi.org/10.1145/1453101.1453146): steps or an example that reproduces it, the output or error, the
behaviour that is expected, the names involved. English; the weights are judgements on the scale of log odds,
fitted to no data.
"""

import re
from functools import cache
from math import exp, log
from typing import Literal, NamedTuple

from anchorline.refine.mask import Masked

Lack = Literal["example", "steps", "error", "expectation", "names"]

BIAS = -3.0
"""Log odds of too little information where everything is there."""
WEIGHTS: dict[Lack, float] = {"example": 1.0, "steps": 1.0, "names": 1.0, "error": 0.5, "expectation": 0.5}
SHOWN = frozenset({"fence", "doctest", "pasted"})
SHORTEST = 2
"""Lines of code or output that show something."""
LOOKED_AT = 8_000
"""Characters of a report that are read for words: it is judged on every keystroke."""


class Report(NamedTuple):
    """The probability that the facts don't suffice, and which of them are missing, the gravest first."""

    unclear: float
    lacks: tuple[Lack, ...]


@cache
def _steps() -> re.Pattern[str]:
    return re.compile(r"reproduc|\bsteps?\b|\bexample|\bminimal\b|for instance|\bconsider\b|\bwhen\b")


@cache
def _error() -> re.Pattern[str]:
    return re.compile(
        r"traceback|(?:error|exception|warning)\b|\bfail|\bcrash|\braises?\b|\bthrows?\b|stack ?trace"
    )


@cache
def _expectation() -> re.Pattern[str]:
    return re.compile(
        r"\bexpect|\bshould\b|\binstead\b|\bactual|\bwants?\b|\bwould like\b|\bneeds? to\b|\bmust\b|\bdesired\b"
        r"|\bcorrect(?:ly)?\b"
    )


@cache
def _doubt() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:maybe|perhaps|not sure|i think|i guess|might|possibly|probably|seems?|somehow|wondering|unclear"
        r"|unsure|could be|no idea|should we|thoughts)\b"
    )


@cache
def _vague() -> re.Pattern[str]:
    return re.compile(
        r"\b(?:better|properly|something|stuff|things?|some|various|etc|improve|support|consider|nice|helpful|useful)\b"
    )


def assess(draft: Masked) -> Report:
    """Judge a draft as a report."""
    low, text = draft.low[:LOOKED_AT], draft.text[:LOOKED_AT].lower()
    kinds = {entity.kind for entity in draft.entities}
    shown = sum(entity.text.count("\n") + 1 for entity in draft.entities if entity.kind in SHOWN)
    missing: dict[Lack, bool] = {
        "example": shown < SHORTEST,
        "steps": _steps().search(low) is None,
        "names": kinds.isdisjoint(("identifier", "code", "path")),
        "error": _error().search(text) is None,
        "expectation": _expectation().search(low) is None,
    }
    lacks = tuple(lack for lack, lacking in missing.items() if lacking)
    scale = log(10 + len(draft.tokens))
    doubt = min(1.0, 2 * len(_doubt().findall(low)) / scale)
    vague = 0.5 * min(1.0, len(_vague().findall(low)) / scale)
    odds = BIAS + sum(WEIGHTS[lack] for lack in lacks) + doubt + vague
    return Report(1 / (1 + exp(-odds)), lacks)
