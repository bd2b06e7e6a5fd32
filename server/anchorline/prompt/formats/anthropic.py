"""Anthropic Messages bodies: one segment a tool, a system block and a content block, in render order.

Reference: the Messages API (tools → system → messages, `cache_control` on any block). A tool with `defer_loading` is no
segment, but part of the blocks that refer to it (platform.claude.com, tool-use-with-prompt-caching); nor is what stands
before the last compaction block, which the API drops (platform.claude.com, compaction).
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anchorline.prompt import layout, session
from anchorline.prompt.formats.builder import Builder, Section, automatic, spaced, text_block
from anchorline.prompt.formats.dialect import Dialect, Frame, ItemSpan
from anchorline.prompt.formats.message import place_message
from anchorline.prompt.model import Draft, Format, Kind, Role, Segment
from anchorline.prompt.tokens import family
from anchorline.prompt.unrendered import of_agent, without_attribution


class _Message(msgspec.Struct):
    role: str
    content: list[Raw] | str


_Turn = tuple[Role, list[bytes] | None]
"""A message: its role and its blocks' bytes, or None where its content is one string."""


class _Frame(Frame):
    system: list[Raw] | str | UnsetType | None = UNSET
    max_tokens: int | UnsetType | None = UNSET
    thinking: Raw | UnsetType = UNSET
    cache_control: Raw | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    context_management: Raw | UnsetType = UNSET


class _Body(_Frame, kw_only=True):
    messages: list[_Message]


class _Block(msgspec.Struct):
    type: str | None = None


class _Loading(msgspec.Struct):
    defer_loading: bool | None = None


class _Tool(_Loading):
    """A tool, or a toolset of an MCP server, whose `configs` differ from the default by the tool's name."""

    type: str | None = None
    name: Raw = Raw(b'""')
    default_config: _Loading = msgspec.field(default_factory=_Loading)
    configs: dict[str, _Loading | None] | None = None

    @property
    def deferred(self) -> bool:
        """Whether nothing of it is sent to the model before it is found."""
        if self.type != "mcp_toolset":
            return self.defer_loading is True
        loaded = any(
            config is not None and config.defer_loading is False for config in (self.configs or {}).values()
        )
        return self.default_config.defer_loading is True and not loaded


class _Compaction(_Block):
    content: Raw | UnsetType = UNSET


class _ContextManagement(msgspec.Struct):
    edits: tuple[_Block, ...] = ()


_decode = msgspec.json.Decoder(_Body).decode

_BEGINNINGS: dict[bytes, Kind] = {
    b'{"type":"text","': "text",
    b'{"type":"tool_us': "tool_use",
    b'{"type":"tool_re': "tool_result",
    b'{"tool_use_id":"': "tool_result",
    b'{"type":"thinkin': "thinking",
}
"""First bytes of nearly every block: telling its kind must not cost a decode."""

_KINDS: dict[bytes, Kind] = {
    b"text": "text",
    b"tool_use": "tool_use",
    b"server_tool_use": "tool_use",
    b"mcp_tool_use": "tool_use",
    b"thinking": "thinking",
    b"redacted_thinking": "thinking",
    b"image": "image",
    b"document": "document",
    b"search_result": "document",
    b"compaction": "text",
}

_ROLES: dict[str, Role] = {"assistant": "assistant", "system": "system"}
_HEADS: dict[Role, bytes] = {
    "user": b'{"role":"user","content":[',
    "assistant": b'{"role":"assistant","content":[',
    "system": b'{"role":"system","content":[',
    "tool": b"",
}
_NOT_AN_INSTRUCTION = ("<system-reminder>", "<command-", "<local-command", "Caveat: The messages below")


