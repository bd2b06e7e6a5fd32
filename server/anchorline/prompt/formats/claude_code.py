"""Claude Code session files (under ~/.claude/projects): one JSON line for each content block.

A session file does not hold the system prompt and the tools: their tokens show only in the usage (see
docs/explain/tokens.md). The lines form a tree by `parentUuid`; the conversation is the way to the newest line.

Which request the Prompt is: where the file ends with a user's line (an instruction or a tool's result), the
next request, otherwise the last one that was sent, without its answer. `Prompt.sent` then ends with that
request itself: the entry whose `at` is `Prompt.now`.
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType
from xxhash import xxh3_128_digest

from anchorline.outcome import Usage
from anchorline.prompt import layout, tokens
from anchorline.prompt.formats.history import Block, History
from anchorline.prompt.model import Kind, Prompt, PromptError, Sent
from anchorline.prompt.source import Line, each, epoch, loader, value
from anchorline.prompt.usage import MOST
from anchorline.prompt.usage import read as read_usage

_KINDS: dict[str, Kind] = {
    "text": "text",
    "thinking": "thinking",
    "redacted_thinking": "thinking",
    "image": "image",
    "document": "document",
    "tool_use": "tool_use",
    "server_tool_use": "tool_use",
    "mcp_tool_use": "tool_use",
}
# What the client itself puts into a user's turn, or what asks the client for something.
_MACHINE = re.compile(
    r"\s*(?:<(?:command-|local-command|bash-|system-reminder|ide_|task-notification)|"
    r"\[Request interrupted|Caveat: )"
)
_VERSION = re.compile(r"claude-(?:(opus|sonnet|haiku)-(\d+)(?:-(\d{1,2}))?(?!\d)|[23]-)")


class Answer(msgspec.Struct, gc=False, array_like=True):
    """A response, which stands on several lines: `line` is the uuid of the first of them, `at` its time.

    `id` is the response's own and `request` that of its request, as the provider gave them. `usage` is what its lines
    tell: each has it, the last one with all of the output.
    """

    id: str | None
    request: str | None
    line: str
    at: float | None
    model: str
    usage: Usage | None

    @property
    def key(self) -> str:
        """What tells this response from others, and is the same in a session that was forked or copied from this one.

        A relay may give all answers one id, and a provider has given one twice under two ids of requests. Copied lines
        keep their time.
        """
        return self.line if self.id is None else f"{self.id}:{self.request or ''}@{self.at}"

    @property
    def ttl(self) -> str | None:
        """The lifetime of what was written; None where nothing was."""
        usage = self.usage
        return None if usage is None or not usage.write else "1h" if usage.write_1h else "5m"


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line. `answer` is the place of the response that it is part of among the session's answers.

    `human`: it begins a person's turn; `summary`: it stands for all that was before; `agent`: the sub-agent's name.
    """

    role: Literal["user", "assistant", "system"]
    at: float | None
    parent: str | None
    answer: int | None = None
    blocks: tuple[Block, ...] = ()
    human: bool = False
    summary: bool = False
    boundary: bool = False
    agent: str | None = None


class SessionRequest(NamedTuple):
    """A request that the lines show: what was sent is `history` at this moment. `number` is that of its answer."""

    at: float
    number: int
    answer: Answer
    history: History


class _Usage(msgspec.Struct, gc=False):
    input_tokens: Any = 0
    cache_read_input_tokens: Any = 0
    cache_creation_input_tokens: Any = 0
    cache_creation: Any = None
    output_tokens: Any = 0
    iterations: Any = None
    server_tool_use: Any = None
    speed: Any = None
    service_tier: Any = None
    inference_geo: Any = None


