"""What a draft asks for and how well: intent, what is missing or vague, a quality score, cheap features.

No model. The claims that need English (intent by verb, vagueness, what is missing) are made only where the
draft is not recognised as another language; the features hold for every language.
"""

import re
from functools import cache
from typing import Literal

import msgspec

from anchorline.refine import cues
from anchorline.refine.cues import Intent
from anchorline.refine.language import language
from anchorline.refine.mask import TARGETS, Entity, entities, view
from anchorline.refine.specification import gap, unfinished

Missing = Literal["target", "reference", "symptom", "specification"]

HEAD = 600
"""Characters at the beginning in which a draft says what it wants."""
TERSE = 400
"""Characters up to which a draft is short enough for a missing fact to be truly missing."""


class Features(msgspec.Struct, frozen=True):
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
    """

    intent: Intent
    language: str | None
    missing: tuple[Missing, ...]
    vague: tuple[tuple[int, int], ...]
    score: float
    features: Features


def analyse(draft: str, found: tuple[Entity, ...] | None = None) -> Analysis:
    """Analyse a draft; `found` are its entities where they are known already."""
    found = entities(draft) if found is None else found
    prose = view(draft, found)
    measured = features(draft, found, prose)
    spoken = language(prose)
    stub = unfinished(draft)
    if spoken not in (None, "en"):
        intent: Intent = "edit" if stub is not None else "ask" if measured.questions else "other"
        return Analysis(intent, spoken, (), (), _score(measured, 0, 0), measured)
    intent = "edit" if stub is not None else _intent(prose)
    missing = _missing(intent, prose, found, stub)
    vague = tuple([match.span() for match in cues.vague().finditer(prose, 0, HEAD)])
    return Analysis(intent, spoken, missing, vague, _score(measured, len(missing), len(vague)), measured)


def features(draft: str, found: tuple[Entity, ...], prose: str) -> Features:
    """Count what is there. `prose` is the masked view; shares are of at most the first 4000 characters."""
    sample = draft[:4000]
    size = max(1, len(sample))
    kinds: dict[str, int] = {}
    masked = 0
    for kind, start, end, _ in found:
        kinds[kind] = kinds.get(kind, 0) + 1
        masked += end - start
    counts = _characters(sample)
    return Features(
        characters=len(draft),
        words=len(draft.split()),
        lines=draft.count("\n") + 1,
        digit_share=counts[0] / size,
        upper_share=counts[1] / size,
        symbol_share=counts[2] / size,
        masked_share=masked / max(1, len(draft)),
        non_ascii_share=0.0 if sample.isascii() else counts[3] / size,
        fences=kinds.get("fence", 0),
        code_spans=kinds.get("code", 0),
        paths=kinds.get("path", 0) + kinds.get("mention", 0),
        identifiers=kinds.get("identifier", 0),
        urls=kinds.get("url", 0),
        numbers=kinds.get("number", 0) + kinds.get("version", 0),
        list_items=draft.count("\n- ") + draft.count("\n* ") + draft.startswith(("- ", "* ")),
        questions=prose.count("?"),
        negations=sum(1 for _ in cues.negations().finditer(prose)),
    )


@cache
def _classes() -> bytes:
    """Return the translation of Latin-1 bytes to d(igit), u(pper), s(ymbol), n(on-ASCII) and the rest."""
    table = bytearray(b"." * 256)
    for code in range(256):
        letter = chr(code)
        if code >= 128:
            table[code] = ord("n")
        elif letter.isdigit():
            table[code] = ord("d")
        elif letter.isupper():
            table[code] = ord("u")
        elif not letter.isalnum() and not letter.isspace():
            table[code] = ord("s")
    return bytes(table)


def _characters(sample: str) -> tuple[int, int, int, int]:
    """Count digits, capitals, symbols and characters outside ASCII."""
    classes = sample.encode("latin-1", "replace").translate(_classes()) if sample.isascii() else None
    if classes is not None:
        return classes.count(b"d"), classes.count(b"u"), classes.count(b"s"), 0
    outside = sum(letter > "\x7f" for letter in sample)
    classes = sample.encode("ascii", "ignore").translate(_classes())
    return classes.count(b"d"), classes.count(b"u"), classes.count(b"s"), outside


def _intent(prose: str) -> Intent:
    head = prose[:HEAD]
    first = len(head) + 1
    chosen: Intent = "other"
    for intent, pattern in cues.intents():
        match = pattern.search(head)
        if match is not None and match.end() - len(match[0]) < first:
            first, chosen = match.start(), intent
    question = cues.asks().match(head)
    if question is not None and (chosen != "explain" or first > 0) and "?" in head:
        chosen = "explain" if re.match(r"\s*(?:what|how|why)\b", head, re.IGNORECASE) else "ask"
    if chosen in ("other", "edit") and cues.broken().search(head) and "?" not in head:
        return "fix" if chosen == "other" else chosen
    if chosen == "other" and prose.rstrip().endswith("?"):
        return "ask"
    return chosen


def _missing(
    intent: Intent, prose: str, found: tuple[Entity, ...], stub: re.Match[str] | None
) -> tuple[Missing, ...]:
    if stub is not None:
        return () if gap(stub["text"]) is None else ("specification",)
    if intent not in ("edit", "fix", "test") or len(prose) > TERSE:
        return ()
    named = any(entity.kind in TARGETS or entity.kind in ("ref", "quote", "placeholder") for entity in found)
    missing: list[Missing] = []
    if not named and not any(entity.kind in ("number", "term") for entity in found):
        if deictic(prose) is not None:
            missing.append("reference")
        elif cues.generic().match(prose):
            missing.append("target")
    shown = any(entity.kind in ("fence", "pasted", "quote", "ref", "number") for entity in found)
    if intent == "fix" and not shown and len(prose) <= 120 and cues.symptom().search(prose) is None:
        missing.append("symptom")
    return tuple(missing)


def deictic(prose: str) -> re.Match[str] | None:
    """Return the "this" or "it" of a short request: one sentence of up to a dozen words."""
    if prose.count("\n") > 1 or len(prose.split()) > 12:
        return None
    return cues.deictic().search(prose)


def _score(measured: Features, missing: int, vague: int) -> float:
    """Weigh what helps a model most (a target, context, an expectation), minus what is missing or vague."""
    score = 0.35 if measured.words >= 4 else 0.15
    score += 0.2 if measured.paths or measured.identifiers or measured.code_spans else 0.0
    score += 0.15 if measured.fences or measured.masked_share > 0.3 else 0.0
    score += 0.1 if measured.words >= 15 else 0.0
    score += 0.1 if measured.list_items >= 2 or measured.lines >= 4 else 0.0
    score += 0.1 if measured.negations else 0.0
    return round(min(1.0, max(0.0, score - 0.2 * missing - 0.03 * min(vague, 5))), 2)
