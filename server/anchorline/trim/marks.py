"""The lines that stand for what a tool result is sent without.

A text that is sent shorter says so itself, in lines of a form that nothing else of it has: each begins with ``[= ``.
Whoever knows these forms can restore what was there (`anchorline.trim.kinds`). A line of the output itself that has
such a form is announced by the line `Literal`, so it can't be taken for one. Only a line feed ends a line here.
"""

import re
from typing import TypeAlias

import msgspec

BEGINNING = "[= "


class Above(msgspec.Struct, frozen=True):
    """Lines `first` to `last` of tool result `result`, as it was sent; all count from 1.

    Where `number` is given, that is the first line number there, and all others differ by as much from the old ones.
    """

    result: int
    first: int
    last: int
    number: int | None = None

    def __str__(self) -> str:
        lines = f"line {self.first}" if self.first == self.last else f"lines {self.first}-{self.last}"
        number = "" if self.number is None else f", numbered from {self.number}"
        return f"[= {lines} of tool result {self.result} above{number}]"


class Again(msgspec.Struct, frozen=True):
    """The line above, `times` more times."""

    times: int

    def __str__(self) -> str:
        return f"[= the line above {self.times} more times]"


class Found(msgspec.Struct, frozen=True):
    """The next `lines` lines are what a search found in file `path`."""

    lines: int
    path: str

    def __str__(self) -> str:
        return f"[= the next {self.lines} lines are of {self.path}]"


class Padded(msgspec.Struct, frozen=True):
    """The line numbers of this text are padded to `width` columns."""

    width: int

    def __str__(self) -> str:
        return f"[= line numbers are padded to {self.width} columns]"


class Literal(msgspec.Struct, frozen=True):
    """The next line is a line of the output, though it looks like one of these."""

    def __str__(self) -> str:
        return "[= the next line is the output's own]"


class Rendered(msgspec.Struct, frozen=True):
    """The text is what a terminal shows in the end. `codes` colour codes and `states` overwritten lines are gone."""

    codes: int
    states: int

    def __str__(self) -> str:
        gone = []
        if self.codes:
            gone.append(f"{self.codes} colour codes")
        if self.states:
            gone.append(f"{self.states} overwritten states of lines")
        return f"[= terminal rendering: {' and '.join(gone)} left out]"


Mark: TypeAlias = Above | Again | Found | Padded | Literal | Rendered
Line: TypeAlias = str | Mark
"""A line of a text that is sent: the output's own, or one that stands for something."""

_NUMBER = r"([1-9][0-9]{0,8})"
_ABOVE = re.compile(
    rf"\[= lines? {_NUMBER}(?:-{_NUMBER})? of tool result {_NUMBER} above(?:, numbered from {_NUMBER})?\]"
)
_AGAIN = re.compile(rf"\[= the line above {_NUMBER} more times\]")
_FOUND = re.compile(rf"\[= the next {_NUMBER} lines are of (.+)\]", re.DOTALL)
_PADDED = re.compile(rf"\[= line numbers are padded to {_NUMBER} columns\]")
_RENDERED = re.compile(
    rf"\[= terminal rendering: (?:{_NUMBER} colour codes)?(?: and )?(?:{_NUMBER} overwritten states of lines)?"
    r" left out\]"
)


def mark(line: str) -> Mark | None:
    """Returns what a line stands for; None where it is the output's own."""
    made = _read(line)
    return made if made is not None and str(made) == line else None


def _read(line: str) -> Mark | None:
    if match := _ABOVE.fullmatch(line):
        first, last, result, number = match.groups()
        return Above(int(result), int(first), int(last or first), int(number) if number else None)
    if match := _AGAIN.fullmatch(line):
        return Again(int(match[1]))
    if match := _FOUND.fullmatch(line):
        return Found(int(match[1]), match[2])
    if match := _PADDED.fullmatch(line):
        return Padded(int(match[1]))
    if (match := _RENDERED.fullmatch(line)) and (match[1] or match[2]):
        return Rendered(int(match[1] or 0), int(match[2] or 0))
    return Literal() if line == str(Literal()) else None


def read(text: str) -> list[Line]:
    """Returns the lines of a text as it is sent."""
    given = text.split("\n")
    if BEGINNING not in text:
        return list(given)
    lines: list[Line] = []
    literal = False
    for line in given:
        made = mark(line) if line.startswith(BEGINNING) and not literal else None
        lines.append(line if made is None else made)
        literal = isinstance(made, Literal)
    return lines


def own(text: str) -> list[Line]:
    """Returns the lines of a tool's output, those that look like marks announced as what they are."""
    given = text.split("\n")
    if BEGINNING not in text:
        return list(given)
    lines: list[Line] = []
    for line in given:
        if line.startswith(BEGINNING) and mark(line) is not None:
            lines.append(Literal())
        lines.append(line)
    return lines


def written(lines: list[Line]) -> str:
    """Returns the text that is sent: the inverse of `read`."""
    return "\n".join(line if isinstance(line, str) else str(line) for line in lines)
