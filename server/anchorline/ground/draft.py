"""What a draft says, before anything is looked up: its terms, names, file names, quoted texts, subjects."""

import re
from typing import NamedTuple

from anchorline.index import words

LONGEST = 16_384
"""Characters of a draft that count."""
MOST_NAMES = 120
MOST_FILES = 40
MOST_LITERALS = 6
_FILE = re.compile(r"[\w./\\@+-]{1,200}\.[A-Za-z]\w{0,7}\b")
_LINE = re.compile(r"(?:\", line |[:(]|#L)(\d{1,6})\b")
_QUOTED = re.compile(r"[\"`\u201c']([^\"`\u201d'\n]{5,80})[\"`\u201d']")
_FAILURE = re.compile(r"Error|Exception|panic|failed")
_CODE = re.compile(r"\w_\w|[a-z][A-Z]|^[A-Z]")
_TESTS = re.compile(r"\b(?:tests?|specs?|coverage)\b")
_DOCUMENTS = re.compile(r"\b(?:readme|docs?|documentation|changelog|document|adr|guide)\b")
_CONFIGURATION = re.compile(
    r"\b(?:config|configuration|settings?|yaml|toml|json|ci|workflow|action|lint|dependency|dependencies|package"
    r"|version|makefile|docker\w*)\b"
)


class FileMention(NamedTuple):
    """A file's name in the draft, its parts in lower case from the last to the first, and the line beside it."""

    parts: tuple[str, ...]
    line: int | None


class Draft(NamedTuple):
    """What a draft says.

    `terms` are the distinct ones, `words` the words in lower case. `names` may be those of definitions; the `coded`
    ones are written as no word of prose is. `literals` are quoted texts and error messages.
    """

    text: str
    first_line: str
    prose: str
    terms: frozenset[str]
    words: frozenset[str]
    names: tuple[str, ...]
    coded: frozenset[str]
    files: tuple[FileMention, ...]
    literals: tuple[str, ...]
    tests: bool
    documents: bool
    configuration: bool


_FENCE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


def read(text: str) -> Draft:
    """Returns what a draft says; only its first `LONGEST` characters count."""
    text = text[:LONGEST]
    low = text.lower()
    every = dict.fromkeys(words.WORD.findall(text))
    names = tuple(word for word in every if len(word) > 3)[:MOST_NAMES]
    return Draft(
        text,
        text.strip().partition("\n")[0],
        _FENCE.sub(" ", text),
        frozenset(words.terms(text)),
        frozenset(word.lower() for word in every),
        names,
        frozenset(name for name in names if _CODE.search(name.strip("_"))),
        tuple(_files(text)),
        tuple(_literals(text)),
        _TESTS.search(low) is not None,
        _DOCUMENTS.search(low) is not None,
        _CONFIGURATION.search(low) is not None,
    )


def _files(text: str) -> list[FileMention]:
    mentions: dict[tuple[str, ...], FileMention] = {}
    for match in _FILE.finditer(text):
        parts = tuple(
            part.lower()
            for part in reversed(match[0].replace("\\", "/").split("/"))
            if part not in ("", ".", "..")
        )
        if parts and (parts not in mentions or mentions[parts].line is None):
            line = _LINE.match(text, match.end())
            mentions[parts] = FileMention(parts, int(line[1]) if line is not None else None)
        if len(mentions) >= MOST_FILES:
            break
    return list(mentions.values())


def _literals(text: str) -> list[str]:
    quoted = [match[1].strip() for match in _QUOTED.finditer(text)]
    failures = [line.strip() for line in text.split("\n") if _FAILURE.search(line)]
    literals = dict.fromkeys([*quoted, *(line for line in failures if 10 < len(line) < 160)])
    return [literal for literal in literals if len(literal) >= 5][:MOST_LITERALS]
