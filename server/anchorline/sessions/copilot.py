"""Copilot CLI's session files: `session-state/ID/events.jsonl`, events of a session and of its sub-agents.

A `session.usage_record` is a request as it was accounted for (since 1.0.9x; its package has the schema of all events):
`inputTokens` are those of the whole prompt, cached ones included, and `cacheTtlSeconds` the lifetime of what was
written. Older versions record a session's sums alone, of which no request can be told. Where a provider told no cache
counts, all input counts as uncached.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.outcome import Usage
from anchorline.prompt.source import Line, epoch, value
from anchorline.sessions.conversation import (
    Conversation,
    FrozenConversation,
    RecordedAnswer,
    qualified,
    usage,
)
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import RecordedRequest

_NULL = Raw(b"null")
_HOUR_S = 3600


class _Head(msgspec.Struct):
    type: str
    data: Raw = _NULL
    timestamp: datetime | None = None
    agent: str | None = msgspec.field(name="agentId", default=None)


class _Context(msgspec.Struct):
    cwd: Any = None
    branch: Any = None


class _Session(msgspec.Struct):
    id: str | None = msgspec.field(name="sessionId", default=None)
    context: _Context | None = None


class _Accounting(msgspec.Struct):
    session: str = msgspec.field(name="sourceSessionId", default="")
    sequence: int = 0
    usage: str = msgspec.field(name="usageId", default="")


class _Usage(msgspec.Struct):
    model: str = ""
    whole: int = msgspec.field(name="inputTokens", default=0)
    output: int = msgspec.field(name="outputTokens", default=0)
    read: int = msgspec.field(name="cacheReadTokens", default=0)
    write: int = msgspec.field(name="cacheWriteTokens", default=0)
    lifetime_s: int = msgspec.field(name="cacheTtlSeconds", default=0)
    duration_ms: float = msgspec.field(name="duration", default=0.0)
    first_ms: float | None = msgspec.field(name="timeToFirstTokenMs", default=None)
    own_key: bool = msgspec.field(name="isByok", default=False)
    answer: str | None = msgspec.field(name="apiCallId", default=None)
    request: str | None = msgspec.field(name="providerCallId", default=None)
    accounting: _Accounting = msgspec.field(default_factory=_Accounting)

    @property
    def billed(self) -> Usage | None:
        """What was billed; None where nothing was."""
        uncached = self.whole - self.read - self.write
        billed = usage(uncached if uncached >= 0 else self.whole, self.read, self.write, self.output)
        if billed is not None and self.lifetime_s == _HOUR_S:
            return msgspec.structs.replace(billed, write_1h=billed.write)
        return billed


class _Record(msgspec.Struct):
    usage: _Usage


class _Result(msgspec.Struct):
    content: Raw = _NULL


class _Call(msgspec.Struct):
    call: str = msgspec.field(name="toolCallId", default="")
    name: Any = None
    arguments: Raw = Raw(b"{}")
    success: bool = True
    result: _Result = msgspec.field(default_factory=_Result)


class _Message(msgspec.Struct):
    content: Raw = _NULL
    source: str | None = None
    reasoning: Raw = msgspec.field(name="reasoningText", default=_NULL)
    calls: list[_Call] = msgspec.field(name="toolRequests", default_factory=list)


class _Started(msgspec.Struct):
    name: Any = msgspec.field(name="agentName", default=None)
    type: Any = msgspec.field(name="agentType", default=None)


class _State(msgspec.Struct, frozen=True):
    main: FrozenConversation
    agents: dict[str, FrozenConversation]
    types: dict[str, str]


_head = msgspec.json.Decoder(_Head).decode
_session = msgspec.json.Decoder(_Session).decode
_context = msgspec.json.Decoder(_Context).decode
_record = msgspec.json.Decoder(_Record).decode
_message = msgspec.json.Decoder(_Message).decode
_call = msgspec.json.Decoder(_Call).decode
_started = msgspec.json.Decoder(_Started).decode


class Copilot:
    """One file."""

    problem: str | None = None

    def __init__(self, facts: Facts, path: Path) -> None:
        self._facts = facts
        self._session = path.parent.name
        self._main = Conversation(facts, self._session)
        self._agents: dict[str, Conversation] = {}
        self._types: dict[str, str] = {}
        self._requests: list[RecordedRequest] = []

    def take(self, line: Line) -> None:
        """Takes in an event."""
        head = _head(line.text)
        data, at = bytes(head.data), epoch(head.timestamp)
        if head.type in ("session.start", "session.resume"):
            self._begin(_session(data))
        elif head.type == "session.context_changed":
            context = _context(data)
            self._facts.visit(context.cwd, context.branch)
        elif head.type == "subagent.started" and head.agent is not None:
            started = _started(data)
            self._types[head.agent] = self._facts.agent(started.type or started.name)
        elif head.type == "session.usage_record":
            self._bill(self._talk(head), _record(data).usage, at)
        elif head.type == "session.compaction_complete":
            self._talk(head).compacted()
        elif head.type == "user.message":
            self._ask(self._talk(head), _message(data), at, line)
        elif head.type == "assistant.message":
            _answer(self._talk(head), _message(data))
        elif head.type == "tool.execution_complete":
            done = _call(data)
            self._talk(head).returned(done.call, bytes(done.result.content), at, failed=not done.success)

    def _begin(self, session: _Session) -> None:
        if session.id is not None:
            self._session = self._main.session = session.id
        if session.context is not None:
            self._facts.visit(session.context.cwd, session.context.branch)

    def _talk(self, head: _Head) -> Conversation:
        """Returns the conversation that an event is of."""
        if head.agent is None:
            return self._main
        talk = self._agents.get(head.agent)
        if talk is None:
            talk = self._agents[head.agent] = self._subagent(head.agent)
        return talk

    def _subagent(self, name: str) -> Conversation:
        return Conversation(self._facts.beside(), self._session, name, subagent=self._types.get(name))

    def _ask(self, talk: Conversation, message: _Message, at: float | None, line: Line) -> None:
        content, source = bytes(message.content), message.source or "user"
        is_task = talk is not self._main and source.startswith("agent-")  # what a sub-agent is to do
        if source != "user" and not is_task:  # what the client puts in by itself
            talk.add("document", content, "user")
            return
        start = line.offset + value(line.text, b"content", content)
        talk.message(content, at, start=start, words=(start, start + len(content)))

    def _bill(self, talk: Conversation, counts: _Usage, at: float | None) -> None:
        billed = counts.billed
        if billed is None or at is None:
            return
        duration = max(counts.duration_ms, 0.0) / 1000
        sent = max(at - duration, 0.0)
        first = None if counts.first_ms is None else sent + min(max(counts.first_ms / 1000, 0.0), duration)
        own = counts.accounting
        self._requests.append(
            talk.answered(
                RecordedAnswer(
                    f"copilot:{own.session}:{own.sequence}:{own.usage}",
                    qualified("" if counts.own_key else "github-copilot", counts.model),
                    sent,
                    billed,
                    first,
                    counts.answer,
                    counts.request if counts.own_key else None,  # else it is GitHub's
                )
            )
        )

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields the requests since the state that was resumed."""
        yield from self._requests

    def state(self) -> bytes:
        """Returns what is needed to go on; nothing where an id has not the form of one and could be text."""
        main = self._main.frozen()
        agents = {name: talk.frozen() for name, talk in self._agents.items()}
        whole = {name: frozen for name, frozen in agents.items() if frozen is not None}
        if main is None or len(whole) < len(agents):
            return b""
        return msgspec.msgpack.encode(_State(main, whole, self._types))

    def resume(self, state: bytes) -> None:
        """Goes on from `state`."""
        decoded = msgspec.msgpack.decode(state, type=_State)
        self._main.resume(decoded.main)
        self._session, self._types = decoded.main.session, decoded.types
        for name, frozen in decoded.agents.items():
            talk = self._agents[name] = self._subagent(name)
            talk.resume(frozen)


def _answer(talk: Conversation, message: _Message) -> None:
    if bytes(message.reasoning) != b"null":
        talk.add("thinking", bytes(message.reasoning))
    talk.add("text", bytes(message.content))
    for call in message.calls:
        talk.called(call.call, call.name, bytes(call.arguments))
