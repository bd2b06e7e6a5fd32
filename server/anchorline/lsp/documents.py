"""Open documents as UTF-8 bytes, and positions in them.

Prompts are read as bytes, so a document keeps bytes. Lines end with LF, CR or CRLF and nothing else (the
protocol's rule; `str.splitlines` knows eight more), and a position is converted by encoding one line, not by
walking over it: a request body is often one line of 100 kB.
"""

import asyncio
import itertools
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.uris import to_fs_path

_LINE_END = re.compile(rb"\r\n|\r|\n")
_ENCODINGS: Final = {
    types.PositionEncodingKind.Utf16: ("utf-16-le", 2),
    types.PositionEncodingKind.Utf32: ("utf-32-le", 4),
}


class Document:
    """One open document. `version` is the editor's; `data` is the text in UTF-8."""

    def __init__(
        self,
        uri: str,
        *,
        language: str = "",
        version: int | None = None,
        text: str | bytes = "",
        encoding: types.PositionEncodingKind | str = types.PositionEncodingKind.Utf16,
    ) -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self.data = text if isinstance(text, bytes) else to_bytes(text)
        self._units = _ENCODINGS.get(types.PositionEncodingKind(encoding))
        self._starts: list[int] | None = None
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def name(self) -> str:
        """The last part of the URI's path, such as ``review.prompt.md``."""
        return unquote(urlsplit(self.uri).path).rsplit("/", 1)[-1]

    @property
    def scheme(self) -> str:
        """The URI's scheme, such as ``file`` or ``untitled``."""
        return self.uri.split(":", 1)[0].lower() if ":" in self.uri else ""

    def change(self, changes: Sequence[types.TextDocumentContentChangeEvent], version: int | None) -> None:
        """Applies the editor's changes in their order."""
        for change in changes:
            new = to_bytes(change.text)
            if isinstance(change, types.TextDocumentContentChangePartial):
                start, end = self.offset(change.range.start), self.offset(change.range.end)
                self.data = self.data[:start] + new + self.data[max(start, end) :]
            else:
                self.data = new
            self._starts = None
        self.version = version
        self.outdate()

    def next_version(self) -> "asyncio.Future[None]":
        """Returns a future that is done once the document is changed or closed. On the event loop only."""
        changed = asyncio.get_running_loop().create_future()
        self._waiting.append(changed)
        return changed

    def outdate(self) -> None:
        """Wakes all who wait for the next version."""
        waiting, self._waiting = self._waiting, []
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)

    @property
    def starts(self) -> list[int]:
        """The byte at which each line starts."""
        if self._starts is None:
            if b"\r" in self.data:
                self._starts = [0, *(match.end() for match in _LINE_END.finditer(self.data))]
            else:
                lengths = (len(line) + 1 for line in self.data.split(b"\n"))
                self._starts = [0, *itertools.accumulate(lengths)][:-1]
        return self._starts

    def line(self, number: int) -> tuple[int, int]:
        """Returns where a line's text starts and ends, in bytes, without its line end."""
        starts = self.starts
        start = starts[number]
        end = starts[number + 1] if number + 1 < len(starts) else len(self.data)
        while end > start and self.data[end - 1] in b"\r\n":
            end -= 1
        return start, end

    def offset(self, position: types.Position) -> int:
        """Returns the byte at a position; beyond a line's end its end, beyond the text its end."""
        if position.line >= len(self.starts):
            return len(self.data)
        start, end = self.line(position.line)
        line = self.data[start:end]
        if self._units is None or line.isascii():
            return start + _boundary(line, min(position.character, len(line)))
        codec, width = self._units
        head = line.decode("utf-8").encode(codec)[: position.character * width]
        return start + len(head.decode(codec, "ignore").encode("utf-8"))

    def position(self, offset: int) -> types.Position:
        """Returns the position of a byte."""
        offset = max(0, min(offset, len(self.data)))
        number = bisect_right(self.starts, offset) - 1
        start, end = self.line(number)
        line = self.data[start : min(offset, end)]
        if self._units is None or line.isascii():
            return types.Position(number, len(line))
        codec, width = self._units
        return types.Position(number, len(line.decode("utf-8", "ignore").encode(codec)) // width)

    def range(self, start: int, end: int) -> types.Range:
        """Returns the range of the bytes `start:end`."""
        return types.Range(self.position(start), self.position(end))

    def text(self, start: int, end: int) -> str:
        """Returns the text of the bytes `start:end`."""
        return self.data[start:end].decode("utf-8", "replace")


class Documents:
    """All open documents by URI."""

    def __init__(self) -> None:
        self._open: dict[str, Document] = {}

    def __iter__(self) -> Iterator[Document]:
        return iter(self._open.values())

    def get(self, uri: str) -> Document | None:
        """Returns an open document. Editors differ in how they escape a URI, so escapes don't count."""
        return self._open.get(unquote(uri))

    def put(self, document: Document) -> None:
        """Adds a document that was opened."""
        self._open[unquote(document.uri)] = document

    def remove(self, uri: str) -> Document | None:
        """Forgets a document that was closed."""
        document = self._open.pop(unquote(uri), None)
        if document is not None:
            document.outdate()
        return document


def to_bytes(text: str) -> bytes:
    """Encodes text in UTF-8; a lone surrogate (half of a character) becomes U+FFFD, of the same width."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode("utf-8")


def to_path(uri: str) -> Path | None:
    """Returns the path of a ``file:`` URI; None where it is none, as with a NUL or half an emoji in it."""
    path = to_fs_path(uri) if uri.startswith("file:") else None
    if not path or "\0" in path:
        return None
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return None
    return Path(path)


def _boundary(line: bytes, index: int) -> int:
    while 0 < index < len(line) and line[index] & 0xC0 == 0x80:
        index -= 1
    return index
