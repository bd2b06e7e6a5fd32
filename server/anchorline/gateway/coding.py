"""Content encodings (RFC 9110, 8.4.1): gzip, deflate, zstd and br, undone piece by piece and within bounds, and made.

A body of several gzip members or zstd frames is one stream, as their formats say.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator

from anchorline import zstd

try:
    import brotli  # type: ignore[import-untyped]
except ImportError:  # it has no wheels for PyPy, and the smallest installation is without it
    brotli = None

PIECE_BYTES = 1 << 20
"""As much is unpacked at a time."""
_ZSTD_BOUNDS: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
"""A window of 8 MB. RFC 9659: nothing over HTTP may need a larger one."""
_FRAMED = zlib.MAX_WBITS | 32
_FRAME_BYTES = 2
_BROTLI = 4
"""Its best quality, the default, takes a second for a megabyte."""

Inflate = Callable[[bytes], Iterable[bytes]]


def readable(accepted: bytes) -> bytes:
    """Returns the `Accept-Encoding` of a client without brotli where that can't be undone here.

    The usage of an answer that can't be unpacked, and so what it cost, would not be known.
    """
    if brotli is not None:
        return accepted
    kept = [coding for coding in accepted.split(b",") if coding.split(b";")[0].strip().lower() != b"br"]
    return b",".join(kept).strip() or b"identity"


def decoder(encoding: str) -> Inflate | None:
    """Returns what undoes a content encoding, piece by piece, or None where it is not known."""
    inflate = None
    for name in reversed(encoding.split(",")):
        layer = _undo(name.strip())
        if layer is None:
            return None
        inflate = layer if inflate is None else _both(inflate, layer)
    return inflate


def _both(outer: Inflate, inner: Inflate) -> Inflate:
    return lambda data: (piece for packed in outer(data) for piece in inner(packed))


def _undo(encoding: str) -> Inflate | None:
    if encoding in ("", "identity"):
        return lambda data: (data,)
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _Gzip().pieces
    if encoding == "zstd":
        return _Zstd().pieces
    if encoding == "br":
        if brotli is None:
            return None
        made = brotli.Decompressor()

        def pieces(data: bytes) -> Iterator[bytes]:
            yield made.process(data, output_buffer_limit=PIECE_BYTES)
            while not made.can_accept_more_data():
                yield made.process(b"", output_buffer_limit=PIECE_BYTES)

        return pieces
    return None


class _Gzip:
    """Undoes gzip, of any number of members, and deflate with or without zlib's frame."""

    def __init__(self) -> None:
        self._made: zlib._Decompress | None = None
        self._head = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self._made is None:
            self._head += data
            if len(self._head) < _FRAME_BYTES:
                return
            data, self._head = self._head, b""
            self._made = zlib.decompressobj(wbits=_FRAMED if _framed(data) else -zlib.MAX_WBITS)
        while data:
            if self._made.eof:
                data = data.lstrip(b"\0")  # padding between members
                if not data:
                    return
                self._made = zlib.decompressobj(wbits=_FRAMED)
            piece = self._made.decompress(data, PIECE_BYTES)
            data = self._made.unconsumed_tail or self._made.unused_data
            yield piece


def _framed(data: bytes) -> bool:
    """Returns whether deflated bytes begin as gzip (RFC 1952) or zlib (RFC 1950) has it."""
    return data.startswith(b"\x1f\x8b") or (
        data[0] & 15 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    )


class _Zstd:
    """Undoes zstd, of any number of frames."""

    def __init__(self) -> None:
        self._made = zstd.ZstdDecompressor(options=_ZSTD_BOUNDS)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data or not self._made.needs_input:
            yield self._made.decompress(data, PIECE_BYTES)
            data = b""
            if self._made.eof:
                data = self._made.unused_data
                self._made = zstd.ZstdDecompressor(options=_ZSTD_BOUNDS)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes | None:
    """Returns a body without its encoding; None where that is not known, is not what it says, or holds over `limit`."""
    try:
        inflate, parts, size = decoder(encoding), [], 0
        for piece in inflate(body) if inflate is not None else ():
            parts.append(piece)
            size += len(piece)
            if size > limit:
                return None
    except Exception:  # noqa: BLE001  (each decompressor has errors of its own; such a body goes on as it is)
        return None
    return b"".join(parts) or None


def packed(body: bytes, encoding: str) -> bytes:
    """Returns a body in an encoding that `unpacked` has undone."""
    for name in encoding.split(","):
        body = _pack(body, name.strip())
    return body


def _pack(body: bytes, encoding: str) -> bytes:
    if encoding in ("gzip", "x-gzip", "deflate"):
        made = zlib.compressobj(wbits=zlib.MAX_WBITS | (0 if encoding == "deflate" else 16))
        return made.compress(body) + made.flush()
    if encoding == "zstd":
        return zstd.compress(body)
    if encoding == "br":
        packed: bytes = brotli.compress(body, quality=_BROTLI)
        return packed
    return body
