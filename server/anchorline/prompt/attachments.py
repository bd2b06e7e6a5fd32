"""Images and documents in a block: the offsets of their base64, and their sizes as their headers give them.

A provider counts an image by its pixels and a PDF by its pages, wherever they stand, so their base64 is no text.
A payload is found by walking the block once (strings are skipped by the regular expression engine, payloads by a search
for their end); of an image only the header is decoded.

Known forms: Anthropic's ``source`` (base64, url, file), OpenAI's ``image_url``, ``input_image``, ``file``,
``input_file``, ``computer_screenshot`` and ``image_generation_call``, Bedrock's ``bytes``, Gemini's ``inlineData``;
each of them also within a tool's result.
"""

import binascii
import re
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from xxhash import xxh3_128_digest

from anchorline.prompt import layout

PAGE_BYTES = 50_000
"""Bytes of a PDF for one page, where its pages can't be counted."""
USUAL_PAGES = 5
"""Pages of a document that is not in the request (a URL, a file's id): an assumption."""
_BYTES_A_TOKEN = {"text": 4, "audio": 3200}
"""Text in base64 by the usual measure; audio: ten tokens a second (OpenAI) of 32 kB."""
MOST_PAGES = 600
"""The most that Anthropic takes in a request (platform.claude.com, pdf-support)."""

_SIGNS = (b"image", b'"document"', b'"file"', b'"input_file"', b'"inlineData"', b'"inline_data"')
_FIELDS = frozenset(
    (
        b"type",
        b"media_type",
        b"mimeType",
        b"mime_type",
        b"format",
        b"detail",
        b"data",
        b"bytes",
        b"result",
        b"url",
        b"image_url",
        b"file_data",
    )
)
_HOLDING: dict[bytes, tuple[str, ...]] = {
    b"data": ("base64", "image"),  # the second: as MCP has it
    b"bytes": ("",),
    b"result": ("image_generation_call",),
    b"file_data": ("", "input_file", "file"),
    b"url": (),
    b"image_url": (),
}
"""Members that may hold base64, and the types of the objects in which they hold it without saying so."""
_WITHIN = frozenset(
    (
        b"content",
        b"source",
        b"output",
        b"file",
        b"image_url",
        b"image",
        b"document",
        b"input_audio",
        b"inlineData",
        b"inline_data",
        b"functionResponse",
        b"function_response",
        b"parts",
    )
)
_DEEPEST = 8
_IMAGES = ("image", "input_image", "image_url", "computer_screenshot")
_DATA_URL = re.compile(rb"data:([^;,\"]{0,100})(?:;[^;,\"]{0,100})*;base64,", re.IGNORECASE)
_MAGIC = (
    (b"iVBORw0KGgo", "image"),
    (b"/9j/", "image"),
    (b"R0lGOD", "image"),
    (b"UklGR", "image"),
    (b"JVBERi", "pdf"),
)
_SIGNED = tuple(sign for sign, _ in _MAGIC)
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_TREE = re.compile(rb"/Type\s*/Pages(?![A-Za-z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,6})(?!\s+\d+\s+R)")
_DICTIONARY = 4096
_LINEARIZED = re.compile(rb"/Linearized\b[^>]{0,300}?/N\s+(\d{1,6})")
_PACKED = re.compile(rb"/Type\s*/ObjStm\b[^>]{0,300}>>\s*stream\r?\n")
_UNPACKED_BYTES = 4 << 20
_SEGMENTS = 200
_REMEMBERED = 64
"""PDFs whose pages are remembered: each request of a conversation holds them again."""


class Image(NamedTuple):
    """An image's size in pixels; 0 × 0 where it is not known. `detail` is OpenAI's setting."""

    width: int = 0
    height: int = 0
    detail: str = ""


class Attached(NamedTuple):
    """A block's content beside its text: images, pages of documents, and tokens of what else is base64 in it."""

    images: tuple[Image, ...] = ()
    pages: int = 0
    tokens: int = 0


class Payload(NamedTuple):
    """Base64 at `start:end` of a block. `media` is its type where it is said."""

    start: int
    end: int
    media: bytes
    detail: str


NOTHING = Attached()


def may_hold(content: bytes) -> bool:
    """Says whether a block may have an attachment in it: most have none, and this is a fast search."""
    return any(sign in content for sign in _SIGNS)


def within(content: bytes) -> tuple[Attached, bytes]:
    """Returns what is attached in a block, and the block without it. A block that can't be walked has nothing."""
    walk = _Walk(content)
    images = list(walk.unknown)
    pages, tokens = walk.pages, 0
    for payload in walk.payloads:
        encoded = content[payload.start : payload.end]
        if b"\\" in encoded:
            encoded = encoded.replace(b"\\/", b"/").replace(b"\\n", b"").replace(b"\\r", b"")
        kind, size = _sniffed(encoded, payload.media), len(encoded) * 3 // 4
        if kind == "image":
            images.append(Image(*_size(encoded), payload.detail))
        elif kind == "pdf":
            pages += _pdf_pages(encoded)
        elif kind in _BYTES_A_TOKEN:
            tokens += size // _BYTES_A_TOKEN[kind]
        else:
            pages += _by_size(size)
    return Attached(tuple(images), pages, tokens), _without(content, walk.cuts)


