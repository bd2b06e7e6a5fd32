"""A long, mixed draft in order: its own statements under Goal, Context, Constraints and Checks, each once, untouched.

A statement is a sentence with what belongs to it: the list or code behind it, and the sentences that only continue it
("It also …"). Which section a statement goes to is told by its first words, or by whoever is handed in as `sort`.
"""

import re
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

from anchorline.plan import Edit
from anchorline.refine import cues, guard
from anchorline.refine.context_lines import context_lines, own_words
from anchorline.refine.language import english, language
from anchorline.refine.mask import BLANK, Masked
from anchorline.refine.specification import unfinished

Section = Literal["Goal", "Context", "Constraints", "Checks"]
SECTIONS: tuple[Section, ...] = ("Goal", "Context", "Constraints", "Checks")
REASON = "your own sentences, in order: goal, context, constraints, checks"

SHORTEST, LONGEST = 300, 8_000
"""Characters of a draft that is long enough to get lost in, and short enough to have been written."""
FEWEST_STATEMENTS = 5
FEWEST_SECTIONS = 3
FEWEST_WORDS = 3
"""Words of a statement; what has fewer is a label or a number of a list."""
MOST_GOALS = 2
HARD_WRAP = 60
"""Characters of a line from which its end may be a wrapped sentence's."""

_BLANK = " \t\r\n"
_PARAGRAPH = re.compile(r"\n[ \t]*\r?\n\s*")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•]|\d{1,3}[.)]|[a-z]\))[ \t]")
_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\betc)[.!?]+[\"')\]”\u2019]*[ \t]+(?=[^\sa-z])")
_CONTINUES = re.compile(
    r"(?:it|its|this|that|these|those|they|them|their|he|she|then|also|and|but|or|so|because|otherwise|instead"
    r"|however|therefore|thus|hence|similarly|likewise|again|still|both|either|neither|here|there|same|in that case"
    r"|for (?:example|instance)|e\.g\.|i\.e\.|if (?:so|not)|which|after that|afterwards|finally|first(?:ly)?"
    r"|second(?:ly)?|third(?:ly)?|next|later|the (?:former|latter|second|third|other|others|rest|same)|plus|besides"
    r"|additionally|furthermore|moreover|meanwhile|yes|no|ok|okay)\b",
    re.IGNORECASE,
)
"""A beginning that leans on the sentence before: without it nobody knows what is meant."""
_STRUCTURED = re.compile(
    r"^\s{0,3}(?:#{1,6} |\*\*[^*\n]{2,40}\*\*:?[ \t]*$|[A-Z]\w+:[ \t]*$"
    r"|(?:Goal|Context|Constraints?|Checks?|Task|Background|Requirements?|(?:Acceptance|Current|Expected|Actual)"
    r" \w+|Steps to \w+)\b ?:)",
    re.MULTILINE,
)
"""Headings, or labels that do their work."""
_LABELLED = re.compile(r"(?:\S+ )?[\w.#-]+:[ \t]+\S|\(?\w{1,2}[.)]\s")
"""A statement that begins with a label of its own ("Bug: …")."""
_CHECKS = re.compile(
    r"\b(?:run|re-?run|execute|verify|confirm|validate|make sure|ensure|check|pass(?:es)?|green|succeeds?)\b"
    r"[^.\n]{0,80}\b(?:tests?|suites?|builds?|lint\w*|ci|type ?checks?|coverage|pass(?:es)?|green|works?)\b"
    r"|\b(?:add|write|extend|update|include|cover)\b[^.\n]{0,40}\btests?\b"
    r"|\b(?:tests?|suite|build|lint\w*|ci)\b[^.\n]{0,40}\b(?:pass(?:es)?|green|succeeds?)\b"
    r"|\b(?:expected (?:result|output|behaviou?r)|acceptance criteri\w+|definition of done|done when)\b",
    re.IGNORECASE,
)
_FORBIDS = re.compile(
    r"\s*(?:please )?(?:do not|don['\u2019]?t|never|avoid|keep|leave|only|preserve|stick to|no|without"
    r"|(?:we|you) (?:must|may not|can['\u2019]?t|cannot|should not|shouldn['\u2019]?t))\b",
    re.IGNORECASE,
)
_CONSTRAINS = re.compile(
    r"\b(?:must|should(?: not|n['\u2019]t)|do not|don['\u2019]t|may not|at (?:most|least)|no (?:more|new|other) \w+"
    r"|remains? \w+|unchanged|backwards?[ -]compatib\w+)\b",
    re.IGNORECASE,
)
_WANTS = re.compile(
    r"\s*(?:(?:so|ok(?:ay)?|now|hi|hello|hey)[,! ]+)?(?:please\b|let['\u2019]?s\b|(?:can|could|would|will) you\b"
    r"|(?:i|we)(?: would|['\u2019]d)? (?:want|need|like|have to|should|must)\b|your (?:task|job|goal) is\b"
    r"|(?:read|report|show|log|print|store|save|load|send|parse|stop|start|turn|give|try|find|look|take|do|expose|cache"
    r"|emit|consider|work|go|call|wrap|rework|treat|pass|switch|list|bring|copy|fetch|track|detect|skip|sort)\b"
    r"|the (?:goal|task|aim|idea|plan) (?:is|here)\b|(?:what|why|how|which|where)\b[^.\n]*\?)",
    re.IGNORECASE,
)


