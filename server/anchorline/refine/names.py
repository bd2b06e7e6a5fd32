"""The files and symbols that a draft names, and whether it asks for a new file."""

import re
from bisect import bisect_left
from typing import NamedTuple

from anchorline.refine import mask
from anchorline.refine.mask import Entity, Masked

MOST = 20
"""Names of each kind that are looked at: a draft with more is a list of them."""

PLACES = frozenset({"path", "mention", "url", "fence", "pasted"})


class Reference(NamedTuple):
    """A name without its marks (backticks, `@`, line numbers), and the entity of the draft that holds it."""

    name: str
    entity: Entity


_PLACE = re.compile(r"(?::\d+(?:[:-]\d+)?|#L\d+(?:-L?\d+)?)\Z")
_FILE = re.compile(rf"(?:\./)?(?:[\w.@+-]+[/\\])*[\w+-][\w.+-]*\.(?:{mask.EXTENSIONS})")
"""A relative path that ends in a file name with a known extension, and holds no wildcard."""
_SYMBOL = re.compile(r"(?:[A-Za-z_]\w*(?:\.|::))*([A-Za-z_]\w+)(?:\(\))?")
_NEW = re.compile(
    r"\b(?:creat\w+|add\w*|writ\w+|generat\w+|mak\w+|new|sav\w+|output\w*|emit\w*|put|mov\w+|renam\w+"
    r"|extract\w*|export\w*|scaffold\w*|call(?:ed)?|named?|init\w*|produc\w+|cop\w+|store\w*|into|introduc\w+"
    r"|missing|deleted?|removed?|not (?:exist|found)|no such|does(?:n['\u2019]?t| not) exist|e\.g\.|such as"
    r"|like|example)\b",
    re.IGNORECASE,
)
"""The words by which a draft wants a file that does not exist yet."""


_LINE = re.compile(r"\n")
_STOP = re.compile(r"\. ")


def files(draft: Masked) -> list[Reference]:
    """Returns the files that a draft names as existing: relative paths with an extension, the first `MOST`.

    Where the words before the name ask for a new file or speak of a missing one, it is left out.
    """
    # Once: a line may hold thousands of names.
    words = [word.start() for word in _NEW.finditer(draft.prose)]
    lines = [line.start() for line in _LINE.finditer(draft.text)]
    sentences = [stop.start() for stop in _STOP.finditer(draft.prose)]
    references = []
    for entity in draft.entities:
        name = _file_name(entity)
        if name is not None and not _wanted(entity, words, lines, sentences):
            references.append(Reference(name, entity))
    return references[:MOST]


def _file_name(entity: Entity) -> str | None:
    if entity.kind not in ("path", "code", "mention"):
        return None
    name = _PLACE.sub("", entity.text.strip("`").removeprefix("@"))
    return name.replace("\\", "/").removeprefix("./") if _FILE.fullmatch(name) else None


def has_place(draft: Masked) -> bool:
    """Says whether a draft says where it is about: a path, a URL, code or output."""
    return any(entity.kind in PLACES or _file_name(entity) is not None for entity in draft.entities)


def _wanted(entity: Entity, words: list[int], lines: list[int], sentences: list[int]) -> bool:
    """Says whether one of the words by which a draft wants a new file is in the name's sentence.

    The offsets of these words, of line ends and of the ends of sentences are in ascending order.
    """
    start = max(_last(lines, entity.start), _last(sentences, entity.start - 1))
    line = bisect_left(lines, entity.end)
    end = lines[line] if line < len(lines) else None
    following = bisect_left(words, start)
    return following < len(words) and (end is None or words[following] < end)


def _last(offsets: list[int], before: int) -> int:
    """Returns the last of ascending offsets before one, 0 where there is none."""
    index = bisect_left(offsets, before)
    return offsets[index - 1] if index else 0


def symbols(draft: Masked) -> list[Reference]:
    """Returns the functions, classes and the like that a draft names, by their last part, the first `MOST`."""
    references = []
    for entity in draft.entities:
        if entity.kind not in ("code", "identifier"):
            continue
        text = entity.text.strip("`")
        match = _SYMBOL.fullmatch(text)
        # A plain word in backticks may as well be a command, a key or a value.
        if match is not None and not (text.isalpha() and text.islower()):
            references.append(Reference(match[1], entity))
    return references[:MOST]