def payloads(content: bytes) -> list[Payload]:
    """Returns where base64 stands in a block, in order."""
    return _Walk(content).payloads if content.startswith(b"{") and may_hold(content) else []


def _without(content: bytes, cuts: list[tuple[int, int]]) -> bytes:
    if not cuts:
        return content
    position, parts = 0, []
    for start, end in cuts:
        parts.append(content[position:start])
        position = end
    return b"".join([*parts, content[position:]])


class _Walk:
    """One walk through a block: its payloads, and what it refers to without holding it.

    `cuts` are what is no text of it, in order: payloads, and whole images.
    """

    def __init__(self, content: bytes) -> None:
        self.payloads: list[Payload] = []
        self.cuts: list[tuple[int, int]] = []
        self.unknown: list[Image] = []
        self.pages = 0
        self._referring = 0
        self._content = content
        try:
            self._value(layout.space(content, 0), 0)
        except layout.LayoutError:
            self.payloads, self.cuts, self.unknown, self.pages = [], [], [], 0

    def _value(self, position: int, depth: int) -> int:
        """Walks through a value and returns its end."""
        first = self._content[position : position + 1]
        if depth > _DEEPEST or first not in (b"{", b"["):
            return layout.skip(self._content, position)
        return self._object(position, depth) if first == b"{" else self._list(position, depth)

    def _list(self, position: int, depth: int) -> int:
        position = layout.space(self._content, position + 1)
        while self._content[position : position + 1] != b"]":
            position = self._next(self._value(position, depth + 1))
        return position + 1

    def _object(self, position: int, depth: int) -> int:
        content = self._content
        strings: dict[bytes, tuple[int, int]] = {}
        before = len(self.payloads), self._referring
        within_file = False
        begin = position
        position = layout.space(content, position + 1)
        while content[position : position + 1] != b"}":
            key, start = layout.key(content, position)
            name = key[1:-1]
            if content[start : start + 1] == b'"':
                end = _string_end(content, start)
                if name in _FIELDS:
                    strings[name] = start + 1, end - 1
            else:
                end = self._value(start, depth + 1 if name in _WITHIN else _DEEPEST + 1)
                within_file = within_file or name == b"file"
            position = self._next(end)
        self._note(strings, *before, within_file=within_file)
        if self._text(strings, b"type") in _IMAGES:
            while self.cuts and self.cuts[-1][0] > begin:
                self.cuts.pop()
            self.cuts.append((begin, position + 1))
        return position + 1

    def _next(self, end: int) -> int:
        position = layout.space(self._content, end)
        if self._content[position : position + 1] == b",":
            return layout.space(self._content, position + 1)
        if self._content[position : position + 1] not in (b"}", b"]"):
            raise layout.LayoutError(position)
        return position

    def _note(
        self, strings: dict[bytes, tuple[int, int]], payloads: int, referring: int, *, within_file: bool
    ) -> None:
        """Notes what an object says of an attachment; `payloads` and `referring` are the counts before it."""
        kind = self._text(strings, b"type")
        for name, span in strings.items():
            if name not in _HOLDING or span[0] == span[1]:
                continue
            url = _DATA_URL.match(self._content, *span)
            if url is not None:
                self._hold(Payload(url.end(), span[1], url[1].lower(), self._text(strings, b"detail")))
            elif kind in _HOLDING[name] and not self._content.startswith(b"http", span[0]):
                media = self._text(strings, b"media_type").encode("latin-1")
                self._hold(Payload(*span, media, ""))
            elif name == b"data" and not kind:
                # Audio says its format, Gemini the media type; what is known by its beginning needs no type.
                head = self._content[span[0] : span[0] + 16].replace(b"\\", b"")
                media = self._media(strings)
                if media or head.startswith(_SIGNED):
                    self._hold(Payload(*span, media, ""))
        if len(self.payloads) > payloads:
            return
        if kind in _IMAGES:
            self.unknown.append(Image(detail=self._text(strings, b"detail")))
            self._referring = referring
        elif (
            (kind == "document" and self._referring > referring)
            or kind == "input_file"
            or (kind == "file" and within_file)
        ):
            self.pages += USUAL_PAGES
            self._referring = referring
        elif kind in ("url", "file"):
            self._referring += 1

    def _media(self, strings: dict[bytes, tuple[int, int]]) -> bytes:
        """Returns the media type that an object without a type tells; empty where it tells none."""
        if b"format" in strings:
            return b"audio/"
        return (self._text(strings, b"mimeType") or self._text(strings, b"mime_type")).encode("latin-1")

    def _hold(self, payload: Payload) -> None:
        self.payloads.append(payload)
        self.cuts.append((payload.start, payload.end))

    def _text(self, strings: dict[bytes, tuple[int, int]], name: bytes) -> str:
        start, end = strings.get(name, (0, 0))
        return self._content[start : min(end, start + 64)].decode("latin-1")