class Anthropic(Dialect):
    """Anthropic Messages."""

    format: ClassVar[Format] = "anthropic"
    array: ClassVar[bytes] = b'"messages"'
    markers: ClassVar[tuple[bytes, ...]] = (b'"cache_control"',)
    before: ClassVar[frozenset[bytes]] = frozenset({b'"tools"', b'"system"', b'"tool_choice"', b'"thinking"'})

    def family(self, model: str | None) -> str:
        """Returns the tokenizer: Claude's, also where the model goes by another name."""
        tokenizer = family(model)
        return tokenizer if tokenizer.startswith("anthropic") else "anthropic"

    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Returns the frame and the messages."""
        body = _decode(text)
        role = _ROLES.get
        turns: list[_Turn] = [
            (
                role(message.role, "user"),
                list(map(bytes, content)) if type(content := message.content) is list else None,
            )
            for message in body.messages
        ]
        return body, turns

    def place(self, body: bytes, position: int, items: Sequence[_Turn]) -> list[ItemSpan]:
        """Finds each message's end and the starts of its blocks (or of its one string)."""
        spans: list[ItemSpan] = []
        position = layout.space(body, position)
        for role, blocks in items:
            if spans:
                position = position + 1 if body.startswith(b",{", position) else layout.comma(body, position)
            span = _place_compact(body, position, role, blocks) if blocks else None
            if span is None:
                span = place_message(body, position, blocks)
            spans.append(span)
            position = span.end
        return spans

    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Adds tools, then system, then a trace of the settings that invalidate the messages."""
        assert isinstance(frame, _Frame)  # noqa: S101  (a dialect only meets its own frame)
        if frame.tools:
            values = [bytes(tool) for tool in frame.tools]
            builder.look_from(places[b'"tools"'])
            starts, _ = layout.spans(builder.body, places[b'"tools"'] + 1, values)
            for index, (start, tool) in enumerate(zip(starts, values, strict=True)):
                name = deferred(tool)
                if name is None:
                    builder.add("tool", "system", start, tool, "tools", index)
                else:
                    builder.defer(name, start, tool)
        if isinstance(frame.system, str) and frame.system:
            start = places[b'"system"']
            _add_string(builder, "system", "system", start, "system", -1)
        elif frame.system:
            values = [bytes(block) for block in frame.system]
            builder.look_from(places[b'"system"'])
            starts, _ = layout.spans(builder.body, places[b'"system"'] + 1, values)
            for index, (start, block) in enumerate(zip(starts, values, strict=True)):
                if without_attribution(block):  # else it is no part of the prompt
                    builder.add(
                        "system", "system", start, block, "system", index, rendered=without_attribution
                    )
                else:
                    builder.skip(start, block, "unrendered")
        for setting in (frame.tool_choice, frame.thinking):
            if setting is not UNSET:
                builder.chain.add(bytes(setting), b"settings")

    def extend(self, builder: Builder, items: Sequence[_Turn], spans: Sequence[ItemSpan], index: int) -> None:
        """Adds one segment a content block, from the last compaction block on."""
        if spans and builder.body.find(b'"compaction"', _first_start(spans[0])) >= 0:
            at = _compacted(items)
            if at is not None:
                self._resume(builder, items, spans, index, at)
                return
        self._extend(builder, items, spans, index)

    def _resume(
        self,
        builder: Builder,
        items: Sequence[_Turn],
        spans: Sequence[ItemSpan],
        index: int,
        at: tuple[int, int],
    ) -> None:
        """Begins the conversation at the compaction block `at`: (number of the turn, of the block in it)."""
        number, first = at
        builder.compact(index + number)
        for (_, blocks), span in zip(items[:number], spans, strict=False):
            for start, content in _placed(blocks, span):
                builder.skip(start, content, "compacted")
        role, blocks = items[number]
        for block, (start, content) in enumerate(_placed(blocks, spans[number])):
            where = index + number, block
            if block < first:
                builder.skip(start, content, "compacted")
            elif block == first:
                builder.add("text", role, start, content, "messages", *where, rendered=_shown)
            else:
                builder.add(_kind(content), role, start, content, "messages", *where)
        self._extend(builder, items[number + 1 :], spans[number + 1 :], index + number + 1)

    def _extend(
        self, builder: Builder, items: Sequence[_Turn], spans: Sequence[ItemSpan], index: int
    ) -> None:
        run: list[tuple[Role, list[bytes]]] = []
        starts: list[int] = []
        for number, ((role, blocks), span) in enumerate(zip(items, spans, strict=True), index):
            if blocks is not None and isinstance(span.starts, int):
                run.append((role, blocks))
                starts.append(span.starts)
                continue
            builder.add_turns(run, starts, number - len(run), _BEGINNINGS, _kind)
            run, starts = [], []
            if blocks is not None and not isinstance(span.starts, int):
                for block, (start, content) in enumerate(zip(span.starts, blocks, strict=True)):
                    builder.add(_kind(content), role, start, content, "messages", number, block)
            elif isinstance(span.starts, int):
                _add_string(builder, "text", role, span.starts, "messages", number)
        builder.add_turns(run, starts, index + len(items) - len(run), _BEGINNINGS, _kind)

    def draft(self, body: bytes, segments: Sequence[Segment]) -> Draft | None:
        """Returns the last text of the last message, if that is the user's own."""
        last = segments[-1].message if segments else -1
        for index in range(len(segments) - 1, -1, -1):
            segment = segments[index]
            if segment.section != "messages" or segment.message != last or segment.role != "user":
                break
            if segment.kind == "text":
                start = segment.start if segment.block < 0 else _text_start(body, segment)
                draft = string_draft(body, start, index) if start is not None else None
                if draft is not None:
                    return draft
        return None

    def facts(self, frame: Frame) -> dict[str, Any]:
        """Returns the answer's limit, the automatic cache setting, the session's name, and what may be taken out."""
        assert isinstance(frame, _Frame)  # noqa: S101
        named = session.of_metadata(frame.metadata)
        first = bytes(frame.system[0]) if isinstance(frame.system, list) and frame.system else b""
        return {
            "max_tokens": frame.max_tokens or None,
            "automatic_ttl": automatic(frame.cache_control),
            "session": f"{named}/agent" if named and of_agent(first) else named,
            "self_contained": not (frame.thinned or _clears_results(frame.context_management)),
        }


