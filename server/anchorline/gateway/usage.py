"""Reads the usage of an answer from its bytes on their way to the client.

Anthropic Messages, OpenAI chat completions and Responses, Gemini's generateContent, whole or streamed as server-sent
events (Gemini's also as one JSON array), compressed or not.
Nothing here may fail: what can't be read is not known.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from anchorline.gateway import coding
from anchorline.outcome import Usage
from anchorline.prompt import half_pairs, layout
from anchorline.prompt.usage import merged, read

ANSWER_BYTES = 16 << 20
"""Of a longer answer, a longer event of a stream, or a piece that unpacks to more, the usage is not read."""

MAX_VALUES = 100_000
"""An answer or event of more members and elements is not read: decoded they would take a hundred times its bytes."""
MAX_LINES = 1_000_000
"""A stream of more lines is not read on: the longest answers have some hundred thousand, and each takes time."""


class _Inner(msgspec.Struct):
    id: Any = None
    model: Any = None
    usage: Any = None
    service_tier: Any = None
    diagnostics: Any = None


class _Event(_Inner):
    """An answer, or one event of a stream: the usage stands in it, in its ``message``, ``response`` or a choice.

    What is `Any` or raw may not keep the usage from being read where some provider has it otherwise.
    """

    type: Any = None
    object: Any = None
    status: Any = None
    stop_reason: Any = None
    delta: Any = None
    message: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    choices: msgspec.Raw = msgspec.Raw()
    model_version: Any = msgspec.field(default=None, name="modelVersion")
    usage_metadata: Any = msgspec.field(default=None, name="usageMetadata")
    response_id: Any = msgspec.field(default=None, name="responseId")
    candidates: msgspec.Raw = msgspec.Raw()


class _Candidate(msgspec.Struct):
    finish_reason: Any = msgspec.field(default=None, name="finishReason")


_decode = msgspec.json.Decoder(_Event).decode
_decode_inner = msgspec.json.Decoder(_Inner).decode
_decode_choices = msgspec.json.Decoder(list[_Inner]).decode
_decode_candidates = msgspec.json.Decoder(list[_Candidate]).decode
_CODE = re.compile(r"[a-z][a-z_]{0,31}\Z")
MOST = 1_000_000_000
_GOOD = ("message_stop", "response.completed")
"""Types of the event that ends a stream in good order.