def _string_end(content: bytes, start: int) -> int:
    """Returns the end of the string at `start`: most have no escapes, and base64 is long."""
    end = content.find(b'"', start + 1)
    return layout.skip(content, start) if end < 0 or content.find(b"\\", start, end) >= 0 else end + 1


def _sniffed(encoded: bytes, media: bytes) -> str:
    """Tells what base64 holds by how it begins, else by the type that is said."""
    for sign, kind in _MAGIC:
        if encoded.startswith(sign) and not media.startswith(b"audio/"):
            return kind
    kind = media.partition(b"/")[0].decode("latin-1")
    return kind if kind in ("image", "text", "audio") else "file"


def _size(encoded: bytes) -> tuple[int, int]:
    """Returns width and height of an image from its header; (0, 0) where it can't be read."""
    try:
        return _read_size(encoded)
    except (ValueError, IndexError):  # binascii.Error is a ValueError
        return 0, 0


def _read_size(encoded: bytes) -> tuple[int, int]:
    head = _decoded(encoded, 0, 32)
    little = int.from_bytes
    if head.startswith(b"\x89PNG"):
        return little(head[16:20], "big"), little(head[20:24], "big")
    if head.startswith(b"GIF8"):
        return little(head[6:8], "little"), little(head[8:10], "little")
    if head[8:12] == b"WEBP":
        if head[12:16] == b"VP8X":
            return little(head[24:27], "little") + 1, little(head[27:30], "little") + 1
        if head[12:16] == b"VP8L":
            bits = little(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return little(head[26:28], "little") & 0x3FFF, little(head[28:30], "little") & 0x3FFF
    return _jpeg(encoded) if head.startswith(b"\xff\xd8") else (0, 0)


def _jpeg(encoded: bytes) -> tuple[int, int]:
    """Walk a JPEG's segments to the frame's header: each says how long it is, so that only their heads are decoded."""
    position = 2
    for _ in range(_SEGMENTS):
        head = _decoded(encoded, position, 9)
        marker = head[1]
        if head[0] != 0xFF:
            break
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD9:
            position += 1 if marker == 0xFF else 2
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[7:9], "big"), int.from_bytes(head[5:7], "big")
        else:
            position += 2 + int.from_bytes(head[2:4], "big")
    return 0, 0


def _decoded(encoded: bytes, start: int, count: int) -> bytes:
    """Returns `count` bytes from `start` of what base64 holds, without decoding what stands before."""
    first = start // 3
    piece = encoded[4 * first : 4 * ((start + count + 2) // 3)]
    return _base64(piece)[start - 3 * first :][:count]


def _base64(encoded: bytes) -> bytes:
    return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4))


_cache: OrderedDict[bytes, int] = OrderedDict()


def _pdf_pages(encoded: bytes) -> int:
    """Returns the pages of a PDF; where they can't be counted, by its size."""
    digest = xxh3_128_digest(encoded)
    pages = _cache.get(digest)
    if pages is None:
        try:
            pages = _counted(_base64(encoded))
        except ValueError:
            pages = 0
        pages = pages or _by_size(len(encoded) * 3 // 4)
        _cache[digest] = pages
        while len(_cache) > _REMEMBERED:
            _cache.popitem(last=False)
    return pages


def _by_size(size: int) -> int:
    return min(max(size // PAGE_BYTES, 1), MOST_PAGES)


def _counted(data: bytes) -> int:
    """Counts the pages of a PDF: by the root of its page tree, else its page objects; 0 where neither is found.

    Newer files keep these in packed object streams, which are looked into.
    """
    linear = _LINEARIZED.search(data, 0, 2048)
    if linear is not None and int(linear[1]) > 0:
        return min(int(linear[1]), MOST_PAGES)
    left, parts = _UNPACKED_BYTES, [data]
    for stream in _PACKED.finditer(data):
        if left <= 0:
            break
        try:
            parts.append(zlib.decompressobj().decompress(memoryview(data)[stream.end() :], left))
        except zlib.error:
            continue
        left -= len(parts[-1])
    trees = [int(count[1]) for part in parts for tree in _TREE.finditer(part) for count in _near(part, tree)]
    return min(max(trees, default=0) or sum(len(_PAGE.findall(part)) for part in parts), MOST_PAGES)


def _near(data: bytes, tree: re.Match[bytes]) -> Iterator[re.Match[bytes]]:
    """Yields the counts in the dictionary of a page tree's node."""
    start = data.rfind(b"<<", max(tree.start() - _DICTIONARY, 0), tree.start())
    end = data.find(b">>", tree.end(), tree.end() + _DICTIONARY)
    yield from _COUNT.finditer(data, max(start, 0), end if end >= 0 else tree.end() + _DICTIONARY)
