"""The analysis of a draft: its intent, what is missing or vague, a quality score, cheap features.

No model. The claims that need English (intent by verb, vagueness, what is missing) are made only where the
draft is not recognised as another language; the features hold for every language.
"""

import re
from typing import Literal, cast

import msgspec

from anchorline.refine import cues, specification
from anchorline.refine.cues import Intent
from anchorline.refine.language import language
from anchorline.refine.mask import TARGETS, Masked
from anchorline.refine.specification import Sign, unfinished

Missing = Literal["target", "reference", "symptom", "specification"]

NEGATIONS = frozenset({"not", "never", "only", "must", "without", "no", "none", "cannot"})
HEAD = 600
"""Characters at the beginning in which a draft says what it wants."""
TERSE = 400
"""Characters up to which a draft is short enough for a missing fact to be truly missing."""
UNCLEAR = 0.5
"""Probability of being underspecified from which on something counts as missing."""


class DraftFeatures(msgspec.Struct, frozen=True):
    """Structure of a draft, cheap enough for every keystroke. Shares are of its characters, 0 to 1.

    Used here for the score and by routing as the model's input; counts are absolute.
    """

    characters: int
    words: int
    lines: int
    digit_share: float
    upper_share: float
    symbol_share: float
    masked_share: float
    non_ascii_share: float
    fences: int
    code_spans: int
    paths: int
    identifiers: int
    urls: int
    numbers: int
    list_items: int
    questions: int
    negations: int


class Analysis(msgspec.Struct, frozen=True):
    """What is known about a draft without its surroundings.

    `missing` are facts that the intent needs and the draft does not give; `vague` are the characters
    (start, end) of words such as "this" or "better" that say too little. `score` is a rule of thumb from 0
    (says nothing) to 1 (target, symptom or expectation, and context given): it orders drafts, no more.
    `unclear` is the probability that an unfinished function's docstring is underspecified, 0 for any other draft; it
    rests on the docstring's `signs`.
    """

    intent: Intent
    language: str | None
    missing: tuple[Missing, ...]
    vague: tuple[tuple[int, int], ...]
    score: float
    features: DraftFeatures
    unclear: float = 0.0
    signs: tuple[Sign, ...] = ()


def analyse(draft: Masked) -> Analysis:
    """Analyses a draft. Linear in its length."""
    prose = draft.prose
    measured = features(draft)
    spoken = language(prose)
    stub = unfinished(draft.text)
    if spoken not in (None, "en"):
        intent: Intent = "edit" if stub is not None else "ask" if measured.questions else "other"
        return Analysis(intent, spoken, (), (), _score(measured, 0, 0), measured)
    vague = tuple([match.span() for match in cues.VAGUE.finditer(prose, 0, HEAD)])
    if stub is not None:
        signs = tuple(specification.signs(stub))
        unclear = specification.unclear(signs)
        absent: tuple[Missing, ...] = ("specification",) if unclear >= UNCLEAR else ()
        score = _score(measured, len(absent), len(vague))
        return Analysis("edit", spoken, absent, vague, score, measured, unclear, signs)
    intent = _intent(prose)
    missing = _missing(intent, draft)
    score = _score(measured, len(missing), len(vague))
    return Analysis(intent, spoken, missing, vague, score, measured)


def features(draft: Masked) -> DraftFeatures:
    """Counts what is there. Shares of characters are of the first 4000."""
    text = draft.text
    sample = text[:4000]
    size = max(1, len(sample))
    kinds: dict[str, int] = {}
    masked = 0
    for kind, start, end, _ in draft.entities:
        kinds[kind] = kinds.get(kind, 0) + 1
        masked += end - start
    plain = sample.encode("ascii", "ignore")
    classes = plain.translate(_CLASSES)
    return DraftFeatures(
        characters=len(text),
        words=len(draft.tokens),
        lines=text.count("\n") + 1,
        digit_share=classes.count(b"d") / size,
        upper_share=classes.count(b"u") / size,
        symbol_share=classes.count(b"s") / size,
        masked_share=masked / max(1, len(text)),
        non_ascii_share=(len(sample) - len(plain)) / size,
        fences=kinds.get("fence", 0),
        code_spans=kinds.get("code", 0),
        paths=kinds.get("path", 0) + kinds.get("mention", 0),
        identifiers=kinds.get("identifier", 0),
        urls=kinds.get("url", 0),
        numbers=kinds.get("number", 0) + kinds.get("version", 0),
        list_items=text.count("\n- ") + text.count("\n* ") + text.startswith(("- ", "* ")),
        questions=draft.prose.count("?"),
        negations=sum(map(NEGATIONS.__contains__, draft.tokens)) + draft.low.count("n't"),
    )


_KINDS = (("d", str.isdigit), ("u", str.isupper), (".", str.isalnum), (".", str.isspace))
_CLASSES = (
    bytes(ord(next((name for name, has in _KINDS if has(chr(code))), "s")) for code in range(128))
    + b"." * 128
)
"""The translation of ASCII bytes to d(igit), u(pper), s(ymbol) and the rest."""


def _intent(prose: str) -> Intent:
    head = prose[:HEAD]
    match = cues.INTENTS.search(head)
    chosen, first = (
        (cast("Intent", match.lastgroup), match.start()) if match is not None else ("other", len(head))
    )
    question = cues.ASKS.match(head)
    if question is not None and (chosen != "explain" or first > 0) and "?" in head:
        chosen = "explain" if re.match(r"\s*(?:what|how|why)\b", head, re.IGNORECASE) else "ask"
    if chosen in ("other", "edit") and cues.BROKEN.search(head) and "?" not in head:
        return "fix" if chosen == "other" else chosen
    if chosen == "other" and prose.rstrip().endswith("?"):
        return "ask"
    return chosen


def _missing(intent: Intent, draft: Masked) -> tuple[Missing, ...]:
    prose, entities = draft.prose, draft.entities
    if intent not in ("edit", "fix", "test") or len(prose) > TERSE:
        return ()
    named = any(
        entity.kind in TARGETS or entity.kind in ("ref", "quote", "placeholder") for entity in entities
    )
    missing: list[Missing] = []
    if not named and not any(entity.kind in ("number", "term") for entity in entities):
        if deictic(prose) is not None:
            missing.append("reference")
        elif cues.GENERIC.match(prose):
            missing.append("target")
    shown = any(entity.kind in ("fence", "pasted", "quote", "ref", "number") for entity in entities)
    if intent == "fix" and not shown and len(prose) <= 120 and cues.SYMPTOM.search(prose) is None:
        missing.append("symptom")
    return tuple(missing)


def deictic(prose: str) -> re.Match[str] | None:
    """Returns the "this" or "it" of a short request: one sentence of up to a dozen words."""
    if prose.count("\n") > 1 or len(prose.split()) > 12:
        return None
    return cues.DEICTIC.search(prose)


def _score(measured: DraftFeatures, missing: int, vague: int) -> float:
    """Weighs what helps a model most (a target, context, an expectation), minus what is missing or vague."""
    score = 0.35 if measured.words >= 4 else 0.15
    score += 0.2 if measured.paths or measured.identifiers or measured.code_spans else 0.0
    score += 0.15 if measured.fences or measured.masked_share > 0.3 else 0.0
    score += 0.1 if measured.words >= 15 else 0.0
    score += 0.1 if measured.list_items >= 2 or measured.lines >= 4 else 0.0
    score += 0.1 if measured.negations else 0.0
    return round(min(1.0, max(0.0, score - 0.2 * missing - 0.03 * min(vague, 5))), 2)