def _clears_results(context_management: Raw | UnsetType) -> bool:
    """Says whether the API may take out earlier tool results before the model sees the request.

    ``clear_tool_uses_20250919`` does, ``clear_thinking`` and ``compact`` don't (platform.claude.com, context editing).
    """
    if context_management is UNSET:
        return False
    try:
        edits = msgspec.json.decode(context_management, type=_ContextManagement | None)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    other_edits = ("clear_thinking", "compact")
    return edits is not None and not all((edit.type or "").startswith(other_edits) for edit in edits.edits)


def _add_string(builder: Builder, kind: Kind, role: Role, start: int, section: Section, message: int) -> None:
    body = builder.body
    content = body[start : layout.skip(body, start)]
    shown = without_attribution(content) if section == "system" else content
    if shown:
        same_as = text_block(shown, spaced=spaced(body, start))
        builder.add(kind, role, start, content, section, message, same_as=same_as, rendered=lambda _: shown)


def string_draft(body: bytes, start: int, segment: int) -> Draft | None:
    """Returns the draft in the JSON string at `start`, or None if it is empty or no person wrote it."""
    end = layout.skip(body, start)
    text = msgspec.json.decode(body[start:end])
    if not isinstance(text, str) or not text.strip() or text.lstrip().startswith(_NOT_AN_INSTRUCTION):
        return None
    return Draft(text, segment, start, end, encoded=True)


def deferred(tool: bytes) -> bytes | None:
    """Returns the encoded name of a tool that is not loaded before it is found, None for any other."""
    if b'"defer_loading"' not in tool:
        return None
    try:
        read = msgspec.json.decode(tool, type=_Tool)
    except msgspec.MsgspecError:
        return None
    return bytes(read.name) if read.deferred else None


def _first_start(span: ItemSpan) -> int:
    if isinstance(span.starts, int):
        return span.starts
    return span.starts[0] if span.starts else span.end


def _placed(blocks: list[bytes] | None, span: ItemSpan) -> list[tuple[int, bytes]]:
    """Returns the blocks of a message with their starts; none where its content is one string."""
    if blocks is None:
        return []
    if not isinstance(span.starts, int):
        return list(zip(span.starts, blocks, strict=True))
    ends = accumulate((len(block) + 1 for block in blocks), initial=span.starts)
    return list(zip(ends, blocks, strict=False))


def _compacted(items: Sequence[_Turn]) -> tuple[int, int] | None:
    """Returns where the last compaction block stands: (number of the turn, of the block in it)."""
    for number in range(len(items) - 1, -1, -1):
        blocks = items[number][1] or []
        for block in range(len(blocks) - 1, -1, -1):
            if _summary(blocks[block]) is not None:
                return number, block
    return None


def _summary(content: bytes) -> bytes | None:
    """Returns the summary in a compaction block; None for other blocks, and where the compaction has failed."""
    if b'"compaction"' not in content:
        return None
    block = msgspec.json.decode(content, type=_Compaction)
    summary = b"" if block.content is UNSET else bytes(block.content)
    return summary if block.type == "compaction" and summary.startswith(b'"') else None


def _shown(compaction: bytes) -> bytes:
    return _summary(compaction) or compaction


def _kind(content: bytes) -> Kind:
    name = (msgspec.json.decode(content, type=_Block).type or "").encode()
    if name == b"compaction" and _summary(content) is None:
        return "other"  # a compaction that failed: the API leaves it out
    return _KINDS.get(name) or ("tool_result" if name.endswith(b"tool_result") else "other")


def _place_compact(body: bytes, position: int, role: Role, blocks: list[bytes]) -> ItemSpan | None:
    """Locates a message that is written as nearly every client writes it, without white space."""
    head = _HEADS[role]
    if not body.startswith(head, position):
        return None
    start = position + len(head)
    content = blocks[0] if len(blocks) == 1 else b",".join(blocks)
    end = start + len(content)
    if not (body.startswith(content, start) and body.startswith(b"]}", end)):
        return None
    return ItemSpan(end + 2, start)


def _text_start(body: bytes, segment: Segment) -> int | None:
    start = None
    for member in layout.members(body, segment.start):
        if member.key == b'"text"':
            start = member.start
    return start
