"""The kinds of lossless trims of one text, each with its inverse.

`shorten` leaves something out and puts a mark in its place; `restore` puts it back, from the text as it is sent alone.
Neither touches the marks of another kind, so that kinds are undone in the reverse of the order in which they were
applied. That it worked is not assumed: `anchorline.trim.forms` restores each text before it is sent.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Protocol

from anchorline.plan import TrimKind
from anchorline.trim.calls import Origin
from anchorline.trim.marks import Again, Found, Line, Padded

REPEATED = 3
"""Equal lines from which on they are counted, and lines of one file from which on its path stands once."""
LARGEST = 64 * 1024 * 1024
"""Characters that a text may have when it is restored, as many as a body may have bytes."""


class Kind(Protocol):
    """One way to say the same in fewer characters."""

    name: TrimKind

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:
        """Returns the lines with what can be left out replaced by marks; the same ones where there is nothing."""
        ...

    def restore(self, lines: list[Line]) -> list[Line]:
        """Returns the lines with this kind's marks replaced by what they stand for. A mark that says nothing stays."""
        ...


class LineNumbers:
    """Spaces before line numbers, as ``cat -n`` and tools that read files align them."""

    name: TrimKind = "line_numbers"

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:  # noqa: ARG002
        """Leaves the spaces out where every numbered line is aligned to the same width."""
        width = saved = 0
        for line in lines:
            match = _ALIGNED.match(line) if isinstance(line, str) else None
            if match is not None and match[1]:
                width = width or len(match[0])
                saved += len(match[1])
        mark = Padded(width)
        if saved <= len(str(mark)):
            return lines
        # At the end, where it moves no line: tools number a file's lines as they stand in the text.
        return [*(_ALIGNED.sub(r"\2", line, 1) if isinstance(line, str) else line for line in lines), mark]

    def restore(self, lines: list[Line]) -> list[Line]:
        """Aligns the line numbers again."""
        at = next((n for n, line in enumerate(lines) if isinstance(line, Padded)), -1)
        if at < 0:
            return lines
        mark = lines[at]
        width = mark.width if isinstance(mark, Padded) else 0
        return [
            _DIGITS.sub(lambda match: match[0].rjust(width), line, 1) if isinstance(line, str) else line
            for line in (*lines[:at], *lines[at + 1 :])
        ]


class EqualLines:
    """A line that stands several times in a row."""

    name: TrimKind = "equal_lines"

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:  # noqa: ARG002
        """Keeps one of the equal lines and say how many more there are."""
        kept: list[Line] = []
        for line, group in groupby(lines):
            count = sum(1 for _ in group)
            mark = Again(count - 1) if count >= REPEATED else None
            if mark is not None and isinstance(line, str) and len(str(mark)) < (count - 1) * len(line):
                kept += (line, mark)
            else:
                kept += [line] * count
        return kept if len(kept) < len(lines) else lines

    def restore(self, lines: list[Line]) -> list[Line]:
        """Repeats the lines."""
        made: list[Line] = []
        room = LARGEST
        for line in lines:
            above = made[-1] if made else None
            if isinstance(line, Again) and isinstance(above, str) and line.times * (len(above) + 1) <= room:
                made += [above] * line.times
                room -= line.times * (len(above) + 1)
            else:
                made.append(line)
        return made


class FoundLines:
    """The path that a search puts before each line that it found (``grep -n``, ``rg -n``).

    Only in the output of a search, and only of files with a match (``path:12:``): a line ``path-12-`` beside one is its
    context, while any other ``a/b-12-c`` is what it is.
    """

    name: TrimKind = "found_path"

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:
        """Names the path once, above its lines."""
        paths = {match[1] for line in lines if isinstance(line, str) and (match := _MATCH.match(line))}
        if not paths or not origin.searches:
            return lines
        kept: list[Line] = []
        for path, group in groupby(lines, lambda line: _path(line, paths)):
            run = list(group)
            mark = Found(len(run), path) if path is not None and len(run) >= REPEATED else None
            if mark is not None and len(str(mark)) < len(run) * (len(mark.path) + 1):
                kept.append(mark)
                kept += [line[len(mark.path) + 1 :] for line in run if isinstance(line, str)]
            else:
                kept += run
        return kept if len(kept) > len(lines) else lines

    def restore(self, lines: list[Line]) -> list[Line]:
        """Puts the path before each of its lines, with the sign that stands after the line's number."""
        return list(self._restored(lines))

    def _restored(self, lines: list[Line]) -> Iterator[Line]:
        path, left, room = "", 0, LARGEST
        for line in lines:
            if isinstance(line, Found) and line.lines * len(line.path) <= room:
                path, left = line.path, line.lines
                room -= left * len(path)
            elif left > 0 and isinstance(line, str) and (match := _NUMBER.match(line)):
                left -= 1
                yield f"{path}{match[1]}{line}"
            else:
                left = 0
                yield line


_ALIGNED = re.compile(r"( *)([0-9]+)(?=→|\t)")
_DIGITS = re.compile(r"\A[0-9]+(?=→|\t)")
_MATCH = re.compile(r"((?=[^:\s]*[./])[^:\s]*[^\W\d_][^:/\s]*):[0-9]+:")
"""A file's path without spaces: with a folder or an ending, and a letter in its name, which moments lack."""
_NUMBER = re.compile(r"[0-9]+([:-])")
_CONTEXT = re.compile(r"-[0-9]+-")


def _path(line: Line, paths: set[str]) -> str | None:
    """Returns in which of the files a search found a line; None where it is no line of its output."""
    if not isinstance(line, str):
        return None
    match = _MATCH.match(line)
    if match is not None:
        return match[1]
    for context in _CONTEXT.finditer(line):
        path = line[: context.start()]
        if path in paths or _ends(path, paths):
            return path
    return None


def _ends(path: str, paths: set[str]) -> bool:
    """Says whether a path leads to one of the files: Claude Code writes those of matches shorter than of context."""
    at = path.find("/")
    while at >= 0:
        if path[at + 1 :] in paths:
            return True
        at = path.find("/", at + 1)
    return False
