"""The passages of a draft as a small model is shown them, and the changes in its answer that may stand.

A draft is cut into passages (paragraphs) in which every entity is a number: "fix #1 in #2". So the model reads and
writes little, and an entity survives or visibly does not. Its answer is taken word by word: `changes` gives the
differences as edits, each for the guard, and `better` keeps those that leave fewer misspelt words.
"""

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from anchorline.refine.mask import Entity, Masked
from anchorline.refine.rewrite import Change
from anchorline.refine.words import known

LONGEST = 600
"""Characters of a passage up to which a model is asked: some ten seconds of a small model on two cores."""
NEAR = 0.6
"""Share of letters that a corrected word has in common with the misspelt one."""


class Passage(NamedTuple):
    """A paragraph with its entities numbered from 1; `start` is where it begins in the draft."""

    text: str
    start: int
    entities: tuple[Entity, ...]

    @property
    def end(self) -> int:
        """The offset of its end in the draft."""
        return self.position(len(self.text))

    def position(self, offset: int) -> int:
        """Returns where the character at `offset` of the text, which is none of a number, stands in the draft."""
        shift = self.start
        for entity, match in zip(self.entities, _NUMBERED.finditer(self.text, 0, offset), strict=False):
            shift += entity.end - entity.start - len(match[0])
        return shift + offset


_NUMBERED = re.compile(r"#\d+")
"""An entity's number."""
_PIECES = re.compile(r"#\d+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|\d+|\s+|.", re.DOTALL)


def passages(draft: Masked) -> list[Passage]:
    """Returns the paragraphs of a draft. Acronyms stay readable: the guard counts each of them once."""
    numbered = [entity for entity in draft.entities if entity.kind != "term"]
    paragraphs: list[Passage] = []
    start = 0
    for match in [*re.finditer(r"\n\s*\n", draft.prose), None]:
        end = match.start() if match is not None else len(draft.text)
        inside = tuple([entity for entity in numbered if start <= entity.start and entity.end <= end])
        paragraphs.append(_passage(draft.text, start, end, inside))
        start = match.end() if match is not None else end
    return paragraphs


def _passage(text: str, start: int, end: int, inside: tuple[Entity, ...]) -> Passage:
    parts: list[str] = []
    position = start
    for number, entity in enumerate(inside, 1):
        parts += (text[position : entity.start], f"#{number}")
        position = entity.end
    return Passage("".join(parts) + text[position:end], start, inside)


def restored(passage: Passage, answer: str) -> str | None:
    """Returns an answer with the passage's entities put back, or None unless each is there exactly once."""
    expected = Counter(f"#{number}" for number in range(1, len(passage.entities) + 1))
    if Counter(_NUMBERED.findall(answer)) != expected:
        return None
    return _NUMBERED.sub(lambda match: passage.entities[int(match[0][1:]) - 1].text, answer)


def restorable(passage: Passage) -> bool:
    """Says whether the numbers stand for entities only: a colour such as #1f2328 looks like one."""
    return restored(passage, passage.text) is not None


def changes(passage: Passage, answer: str, reason: str) -> list[Change]:
    """Returns the differences of an answer as changes of the draft; those that touch an entity are left out."""
    before, after = _PIECES.findall(passage.text), _PIECES.findall(answer)
    places = list(_places(passage, before))
    differences = []
    for tag, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        touched = [*before[i:j], *after[k:m]]
        if tag != "equal" and not any(_NUMBERED.fullmatch(piece) for piece in touched):
            differences.append(Change(places[i], places[j], "".join(after[k:m]), reason, "model"))
    return differences


def _places(passage: Passage, pieces: list[str]) -> Iterator[int]:
    """Yields where each piece begins in the draft, and where the last one ends."""
    position = passage.start
    for piece in pieces:
        yield position
        if _NUMBERED.fullmatch(piece):
            position = passage.entities[int(piece[1:]) - 1].end
        else:
            position += len(piece)
    yield position


def better(draft: Masked, change: Change) -> bool:
    """Says whether a change puts a similar known word for an unknown one that stands only once."""
    old, new = draft.text[change.start : change.end], change.text
    wrong = [word for word in unknown(old) if draft.low.count(word) == 1]
    return (
        len(wrong) == 1
        and not unknown(new)
        and new != ""
        and SequenceMatcher(None, old.lower(), new.lower(), autojunk=False).ratio() >= NEAR
    )


def unknown(text: str) -> list[str]:
    """Returns the lower-case words that neither the dictionary nor software knows."""
    return [
        word for word in re.findall(r"(?<![\w'\u2019-])[a-z]{3,20}(?![\w'\u2019-])", text) if not known(word)
    ]