Chat completions end theirs with ``[DONE]``, Gemini with an event that says why the answer is finished.
"""
_LAST = (*_GOOD, "response.incomplete", "response.failed", "response.cancelled", "error")
"""Types of the events with which a provider ends a stream."""
_LAST_BYTES = 256
"""An event of these types without a usage is not longer."""
_BOM = b"\xef\xbb\xbf"
_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


class Billed(msgspec.Struct, frozen=True):
    """What an answer told: its usage, its id and the model that gave it, None or empty where it did not say.

    `miss` is the provider's own reason why its cache was not read, of `missed` tokens, where its client asked for that.
    """

    usage: Usage | None = None
    model: str | None = None
    miss: str = ""
    missed: int = 0
    id: str = ""


class Meter:
    """Reads one answer. Feed it the bytes as they come; `billed` is what was read so far, `stop` why it ended."""

    def __init__(self, content_type: str, encoding: str) -> None:
        self._stream = content_type.startswith("text/event-stream")
        self._inflate = coding.decoder(encoding)
        self._begun = self._over = self._return = False
        self._rest: list[bytes] = []
        self._size = 0
        self._lines_left = MAX_LINES
        self._event: list[bytes] = []
        self._event_size = 0
        self._told: dict[str, Any] = {}
        self._tier: object = None
        self._model: str | None = None
        self._id = ""
        self._miss = ("", 0)
        self._ended = self._last = self._broken = False
        self.stop = ""

    @property
    def complete(self) -> bool:
        """Whether the answer was read to its good end, as its provider marks that."""
        return self._ended and not self._broken and self._inflate is not None

    @property
    def broken_off(self) -> bool:
        """Whether the answer had no end: its client left, or its provider. What it was billed may not be told."""
        return not (self._over or self._ended or self._last)

    def feed(self, chunk: bytes) -> None:
        """Takes in bytes of the answer."""
        unpacked = 0
        try:
            for data in self._inflate(chunk) if self._inflate is not None else ():
                unpacked += len(data)
                if unpacked > ANSWER_BYTES:
                    self._give_up()
                    return
                self._take(data)
        except Exception:  # noqa: BLE001  (each decompressor has errors of its own, and none is the client's trouble)
            self._inflate = None

    def end(self) -> None:
        """Reads what a whole answer says: it is complete."""
        text = b"".join(self._rest)
        self._rest = []
        if not self._begun:
            self._begin(text)
        if not self._stream:
            self._read(text)
        else:
            self._line(text)
            self._dispatch()
        self._over = True

    def _take(self, data: bytes) -> None:
        if not self._begun:
            data = b"".join((*self._rest, data))
            if len(data) < len(_BOM) + 6:  # too little to tell what it is
                self._rest, self._size = [data], len(data)
                return
            self._rest, self._size = [], 0
            data = self._begin(data)
        if self._stream:
            data = self._lines(data)
        self._rest.append(data)
        self._size += len(data)
        if self._size > ANSWER_BYTES:
            self._give_up()

    def _begin(self, data: bytes) -> bytes:
        """Tells a stream from a whole answer by its first bytes: relays give them each other's content type."""
        self._begun = True
        data = data.removeprefix(_BOM)
        start = data.lstrip()
        self._stream = start.startswith(_STARTS) or (self._stream and not start.startswith((b"{", b"[")))
        return data

    def _give_up(self) -> None:
        self._inflate, self._rest, self._event = None, [], []

    def _lines(self, data: bytes) -> bytes:
        """Reads the whole lines of a stream, whose lines end with LF, CR or both; returns what is left."""
        if self._return and data.startswith(b"\n"):
            data = data[1:]
        if data:
            self._return = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in data:
            return data
        self._lines_left -= data.count(b"\n")
        if self._lines_left < 0:
            self._give_up()
            return b""
        *lines, data = data.split(b"\n")
        lines[0] = b"".join((*self._rest, lines[0]))
        self._rest, self._size = [], 0
        for line in lines:
            self._line(line)
        return data

    def _line(self, line: bytes) -> None:
        """Takes a line of a stream into its event; an empty one ends that."""
        if line.startswith(b"data:"):
            line = line[5:].strip()
            # Some relays leave the empty line out. No JSON has one of these begin where the other has ended.
            if self._event and self._event[-1].endswith(b"}") and line.startswith((b"{", b"[DONE]")):
                self._dispatch()
            self._event.append(line)
            self._event_size += len(line) + 1
            if self._event_size > ANSWER_BYTES:
                self._give_up()
        elif not line:
            self._dispatch()

    def _dispatch(self) -> None:
        """Looks at an event: few of them are worth a decoder."""
        if not self._event:
            return
        text = self._event[0] if len(self._event) == 1 else b"\n".join(self._event)
        self._event, self._event_size = [], 0
        if b'"usage' in text or (len(text) < _LAST_BYTES and any(last.encode() in text for last in _LAST)):
            self._read(text)
        elif text == b"[DONE]":
            self._ended = True
        elif text.startswith(b'{"error"'):
            self._broken = self._last = True

    @property
    def billed(self) -> Billed:
        """What the answer told so far."""
        usage = read(self._told, self._tier, partial=self.broken_off)
        return Billed(usage, self._model, *self._miss, self._id)

    def _read(self, text: bytes) -> None:
        if layout.holds_more(text, MAX_VALUES):
            return
        for event in _events(text):
            self._tell(event)

    def _tell(self, event: _Event) -> None:
        kind = event.type if isinstance(event.type, str) else ""
        finished = _finished(event.candidates)
        if self._stream:
            self._ended = self._ended or kind in _GOOD or finished
            self._last = self._last or kind in _LAST
            self._broken = self._broken or kind == "error"
        else:
            is_whole = event.stop_reason is not None or event.object == "chat.completion"
            self._ended = is_whole or event.status == "completed" or finished
        stop = event.delta.get("stop_reason") if isinstance(event.delta, dict) else event.stop_reason
        self.stop = stop if isinstance(stop, str) else self.stop
        choices = _inners(event.choices) if event.usage is None else ()
        for part in (event, *_inners(event.message), *_inners(event.response), *choices):
            model = part.model or event.model_version
            self._model = model[:128] if isinstance(model, str) and model else self._model
            name = part.id if part.id is not None else event.response_id
            self._id = name if isinstance(name, str) and len(name) <= _LAST_BYTES else self._id
            self._miss = _missed(part.diagnostics) or self._miss
            self._tier = part.service_tier if part.service_tier is not None else self._tier
            if isinstance(part.usage, dict):
                merged(self._told, part.usage)
        if isinstance(event.usage_metadata, dict):
            self._told |= event.usage_metadata  # of an answer so far: the last one counts


def _events(text: bytes) -> Iterator[_Event]:
    """Yields what is told in JSON: one answer or event, or a list of them."""
    try:
        if text.lstrip(_BOM + b" \t\r\n").startswith(b"["):
            yield from msgspec.json.decode(text.removeprefix(_BOM), type=list[_Event])
        else:
            yield half_pairs.decoded(_decode, text.removeprefix(_BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return


def _inners(raw: msgspec.Raw) -> Iterable[_Inner]:
    """Returns the objects that a member has: one, those of its list, or none."""
    text = bytes(raw)
    try:
        if text.startswith(b"{"):
            return (_decode_inner(raw),)
        return _decode_choices(raw) if text.startswith(b"[") and b'"usage"' in text else ()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def _finished(candidates: msgspec.Raw) -> bool:
    """Returns whether Gemini says of an answer why it is finished."""
    if b'"finishReason"' not in bytes(candidates):
        return False
    try:
        return any(candidate.finish_reason for candidate in _decode_candidates(candidates))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def _missed(diagnostics: Any) -> tuple[str, int] | None:  # noqa: ANN401  (a beta's: it may change)
    """Returns Anthropic's reason of a miss and its tokens."""
    reason = diagnostics.get("cache_miss_reason") if isinstance(diagnostics, dict) else None
    if not isinstance(reason, dict):
        return None
    code = reason.get("type")
    if not isinstance(code, str) or not _CODE.match(code):
        return None
    tokens = reason.get("cache_missed_input_tokens")
    return code, tokens if isinstance(tokens, int) and 0 <= tokens <= MOST else 0


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Returns the value of a header in lower case, empty where there is none."""
    return next(
        (value.decode("latin-1").strip().lower() for key, value in headers if key.lower() == name), ""
    )
