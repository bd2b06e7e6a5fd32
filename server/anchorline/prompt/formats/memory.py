"""A memory of the last bodies, so that of a conversation's next request only what is new is read."""

from bisect import bisect_right
from collections import deque
from contextlib import suppress

import msgspec

from anchorline.prompt.formats.dialect import Frame
from anchorline.prompt.model import Format, Prompt


class Parsed(msgspec.Struct, eq=False):
    """A body with all that is needed to read a longer one from where it ends.

    `repeated`: a member stands in it more than once, so that what counts before its end need not count after it.

    `ends` are the ends of the items of the conversation. Before it there are `preamble` segments, with the
    prefix hash `seed` at their end. `deferred` and `compacted` are the builder's.
    """

    body: bytes
    frame: Frame
    places: dict[bytes, int]
    array_start: int
    preamble: int
    seed: bytes
    ends: list[int]
    repeated: bool
    deferred: dict[bytes, bytes]
    compacted: int
    prompt: Prompt


class Memory:
    """The last few conversations, so that the next request of each is read incrementally. May be used in any thread."""

    def __init__(self, capacity: int = 8) -> None:
        self._parsed: deque[Parsed] = deque(maxlen=capacity)

    def format(self, body: bytes) -> Format | None:
        """Returns the format of the conversation that `body` begins like."""
        for old in reversed(tuple(self._parsed)):
            if old.ends and body.startswith(old.body[: old.ends[0]]):
                return old.prompt.format
        return None

    def longest(self, body_format: Format, body: bytes) -> tuple[Parsed, int] | None:
        """Returns the remembered body that shares most items with `body`, and how many."""
        best: tuple[Parsed, int] | None = None
        for old in tuple(self._parsed):
            if old.prompt.format == body_format and body.startswith(old.body[: old.array_start + 1]):
                count = _shared(old, body)
                if count and (best is None or count > best[1]):
                    best = (old, count)
        return best

    def keep(self, parsed: Parsed, continued: tuple[Parsed, int] | None) -> None:
        """Remember a body, in the place of the one that it continues where all but its tail is shared."""
        if parsed.repeated:
            return
        if continued is not None and continued[1] >= len(continued[0].ends) - 2:
            with suppress(ValueError):  # another thread continued it too
                self._parsed.remove(continued[0])
        self._parsed.append(parsed)


_CHUNK = 1 << 15


def _shared(old: Parsed, body: bytes) -> int:
    """Counts the items of `old` that `body` starts with, byte for byte."""
    old_body = old.body
    position, most = 0, min(old.ends[-1], len(body)) if old.ends else 0
    while position < most and old_body[position : position + _CHUNK] == body[position : position + _CHUNK]:
        position += _CHUNK
    count = bisect_right(old.ends, min(position, most))
    # The first difference lies within one chunk: which items still end before it?
    while count < len(old.ends) and body.startswith(old_body[position : old.ends[count]], position):
        count += 1
    return count
