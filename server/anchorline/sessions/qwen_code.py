"""Qwen Code's session files: records that form a tree, each naming the one before it.

What was billed stands in the records of `ui_telemetry`: one for each answer, a sub-agent's and those beside the
conversation too, with the answer's id. A record of an answer without one of these before it has its usage itself
(`usageMetadata`, Gemini's names). Cached tokens are part of `promptTokenCount`; what was written to a cache is not
recorded. Source: its ChatRecordingService (0.24.4).
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.outcome import Usage
from anchorline.prompt.source import Line, epoch
from anchorline.sessions import gemini_parts
from anchorline.sessions.branches import Branches
from anchorline.sessions.conversation import Conversation, RecordedAnswer, usage
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import ReadAnew, RecordedRequest

_NULL = Raw(b"null")
_RESPONSE = "qwen-code.api_response"
_MAIN = "#######"
"""A `prompt_id` of the conversation is SESSION########NUMBER, of a sub-agent SESSION#AGENT#NUMBER."""
BESIDE = "beside"
"""The chain of requests that are neither's: a title, a summary."""


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int = 0
    candidates_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    total_token_count: int = 0

    @property
    def billed(self) -> Usage | None:
        """The usage. OpenAI's count of an answer has its thoughts in it, Gemini's has not: the total tells."""
        output, thoughts = self.candidates_token_count, self.thoughts_token_count
        if self.total_token_count >= self.prompt_token_count + output + thoughts:
            output += thoughts
        read = self.cached_content_token_count
        return usage(self.prompt_token_count - read, read, 0, output)


class _Event(msgspec.Struct):
    name: str = msgspec.field(name="event.name", default="")
    timestamp: datetime | None = msgspec.field(name="event.timestamp", default=None)
    response_id: str | None = None
    model: str = ""
    duration_ms: float = 0.0
    ttft_ms: float | None = None
    input_token_count: int = 0
    output_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    total_token_count: int = 0
    prompt_id: str = ""
    subagent_name: str | None = None

    @property
    def counts(self) -> _Counts:
        """Its counts, under the names that an answer's own usage has."""
        return _Counts(
            self.input_token_count,
            self.output_token_count,
            self.thoughts_token_count,
            self.cached_content_token_count,
            self.total_token_count,
        )


class _Payload(msgspec.Struct, rename="camel"):
    ui_event: _Event | None = None
    compressed_history: Raw = _NULL


class _Content(msgspec.Struct):
    parts: Raw = _NULL


class _Record(msgspec.Struct, rename="camel"):
    uuid: str = ""
    parent_uuid: str | None = None
    session_id: str | None = None
    timestamp: datetime | None = None
    type: str = ""
    subtype: str | None = None
    cwd: Any = None
    git_branch: Any = None
    model: str = ""
    message: _Content | None = None
    usage_metadata: _Counts | None = None
    system_payload: Raw = _NULL


_decode = msgspec.json.Decoder(_Record).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode


class QwenCode(ReadAnew):
    """One file."""

    def __init__(self, facts: Facts, path: Path) -> None:
        self._facts = facts
        self._talk = Conversation(facts, path.stem)
        self._agents: dict[str, Conversation] = {}
        self._branches = Branches(self._talk)
        self._told: list[_Counts] = []
        self._results: set[str] = set()

    @property
    def problem(self) -> str | None:
        """What was left out."""
        return self._branches.problem

    def take(self, line: Line) -> None:
        """Takes in a record."""
        record = _decode(line.text)
        if record.session_id is not None:
            self._talk.session = record.session_id
        self._facts.visit(record.cwd, record.git_branch)
        payload = _payload(record)
        holds = record.type in ("user", "assistant", "tool_result") or payload is not None
        if not holds:
            self._branches.skip(record.uuid, record.parent_uuid)
        elif self._branches.follow(record.parent_uuid):
            self._enter(record, payload, line)
            self._branches.enter(record.uuid, record.parent_uuid)

    def _enter(self, record: _Record, payload: _Payload | None, line: Line) -> None:
        content = bytes(record.message.parts) if record.message is not None else b""
        at = epoch(record.timestamp)
        if payload is not None and payload.ui_event is not None:
            self._answered(record.uuid, payload.ui_event)
        elif payload is not None:
            self._talk.compacted()
            self._talk.add("document", bytes(payload.compressed_history), "user")
        elif record.type == "assistant":
            self._answer(record, at)
            gemini_parts.put(self._talk, content, by_model=True)
        elif record.type == "tool_result":
            gemini_parts.returned(self._talk, content, at, self._results)
        elif record.subtype is None:
            gemini_parts.message(self._talk, content, at, line)
        else:
            gemini_parts.put(self._talk, content, by_model=False)

    def _answered(self, key: str, event: _Event) -> None:
        """Takes in an answer, of the conversation or of a sub-agent."""
        billed, at = event.counts.billed, epoch(event.timestamp)
        if billed is None or at is None:
            return
        name = f"qwen-code:{event.response_id or key}@{at}"
        duration = max(event.duration_ms, 0.0) / 1000
        sent = max(at - duration, 0.0)
        first = None if event.ttft_ms is None else sent + min(max(event.ttft_ms / 1000, 0.0), duration)
        answer = RecordedAnswer(name, event.model, sent, billed, first_at=first, answer=event.response_id)
        talk = self._of(event)
        if talk is self._talk:
            self._told.append(event.counts)
        self._branches.add(key, talk.answered(answer))

    def _answer(self, record: _Record, at: float | None) -> None:
        """Takes in an answer's own usage where no record before has told it."""
        counts = record.usage_metadata
        billed = counts.billed if counts is not None else None
        if counts in self._told:
            self._told.clear()
        elif billed is not None and at is not None:
            answer = RecordedAnswer(f"qwen-code:{record.uuid}", record.model, self._talk.now or at, billed)
            self._branches.add(record.uuid, self._talk.answered(answer))

    def _of(self, event: _Event) -> Conversation:
        """Returns the conversation that an answer belongs to: the session's, a sub-agent's, or one beside them."""
        session, _, rest = event.prompt_id.partition("#")
        if not rest or (session == self._talk.session and rest.startswith(_MAIN)):
            return self._talk
        agent = rest.partition("#")[0] if event.subagent_name is not None else ""
        chain = agent or BESIDE
        talk = self._agents.get(chain)
        if talk is None:
            role = self._facts.agent(event.subagent_name) if agent else ""
            talk = self._agents[chain] = Conversation(self._facts, self._talk.session, chain, subagent=role)
        return talk

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the file."""
        return self._branches.requests()


def _payload(record: _Record) -> _Payload | None:
    """Returns what a system record tells of an answer or of a compression; None for any other."""
    if record.type != "system" or record.subtype not in ("ui_telemetry", "chat_compression"):
        return None
    payload = _decode_payload(record.system_payload)
    if record.subtype == "ui_telemetry":
        return payload if payload.ui_event is not None and payload.ui_event.name == _RESPONSE else None
    return payload
