"""Lines of a tool's output that stand in an earlier output already, as when a file is read again.

A run of such lines becomes one line that says where it stands. The earlier output is a part of the same request, so
nothing is lost, and a client that takes it out of the conversation sends another prefix, which is looked at anew.
"""

import re
from collections.abc import Iterator, Sequence

import msgspec

_NUMBERED = re.compile(r"^\s*(\d+)(→|\t|:|-)")
WORTH = 100
"""Characters from which on a run is replaced: what points to it takes about forty."""
PAIR, LONG = 40, 160
"""Characters of two successive lines, or of one, by which a run is found."""
_MARK = "[= "


class _Line(msgspec.Struct, frozen=True, gc=False):
    """A line without its number. `number` is -1 where it has none; `rest` begins with what follows the number."""

    number: int
    rest: str


class _Place(msgspec.Struct, frozen=True, gc=False):
    result: int
    line: int


class Repeats:
    """The lines of the tool results of one conversation, as they are sent, in order."""

    def __init__(self) -> None:
        self._results: list[list[_Line]] = []
        self._places: dict[int, _Place] = {}

    def add(self, texts: Sequence[str]) -> None:
        """Take in the next tool result: its texts, as they are sent."""
        lines = [_line(line) for text in texts for line in text.split("\n")]
        result = len(self._results)
        self._results.append(lines)
        for index, key in _keys(lines):
            self._places[key] = _Place(result, index)

    def without(self, text: str) -> str:
        """Return the text with each run of lines that stands in an earlier result replaced by where it stands."""
        given = text.split("\n")
        lines = [_line(line) for line in given]
        keys: dict[int, list[int]] = {}
        for index, key in _keys(lines):
            keys.setdefault(index, []).append(key)
        kept: list[str] = []
        index = 0
        while index < len(lines):
            found = self._run(lines, index, keys.get(index, ()))
            if found is None or sum(map(len, given[index : index + found[1]])) + found[1] < WORTH:
                kept.append(given[index])
                index += 1
                continue
            place, count = found
            kept.append(self._pointer(place, count, lines[index : index + count]))
            index += count
        return "\n".join(kept)

    def _run(self, lines: Sequence[_Line], start: int, keys: Sequence[int]) -> tuple[_Place, int] | None:
        """Return the longest of the runs that begin with line `start`: where it stands, and how many lines."""
        best: tuple[_Place, int] | None = None
        for key in keys:
            place = self._places.get(key)
            if place is not None:
                count = _shared(lines, start, self._results[place.result], place.line)
                if count and (best is None or count > best[1]):
                    best = place, count
        return best

    def _pointer(self, place: _Place, count: int, lines: Sequence[_Line]) -> str:
        """Return the line that stands for a run. Results and lines count from 1."""
        first, last = place.line + 1, place.line + count
        where = f"line {first}" if count == 1 else f"lines {first}-{last}"
        text = f"{_MARK}{where} of tool result {place.result + 1} above"
        stands = self._results[place.result]
        for offset, line in enumerate(lines):
            old = stands[place.line + offset].number
            if line.number >= 0:
                return f"{text}]" if line.number == old else f"{text}, numbered from {line.number}]"
        return text + "]"


def _line(line: str) -> _Line:
    found = _NUMBERED.match(line)
    if found is None:
        return _Line(-1, line)
    number = found[1]
    if len(number) > 9 or number.startswith("0") or not number.isascii():
        return _Line(-1, line)
    return _Line(int(number), line[found.end(1) :])


def _keys(lines: Sequence[_Line]) -> Iterator[tuple[int, int]]:
    """Yield (line, key) for each place at which a run may be found."""
    for index, line in enumerate(lines):
        if line.rest.startswith(_MARK):
            continue
        if len(line.rest) >= LONG:
            yield index, hash(line.rest)
        if index + 1 < len(lines) and len(line.rest) + len(lines[index + 1].rest) >= PAIR:
            yield index, hash((line.rest, lines[index + 1].rest))


def _shared(lines: Sequence[_Line], start: int, others: Sequence[_Line], place: int) -> int:
    """Return how many lines are the same from there on, their numbers all shifted by the same."""
    shift: int | None = None
    count = 0
    while start + count < len(lines) and place + count < len(others):
        line, other = lines[start + count], others[place + count]
        if line.rest != other.rest or (line.number < 0) != (other.number < 0) or other.rest.startswith(_MARK):
            break
        if line.number >= 0:
            if shift is None:
                shift = line.number - other.number
            elif line.number - other.number != shift:
                break
        count += 1
    return count
