"""The files that a draft names, and what it takes to find them in a line of thousands."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from anchorline.refine import names
from anchorline.refine.mask import Masked


class Scans:
    """Counts the characters that the patterns of a module, and searches within a counted text, pass over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        self.characters = 0
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, CountedPattern(value, self))

    def text(self, text: str) -> str:
        """Return a text whose searches are counted."""
        counted = CountedText(text)
        counted.scans = self
        return counted


class CountedPattern:
    def __init__(self, pattern: re.Pattern[str], scans: Scans) -> None:
        self._pattern, self._scans = pattern, scans

    def search(self, text: str, pos: int = 0, endpos: int | None = None) -> re.Match[str] | None:
        end = len(text) if endpos is None else endpos
        match = self._pattern.search(text, pos, end)
        self._scans.characters += (match.end() if match else end) - pos
        return match

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        self._scans.characters += len(text)
        return self._pattern.finditer(text)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        self._scans.characters += len(text)
        return self._pattern.fullmatch(text)

    def sub(self, new: str, text: str) -> str:
        self._scans.characters += len(text)
        return self._pattern.sub(new, text)


class CountedText(str):
    __slots__ = ("scans",)
    scans: Scans

    def find(self, part: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        last = len(self) if end is None else end
        index = super().find(part, start, last)
        self.scans.characters += (index if index >= 0 else last) - start
        return index

    def rfind(self, part: str, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        last = len(self) if end is None else end
        index = super().rfind(part, start, last)
        self.scans.characters += last - (index if index >= 0 else start)
        return index


def test_a_line_of_thousands_of_names_is_read_once_and_not_once_a_name(monkeypatch: pytest.MonkeyPatch):
    scans = Scans(monkeypatch, names)

    def scanned(count: int) -> int:
        line = "Fix the bug in " + ", ".join(f"src/parser_{number:05}.py" for number in range(count)) + "."
        draft = Masked(line)
        draft.text, draft.prose = scans.text(draft.text), scans.text(draft.prose)
        before = scans.characters
        assert len(names.files(draft)) == names.MOST
        return scans.characters - before

    assert scanned(100) > 0
    assert scanned(2400) < 9 * scanned(300)  # 8 times the names; their square is 64
