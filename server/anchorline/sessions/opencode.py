"""OpenCode's database: sessions of messages, whose parts are text, thinking, tools with their results, and steps.

A step is a request: its `step-finish` part has the tokens (OpenCode 1.18: `input` without cached ones, `output` without
`reasoning`). What it asks for beside the conversation, as a title, stands nowhere. A fork copies messages under new
ids but with their times, so times and tokens name a request. A sub-agent is a session of its own with a parent.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw
from xxhash import xxh3_128_digest

from anchorline.outcome import Usage
from anchorline.prompt.model import PromptError
from anchorline.sessions.agent_database import has_tables
from anchorline.sessions.conversation import Conversation, RecordedAnswer, qualified, seconds, usage
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import RecordedRequest

_TABLES = {
    "session": ("id", "parent_id", "directory", "agent", "time_created"),
    "message": ("id", "session_id", "time_created", "time_updated", "data"),
    "part": ("id", "message_id", "time_created", "data"),
}
_DEEPEST = 32
"""Parents of a sub-agent's session that are followed."""
_NOTHING = Raw(b"{}")


class _Cache(msgspec.Struct):
    read: int = 0
    write: int = 0


class _Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: _Cache = msgspec.field(default_factory=_Cache)

    @property
    def billed(self) -> Usage | None:
        """What was billed; None where nothing was."""
        return usage(self.input, self.cache.read, self.cache.write, self.output + self.reasoning)


class _Model(msgspec.Struct):
    model: str = msgspec.field(name="modelID", default="")
    provider: str = msgspec.field(name="providerID", default="")


class _Message(_Model):
    role: str = ""
    tokens: _Tokens = msgspec.field(default_factory=_Tokens)
    summary: Any = None


class _State(msgspec.Struct):
    status: str = ""
    input: Raw = _NOTHING
    output: Raw = Raw(b"null")
    error: Raw = Raw(b"null")
    time: Any = None


class _Part(msgspec.Struct):
    type: str = ""
    text: Raw = Raw(b"null")
    synthetic: bool = False
    tool: Any = None
    call: str = msgspec.field(name="callID", default="")
    state: _State = msgspec.field(default_factory=_State)
    tokens: _Tokens | None = None
    url: Raw = Raw(b"null")


class _Mark(msgspec.Struct, frozen=True):
    """How far was read: the time of the newest change, epoch milliseconds, and the last row with the hash of its id."""

    updated: int = 0
    row: int = 0
    id: bytes = b""


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_part = msgspec.json.Decoder(_Part).decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)
"""What decoding a value of a column raises, which may be of any type."""


