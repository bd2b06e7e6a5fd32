"""Session files as byte streams: plain, gzip or zstd (by their magic bytes), read line by line.

Offsets are bytes of the decompressed stream, so that a segment can be found again without keeping its text.
"""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from anchorline import files
from anchorline.prompt import half_pairs
from anchorline.prompt.layout import LayoutError
from anchorline.prompt.model import PromptError

MAX_LINE = 64 * 1024 * 1024
MAX_BYTES = 1024 * 1024 * 1024
MAX_LINES = 500_000
"""A session of a gigabyte has some hundred thousand; a packed file of a megabyte may unpack to a thousand million.

Of each line of a conversation some hundred bytes are kept until the file is read, so this bounds the memory."""
FIRST = 16
"""Lines by which the format of a session file is told."""
PACKED = (".gz", ".zst")
"""Suffixes of a packed session file's name."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_CHUNK = 256 * 1024


class Line(NamedTuple):
    """One line without its end: `number` counts from 1, `offset` is its first byte.

    `complete` is false for a last line without a newline: a live session may just be writing it.
    """

    number: int
    offset: int
    text: bytes
    complete: bool


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain, gzip or zstd file for reading.

    Raises OSError where it can't be opened, PromptError for a broken packed stream.
    """
    with path.open("rb") as file:
        magic = file.peek(4)[:4]
        stream: IO[bytes] = file
        broken: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
        if magic[:2] == _GZIP:
            stream = BufferedReader(gzip.GzipFile(fileobj=file), _CHUNK)
        elif magic == _ZSTD:
            from anchorline import zstd  # noqa: PLC0415  (22 ms: only where a file is packed so)

            stream, broken = BufferedReader(zstd.ZstdFile(file), _CHUNK), (EOFError, zstd.ZstdError)
        try:
            yield stream
        except broken as error:
            packed = "zstd" if magic == _ZSTD else "gzip"
            raise PromptError(f"broken {packed} file: {error}") from error


def lines(path: Path, offset: int = 0, number: int = 0) -> Iterator[Line]:
    """Yields the lines that are not blank. Raises as `opened`, and PromptError beyond the limits.

    `offset` is where to begin, `number` how many lines stand before it. A pipe or a device is refused with OSError: it
    would be waited for without end.
    """
    files.check_plain(path)
    with opened(path) as stream:
        if offset:
            stream.seek(offset)
        while text := stream.readline(MAX_LINE + 1):
            number += 1
            size = len(text)
            if size > MAX_LINE:
                raise PromptError(f"a line has more than {MAX_LINE} bytes", offset=offset, line=number)
            if number > MAX_LINES:
                raise PromptError(f"the file has more than {MAX_LINES} lines", offset=offset, line=number)
            if offset + size > MAX_BYTES:
                raise PromptError(f"the file has more than {MAX_BYTES} bytes", offset=offset, line=number)
            body = text.rstrip(b"\r\n")
            complete = size > len(body)
            marked = len(BOM_UTF8) if not offset and body.startswith(BOM_UTF8) else 0
            if body[marked:].strip():
                yield Line(number, offset + marked, body[marked:], complete)
            offset += size


def loader(path: Path) -> Callable[[int, int], bytes]:
    """Returns a function that reads bytes `start:end` of the decompressed file, opening it anew each time."""

    def load(start: int, end: int) -> bytes:
        with opened(path) as stream:
            stream.seek(start)
            return stream.read(end - start)

    return load


def each(path: Path, take: Callable[[Line], None]) -> tuple[PromptError, ...]:
    """Calls `take` with every line and returns the errors of those that it could not take, which are left out.

    A last line that has no newline yet and can't be read is not named: a live session is just writing it. Raises as
    `lines`.
    """
    errors = []
    for line in lines(path):
        error = refused(line, take)
        if error is not None and line.complete:
            errors.append(error)
    return tuple(errors)


def refused(line: Line, take: Callable[[Line], None]) -> PromptError | None:
    """Calls `take` with a line and returns what is wrong with it, or None where it was taken."""
    try:
        if not line.text.isascii():
            line.text.decode()
        _take(line, take)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, LayoutError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        refusal = PromptError(f"line {line.number}: {reason}", offset=line.offset, line=line.number)
        refusal.__cause__ = error
        return refusal
    return None


def _take(line: Line, take: Callable[[Line], None]) -> None:
    try:
        take(line)
    except msgspec.MsgspecError:
        mended = half_pairs.replaced(line.text)
        if mended == line.text:
            raise
        take(line._replace(text=mended))


def value(text: bytes, name: bytes, raw: bytes, begin: int = 0) -> int:
    """Returns where in `text` the value `raw` of the member `name` starts; a decoder has told what `raw` is.

    Clients write compact JSON, so that one search from `begin` on finds it; otherwise the first place with these very
    bytes.
    """
    start = text.find(b'"' + name + b'":' + raw, begin)
    if start >= 0:
        return start + len(name) + 3
    start = text.find(raw)
    if start < 0:
        raise LayoutError(0)
    return start


def epoch(moment: datetime | None) -> float | None:
    """Returns epoch seconds of a line's timestamp; one without a zone is UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def first_lines(path: Path) -> list[bytes]:
    """Returns the lines that a file begins with: a damaged one may be among them. Raises as `lines`."""
    return [line.text for line in islice(lines(path), FIRST)]


def read_bytes(path: Path, limit: int = MAX_LINE) -> bytes:
    """Returns a whole file, unpacked. Raises PromptError beyond `limit`, and as `opened`."""
    with opened(path) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise PromptError(f"the file has more than {limit} bytes", offset=limit)
    return data
