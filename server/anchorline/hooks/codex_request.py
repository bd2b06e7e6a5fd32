"""The newest request of a Codex session, from the end of its file, and whether a person types there."""

from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Raw

from anchorline.hooks.last_request import TAILS, LastRequest
from anchorline.outcome import Usage
from anchorline.prompt.source import epoch, lines

TERMINALS = ("codex-tui", "codex_cli_rs")
"""Who begins a session in Codex's own terminal (`codex_exec` is `codex exec`; 0.171.0, and before)."""


class _Usage(msgspec.Struct):
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0


class _Info(msgspec.Struct):
    last: _Usage | None = msgspec.field(name="last_token_usage", default=None)


class _Payload(msgspec.Struct):
    type: str | None = None
    info: _Info | None = None
    originator: str | None = None


class _Line(msgspec.Struct):
    type: str
    timestamp: datetime | None = None
    payload: Raw = Raw(b"{}")


_LINE = msgspec.json.Decoder(_Line)
_PAYLOAD = msgspec.json.Decoder(_Payload)
_TOLD = ("event_msg", "compacted", "session_meta")


def last_request(file: Path, model: str) -> LastRequest | None:
    """Returns the newest request, as one to `model`; None where there is none, or a compaction came after it.

    OpenAI keeps all of a prompt up to its end. Raises OSError and PromptError.
    """
    size = file.stat().st_size
    for tail in TAILS:
        newest: LastRequest | None = None
        for line in lines(file, max(size - tail, 0)):
            told = _read(line.text)
            if told is None:
                continue
            kind, at, payload = told
            if kind == "compacted":
                newest = None
            elif payload.info is not None and payload.info.last is not None and at is not None:
                usage = payload.info.last
                read = min(usage.cached_input_tokens, usage.input_tokens)
                counts = Usage(read=read, write=usage.input_tokens - read, output=usage.output_tokens)
                newest = LastRequest(model, counts, "default", at, at)
        if newest is not None or tail >= size:
            return newest
    return None


def is_in_a_terminal(file: Path) -> bool:
    """Says whether the session was begun in Codex's own terminal. Raises OSError and PromptError."""
    first = next(islice(lines(file), 1), None)
    told = _read(first.text) if first is not None else None
    return told is not None and told[2].originator in TERMINALS


def _read(text: bytes) -> tuple[str, float | None, _Payload] | None:
    """Returns type, time and content of a line that tells something; None for all others, and damaged ones."""
    try:
        line = _LINE.decode(text)
        return (
            (line.type, epoch(line.timestamp), _PAYLOAD.decode(line.payload)) if line.type in _TOLD else None
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