class OpenCode:
    """One database."""

    def __init__(self, facts: Facts, path: Path) -> None:  # noqa: ARG002
        self.problem: str | None = None
        self._facts = facts
        self._connection: sqlite3.Connection | None = None
        self._before = _Mark()
        self._now = _Mark()
        self._left_out = 0

    def take(self, connection: sqlite3.Connection) -> None:
        """Notes how far the database goes."""
        if not has_tables(connection, _TABLES):
            raise PromptError("no database of OpenCode: it has no sessions, messages and parts", offset=0)
        newest = connection.execute("SELECT max(CAST(time_updated AS INTEGER)) FROM message").fetchone()[0]
        last = connection.execute("SELECT rowid, id FROM message ORDER BY rowid DESC LIMIT 1").fetchone()
        row, key = last or (0, "")
        self._connection, self._now = connection, _Mark(newest or 0, row, _digest(key))
        before = connection.execute("SELECT id FROM message WHERE rowid = ?", [self._before.row]).fetchone()
        if before is None or _digest(before[0]) != self._before.id:
            self._before = _Mark()  # another database, or all its rows are new ones

    def state(self) -> bytes:
        """Returns how far `take` found the messages to go."""
        return msgspec.msgpack.encode(self._now)

    def resume(self, state: bytes) -> None:
        """Goes on from there."""
        self._before = msgspec.msgpack.decode(state, type=_Mark)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields the requests of messages that changed since, session by session, the oldest first."""
        connection = self._connection
        if connection is None:
            return
        # A message that is written at the same millisecond may follow, so this one is read again.
        changed = connection.execute(
            "SELECT id, parent_id, directory, agent FROM session WHERE id IN "
            "(SELECT session_id FROM message WHERE time_updated >= ? OR rowid > ?) ORDER BY time_created, id",
            [self._before.updated, self._before.row],
        ).fetchall()
        ids: set[str] = set()
        for session, parent, folder, agent in changed:
            facts = self._facts.anew()
            facts.visit(folder, None)
            if parent is None:
                talk = Conversation(facts, str(session))
            else:
                talk = Conversation(facts, self._root(parent), str(session), subagent=facts.agent(agent))
            for request in self._of_session(connection, session, talk):
                if request.id not in ids:  # a fork's copy
                    ids.add(request.id)
                    yield request
        if self._left_out:
            self.problem = f"{self._left_out} messages or parts can't be read"

    def _root(self, session: object) -> str:
        """Returns the session of a person that a sub-agent's parent belongs to."""
        connection = self._connection
        for _ in range(_DEEPEST if connection is not None else 0):
            row = connection.execute("SELECT parent_id FROM session WHERE id = ?", [session]).fetchone()  # type: ignore[union-attr]
            if row is None or row[0] is None:
                break
            session = row[0]
        return str(session)

    def _of_session(
        self, connection: sqlite3.Connection, session: str, talk: Conversation
    ) -> Iterator[RecordedRequest]:
        messages = connection.execute(
            "SELECT id, time_created, time_updated >= ? OR rowid > ?, data FROM message WHERE session_id = ? "
            "ORDER BY time_created, id",
            [self._before.updated, self._before.row, session],
        )
        for key, created, is_new, data in messages:
            try:
                message = _decode_message(data)
                at = seconds(created)
            except _FAULTS:
                at = None
            if at is None:
                self._left_out += 1
                continue
            parts = self._parts(connection, key)
            if message.role == "user":
                _ask(talk, parts, at)
            elif message.role == "assistant":
                for request in _answers(talk, message, parts, at, created):
                    if is_new:
                        yield request

    def _parts(self, connection: sqlite3.Connection, message: str) -> Iterator[tuple[float, _Part]]:
        rows = connection.execute(
            "SELECT time_created, data FROM part WHERE message_id = ? ORDER BY id", [message]
        )
        for created, data in rows:
            try:
                at, part = seconds(created), _decode_part(data)
            except _FAULTS:
                at = None
            if at is None:
                self._left_out += 1
            else:
                yield at, part


def _digest(key: object) -> bytes:
    return xxh3_128_digest(str(key).encode("utf-8", "surrogatepass"))


def _ask(talk: Conversation, parts: Iterator[tuple[float, _Part]], at: float) -> None:
    """Takes in a message of the user's role: a person's own words, or what OpenCode puts in by itself."""
    for _, part in parts:
        if part.type == "text" and not part.synthetic:
            talk.message(bytes(part.text), at)
        elif part.type == "text":
            talk.add("document", bytes(part.text), "user")
        elif part.type == "file":
            talk.add("image", bytes(part.url), "user")


def _answers(
    talk: Conversation, message: _Message, parts: Iterator[tuple[float, _Part]], sent: float, created: int
) -> Iterator[RecordedRequest]:
    """Yields the requests of an assistant's message, one for each of its steps, and takes in what was answered."""
    model = qualified(message.provider, message.model)
    began: float | None = None
    step: list[tuple[float, _Part]] = []
    number = 0
    for at, part in parts:
        if part.type == "step-start":
            began = at
        elif part.type == "step-finish":
            billed = (part.tokens or message.tokens).billed
            if billed is not None:
                counts = f"{billed.input}:{billed.read}:{billed.write}:{billed.output}"
                name = f"opencode:{created}:{number}:{model}:{counts}"
                yield talk.answered(RecordedAnswer(name, model, sent, billed, began))
            _put(talk, step)
            number, sent, began = number + 1, at, None
            step.clear()
        else:
            step.append((at, part))
    _put(talk, step)
    if message.summary is True:
        talk.compacted()


def _put(talk: Conversation, step: list[tuple[float, _Part]]) -> None:
    for _, part in step:
        if part.type == "text":
            talk.add("text", bytes(part.text))
        elif part.type == "reasoning":
            talk.add("thinking", bytes(part.text))
        elif part.type == "tool":
            talk.called(part.call, part.tool, bytes(part.state.input))
    for at, part in step:
        if part.type == "tool" and part.state.status in ("completed", "error"):
            failed = part.state.status == "error"
            talk.returned(
                part.call, bytes(part.state.error if failed else part.state.output), at, failed=failed
            )
