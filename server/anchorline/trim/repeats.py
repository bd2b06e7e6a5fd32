"""Lines of a tool's output that stand in an earlier output already, as when a file is read again.

A run of such lines becomes one line that says where it stands. The earlier output is a part of the same request, so
nothing is lost, and a client that takes it out of the conversation sends another prefix, which is looked at anew.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

from anchorline.plan import TrimKind
from anchorline.trim.calls import Origin
from anchorline.trim.kinds import LARGEST
from anchorline.trim.marks import BEGINNING, Above, Line

WORTH = 100
"""Characters from which on a run is replaced: what points to it takes about forty."""
PAIR, LONG = 40, 160
"""Characters of two successive lines, or of one, by which a run is found."""
_NUMBERED = re.compile(r"([1-9][0-9]{0,8})(?=[→\t:-])")


class _OutputLine(msgspec.Struct, frozen=True, gc=False):
    """A line without its number. `number` is -1 where it has none; `rest` begins with what follows the number."""

    number: int
    rest: str

    @property
    def size(self) -> int:
        return len(self.rest) + (len(str(self.number)) if self.number >= 0 else 0)

    def moved(self, by: int) -> str:
        """Returns the line with another number."""
        return f"{self.number + by}{self.rest}" if self.number >= 0 else self.rest


class _Position(msgspec.Struct, frozen=True, gc=False):
    result: int
    line: int


class EarlierLines:
    """The tool results of one conversation, as they are sent, in order; and the kind of trim that points to them."""

    name: TrimKind = "earlier_lines"

    def __init__(self) -> None:
        self._results: list[list[_OutputLine | None]] = []
        self._positions: dict[int, _Position] = {}

    def add(self, texts: Sequence[list[Line]], *, stays: bool = True) -> None:
        """Takes in the next tool result: the lines of its texts, as they are sent.

        Nothing points to one that does not stay: that the client may have the provider take out later.
        """
        lines = [_text(line) for text in texts for line in text]
        result = len(self._results)
        self._results.append(lines)
        if stays:
            for index, key in _keys(lines):
                self._positions[key] = _Position(result, index)

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:  # noqa: ARG002
        """Replaces each run of lines that stands in an earlier result by where it stands."""
        if not self._positions:
            return lines
        texts = [_text(line) for line in lines]
        keys: dict[int, list[int]] = {}
        for index, key in _keys(texts):
            keys.setdefault(index, []).append(key)
        kept: list[Line] = []
        index = 0
        while index < len(lines):
            run = self._run(texts, index, keys.get(index, ()))
            if run is None:
                kept.append(lines[index])
                index += 1
                continue
            position, count = run
            kept.append(self._mark(position, texts[index : index + count]))
            index += count
        return kept

    def restore(self, lines: list[Line]) -> list[Line]:
        """Puts the lines back."""
        made: list[Line] = []
        room = LARGEST
        for line in lines:
            stands = self._stands(line) if isinstance(line, Above) else None
            if stands is None or (size := sum(map(len, stands))) > room:
                made.append(line)
            else:
                made += stands
                room -= size
        return made

    def _stands(self, mark: Above) -> list[str] | None:
        """Returns the lines that a mark stands for; None where there are no such lines."""
        result = self._results[mark.result - 1] if mark.result <= len(self._results) else []
        texts = [text for text in result[mark.first - 1 : mark.last] if text is not None]
        if not texts or len(texts) != mark.last - mark.first + 1:
            return None
        shift = 0
        if mark.number is not None:
            old = next((text.number for text in texts if text.number >= 0), mark.number)
            shift = mark.number - old
        return [text.moved(shift) for text in texts]

    def _run(
        self, lines: Sequence[_OutputLine | None], start: int, keys: Sequence[int]
    ) -> tuple[_Position, int] | None:
        """Returns where the longest run that begins with line `start` stands, and its lines; None if not worth it."""
        best: tuple[_Position, int] | None = None
        for key in keys:
            position = self._positions.get(key)
            if position is not None:
                count = _shared(lines, start, self._results[position.result], position.line)
                if count and (best is None or count > best[1]):
                    best = position, count
        if best is None:
            return None
        size = sum(text.size + 1 for text in lines[start : start + best[1]] if text is not None)
        return best if size >= WORTH else None

    def _mark(self, position: _Position, lines: Sequence[_OutputLine | None]) -> Above:
        stands = self._results[position.result]
        number: int | None = None
        for offset, line in enumerate(lines):
            old = stands[position.line + offset]
            if line is not None and old is not None and line.number >= 0:
                number = line.number if line.number != old.number else None
                break
        return Above(position.result + 1, position.line + 1, position.line + len(lines), number)


def _text(line: Line) -> _OutputLine | None:
    """Returns a line of the output; None for one that stands for others, or looks like it."""
    if not isinstance(line, str) or line.startswith(BEGINNING):
        return None
    match = _NUMBERED.match(line)
    return _OutputLine(-1, line) if match is None else _OutputLine(int(match[1]), line[match.end() :])


def _keys(lines: Sequence[_OutputLine | None]) -> Iterator[tuple[int, int]]:
    """Yields (line, key) for each line at which a run may begin."""
    following = iter(lines)
    next(following, None)
    for index, line in enumerate(lines):
        after = next(following, None)
        if line is None:
            continue
        if len(line.rest) >= LONG:
            yield index, hash(line.rest)
        if after is not None and len(line.rest) + len(after.rest) >= PAIR:
            yield index, hash((line.rest, after.rest))


def _shared(
    lines: Sequence[_OutputLine | None], start: int, others: Sequence[_OutputLine | None], other_start: int
) -> int:
    """Returns how many lines are the same from there on, their numbers all shifted by the same."""
    shift: int | None = None
    count = 0
    while start + count < len(lines) and other_start + count < len(others):
        line, other = lines[start + count], others[other_start + count]
        if (
            line is None
            or other is None
            or line.rest != other.rest
            or (line.number < 0) != (other.number < 0)
        ):
            break
        if line.number >= 0:
            if shift is None:
                shift = line.number - other.number
            elif line.number - other.number != shift:
                break
        count += 1
    return count
