"""Frames of the base protocol: a header block, a blank line, that many bytes of JSON.

Editors get this right; hostile or broken peers do not, and a reader that loses its place takes the editor's
session with it. So every fault is reported once and the reader finds the next frame by itself. That is safe,
because a line end is never part of a JSON string: ``Content-Length: N`` followed by a line end cannot occur
inside a message. (Language Server Protocol 3.18, "Base Protocol".)
"""

import re
from collections.abc import Iterator

import msgspec

MAX_BODY = 64 * 1024 * 1024
MAX_HEADER = 8 * 1024

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*([0-9]{1,19})[ \t]*\r?\n", re.IGNORECASE)
_CHARSET = re.compile(rb"content-type[ \t]*:[^\r\n]*charset[ \t]*=[ \t]*\"?([a-z0-9_-]+)", re.IGNORECASE)
_LONGEST_LENGTH_LINE = 64


class Body(msgspec.Struct, frozen=True):
    """The bytes of one message."""

    data: bytes


class Fault(msgspec.Struct, frozen=True):
    """Bytes that are no frame; what follows them is read again from the next header."""

    message: str


class Framer:
    """Turns a stream of bytes into bodies and faults, without doing any input or output.

    Bodies larger than `limit` bytes are refused and never held in memory.
    """

    def __init__(self, limit: int = MAX_BODY) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._expected: int | None = None
        self._lost = False

    def feed(self, data: bytes) -> Iterator[Body | Fault]:
        """Takes in `data` and yields what is complete. Exhaust it before feeding again."""
        self._buffer += data
        while True:
            if self._lost and not self._find_header():
                return
            if self._expected is None:
                fault = self._read_header()
                if fault is not None:
                    yield fault
                    continue
                if self._expected is None:
                    return
            if len(self._buffer) < self._expected:
                return
            body = bytes(self._buffer[: self._expected])
            del self._buffer[: self._expected]
            self._expected = None
            yield Body(body)

    def reject(self, body: bytes) -> None:
        """Reads `body`, just yielded, again for a frame that it swallowed: it is no JSON."""
        self._buffer[:0] = body
        self._lost = True

    def _find_header(self) -> bool:
        """Drops everything before the next Content-Length line; returns whether there is one."""
        length_line = _LENGTH.search(self._buffer)
        if length_line is None:
            del self._buffer[:-_LONGEST_LENGTH_LINE]
            return False
        del self._buffer[: length_line.start()]
        self._lost = False
        return True

    def _read_header(self) -> Fault | None:
        leading = len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))
        del self._buffer[:leading]
        end = _BLANK_LINE.search(self._buffer, 0, MAX_HEADER)
        if end is None:
            if len(self._buffer) >= MAX_HEADER:
                self._drop_endless()
                return self._lose(f"a header block is longer than {MAX_HEADER} bytes")
            return None
        block = bytes(self._buffer[: end.end()])
        lengths = _LENGTH.findall(block)
        if not lengths:
            del self._buffer[: end.end()]
            return self._lose("a header block has no valid Content-Length")
        charset = _CHARSET.search(block)
        if charset is not None and charset[1].lower() not in (b"utf-8", b"utf8"):
            del self._buffer[: end.end()]
            return self._lose(f"the charset is {charset[1].decode('ascii')}; only utf-8 is defined")
        # Of several lengths the last counts: those before it belong to a frame that broke off.
        length = int(lengths[-1])
        del self._buffer[: end.end()]
        if length > self._limit:
            return self._lose(f"a message of {length} bytes is larger than the limit of {self._limit}")
        self._expected = length
        return None

    def _drop_endless(self) -> None:
        """Drops a header block that does not end, up to where a good frame may begin in it: at its last length."""
        starts = [match.start() for match in _LENGTH.finditer(self._buffer, 0, MAX_HEADER)]
        last = starts[-1] if starts else 0
        del self._buffer[: last or MAX_HEADER - _LONGEST_LENGTH_LINE]

    def _lose(self, message: str) -> Fault:
        self._lost = True
        return Fault(message)
