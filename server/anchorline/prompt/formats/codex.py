"""Codex session files ("rollouts"), as the client writes them under ~/.codex/sessions.

`response_item` lines are the conversation, `session_meta` has the instructions and dynamic tools,
`turn_context` the model, `compacted` what takes the history's place. Newer clients (0.171) write a
`token_usage_record` with the response's id for each response, all of them a `token_count`, whose `total_token_usage`
is the truth: it is told again, unchanged, after an interruption or a compaction. Older clients do not write down
their built-in tools: those tokens show only in the usage (see docs/explain/tokens.md).

Which request the Prompt is: where the file ends with input (an instruction or a tool's output), the next
request, otherwise the last one that was sent, without its answer. `Prompt.sent` then ends with that request
itself: the entry whose `at` is `Prompt.now`.
"""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Raw
from xxhash import xxh3_128_digest

from anchorline.prompt import layout, tokens
from anchorline.prompt.formats.history import Block, History, Part
from anchorline.prompt.model import Kind, Prompt, PromptError, Role, Sent
from anchorline.prompt.source import Line, each, epoch, loader, value

Total = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
"""Tokens of a whole session."""
MAX_OUTPUT = 48_000
"""Bytes of a tool's output that are sent; the client shortens more (1.2 times 10 000 tokens of 4 bytes)."""
REPLAY = 0.3
"""Seconds. A shorter response was copied from the session that this one was forked from."""
_ROLES: dict[str, Role] = {"assistant": "assistant", "user": "user"}
_ANSWERS = frozenset({"reasoning", "compaction", "context_compaction"})
"""Items that a model wrote, beside its messages and its calls."""

_MACHINE = re.compile(
    r"\s*(?:<(?:[a-z]+_[a-z_]+|skill|INSTRUCTIONS|permissions[ a-z]*)>|# AGENTS\.md instructions)"
)
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
# What the client adds for itself to each item.
_PRIVATE = b',"internal_chat_message_metadata_passthrough":'


_ABSENT = Raw(b"null")


class _Line(msgspec.Struct):
    type: str
    payload: Raw
    timestamp: datetime | None = None


class _Text(msgspec.Struct):
    text: Raw = _ABSENT


class SessionMeta(msgspec.Struct):
    """What a session says of itself; it does so again when it is gone on with, or its branch is another one."""

    id: str | None = None
    timestamp: datetime | None = None
    forked_from_id: str | None = None
    base_instructions: Raw = _ABSENT
    dynamic_tools: Raw = _ABSENT
    source: Raw = _ABSENT
    cwd: Any = None
    git: Any = None


class _Context(msgspec.Struct):
    model: str | None = None


class _Compacted(msgspec.Struct):
    replacement_history: Raw = _ABSENT
    message: Raw = _ABSENT


class TokenUsage(msgspec.Struct, frozen=True):
    """A response's usage, or that of a session so far; `input_tokens` has those in it that were read and written."""

    input_tokens: Total = 0
    cached_input_tokens: Total = 0
    cache_write_input_tokens: Total = 0
    reasoning_output_tokens: Total = 0
    output_tokens: Total = 0

    def since(self, before: "TokenUsage") -> "TokenUsage | None":
        """Returns what was added to `before`; None where counting began anew."""
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(before)
        added = [count - other for count, other in zip(mine, others, strict=True)]
        return TokenUsage(*added) if min(added) >= 0 else None

    @property
    def read(self) -> int:
        """Tokens that were read from the cache."""
        return min(self.cached_input_tokens, self.input_tokens)

    @property
    def write(self) -> int:
        """Tokens that were written to the cache: not told by older clients, and of older models."""
        return min(self.cache_write_input_tokens, self.input_tokens - self.read)

    @property
    def input(self) -> int:
        """Tokens that were neither read nor written."""
        return self.input_tokens - self.read - self.write


class _Info(msgspec.Struct):
    total_token_usage: TokenUsage | None = None
    last_token_usage: TokenUsage | None = None


class _Record(msgspec.Struct):
    thread_id: str | None = None
    response_id: str | None = None
    usage: TokenUsage | None = None
    thread_token_usage: TokenUsage | None = None


class _Event(msgspec.Struct):
    type: str | None = None
    info: _Info | None = None
    rate_limits: Raw = _ABSENT


class Item(msgspec.Struct, gc=False):
    """An item of a conversation. What only calls and results have is checked by whoever reads it."""

    type: str
    role: str | None = None
    content: Raw = _ABSENT
    call_id: str | None = None
    name: Any = None
    namespace: Any = None
    arguments: Any = None
    input: Any = None