class _Message(msgspec.Struct, gc=False):
    content: Raw
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class LineHead(msgspec.Struct, gc=False):
    """What a line says of itself. What may have any form is checked by whoever reads it."""

    type: str | None = None
    uuid: str | None = None
    parent: str | None = msgspec.field(name="parentUuid", default=None)
    logical: str | None = msgspec.field(name="logicalParentUuid", default=None)
    sidechain: bool | None = msgspec.field(name="isSidechain", default=False)
    meta: bool | None = msgspec.field(name="isMeta", default=False)
    summary: bool | None = msgspec.field(name="isCompactSummary", default=False)
    failed: bool | None = msgspec.field(name="isApiErrorMessage", default=False)
    subtype: str | None = None
    timestamp: datetime | None = None
    session: str | None = msgspec.field(name="sessionId", default=None)
    request: str | None = msgspec.field(name="requestId", default=None)
    agent: str | None = msgspec.field(name="agentId", default=None)
    agent_type: Any = msgspec.field(name="attributionAgent", default=None)
    folder: Any = msgspec.field(name="cwd", default=None)
    git_branch: Any = msgspec.field(name="gitBranch", default=None)
    pr: Any = msgspec.field(name="prNumber", default=None)
    pr_repository: Any = msgspec.field(name="prRepository", default=None)

    @property
    def spoken(self) -> bool:
        """Whether the line's message is part of the conversation."""
        return self.type in ("user", "assistant") and not self.failed


class _Line(LineHead, gc=False):
    message: _Message | UnsetType = UNSET


class _Block(msgspec.Struct, gc=False):
    type: str
    text: Raw = Raw(b'""')
    id: str | None = None
    tool_use_id: str | None = None


_HEAD = msgspec.json.Decoder(LineHead)
_LINE = msgspec.json.Decoder(_Line)
_LIST = msgspec.json.Decoder(list[Raw])
_BLOCKS = msgspec.json.Decoder(list[_Block])
_OPEN, _CLOSE = b"{}"

Watch = Callable[[Kind, int, bytes, str | None], None]
"""Sees a block: its kind, where it stands in the file, its bytes, and the id of the call that it is of."""
_WATCHED = frozenset({"tool_use", "tool_result", "image", "document"})


