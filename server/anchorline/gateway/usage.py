"""What an answer says of its usage, read from its bytes on their way to the client.

Anthropic Messages, OpenAI chat completions and Responses, whole or streamed as server-sent events, compressed or not.
Nothing here may fail: what can't be read is not known.
"""

import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from anchorline.outcome import Usage

ANSWER_BYTES = 16 << 20
"""Of a longer answer, or a longer event of a stream, the usage is not read."""


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Counts(msgspec.Struct):
    """All names that providers give to their counts."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens_details: _Details | None = None
    prompt_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None


class _Inner(msgspec.Struct):
    model: str | None = None
    usage: _Counts | None = None
    diagnostics: Any = None


class _Event(msgspec.Struct):
    """An answer, or one event of a stream: the usage stands in it, in its ``message`` or in its ``response``.

    What is `Any` tells of the end, and may not keep the usage from being read where some provider has it otherwise.
    """

    type: Any = None
    object: Any = None
    status: Any = None
    stop_reason: Any = None
    delta: Any = None
    diagnostics: Any = None
    model: str | None = None
    usage: _Counts | None = None
    message: _Inner | None = None
    response: _Inner | None = None


_decode = msgspec.json.Decoder(_Event).decode
_CODE = re.compile(r"[a-z][a-z_]{0,31}\Z")
MOST = 1_000_000_000
_LAST = ("message_stop", "response.completed")
"""Types of the event that ends a stream in good order; chat completions end theirs with ``[DONE]``."""
_LAST_BYTES = 256
"""An event of these types without a usage is not longer."""


class Billed(msgspec.Struct, frozen=True):
    """What an answer told: its usage and the model that gave it, None where it did not say.

    `miss` is the provider's own reason why its cache was not read, of `missed` tokens, where its client asked for that.
    """

    usage: Usage | None = None
    model: str | None = None
    miss: str = ""
    missed: int = 0


class Meter:
    """Reads one answer. Feed it the bytes as they come; `billed` is what was read so far, `stop` why it ended."""

    def __init__(self, content_type: str, encoding: str) -> None:
        self._stream = content_type.startswith("text/event-stream")
        self._inflate = _decoder(encoding)
        self._ignored = self._inflate is None or not (
            self._stream or content_type.startswith("application/json")
        )
        self._rest: list[bytes] = []
        self._size = 0
        self._counts: dict[str, int] = {}
        self._model: str | None = None
        self._miss = ("", 0)
        self._ended = self._broken = False
        self.stop = ""

    @property
    def complete(self) -> bool:
        """Whether the answer was read to its good end, as its provider marks that."""
        return self._ended and not self._broken and not self._ignored

    def feed(self, chunk: bytes) -> None:
        """Take in bytes of the answer."""
        if self._ignored or self._inflate is None:
            return
        try:
            data = self._inflate(chunk)
        except Exception:  # noqa: BLE001  (each decompressor has errors of its own, and none is the client's trouble)
            self._ignored = True
            return
        if self._stream and b"\n" in data:
            *lines, data = data.split(b"\n")
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest, self._size = [], 0
            for line in lines:
                self._line(line)
        self._rest.append(data)
        self._size += len(data)
        if self._size > ANSWER_BYTES:
            self._ignored, self._rest = True, []

    def end(self) -> None:
        """Read what a whole answer says: it is complete."""
        if not self._ignored:
            text = b"".join(self._rest)
            if not self._stream:
                self._read(text)
            else:
                self._line(text)
        self._rest = []

    def _line(self, line: bytes) -> None:
        """Look at a line of a stream: few of them are worth a decoder."""
        if not line.startswith(b"data:"):
            return
        text = line[5:].strip()
        if b'"usage"' in text or (len(text) < _LAST_BYTES and any(last.encode() in text for last in _LAST)):
            self._read(text)
        elif text == b"[DONE]":
            self._ended = True
        elif text.startswith(b'{"error"'):
            self._broken = True

    @property
    def billed(self) -> Billed:
        """What the answer told so far."""
        found = self._counts
        usage = (
            Usage(*(found.get(name, 0) for name in ("input", "read", "write", "output"))) if found else None
        )
        return Billed(usage, self._model, *self._miss)

    def _read(self, text: bytes) -> None:
        try:
            event = _decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if self._stream:
            self._ended = self._ended or event.type in _LAST
        else:
            told = event.stop_reason is not None or event.object == "chat.completion"
            self._ended = told or event.status == "completed"
        stop = event.delta.get("stop_reason") if isinstance(event.delta, dict) else event.stop_reason
        self.stop = stop if isinstance(stop, str) else self.stop
        for part in (event, event.message, event.response):
            if part is not None:
                self._model = part.model[:128] if part.model else self._model
                self._miss = _missed(part.diagnostics) or self._miss
                if part.usage is not None:
                    self._counts.update(_counts(part.usage))


def _missed(diagnostics: Any) -> tuple[str, int] | None:  # noqa: ANN401  (a beta's: it may change)
    """Return Anthropic's reason of a miss and its tokens."""
    reason = diagnostics.get("cache_miss_reason") if isinstance(diagnostics, dict) else None
    if not isinstance(reason, dict):
        return None
    code = reason.get("type")
    if not isinstance(code, str) or not _CODE.match(code):
        return None
    tokens = reason.get("cache_missed_input_tokens")
    return code, tokens if isinstance(tokens, int) and 0 <= tokens <= MOST else 0


def _counts(usage: _Counts) -> dict[str, int]:
    """Return the counts that are told, as `Usage` names them: its input is without what was read or written."""
    found: dict[str, int] = {}
    details = usage.input_tokens_details or usage.prompt_tokens_details
    if details is not None or usage.prompt_tokens is not None:
        read = (details.cached_tokens if details is not None else None) or usage.prompt_cache_hit_tokens or 0
        write = (details.cache_write_tokens if details is not None else None) or 0
        whole = usage.input_tokens if usage.prompt_tokens is None else usage.prompt_tokens
        if whole is not None:
            found.update(input=max(whole - read - write, 0), read=read, write=write)
    else:
        told = {
            "input": usage.input_tokens,
            "read": usage.cache_read_input_tokens,
            "write": usage.cache_creation_input_tokens,
        }
        found.update({name: count for name, count in told.items() if count is not None})
    output = usage.output_tokens if usage.completion_tokens is None else usage.completion_tokens
    if output is not None:
        found["output"] = output
    return {name: min(max(count, 0), MOST) for name, count in found.items()}


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _decoder(encoding: str) -> Callable[[bytes], bytes] | None:
    """Return what undoes a content encoding, piece by piece, or None where it is not known."""
    if encoding in ("", "identity"):
        return bytes
    made: _Decompressor
    if encoding in ("gzip", "x-gzip", "deflate"):
        made = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    elif encoding == "br":
        try:
            import brotli  # type: ignore[import-untyped]  # noqa: PLC0415  (has no wheels for PyPy)
        except ImportError:
            return None
        process: Callable[[bytes], bytes] = brotli.Decompressor().process
        return process
    elif encoding == "zstd":
        import zstandard  # noqa: PLC0415  (only where an answer is packed so)

        made = zstandard.ZstdDecompressor().decompressobj()
    else:
        return None
    return made.decompress


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Return the value of a header in lower case, empty where there is none."""
    return next(
        (value.decode("latin-1").strip().lower() for key, value in headers if key.lower() == name), ""
    )
