"""The parts of a turn as Gemini's API has them, in the session files of Gemini CLI and of its fork Qwen Code."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.prompt.model import Kind
from anchorline.prompt.source import Line, value
from anchorline.sessions.conversation import Conversation

_ABSENT = Raw(b"")


class _Call(msgspec.Struct):
    id: str = ""
    name: Any = None
    args: Raw = Raw(b"{}")


class _Response(msgspec.Struct):
    id: str = ""
    response: Raw = Raw(b"{}")


class Part(msgspec.Struct, rename="camel"):
    """One part: a text (with `thought` the model's own), a tool's call or result, or what is attached."""

    text: Raw = _ABSENT
    thought: Any = None
    function_call: _Call | None = None
    function_response: _Response | None = None
    inline_data: Raw = _ABSENT


_decode = msgspec.json.Decoder(list[Part]).decode


def parts(content: bytes) -> Sequence[Part]:
    """Returns the parts of a content: its list, or the one text that it is. Raises what decoding raises."""
    if content.startswith(b"["):
        return _decode(content)
    return [Part(text=Raw(content))] if content.startswith(b'"') else []


def message(talk: Conversation, content: bytes, at: float | None, line: Line | None) -> None:
    """Takes in what a person said, and what was attached to it. `line` holds it, where its words may be looked at."""
    said = False
    for part in parts(content):
        text = bytes(part.text)
        if not text or said:
            talk.add("text" if text else "image", text or bytes(part.inline_data), "user")
            continue
        start, words = 0, (0, 0)
        if line is not None:
            start = line.offset + value(line.text, b"text", text)
            words = start, start + len(text)
        talk.message(text, at, start=start, words=words)
        said = True


def returned(talk: Conversation, content: bytes, at: float | None, known: set[str]) -> bool:
    """Takes in the tools' results of a content; returns whether it has some.

    `known` are the calls whose results came before: a resumed session tells them again.
    """
    responses = [part.function_response for part in parts(content) if part.function_response is not None]
    for response in responses:
        result = bytes(response.response)
        if response.id in known:
            talk.add("tool_result", result)
        else:
            talk.returned(response.id, result, at, failed=b'"error":' in result[:_HEAD])
        known.add(response.id)
    return bool(responses)


def put(talk: Conversation, content: bytes, *, by_model: bool) -> None:
    """Takes in all parts of a content, of the model's or of what was known before."""
    for part in parts(content):
        if part.function_call is not None:
            call = part.function_call
            talk.called(call.id, call.name, bytes(call.args))
        elif part.function_response is not None:
            talk.add("tool_result", bytes(part.function_response.response))
        elif part.text:
            kind: Kind = "thinking" if part.thought is True else "text"
            talk.add(kind, bytes(part.text), "assistant" if by_model else "user")
        elif part.inline_data:
            talk.add("image", bytes(part.inline_data), "assistant" if by_model else "user")


_HEAD = 16
"""First bytes of a tool's response, in which a failed one has its `error`."""
