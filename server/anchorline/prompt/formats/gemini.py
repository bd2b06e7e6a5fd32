"""Gemini bodies: `generateContent` and `streamGenerateContent`.

One segment a part. The model stands in the request's path, not in its body. Members may be written in snake case too,
as JSON of protocol buffers may (protobuf.dev, json-format). How Google renders tools and the system instruction is not
published; here they come first, as with the others. Reference: ai.google.dev/api/generate-content.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anchorline.prompt import layout
from anchorline.prompt.formats.anthropic import string_draft
from anchorline.prompt.formats.builder import Builder
from anchorline.prompt.formats.dialect import Dialect, Frame, ItemSpan
from anchorline.prompt.formats.message import place_message
from anchorline.prompt.model import Draft, Format, Kind, Role, Segment
from anchorline.prompt.tokens import family


class _Content(msgspec.Struct):
    """A turn, or the system instruction."""

    role: str | None = None
    parts: list[Raw] = []


class _Generation(msgspec.Struct, rename="camel"):
    max_output_tokens: int | None = None


class _Frame(Frame):
    system: _Content | UnsetType | None = msgspec.field(name="systemInstruction", default=UNSET)
    snake_system: _Content | UnsetType | None = msgspec.field(name="system_instruction", default=UNSET)
    generation: _Generation | UnsetType | None = msgspec.field(name="generationConfig", default=UNSET)
    cached: Raw | UnsetType = msgspec.field(name="cachedContent", default=UNSET)
    snake_cached: Raw | UnsetType = msgspec.field(name="cached_content", default=UNSET)


class _Body(_Frame, kw_only=True):
    contents: list[_Content]


class _Media(msgspec.Struct):
    media: str | None = msgspec.field(name="mimeType", default=None)
    snake_media: str | None = msgspec.field(name="mime_type", default=None)


class _Part(msgspec.Struct, rename="camel"):
    """The members that tell a part's kind."""

    text: Raw | UnsetType = UNSET
    thought: bool | None = None
    function_call: Raw | UnsetType = UNSET
    function_response: Raw | UnsetType = UNSET
    inline_data: _Media | UnsetType = UNSET
    file_data: _Media | UnsetType = UNSET


class _SnakePart(msgspec.Struct):
    function_call: Raw | UnsetType = UNSET
    function_response: Raw | UnsetType = UNSET
    inline_data: _Media | UnsetType = UNSET
    file_data: _Media | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Body).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_decode_snake_part = msgspec.json.Decoder(_SnakePart).decode
_ROLES: dict[str | None, Role] = {"model": "assistant", "function": "tool", "system": "system"}
_SYSTEM = (b'"systemInstruction"', b'"system_instruction"')


class Gemini(Dialect):
    """Gemini's generateContent."""

    format: ClassVar[Format] = "gemini"
    array: ClassVar[bytes] = b'"contents"'
    markers: ClassVar[tuple[bytes, ...]] = ()
    before: ClassVar[frozenset[bytes]] = frozenset({b'"tools"', *_SYSTEM})
    output: ClassVar[bytes] = b'"response":'

    def family(self, model: str | None) -> str:
        """Returns the tokenizer of the model."""
        return family(model)

    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Returns the frame and the turns."""
        body = _decode(text)
        return body, body.contents

    def place(self, body: bytes, position: int, items: Sequence[_Content]) -> list[ItemSpan]:
        """Finds each turn's end and the starts of its parts."""
        spans: list[ItemSpan] = []
        position = layout.space(body, position)
        for turn in items:
            if spans:
                position = layout.comma(body, position)
            if turn.parts:
                span = place_message(body, position, [bytes(part) for part in turn.parts], "parts")
            else:
                span = ItemSpan(layout.skip(body, position), [])
            spans.append(span)
            position = span.end
        return spans

    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Adds the tools and the parts of the system instruction."""
        assert isinstance(frame, _Frame)  # noqa: S101  (a dialect only meets its own frame)
        if frame.tools:
            values = [bytes(tool) for tool in frame.tools]
            starts, _ = layout.spans(builder.body, places[b'"tools"'] + 1, values)
            for index, (start, tool) in enumerate(zip(starts, values, strict=True)):
                builder.add("tool", "system", start, tool, "tools", index)
        for name, system in zip(_SYSTEM, (frame.system, frame.snake_system), strict=True):
            if system and system.parts:
                values = [bytes(part) for part in system.parts]
                span = place_message(builder.body, places[name], values, "parts")
                assert not isinstance(span.starts, int)  # noqa: S101  (a list of parts has a list of starts)
                for index, (start, part) in enumerate(zip(span.starts, values, strict=True)):
                    builder.add("system", "system", start, part, "system", -1, index)

    def extend(
        self, builder: Builder, items: Sequence[_Content], spans: Sequence[ItemSpan], index: int
    ) -> None:
        """Adds one segment a part."""
        for number, (turn, span) in enumerate(zip(items, spans, strict=True), index):
            role = _ROLES.get(turn.role, "user")
            assert not isinstance(span.starts, int)  # noqa: S101
            for block, (start, part) in enumerate(zip(span.starts, turn.parts, strict=True)):
                content = bytes(part)
                builder.add(_kind(content), role, start, content, "messages", number, block)

    def draft(self, body: bytes, segments: Sequence[Segment]) -> Draft | None:
        """Returns the last text of the last turn, if that is the user's."""
        last = segments[-1].message if segments else -1
        for index in range(len(segments) - 1, -1, -1):
            segment = segments[index]
            if segment.section != "messages" or segment.message != last or segment.role != "user":
                break
            if segment.kind != "text":
                continue
            for member in layout.members(body, segment.start):
                if member.key == b'"text"' and (draft := string_draft(body, member.start, index)):
                    return draft
        return None

    def facts(self, frame: Frame) -> dict[str, Any]:
        """Returns the answer's limit, and whether the model gets all of this: a `cachedContent` stands before it."""
        assert isinstance(frame, _Frame)  # noqa: S101
        return {
            "max_tokens": (frame.generation.max_output_tokens or None) if frame.generation else None,
            "self_contained": all(
                member is UNSET or bytes(member) in (b"null", b'""')
                for member in (frame.cached, frame.snake_cached)
            ),
        }


def _kind(content: bytes) -> Kind:
    part: _Part | _SnakePart = _decode_part(content)
    assert isinstance(part, _Part)  # noqa: S101
    if part.text is not UNSET:
        return "thinking" if part.thought else "text"
    if b"_" in content[:_NAME]:
        part = _decode_snake_part(content)
    if part.function_call is not UNSET:
        return "tool_use"
    if part.function_response is not UNSET:
        return "tool_result"
    for held in (part.inline_data, part.file_data):
        if held:
            media = held.media or held.snake_media or ""
            if media.startswith("image/"):
                return "image"
            return "document" if media.startswith(("application/", "text/")) else "other"
    return "other"


_NAME = 24
"""First bytes of a part, in which its name begins."""