_LINE = msgspec.json.Decoder(_Line)
_LIST = msgspec.json.Decoder(list[Raw])
_ITEM = msgspec.json.Decoder(Item)
_EVENT = msgspec.json.Decoder(_Event)
_TEXT = msgspec.json.Decoder(_Text)


def sniff(first_line: bytes) -> bool:
    """Says whether a file that begins with this line is a Codex session."""
    try:
        return _LINE.decode(first_line).type in (
            "session_meta",
            "response_item",
            "event_msg",
            "turn_context",
            "compacted",
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def read(path: Path) -> Prompt:
    """Reads a session file (see the module); damaged lines are left out.

    Raises PromptError naming line and byte where nothing is left, or OSError.
    """
    session = Session()
    left_out = each(path, session.take)
    session.finish()
    history = session.history
    if not any(part.section == "messages" for part in history.parts):
        raise (
            left_out[0]
            if left_out
            else PromptError("no message of a conversation in this file", offset=0, line=1)
        )
    load = loader(path)
    return Prompt(
        format="codex",
        segments=history.segments(session.model),
        load=load,
        draft=history.draft(load),
        model=session.model,
        session=session.id,
        sent=tuple(session.sent),
        now=history.now,
        compacted=history.compacted,
        left_out=left_out,
    )


class SentRequest(NamedTuple):
    """A request whose usage has not been told yet. `first_at` is the time of the response's first line."""

    at: float | None
    prefix: bytes
    segments: int
    first_at: float | None = None


class Frozen(msgspec.Struct, frozen=True, array_like=True):
    """A session at the end of a line, to go on from (see `Session.frozen`)."""

    parts: tuple[Part, ...]
    turn: int
    now: float | None
    compacted: bool
    id: str | None
    model: str | None
    agent: bool
    asked: SentRequest | None
    newest: SentRequest | None
    ends_with_answer: bool
    total: TokenUsage | None
    began: float | None
    forked: bool


Watch = Callable[[Item, int, bytes], None]
"""Sees an item, where it stands in the file, and its bytes."""


class Session:
    """A session as its lines tell it, one after the other.

    `measure` counts what the estimates need, `watch` sees each item.
    """

    def __init__(self, measure: tokens.Measure = tokens.measure, watch: Watch | None = None) -> None:
        self._measure = measure
        self._watch = watch
        self.history = History()
        self.id: str | None = None
        self.model: str | None = None
        self.sent: list[Sent] = []
        self.agent = False
        self._asked: SentRequest | None = None
        self._newest: SentRequest | None = None
        self._ends_with_answer = False
        self._first_at: float | None = None
        self._total: TokenUsage | None = None
        self._began: float | None = None
        self._forked = False
        self._told_limits = b""

    def take(self, line: Line) -> None:
        """Takes in one line."""
        head = _LINE.decode(line.text)
        payload = bytes(head.payload)
        at = epoch(head.timestamp)
        if head.type == "response_item":
            self._item(payload, _offset(line, payload), at)
        elif head.type == "event_msg":
            event = _EVENT.decode(payload)
            if event.type == "token_count":
                if at is not None:
                    self._limits(bytes(event.rate_limits), event.info, at)
                if event.info is not None:
                    self._told(event.info.last_token_usage, event.info.total_token_usage, at)
            elif event.type in ("turn_aborted", "task_started"):
                self._asked = None  # what was under way has no usage of its own
        elif head.type == "token_usage_record":
            record = msgspec.json.decode(payload, type=_Record)
            copied = record.thread_id not in (None, self.id)
            self._told(record.usage, record.thread_token_usage, at, record.response_id, copied=copied)
        elif head.type == "turn_context":
            self.model = msgspec.json.decode(payload, type=_Context).model or self.model
            self._asked = None
        elif head.type == "session_meta":
            self._begin(payload, _offset(line, payload))
        elif head.type == "compacted":
            self._compact(payload, _offset(line, payload))

    def frozen(self) -> "Frozen":
        """Returns all that is known, to go on from later: hashes, places and counts, no text."""
        history = self.history
        return Frozen(
            tuple(history.parts),
            history.turn,
            history.now,
            history.compacted,
            self.id,
            self.model,
            self.agent,
            self._asked,
            self._newest,
            self._ends_with_answer,
            self._total,
            self._began,
            self._forked,
        )

    def resume(self, frozen: "Frozen") -> None:
        """Goes on from what `frozen` returned."""
        history = self.history
        history.parts = list(frozen.parts)
        history.turn, history.now, history.compacted = frozen.turn, frozen.now, frozen.compacted
        self.id, self.model, self.agent = frozen.id, frozen.model, frozen.agent
        self._asked, self._newest = frozen.asked, frozen.newest
        self._ends_with_answer = frozen.ends_with_answer
        self._total, self._began, self._forked = frozen.total, frozen.began, frozen.forked

    def finish(self) -> None:
        """Leaves out an answer at the end."""
        if self._ends_with_answer and self._newest is not None:
            del self.history.parts[self._newest.segments :]
            self.history.now = self._newest.at

    def sending(self) -> None:
        """Notes that a request is sent, since the first line of its response follows."""
        history = self.history
        self._asked = self._newest = SentRequest(
            history.now, history.prefix, len(history.parts), self._first_at
        )

    def _begin(self, payload: bytes, offset: int) -> None:
        meta = msgspec.json.decode(payload, type=SessionMeta)
        if self.id in (None, meta.id):
            self.described(meta)
        if self.id is not None or self.history.parts:
            self._forked = self._forked or meta.id != self.id  # it comes with what is copied
            return
        self._began, self._forked = epoch(meta.timestamp), meta.forked_from_id is not None
        tools = bytes(meta.dynamic_tools)
        if tools[:1] == b"[":
            raws = [bytes(raw) for raw in _LIST.decode(tools)]
            starts, _ = layout.spans(tools, 1, raws)
            at = offset + value(payload, b"dynamic_tools", tools)
            for start, raw in zip(starts, raws, strict=True):
                self.history.add(
                    _block("tool", at + start, raw, self._measure), "system", fresh=True, section="tools"
                )
        raw = bytes(meta.base_instructions)
        if raw[:1] == b"{":
            text = bytes(_TEXT.decode(raw).text)
            if text[:1] == b'"':
                at = offset + value(payload, b"base_instructions", raw) + value(raw, b"text", text)
                self.history.add(
                    _block("system", at, text, self._measure), "system", fresh=True, section="system"
                )
        self.id = meta.id
        self.agent = b'"subagent"' in bytes(meta.source)

    def described(self, meta: SessionMeta) -> None:
        """Takes in what the session says of itself: nothing here."""

    def _item(self, payload: bytes, offset: int, at: float | None) -> None:
        item = _ITEM.decode(payload)
        answer = item.role == "assistant" or item.type in _ANSWERS or item.type.endswith("_call")
        if answer and self._asked is None:
            self._first_at = at
            self.sending()
        if not answer and at is not None:
            self.history.now = at
        self._ends_with_answer = answer
        if self._watch is not None:
            self._watch(item, offset, payload)
        self._add(item, payload, offset)

    def _add(self, item: Item, payload: bytes, offset: int) -> None:
        history = self.history
        content = bytes(item.content)
        role: Role
        if item.type in ("message", "agent_message") and content != b"null":
            start = offset + value(payload, b"content", content)
            from_agent = item.type == "agent_message"  # its task stands in for a person's words
            role = "user" if from_agent else _ROLES.get(item.role or "", "system")
            blocks = _content(role, content, start, self._measure, own=not from_agent)
            if from_agent or any(block.words_end for block in blocks):
                history.begin_turn()
                if strips_reasoning(self.model):
                    history.strip_thinking()
            for index, block in enumerate(blocks):
                history.add(block, role, fresh=index == 0)
            return
        kind: Kind = "other"
        role = "assistant"
        if item.type == "reasoning":
            kind = "thinking"
        elif item.type == "additional_tools":
            kind, role = "tool", "system"
        elif item.type.endswith("_call"):
            kind = "image" if item.type == "image_generation_call" else "tool_use"
        elif item.type.endswith("_output"):
            kind, role = "tool_result", "tool"
        block = _block(kind, offset, payload, self._measure, item.call_id)
        if kind == "tool_result" and block.features.size > MAX_OUTPUT:
            block = msgspec.structs.replace(block, features=block.features._replace(size=MAX_OUTPUT))
        history.add(block, role, fresh=True)

    def _compact(self, payload: bytes, offset: int) -> None:
        compacted = msgspec.json.decode(payload, type=_Compacted)
        self.history.replace()
        self._asked = None
        items, summary = bytes(compacted.replacement_history), bytes(compacted.message)
        if items[:1] == b"[":
            raws = [bytes(raw) for raw in _LIST.decode(items)]
            starts, _ = layout.spans(items, 1, raws)
            start = offset + value(payload, b"replacement_history", items)
            for relative, raw in zip(starts, raws, strict=True):
                self._add(_ITEM.decode(raw), raw, start + relative)
        elif summary != b"null":
            start = offset + value(payload, b"message", summary)
            self.history.add(_block("text", start, summary, self._measure), "user", fresh=True)

    def _limits(self, limits: bytes, info: _Info | None, at: float) -> None:
        """Takes in a plan's limits, unless they are repeated: in a fork, or unchanged after an interruption."""
        now = self.history.now
        copied = self._forked and now is not None and self._replayed(now, at)
        idle = (
            info is not None and info.total_token_usage is not None and info.total_token_usage == self._total
        )
        repeated = idle and limits == self._told_limits
        self._told_limits = limits
        if limits != b"null" and not copied and not repeated:
            self.limited(limits, at)

    def limited(self, limits: bytes, at: float) -> None:
        """Takes in what was told of a plan's limits at `at`, as JSON: nothing here."""

    def _told(
        self,
        last: TokenUsage | None,
        total: TokenUsage | None,
        at: float | None,
        response: str | None = None,
        *,
        copied: bool = False,
    ) -> None:
        """Takes in what was counted: `last` of a response, `total` of the session with it.

        What the total has grown by is billed, so that nothing is told twice and nothing is left out; the first one of
        a fork has its origin's in it. Where there is no total, one usage is taken for each response.
        """
        before, self._total = self._total, total or self._total
        usage = last
        if total is None:
            if self._asked is None:
                return
        elif before is not None:
            usage = total.since(before) or last
            if total == before:
                return
        elif not self._forked:
            usage = total
        asked, self._asked = self._asked, None
        if asked is None:  # of its answer nothing was written down
            asked = SentRequest(self.history.now, self.history.prefix, len(self.history.parts), at)
        sent = asked.at if asked.at is not None else at
        if usage is None or sent is None:
            return
        self.history.tell(asked.segments, usage.reasoning_output_tokens)
        if copied or (self._forked and self._replayed(sent, at)):
            return
        self.billed(sent, asked, usage, response)

    def _replayed(self, sent: float, at: float | None) -> bool:
        """Says whether a response was copied from the session that this one was forked from."""
        return at is not None and (at - sent < REPLAY or (self._began is not None and at < self._began))

    def billed(self, at: float, asked: SentRequest, usage: TokenUsage, response: str | None) -> None:  # noqa: ARG002
        """Notes a request that was sent at `at`, what was billed for it, and the response's id where it is known."""
        self.sent.append(
            Sent(
                at,
                self.model or "",
                asked.prefix,
                asked.segments,
                usage.input,
                usage.read,
                usage.write or None,
            )
        )


def _offset(line: Line, payload: bytes) -> int:
    start = len(line.text) - 1 - len(payload)  # as the client writes it, it is the last member
    if not line.text.startswith(b'"payload":', start - 10):
        start = value(line.text, b"payload", payload)
    return line.offset + start


def _block(kind: Kind, start: int, raw: bytes, measure: tokens.Measure, tool: str | None = None) -> Block:
    sent = raw
    cut = raw.rfind(_PRIVATE)
    if cut > 0 and raw.endswith(b"}}"):
        sent = raw[:cut] + b"}"
    return Block(kind, start, start + len(raw), xxh3_128_digest(sent), measure(sent, kind), tool)


def _content(
    role: Role, content: bytes, offset: int, measure: tokens.Measure, *, own: bool = True
) -> list[Block]:
    """Returns the blocks of a message's content, which stands at `offset`; `own`: a person may have written it."""
    if content[:1] != b"[":
        return [_block("text", offset, content, measure)]
    raws = [bytes(raw) for raw in _LIST.decode(content)]
    starts, _ = layout.spans(content, 1, raws)
    blocks = []
    for relative, raw in zip(starts, raws, strict=True):
        start = offset + relative
        text = bytes(_TEXT.decode(raw).text)
        kind: Kind = "text" if role in ("user", "assistant") else "system"
        if text == b"null" and b"_image" in raw[:40]:
            kind = "image"
        block = _block(kind, start, raw, measure)
        if own and role == "user" and text[:1] == b'"' and len(text) > 2:
            if _MACHINE.match(text[1:80].decode("utf-8", "replace").replace("\\n", " ")):
                block = msgspec.structs.replace(block, kind="document")
            else:
                words = start + value(raw, b"text", text)
                block = msgspec.structs.replace(block, words=words, words_end=words + len(text))
        blocks.append(block)
    return blocks


def strips_reasoning(model: str | None) -> bool:
    """Says whether earlier turns' reasoning is left out for this model: so it is before GPT-5.6."""
    match = _VERSION.match(model or "")
    return match is not None and (int(match[1]), int(match[2] or 0)) < (5, 6)
