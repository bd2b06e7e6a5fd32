"""Deterministic edits of the prose between a draft's entities: conservative, each with its reason.

Every rule works on the masked view, where entities are blank, and answers with `Change`s in the draft's own
positions. Rules that know English look at the line first and leave anything else alone. `rewrite` settles
overlaps; whether a change may stand is for the guard to say.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from operator import eq
from typing import NamedTuple

from anchorline.refine.filler import fillers
from anchorline.refine.language import english, language
from anchorline.refine.mask import Masked, view
from anchorline.refine.mentions import covers, mentioned, touches
from anchorline.refine.spelling import SHORTEST, correction
from anchorline.refine.words import common, known, misspellings

LONGEST_SENTENCE = 400
MOST_UNKNOWN = 40


class Change(NamedTuple):
    """Replaces the draft's characters `start:end` by `text`. Changes of one `kind` stand or fall together."""

    start: int
    end: int
    text: str
    reason: str
    kind: str


FUNCTION_WORDS = "the an to of in and for with on we you be this are from at by if it its into your our"
DOUBLED = frozenset(FUNCTION_WORDS.split())
PUNCTUATION = '.,;:!?()"*'


class Prose:
    """A masked draft's prose with its lines and their language."""

    def __init__(self, draft: Masked) -> None:
        self.draft = draft
        self.text = draft.prose
        self._english: dict[int, bool] = {}
        self._lines: list[int] = []
        self._foreign: bool | None = None

    def line(self, position: int) -> tuple[int, int]:
        """Returns where the line around `position` starts and ends."""
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self.text)), len(self.text) + 1]
        index = bisect_right(self._lines, position, hi=len(self._lines) - 1) - 1
        return self._lines[index], self._lines[index + 1] - 1

    def english(self, position: int) -> bool:
        """Says whether the line around `position` is surely English in a draft that is not foreign."""
        if self._foreign is None:
            self._foreign = language(self.text) not in (None, "en")
        if self._foreign:
            return False
        start, end = self.line(position)
        if start not in self._english:
            self._english[start] = english(self.text[start:end])
        return self._english[start]

    def starts_sentence(self, position: int) -> bool:
        """Says whether a sentence or a list item starts at `position`."""
        start, _ = self.line(position)
        before = self.text[max(start, position - 40) : position].rstrip(" *_(\"'")
        return (
            not before.strip(" \t-*+\u2022#>") or before[-1] in ".!?:" or before.strip(" \t")[:-1].isdecimal()
        )


_SENTENCES = re.compile(r"[^\s.!?][^.!?\n]*+(?:[.!?]++(?![\s]|\Z)[^.!?\n]*+)*+[.!?]*+")
"""One sentence within a line, with its end mark."""
_ITEMS = re.compile(
    r"^([ \t]{0,12})(?:([-*\u2022\u2013])([ \t]+)|(\d{1,3})([.)])([ \t]+))(?=\S)", re.MULTILINE
)
_DOUBLED = re.compile(
    r"(?<![\w'\u2019\x00.-])(the|an|to|of|in|and|for|with|on|we|you|be|this|are|from|at|by|if|it|its"
    r"|into|your|our"
    r"|please)([ \t]++\1)+(?![\w'\u2019\x00-])",
    re.IGNORECASE,
)
_END_MARK = re.compile(r"[.!?]++(?=\s|\Z)")
_ASKS = re.compile(r"\b(?:can|could|would|will|do|does|is|are) (?:you|we|it|they|this|that)\b", re.IGNORECASE)
_REFERENCES = re.compile(r"\b(?:steps?|items?|points?|numbers?|no\.|options?|#) ?\(?[\d\x00]", re.IGNORECASE)
_STRAY = re.compile(r"(?<=[a-z,]) {2,}+(?=[a-z])")
_PLAIN = re.compile(r"(?:[-*+\u2022] |\d{1,3}[.)] )?[^\W\d_](?:[^\W\d_]|[ ,.;:!?'\u2019\"()/-])*+")
"""A sentence or list item of nothing but words and punctuation."""
_WORDS = re.compile(r"(?<![\w'\u2019\x00@#/\\.-])[A-Za-z]{3,20}+(?![\w'\u2019\x00@/\\-]|\.\w)")


