r"""The text that a terminal shows of a command's output in the end: the one trim that can't be undone.

Colour codes go, and so do the states of a line that the terminal overwrote itself, as those of a progress bar: after a
carriage return, or after the cursor went up. What stands there is what a person would see, and a mark says how much is
gone. Where that is not sure, as when a longer state shows behind a shorter one, everything stays. Only for the output
of commands that show no file: `anchorline.trim.commands`.
"""

import re
import unicodedata

from anchorline.trim.marks import Rendered

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_PART = re.compile(r"\x1b\[([0-9]*)([AGJK])|\x1b\[\?(?:25|2026)[hl]|(\r*\n)|(\r)|([^\x00-\x1f\x7f-\x9f]+|\t)")
"""Cursor up, to a column, erasing; hiding the cursor, one drawing at a time; ends of lines; text."""
_REDRAWN = re.compile(r"\r(?!\n)|\x1b\[[0-9]*[AGJK]|\x1b\[\?")

WIDTH = 80
"""Columns that a terminal has at least: a longer line may take several rows, so going up from there leads elsewhere."""


def rendered(text: str) -> tuple[str, Rendered] | None:
    """Returns what the terminal shows of a text, and what is gone; None where nothing is, or that is not sure."""
    plain, codes = _COLOUR.subn("", text)
    states = 0
    if _REDRAWN.search(plain):
        screen = _Screen()
        if not screen.draw(plain):
            return None
        plain, states = screen.text(), screen.overwritten
    if "\x1b" in plain or not codes + states:
        return None
    return plain, Rendered(codes, states)


class _Screen:
    """The lines of a terminal that does not scroll."""

    def __init__(self) -> None:
        self.overwritten = 0
        self._lines: list[str] = [""]
        self._ends: list[str] = [""]
        self._row = self._column = 0

    def text(self) -> str:
        """Returns all lines."""
        return "".join(line + end for line, end in zip(self._lines, self._ends, strict=True))

    def draw(self, text: str) -> bool:
        """Draws a text; False where what the terminal would show is not known."""
        position = 0
        while position < len(text):
            part = _PART.match(text, position)
            if part is None or not self._part(part):
                return False
            position = part.end()
        return True

    def _part(self, part: re.Match[str]) -> bool:
        number, control, newline, carriage_return, words = part.groups()
        if control is not None:
            return self._control(control, int(number or ("0" if control in "JK" else "1")))
        if newline is not None:
            self._ends[self._row] = newline
            self._row, self._column = self._row + 1, 0
            if self._row == len(self._lines):
                self._lines.append("")
                self._ends.append("")
        elif carriage_return is not None:
            self._column = 0
        elif words is not None:
            return self._write(words)
        return True

    def _control(self, control: str, number: int) -> bool:
        line = self._lines[self._row]
        if control == "A":
            above = max(self._row - max(number, 1), 0)
            wrapped = any(len(line) > WIDTH for line in self._lines[above : self._row + 1])
            self._row = above
            return not wrapped
        if control == "G":
            self._column = 0
            return number <= 1
        if number not in ((0, 2) if control == "K" else (0,)):
            return False
        kept = "" if number == 2 else line[: self._column]
        self._forget(line[len(kept) :])
        self._lines[self._row] = kept
        if control == "J":
            for gone in self._lines[self._row + 1 :]:
                self._forget(gone)
            del self._lines[self._row + 1 :]
            self._ends[self._row :] = [""]
        return True

    def _write(self, words: str) -> bool:
        line = self._lines[self._row]
        if self._column > len(line):
            return False
        gone = line[self._column :]
        if gone:
            # A shorter text leaves the end of the longer one behind it, and wide characters other columns.
            if self._column or len(words) < len(gone) or not _narrow(gone):
                return False
            self._forget(gone)
        self._lines[self._row] = line[: self._column] + words
        self._column += len(words)
        return True

    def _forget(self, gone: str) -> None:
        self.overwritten += bool(gone.strip())


def _narrow(text: str) -> bool:
    """Says whether each character takes one column, so that as many others cover it."""
    return "\t" not in text and (
        text.isascii()
        or all(
            unicodedata.east_asian_width(character) not in "WF" and not unicodedata.combining(character)
            for character in text
        )
    )