def sniff(first_line: bytes) -> bool:
    """Says whether a file that begins with this line is a Claude Code session."""
    try:
        line = _HEAD.decode(first_line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return line.type == "summary" or (
        line.type is not None and line.session is not None and line.type != "session_meta"
    )


def read(path: Path) -> Prompt:
    """Reads a session file (see the module); damaged lines are left out.

    Raises PromptError naming line and byte where nothing is left, or OSError.
    """
    session = Session()
    left_out = each(path, session.take)
    branch = session.conversation()
    if not branch:
        raise (
            left_out[0]
            if left_out
            else PromptError("no message of a conversation in this file", offset=0, line=1)
        )
    history = History()
    sent = tuple(_sent(request) for request in session.requests(branch, history))
    answered = (session.answered(entry) for entry in reversed(branch))
    model = next((answer.model for answer in answered if answer is not None), None)
    if branch[-1].role == "user" and strips_thinking(model):
        history.strip_thinking()
    load = loader(path)
    return Prompt(
        format="claude-code",
        segments=history.segments(model),
        load=load,
        draft=history.draft(load),
        model=model,
        session=session.session,
        sent=sent,
        now=history.now,
        compacted=history.compacted,
        left_out=left_out,
    )


class Session:
    """All lines of a file, and the way through them.

    Sub-agents' lines are left out, or go to `agents` where it is given. `measure` counts what the estimates need,
    `watch` sees calls, results, images and documents.
    """

    def __init__(
        self,
        agents: "Session | None" = None,
        measure: tokens.Measure = tokens.measure,
        watch: Watch | None = None,
    ) -> None:
        self.entries: list[Entry] = []
        self.answers: list[Answer] = []
        self.session: str | None = None
        self.agents = agents
        self.places: dict[str, int] = {}
        self._measure = measure
        self._watch = watch
        self._newest: dict[tuple[str | None, str | None], int] = {}
        self._last = ""

    def take(self, line: Line) -> None:
        """Takes in one line. A line that a resumed session repeats is left out."""
        head: LineHead
        try:
            head = _LINE.decode(line.text)
        except msgspec.ValidationError:
            head = _HEAD.decode(line.text)  # what the client notes for itself may have another message
            if head.spoken and self._chosen(head) is not None:
                raise
        chosen = self._chosen(head)
        if chosen is not None:
            chosen.put(line, head)
        elif head.pr is not None:
            self.linked(head)

    def _chosen(self, head: LineHead) -> "Session | None":
        """Returns which chain takes a line in; None for one that is known or left out."""
        chosen = self.agents if head.sidechain else self
        new = chosen is not None and head.uuid is not None and head.uuid not in chosen.places
        return chosen if new else None

    def put(self, line: Line, head: LineHead) -> None:
        """Takes in a line that is decoded and new, whichever chain it is of."""
        uuid = head.uuid or ""
        if head.parent == self._last:
            head.parent = self._last  # most lines hang on the one before: one string for both
        self._last = uuid
        entry = _entry(line, head, self._measure, self._watch)
        if entry.role == "assistant" and isinstance(head, _Line) and head.message is not UNSET:
            answer = self._answer(entry, uuid, head.message, head.request)
            entry = Entry("assistant", entry.at, entry.parent, answer, entry.blocks, agent=head.agent)
        self.session = self.session or head.session
        self.places[uuid] = len(self.entries)
        self.entries.append(entry)

    def linked(self, head: LineHead) -> None:
        """Takes in a line that names the session's pull request: nothing here."""

    def _answer(self, entry: Entry, uuid: str, message: _Message, request: str | None) -> int:
        """Returns the number of the response that a line is of, and takes in what it tells of that."""
        usage = _told(message.usage) if message.usage is not None else None
        previous = self._newest.get((message.id, request)) if message.id is not None else None
        if previous is not None and self._goes_on(entry, previous, request, usage):
            answer = self.answers[previous]
            if usage is not None and (answer.usage is None or usage.output >= answer.usage.output):
                answer.usage = usage
            return previous
        index = self._newest[message.id, request] = len(self.answers)
        self.answers.append(
            Answer(message.id, request, uuid, entry.at, sys.intern(message.model or ""), usage)
        )
        return index

    def _goes_on(self, entry: Entry, answer: int, request: str | None, usage: Usage | None) -> bool:
        """Says whether a line is of a response that has its ids, which a relay may give to all.

        It hangs on another line of it, or on the result of a call that the client made before the response was over;
        then its prompt is the same as well. With an id of the request that is enough.
        """
        entries = self.entries
        same = _same_prompt(usage, self.answers[answer].usage)
        if same and request is not None:
            return True
        current = self._before(entry, len(entries))
        while current >= 0:
            ancestor = entries[current]
            if ancestor.role == "assistant":
                return ancestor.answer == answer
            if ancestor.role == "user" and (ancestor.human or ancestor.summary or not same):
                return False
            current = self._before(ancestor, current)
        return False

    def _before(self, entry: Entry, index: int) -> int:
        """Returns the line that one hangs on; the one before it where that is not in the file."""
        if entry.parent is None:
            return -1
        return min(self.places.get(entry.parent, index - 1), index - 1)

    def go_on(
        self, entries: list[Entry], answers: list[Answer], places: dict[str, int], session: str | None
    ) -> None:
        """Goes on from what another reading of the file has taken in."""
        self.entries, self.answers, self.places, self.session = entries, answers, places, session
        self._newest = {(answer.id, answer.request): index for index, answer in enumerate(answers)}

    def answered(self, entry: Entry) -> Answer | None:
        """Returns the response of a line if a model gave it: the client writes some answers itself."""
        answer = self.answers[entry.answer] if entry.answer is not None else None
        if answer is None or answer.usage is None or answer.model in ("", "<synthetic>"):
            return None
        return answer

    def requests(self, branch: Sequence[Entry], history: History) -> Iterator[SessionRequest]:
        """Grows `history` along the branch and yields at each request; in the end it holds the prompt to plan.

        A response that the branch ends with is left out, since nothing shows that it was sent back.
        """
        last = branch[-1].answer
        current: int | None = None
        for entry in branch:
            if entry.answer is not None and entry.answer != current:
                current = entry.answer
                answer = self.answered(entry)
                if answer is not None:
                    if strips_thinking(answer.model):
                        history.strip_thinking()
                    at = history.now if history.now is not None else entry.at
                    yield SessionRequest(at or 0.0, current, answer, history)
                if current == last:
                    return
            _grow(history, entry)

    def conversation(self, tip: int | None = None) -> list[Entry]:
        """Returns the branch of messages up to the newest one, in the order in which they are sent.

        `tip` leads to that entry instead, on a branch that was left.

        Answers to parallel tool calls hang on different lines of one response: they are found by the
        call's id, and one response's lines are put together. A parent that is not in the file is taken to be
        the line before. At a compaction the way goes on, so that it is known what was sent before.
        """
        entries = self.entries
        taken = self._lines_up_to(len(entries) - 1 if tip is None else tip)
        ids = {entries[index].answer for index in taken}
        ids.discard(None)
        answers = [entry for entry in entries if entry.answer in ids]
        calls = {block.tool for entry in answers for block in entry.blocks if block.tool}
        branch: list[Entry] = []
        end = 0  # of the newest response
        for index, entry in enumerate(entries):
            if not entry.blocks:
                continue
            if entry.role == "assistant":
                if index not in taken and entry.answer not in ids:
                    continue
                if end and branch[end - 1].answer == entry.answer:
                    branch.insert(end, entry)
                    end += 1
                else:
                    branch.append(entry)
                    end = len(branch)
            elif index in taken or any(block.tool in calls for block in entry.blocks if block.tool):
                branch.append(entry)
        return branch

    def root(self, tip: int) -> int:
        """Returns the entry that the branch up to `tip` begins with."""
        return min(self._lines_up_to(tip), default=tip)

    def _lines_up_to(self, current: int) -> set[int]:
        entries = self.entries
        while current >= 0 and not entries[current].blocks:
            current -= 1
        taken: set[int] = set()
        while current >= 0 and current not in taken:
            taken.add(current)
            entry = entries[current]
            if entry.parent is not None:
                current = self.places.get(entry.parent, current - 1)
            elif entry.boundary or entry.summary:
                current -= 1
            else:
                break
        return taken


def _entry(line: Line, head: LineHead, measure: tokens.Measure, watch: Watch | None) -> Entry:
    at = epoch(head.timestamp)
    message = head.message if isinstance(head, _Line) else UNSET
    if message is UNSET or not head.spoken:
        boundary = head.subtype == "compact_boundary"
        return Entry("system", at, head.parent or head.logical, boundary=boundary)
    content = bytes(message.content)
    start = line.offset + value(line.text, b"content", content, max(line.text.find(b'"message":'), 0))
    own = head.type == "user" and not head.meta and not head.summary
    blocks = _blocks(content, start, measure, watch, own=own)
    if head.type == "assistant":
        return Entry("assistant", at, head.parent, None, blocks)
    human = not any(block.kind == "tool_result" for block in blocks)
    return Entry("user", at, head.parent, None, blocks, human=human, summary=bool(head.summary))


_PLAIN = (None, "standard", "default", "not_available", "")


def _told(usage: _Usage) -> Usage:
    """Returns what a line tells of its usage. Most are ordinary, for which what reads them all would be too slow."""
    fresh, output = usage.input_tokens, usage.output_tokens
    read, write = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    split, rounds, tools = usage.cache_creation, usage.iterations, usage.server_tool_use
    long: Any = split.get("ephemeral_1h_input_tokens") if type(split) is dict else 0
    if (
        type(fresh) is type(read) is type(write) is type(long) is type(output) is int
        and min(fresh, read, write, long, output) >= 0
        and max(fresh, read, write, output) <= MOST
        and usage.speed in _PLAIN
        and usage.service_tier in _PLAIN
        and usage.inference_geo in _PLAIN
        and (
            not rounds
            or (len(rounds) == 1 and type(rounds[0]) is dict and rounds[0].get("type") == "message")
        )
        and (not tools or (type(tools) is dict and not tools.get("web_search_requests")))
    ):
        return Usage(fresh, read, write, output, min(long, write))
    return read_usage(msgspec.to_builtins(usage)) or Usage()


def _same_prompt(usage: Usage | None, other: Usage | None) -> bool:
    """Says whether two lines tell the same of their prompt."""
    if usage is None or other is None:
        return usage is other
    return usage.read == other.read and usage.input == other.input and usage.write == other.write


def _blocks(
    content: bytes, offset: int, measure: tokens.Measure, watch: Watch | None, *, own: bool
) -> tuple[Block, ...]:
    """Returns the blocks of the content that stands at `offset`; `own`: a person may have written it."""
    if content[:1] == b'"':
        end = offset + len(content)
        features = measure(content, "text")
        spoken = own and _spoken(content)
        return (
            Block(
                "text", offset, end, xxh3_128_digest(content), features, None, offset, end if spoken else 0
            ),
        )
    decoded = _BLOCKS.decode(content)
    if len(decoded) == 1 and content[1] == _OPEN and content[-2] == _CLOSE:  # most messages
        raws, starts = [content[1:-1]], [1]
    else:
        raws = [bytes(raw) for raw in _LIST.decode(content)]
        starts, _ = layout.spans(content, 1, raws)
    blocks = []
    for relative, raw, block in zip(starts, raws, decoded, strict=True):
        start = offset + relative
        kind = _KINDS.get(block.type) or ("tool_result" if block.type.endswith("_result") else "other")
        words = words_end = 0
        if own and kind == "text" and _spoken(bytes(block.text)):
            for member in layout.members(raw, 0):
                if member.key == b'"text"':
                    words, words_end = start + member.start, start + member.end
        digest = xxh3_128_digest(raw)
        features = measure(raw, kind)
        tool = block.tool_use_id or block.id
        if watch is not None and kind in _WATCHED:
            watch(kind, start, raw, tool)
        blocks.append(Block(kind, start, start + len(raw), digest, features, tool, words, words_end))
    return tuple(blocks)


def _spoken(literal: bytes) -> bool:
    """Says whether a JSON string holds a person's words, by how it begins."""
    start = literal[1:80].decode("utf-8", "replace").replace("\\n", " ")
    return literal[:1] == b'"' and len(literal) > 2 and _MACHINE.match(start) is None


def _grow(history: History, entry: Entry) -> None:
    if entry.summary:
        history.replace()
    if entry.human:
        history.begin_turn()
    role: Literal["assistant", "user"] = "assistant" if entry.role == "assistant" else "user"
    for block in entry.blocks:
        history.add(block, role, fresh=bool(history.parts) and history.parts[-1].role != role)
    if role == "user" and entry.at is not None:
        history.now = entry.at


def _sent(request: SessionRequest) -> Sent:
    answer = request.answer
    usage = (answer.usage or Usage()).messages[-1]
    return Sent(
        at=request.at,
        model=answer.model,
        prefix=request.history.prefix,
        segments=len(request.history.parts),
        input=usage.input,
        read=usage.read,
        write=usage.write,
        ttl=answer.ttl,
    )


def strips_thinking(model: str | None) -> bool:
    """Says whether the API leaves out earlier turns' thinking for this model.

    It does for Opus before 4.5, Sonnet before 4.6 and Haiku up to 4.5 (Anthropic's caching rules, 2026-11).
    """
    match = _VERSION.match(model or "")
    if match is None:
        return False
    name, major, minor = match.groups()
    if name is None:
        return True
    kept_from = {"opus": (4, 5), "sonnet": (4, 6), "haiku": (4, 6)}[name]
    return (int(major), int(minor or 0)) < kept_from
