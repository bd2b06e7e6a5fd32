"""Byte offsets of the values in a JSON text.

Splicing a marker into a request body needs exact offsets, and no JSON decoder gives them. These functions walk
a text *that a decoder has already accepted*; they are iterative (depth is no danger) and never look at numbers
or escapes beyond what is needed to find the end of a value.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Possessive: a repeated group that may be gone back into keeps 120 bytes for each of a string's escapes.
STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\n\r]*")
_COMMA = re.compile(rb"[ \t\n\r]*,[ \t\n\r]*")
_COLON = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*")
_SCALAR = re.compile(rb"[^,\]}\s]+")
_STRUCTURE = re.compile(rb'["\[\]{}]')


class LayoutError(ValueError):
    """The text is not laid out as expected at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"unexpected JSON at byte {offset}")
        self.offset = offset


class Member(NamedTuple):
    """One `"key": value` of an object. The key is still encoded, with its quotes."""

    key: bytes
    key_start: int
    start: int
    end: int


def space(text: bytes, position: int) -> int:
    """Returns the position after white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def comma(text: bytes, position: int) -> int:
    """Returns the position after a comma with white space around it."""
    match = _COMMA.match(text, position)
    if match is None:
        raise LayoutError(position)
    return match.end()


def skip(text: bytes, position: int) -> int:
    """Returns the end of the value that starts at `position`."""
    first = text[position : position + 1]
    if first == b'"':
        match = STRING.match(text, position)
        if match is None:
            raise LayoutError(position)
        return match.end()
    if first not in (b"[", b"{"):
        match = _SCALAR.match(text, position)
        if match is None:
            raise LayoutError(position)
        return match.end()
    depth = 0
    while match := _STRUCTURE.search(text, position):
        position = match.start()
        if text[position] == 0x22:  # a quote
            string = STRING.match(text, position)
            if string is None:
                break
            position = string.end()
            continue
        depth += 1 if text[position] in b"[{" else -1
        position += 1
        if depth == 0:
            return position
    raise LayoutError(position)


def key(text: bytes, position: int) -> tuple[bytes, int]:
    """Returns (key, still encoded; start of its value) of the member at `position`."""
    match = STRING.match(text, position)
    colon = match and _COLON.match(text, match.end())
    if match is None or colon is None:
        raise LayoutError(position)
    return match.group(), colon.end()


def members(text: bytes, position: int) -> Iterator[Member]:
    """Yields the members of the object that starts at `position`, duplicates included."""
    position = space(text, position + 1)
    while text[position : position + 1] != b"}":
        name, start = key(text, position)
        end = skip(text, start)
        yield Member(name, position, start, end)
        position = space(text, end)
        if text[position : position + 1] == b",":
            position = space(text, position + 1)


def elements(text: bytes, position: int) -> Iterator[tuple[int, int]]:
    """Yields (start, end) of the elements of the array that starts at `position`."""
    position = space(text, position + 1)
    while text[position : position + 1] != b"]":
        end = skip(text, position)
        yield position, end
        position = space(text, end)
        if text[position : position + 1] == b",":
            position = space(text, position + 1)


def spans(text: bytes, position: int, values: Sequence[bytes]) -> tuple[list[int], int]:
    """Locates the `values` of an array whose first element starts at or after `position`.

    Faster than `elements`, since a decoder has told how long each value is: only what stands between them is
    read. Returns their starts and the position after the last one.
    """
    starts = []
    position = space(text, position)
    for index, value in enumerate(values):
        if index:
            # The usual compact layout needs no regular expression.
            position = position + 1 if text[position : position + 2] == b",{" else comma(text, position)
        if not text.startswith(value, position):
            raise LayoutError(position)
        starts.append(position)
        position += len(value)
    return starts, position


def holds_more(text: bytes, values: int) -> bool:
    """Says whether a text holds more than so many members and elements, each list and object counted as one more.

    Decoded, each may take a hundred times its bytes. The text need not be valid.
    """
    if _values(text) <= values:
        return False
    count = position = 0
    for string in STRING.finditer(text):
        count += _values(text[position : string.start()])
        if count > values:
            return True
        position = string.end()
    return count + _values(text[position:]) > values


def _values(text: bytes) -> int:
    return len(text) - len(text.translate(None, b"[{,"))
