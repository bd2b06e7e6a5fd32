"""The passages of a draft as a small model reads them: paragraphs in which every entity is a number, "fix #1 in #2"."""

import re
from typing import NamedTuple

from anchorline.refine.mask import Entity, Masked


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