class _Statement(NamedTuple):
    """Characters `start:end` of a draft."""

    start: int
    end: int


def section(statement: str) -> Section:
    """Returns the section of a statement by the words in it."""
    head = statement[:300]
    if _CHECKS.search(head):
        return "Checks"
    if _FORBIDS.match(head):
        return "Constraints"
    if _WANTS.match(head):
        return "Goal"
    instruction = cues.INTENTS.match(head)
    if instruction is not None:
        return "Goal"
    return "Constraints" if _CONSTRAINS.search(head) else "Context"


def structure(draft: Masked, sort: Callable[[str], Section] = section) -> Edit | None:
    """Returns the edit that puts a draft in order, None where that is not surely useful or the guard refuses it.

    The draft is English, long, the developer's own words and not pasted, not structured already, and has statements
    for several sections, mixed.
    """
    own = draft if not context_lines(draft.text) else Masked(own_words(draft.text))
    if (
        not SHORTEST <= len(own.text) <= LONGEST
        or _STRUCTURED.search(own.prose)
        or unfinished(own.text) is not None
    ):
        return None
    if any(
        entity.kind in ("pasted", "front_matter", "quote") and "\n" in entity.text for entity in own.entities
    ):
        return None
    if language(own.prose) not in (None, "en") or not english(own.prose):
        return None
    statements = _statements(own)
    if len(statements) < FEWEST_STATEMENTS:
        return None
    bodies = [own.text[each.start : each.end] for each in statements]
    if any(_LABELLED.match(body) or len(body.split()) < FEWEST_WORDS for body in bodies):
        return None
    sections = [sort(body) for body in bodies]
    if not _mixed(sections):
        return None
    text = _ordered(own.text, statements, sections) + draft.text[len(own.text.rstrip(_BLANK)) :]
    if not guard.check(draft, text).ok:
        return None
    return Edit(0, len(draft.text), text, REASON)


def _mixed(sections: list[Section]) -> bool:
    """Says whether there are several sections, out of order; two goals far apart are two tasks, each with its own."""
    runs = [each for each, _ in groupby(sections)]
    if runs.count("Goal") > MOST_GOALS:
        return False
    places = [SECTIONS.index(each) for each in sections]
    return "Goal" in sections and len(set(sections)) >= FEWEST_SECTIONS and places != sorted(places)


def _statements(draft: Masked) -> list[_Statement]:
    """Returns a draft's statements in order; between them is white space alone."""
    statements: list[_Statement] = []
    for start, end in _sentences(draft):
        text = draft.text[start:end]
        if statements and (_leans(draft, start, end) or draft.prose[: statements[-1].end].endswith(":")):
            statements[-1] = _Statement(statements[-1].start, end)
        elif text:
            statements.append(_Statement(start, end))
    return statements


def _leans(draft: Masked, start: int, end: int) -> bool:
    """Says whether a sentence belongs to the one before: a list item, a block, or words that continue it."""
    prose = draft.prose[start:end]
    if _LIST_ITEM.match(prose) or not prose.strip(BLANK + _BLANK):
        return True
    return _CONTINUES.match(prose) is not None or not (prose[0].isupper() or prose[0] in (BLANK, '"', "“"))


def _sentences(draft: Masked) -> Iterator[tuple[int, int]]:
    """Yields sentences, lines of lists and blocks, without the white space around them."""
    prose = draft.prose
    start = 0
    for match in [*_PARAGRAPH.finditer(prose), None]:
        end = match.start() if match is not None else len(prose)
        yield from _in_paragraph(prose, start, end)
        start = match.end() if match is not None else end


def _in_paragraph(prose: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    cuts = [match.end() for match in _END.finditer(prose, start, end)]
    line = start
    while (newline := prose.find("\n", line, end)) >= 0:
        following = prose[newline + 1 : end].lstrip(" \t")
        ended = prose[line:newline].rstrip()
        if ended.endswith((".", "!", "?", ":")) or _LIST_ITEM.match(following) or len(ended) < HARD_WRAP:
            cuts.append(newline + 1)
        line = newline + 1
    position = start
    for cut in [*sorted(cuts), end]:
        text = prose[position:cut]
        stripped = text.strip(_BLANK)
        if stripped:
            first = position + text.index(stripped[0])
            yield first, first + len(stripped)
        position = cut


def _ordered(text: str, statements: list[_Statement], sections: list[Section]) -> str:
    parts = []
    for name in SECTIONS:
        numbers = [number for number, each in enumerate(sections) if each == name]
        if not numbers:
            continue
        body = text[statements[numbers[0]].start : statements[numbers[0]].end]
        for before, number in pairwise(numbers):
            statement = statements[number]
            body += _between(text, statements, before, number) + text[statement.start : statement.end]
        parts.append(f"{name}:\n{body}")
    return "\n\n".join(parts)


def _between(text: str, statements: list[_Statement], before: int, number: int) -> str:
    """Returns the white space between two statements of a section: the draft's own where they follow each other."""
    if number == before + 1:
        return text[statements[before].end : statements[number].start]
    bodies = [text[statements[each].start : statements[each].end] for each in (before, number)]
    if any("\n" in body for body in bodies):
        return "\n\n"
    return " " if bodies[0].endswith((".", "!", "?")) else "\n"
