"""OpenAI bodies: chat completions and Responses.

One segment an item; a message of the user's or the system's whose content is a list gives one segment a part,
since those are what `prompt_cache_breakpoint` marks (assistant parts can't carry it). A tool with `defer_loading` is no
segment: what a tool search finds comes as an item of its own (developers.openai.com, tools-tool-search).
Reference: the OpenAI API's chat completions and responses.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anchorline.prompt import layout, session
from anchorline.prompt.formats.anthropic import deferred, string_draft
from anchorline.prompt.formats.builder import Builder, automatic, spaced, text_block
from anchorline.prompt.formats.dialect import Dialect, Frame, ItemSpan
from anchorline.prompt.formats.message import place_message
from anchorline.prompt.model import Draft, Format, Kind, Role, Segment
from anchorline.prompt.tokens import family
from anchorline.prompt.unrendered import without_attribution


class _Item(msgspec.Struct):
    role: str | None = None
    type: str | None = None
    content: list[Raw] | str | UnsetType | None = UNSET


class _Part(msgspec.Struct):
    type: str | None = None


class _OpenAIFrame(Frame):
    prompt_cache_key: str | UnsetType | None = UNSET
    metadata: Raw | UnsetType = UNSET
    client_metadata: Raw | UnsetType = UNSET

    @property
    def named(self) -> str | None:
        """The session that the client names."""
        return (
            session.of_metadata(self.client_metadata)
            or session.of_metadata(self.metadata)
            or session.of_cache_key(self.prompt_cache_key or None)
        )


class _ChatFrame(_OpenAIFrame):
    max_completion_tokens: int | UnsetType | None = UNSET
    max_tokens: int | UnsetType | None = UNSET
    cache_control: Raw | UnsetType = UNSET


class _ChatBody(_ChatFrame, kw_only=True):
    messages: list[Raw]


class _ResponsesFrame(_OpenAIFrame):
    instructions: str | UnsetType | None = UNSET
    max_output_tokens: int | UnsetType | None = UNSET
    truncation: Raw | UnsetType = UNSET
    previous_response_id: Raw | UnsetType = UNSET
    conversation: Raw | UnsetType = UNSET

    @property
    def self_contained(self) -> bool:
        """Whether the model gets all that is here, and that alone: it is not truncated, nor goes on from elsewhere."""
        truncated = self.truncation is not UNSET and bytes(self.truncation) not in (b"null", b'"disabled"')
        stored = (self.previous_response_id, self.conversation)
        return not (truncated or self.thinned) and all(
            member is UNSET or bytes(member) == b"null" for member in stored
        )


class _ResponsesBody(_ResponsesFrame, kw_only=True):
    input: list[Raw] | str


_decode_chat = msgspec.json.Decoder(_ChatBody).decode
_decode_responses = msgspec.json.Decoder(_ResponsesBody).decode
_decode_item = msgspec.json.Decoder(_Item).decode

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_BEGINNINGS: dict[bytes, tuple[Kind, Role]] = {
    b'{"type":"function_call",': ("tool_use", "assistant"),
    b'{"type":"function_call_o': ("tool_result", "tool"),
    b'{"type":"reasoning","id"': ("thinking", "assistant"),
    b'{"type":"reasoning","sum': ("thinking", "assistant"),
    b'{"role":"assistant","con': ("text", "assistant"),
}
_BEGINNING = 24
"""First bytes of most items: telling their kind must not cost a decode."""

_PARTS: dict[str | None, Kind] = {
    "image_url": "image",
    "input_image": "image",
    "file": "document",
    "input_file": "document",
    "input_audio": "other",
}


class _OpenAI(Dialect):
    """The part that chat completions and Responses have in common."""

    markers: ClassVar[tuple[bytes, ...]] = (b'"prompt_cache_breakpoint"', b'"cache_control"')
    text_part: ClassVar[bytes]

    def family(self, model: str | None) -> str:
        """Returns the tokenizer of the model: this API is spoken by more than OpenAI."""
        return family(model)

    def place(self, body: bytes, position: int, items: Sequence[Raw]) -> list[ItemSpan]:
        """Finds each item's start and end."""
        values = [bytes(item) for item in items]
        starts, _ = layout.spans(body, position, values)
        return [ItemSpan(start + len(value), start) for start, value in zip(starts, values, strict=True)]

    def extend(self, builder: Builder, items: Sequence[Raw], spans: Sequence[ItemSpan], index: int) -> None:
        """Adds each item, or its parts."""
        for number, (item, span) in enumerate(zip(items, spans, strict=True), index):
            content = bytes(item)
            beginning = _BEGINNINGS.get(content[:_BEGINNING])
            if beginning is not None:
                kind, role = beginning
                builder.add(kind, role, span.end - len(content), content, "messages", number)
            else:
                self._add(builder, content, span.end - len(content), number)

    def _add(self, builder: Builder, content: bytes, start: int, index: int) -> None:
        fields = _decode_item(content)
        role = _ROLES.get(fields.role or "", "user")
        if fields.role is None and fields.type != "message":
            kind, role = _item_kind(fields.type)
            builder.add(kind, role, start, content, "messages", index)
            return
        parts = fields.content
        rendered = without_attribution if role == "system" and builder.claude else None
        if rendered is not None and isinstance(parts, str) and not rendered(content):
            builder.skip(start, content, "unrendered")
            return
        if role in ("user", "system") and isinstance(parts, list):
            values = [bytes(part) for part in parts]
            starts = place_message(builder.body, start, values).starts
            assert not isinstance(starts, int)  # noqa: S101  (only a string has one start)
            for block, (begin, part) in enumerate(zip(starts, values, strict=True)):
                if rendered is not None and not rendered(part):
                    builder.skip(begin, part, "unrendered")
                    continue
                kind = _part_kind(part, role)
                builder.add(kind, role, begin, part, "messages", index, block, rendered=rendered)
            return
        kind = "system" if role == "system" else "tool_result" if role == "tool" else "text"
        same_as = b""
        if role in ("user", "system") and isinstance(parts, str):
            string = place_message(builder.body, start, None).starts
            assert isinstance(string, int)  # noqa: S101  (a string has one start)
            literal = builder.body[string : layout.skip(builder.body, string)]
            literal = rendered(literal) if rendered is not None else literal
            same_as = text_block(literal, spaced=spaced(builder.body, string), name=self.text_part)
        builder.add(kind, role, start, content, "messages", index, same_as=same_as, rendered=rendered)

    def draft(self, body: bytes, segments: Sequence[Segment]) -> Draft | None:
        """Returns the last text of the last item, if that is a user's message."""
        last = segments[-1].message if segments else -1
        for index in range(len(segments) - 1, -1, -1):
            segment = segments[index]
            if segment.section != "messages" or segment.message != last or segment.role != "user":
                break
            if segment.kind == "text":
                start = segment.start
                if body[start : start + 1] == b"{":
                    start = _member(body, start, "content" if segment.block < 0 else "text")
                if (
                    start >= 0
                    and body[start : start + 1] == b'"'
                    and (draft := string_draft(body, start, index))
                ):
                    return draft
        return None

    def _tools(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        if not frame.tools:
            return
        values = [bytes(tool) for tool in frame.tools]
        builder.look_from(places[b'"tools"'])
        starts, _ = layout.spans(builder.body, places[b'"tools"'] + 1, values)
        for index, (start, tool) in enumerate(zip(starts, values, strict=True)):
            name = deferred(tool)
            if name is None:
                builder.add("tool", "system", start, tool, "tools", index)
            else:
                builder.defer(name, start, tool)


class Chat(_OpenAI):
    """OpenAI chat completions."""

    format: ClassVar[Format] = "openai-chat"
    text_part: ClassVar[bytes] = b"text"
    array: ClassVar[bytes] = b'"messages"'
    before: ClassVar[frozenset[bytes]] = frozenset({b'"tools"'})

    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Returns the frame and the messages."""
        body = _decode_chat(text)
        return body, body.messages

    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Adds the tools."""
        self._tools(builder, frame, places)

    def facts(self, frame: Frame) -> dict[str, Any]:
        """Returns the answer's limit, the session's name, the automatic cache setting, and whether all here is sent.

        OpenRouter has that setting for Claude only (openrouter.ai/docs, prompt-caching).
        """
        assert isinstance(frame, _ChatFrame)  # noqa: S101  (a dialect only meets its own frame)
        claude = "claude" in (frame.model or "").lower()
        return {
            "automatic_ttl": automatic(frame.cache_control) if claude else None,
            "max_tokens": frame.max_completion_tokens or frame.max_tokens or None,
            "session": frame.named,
            "self_contained": not frame.thinned,
        }


class Responses(_OpenAI):
    """OpenAI Responses."""

    format: ClassVar[Format] = "openai-responses"
    text_part: ClassVar[bytes] = b"input_text"
    array: ClassVar[bytes] = b'"input"'
    output: ClassVar[bytes] = b'"output":'
    before: ClassVar[frozenset[bytes]] = frozenset({b'"tools"', b'"instructions"'})

    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Returns the frame and the input's items; a plain string is one item."""
        body = _decode_responses(text)
        return body, [] if isinstance(body.input, str) else body.input

    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Adds the tools and the instructions, and an input that is a plain string."""
        assert isinstance(frame, _ResponsesFrame)  # noqa: S101
        self._tools(builder, frame, places)
        if frame.instructions:
            start = places[b'"instructions"']
            content = builder.body[start : layout.skip(builder.body, start)]
            builder.add("system", "system", start, content, "system", -1)
        if isinstance(frame, _ResponsesBody) and isinstance(frame.input, str):
            start = places[b'"input"']
            content = builder.body[start : layout.skip(builder.body, start)]
            builder.add("text", "user", start, content, "messages", -1)

    def facts(self, frame: Frame) -> dict[str, Any]:
        """Returns the answer's limit, the session that the client names, and whether the model gets all of this."""
        assert isinstance(frame, _ResponsesFrame)  # noqa: S101
        return {
            "max_tokens": frame.max_output_tokens or None,
            "session": frame.named,
            "self_contained": frame.self_contained,
        }


def _member(body: bytes, position: int, name: str) -> int:
    """Returns where the value of an object's member starts: the last one's, where there are several."""
    start = -1
    for member in layout.members(body, position):
        if msgspec.json.decode(member.key) == name:
            start = member.start
    return start


def _item_kind(name: str | None) -> tuple[Kind, Role]:
    if name is None:
        return "other", "user"
    if name.endswith("_output"):
        return "tool_result", "tool"
    if name.endswith("_call"):
        return ("image" if name == "image_generation_call" else "tool_use"), "assistant"
    return ("thinking", "assistant") if name == "reasoning" else ("other", "user")


def _part_kind(part: bytes, role: Role) -> Kind:
    if role == "system":
        return "system"
    name = msgspec.json.decode(part, type=_Part).type if part.startswith(b"{") else None
    return _PARTS.get(name, "text")