def duplicates(prose: Prose) -> Iterator[Change]:
    """Drops a sentence or line that already stands, word for word, in the same section.

    A sentence with an entity in it stays, because the guard counts entities (acronyms apart); so does a short
    one, one that introduces something (it ends in a colon), and a list item unless it repeats the item just
    above it.
    """
    seen: set[str] = set()
    above = ""
    position = 0
    open_terms = view(prose.draft.text, [entity for entity in prose.draft.entities if entity.kind != "term"])
    for line in open_terms.split("\n"):
        start, position = position, position + len(line) + 1
        bare = line.strip()
        if not bare:
            continue
        if bare[0] == "#":
            seen.clear()
        elif not bare[0].isalpha():
            if bare == above and _repeatable(bare):
                yield Change(start - 1, start + len(line), "", "repeats the item above", "duplicate")
            else:
                yield from _sentence_duplicates(line, start, bare, set())
        elif bare in seen and _repeatable(bare) and bare[-1] in ".!?":
            before = start
            while before > 0 and prose.text[before - 1] in "\n\r":
                before -= 1
            yield Change(before, start + len(line.rstrip("\r")), "", REPEATED, "duplicate")
        else:
            yield from _sentence_duplicates(line, start, bare, seen)
            seen.add(bare)
        above = bare


REPEATED = "repeats an earlier sentence word for word"
ABBREVIATIONS = ("e.g.", "i.e.", "etc.", "vs.", "cf.", "approx.")


def _sentence_duplicates(line: str, start: int, bare: str, seen: set[str]) -> Iterator[Change]:
    for match in _SENTENCES.finditer(line):
        sentence = match[0].rstrip()
        low, high = match.start(), match.start() + len(sentence)
        if not sentence[0].isupper() or line[:low].rstrip().endswith(ABBREVIATIONS):
            continue
        if sentence in seen and len(sentence) < len(bare) and sentence[-1] in ".!?" and _repeatable(sentence):
            while low > 0 and line[low - 1] in " \t":
                low -= 1
            while not low and high < len(line) and line[high] in " \t":
                high += 1
            yield Change(start + low, start + high, "", REPEATED, "duplicate")
        seen.add(sentence)


def _repeatable(sentence: str) -> bool:
    return len(sentence) >= 16 and sentence.count(" ") >= 3 and _PLAIN.fullmatch(sentence) is not None


def filler(prose: Prose) -> Iterator[Change]:
    """Drops filler from English sentences; an instruction put as a question becomes an instruction."""
    text = prose.text
    for start, end, request in fillers(prose.draft):
        if not prose.english(min(end, len(text) - 1)):
            continue
        following = text[end : end + 1]
        opens = start == 0 or prose.starts_sentence(start)
        if opens and following.islower() and not text[start : start + 1].islower():
            yield Change(start, end + 1, following.upper(), "filler", "filler")
        else:
            yield Change(start, end, "", "filler", "filler")
        if request:
            yield from _no_question(prose, end)


def _no_question(prose: Prose, position: int) -> Iterator[Change]:
    """Turns the question mark after `position` into a full stop, unless more is asked."""
    _, end = prose.line(position)
    rest = prose.text[position : min(end, position + LONGEST_SENTENCE)]
    mark = _END_MARK.search(rest)
    if mark is not None and mark[0] == "?" and _ASKS.search(rest, 0, mark.start()) is None:
        at = position + mark.start()
        yield Change(at, at + 1, ".", "an instruction, not a question", "filler")


def lists(prose: Prose) -> Iterator[Change]:
    """Gives the items of one list one bullet, and number them through where two share a number."""
    group: list[re.Match[str]] = []
    for item in _ITEMS.finditer(prose.text):
        if group and not _same_list(prose.text, group[-1], item):
            yield from _list(prose, group)
            group = []
        group.append(item)
    yield from _list(prose, group)


def _same_list(text: str, before: re.Match[str], item: re.Match[str]) -> bool:
    """Says whether two items stand on successive lines, equally indented, both numbered or neither."""
    return (
        text.find("\n", before.end(), item.start()) == item.start() - 1
        and before[1] == item[1]
        and (before[2] is None) == (item[2] is None)
    )


def _list(prose: Prose, group: list[re.Match[str]]) -> Iterator[Change]:
    if len(group) < 2:
        return
    if group[0][2] is not None:
        bullets = Counter(item[2] for item in group)
        if len(bullets) > 1:
            bullet = group[0][2] if bullets[group[0][2]] * 2 >= len(group) else bullets.most_common(1)[0][0]
            bullet = "-" if bullet in "\u2022\u2013" else bullet
            for item in group:
                if item[2] != bullet:
                    yield Change(item.start(2), item.end(2), bullet, "one bullet for the whole list", "list")
        return
    numbers = [int(item[4]) for item in group]
    marks = Counter(item[5] for item in group)
    if len(marks) > 1:
        mark = group[0][5] if marks[group[0][5]] * 2 >= len(group) else marks.most_common(1)[0][0]
        for item in group:
            if item[5] != mark:
                yield Change(
                    item.start(5), item.end(5), mark, "one kind of number for the whole list", "list"
                )
    repeated = any(map(eq, numbers, numbers[1:]))
    rising = all(0 <= after - before <= 1 for before, after in pairwise(numbers))
    if not (repeated and rising) or len(set(numbers)) == 1 or _REFERENCES.search(prose.text):
        return
    for index, item in enumerate(group):
        number = numbers[0] + index
        if numbers[index] != number:
            yield Change(item.start(4), item.end(4), str(number), "numbers the items through", "list")


def doubled(prose: Prose) -> Iterator[Change]:
    """Drops a function word that was typed twice."""
    if DOUBLED.isdisjoint([token for token, again in pairwise(prose.draft.tokens) if token == again]):
        return
    for match in _DOUBLED.finditer(prose.text):
        if prose.english(match.start()):
            yield Change(match.end(1), match.end(), "", f"\u201c{match[1]}\u201d twice", "doubled")


def whitespace(prose: Prose) -> Iterator[Change]:
    """Closes up stray spaces between words and more than two empty lines."""
    text = prose.text
    if "  " in text:
        position = 0
        for line in text.split("\n"):
            match = _STRAY.search(line) if "  " in line else None
            if match and line.strip().count("  ") == 1 and "|" not in line and prose.english(position):
                yield Change(
                    position + match.start(), position + match.end(), " ", "stray spaces", "whitespace"
                )
            position += len(line) + 1
    if "\n\n\n\n" in text:
        for match in re.finditer(r"(?<!\n)\n{4,}+(?!\Z)", text):
            yield Change(match.start(), match.end(), "\n\n", "empty lines", "whitespace")


def typos(prose: Prose) -> Iterator[Change]:
    """Corrects misspellings that are sure.

    Beyond the table, a word that stands twice is taken for a name, and a draft with more than `MOST_UNKNOWN`
    unknown words for something else than plain English.
    """
    listed = misspellings()
    right = {low: text for low in _suspects(prose, listed) if (text := correction(low)) is not None}
    if not right:
        return
    spans = [match.span() for match in _WORDS.finditer(prose.text) if match[0].lower() in right]
    times = Counter([prose.text[start:end].lower() for start, end in spans])
    for start, end in spans:
        word = prose.text[start:end]
        low = word.lower()
        if low not in listed and (times[low] > 1 or prose.line(start)[0] == start):
            continue
        capital = word[0].isupper()
        if word[1:].islower() and (not capital or prose.starts_sentence(start)) and prose.english(start):
            text = right[low][0].upper() + right[low][1:] if capital else right[low]
            yield Change(start, end, text, f"spelling: {word} \u2192 {text}", "typo")


def _suspects(prose: Prose, listed: dict[str, str]) -> list[str]:
    """Returns the words, lower case, that are misspelt or unknown, in a fixed order."""
    usual = common()
    words = {token.strip(PUNCTUATION) for token in prose.draft.tokens}
    odd = [
        word for word in words if (word not in usual or word in listed) and word.isalpha() and word.isascii()
    ]
    unknown = [word for word in odd if word not in listed and len(word) >= SHORTEST and not known(word)]
    if len(unknown) > MOST_UNKNOWN:
        unknown = []
    return sorted([*unknown, *(word for word in odd if word in listed)])


RULES: tuple[Callable[[Prose], Iterator[Change]], ...] = (
    duplicates,
    filler,
    lists,
    typos,
    doubled,
    whitespace,
)
"""In the order of precedence where two rules want the same characters."""


def rewrite(draft: Masked) -> list[Change]:
    """Returns the changes of one pass over a draft, in order. Its result may allow further ones.

    Words that the draft speaks of stay.
    """
    prose = Prose(draft)
    changes = settle([change for rule in RULES for change in rule(prose)])
    spoken_of = mentioned(draft) if changes else []
    return [
        change
        for change in changes
        if not (covers if change.kind == "duplicate" else touches)(spoken_of, change.start, change.end)
    ]


def settle(changes: list[Change]) -> list[Change]:
    """Keeps of overlapping changes the one earliest in the list; return them by position."""
    kept: list[tuple[int, Change]] = []
    for rank, change in sorted(enumerate(changes), key=lambda pair: (pair[1].start, pair[0])):
        while kept and _overlap(kept[-1][1], change) and kept[-1][0] > rank:
            kept.pop()
        if not kept or not _overlap(kept[-1][1], change):
            kept.append((rank, change))
    return [change for _, change in kept]


def _overlap(before: Change, after: Change) -> bool:
    return after.start < before.end or after.start == before.start


def apply(text: str, changes: list[Change]) -> str:
    """Returns `text` with ordered, non-overlapping changes made."""
    parts: list[str] = []
    position = 0
    for change in changes:
        parts += (text[position : change.start], change.text)
        position = change.end
    parts.append(text[position:])
    return "".join(parts)
