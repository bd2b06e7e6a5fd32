"""Cline's session files: documents `sessions/ID/ID.messages.json`, and one for each sub-agent in the same folder.

Each is rewritten with each message (Cline CLI 3.0, and whatever else is built on its core). An assistant's message has
its `metrics`, whose `inputTokens` are those of the whole prompt, cached ones included, and `ts`, when the answer was
whole. The folder stands in the manifest beside it, `ID.json`. Neither ids of the provider nor lifetimes are recorded.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.outcome import Usage
from anchorline.prompt.source import Line, read_bytes
from anchorline.sessions.conversation import Conversation, RecordedAnswer, qualified, seconds, usage
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import ReadAnew, RecordedRequest

_NULL = Raw(b"null")
_SUFFIX = ".messages.json"
_MAX_MANIFEST = 4 * 1024 * 1024


class _Manifest(msgspec.Struct):
    cwd: Any = None


class _Origin(msgspec.Struct):
    parent: str | None = msgspec.field(name="parentThreadId", default=None)
    subagent: Any = None


class _Document(msgspec.Struct):
    messages: list[Raw]
    session: str | None = msgspec.field(name="sessionId", default=None)
    agent: Any = None
    origin: _Origin = msgspec.field(default_factory=_Origin)


class _Model(msgspec.Struct):
    id: str = ""
    provider: str = ""


class _Metrics(msgspec.Struct):
    whole: int = msgspec.field(name="inputTokens", default=0)
    output: int = msgspec.field(name="outputTokens", default=0)
    read: int = msgspec.field(name="cacheReadTokens", default=0)
    write: int = msgspec.field(name="cacheWriteTokens", default=0)

    @property
    def billed(self) -> Usage | None:
        """What was billed; None where nothing was."""
        uncached = self.whole - self.read - self.write
        return usage(uncached if uncached >= 0 else self.whole, self.read, self.write, self.output)


class _Message(msgspec.Struct):
    role: str = ""
    id: str = ""
    at: float | None = msgspec.field(name="ts", default=None)
    content: Raw = _NULL
    model: _Model = msgspec.field(name="modelInfo", default_factory=_Model)
    metrics: _Metrics | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: Raw = _NULL
    thinking: Raw = _NULL
    id: str = ""
    name: Any = None
    input: Raw = Raw(b"{}")
    call: str = msgspec.field(name="tool_use_id", default="")
    content: Raw = _NULL
    failed: Any = msgspec.field(name="is_error", default=None)


class _Input(msgspec.Struct):
    files: list[dict[str, Any]] | None = None
    commands: list[str] | None = None


_decode = msgspec.json.Decoder(_Document).decode
_message = msgspec.json.Decoder(_Message).decode
_blocks = msgspec.json.Decoder(list[_Block]).decode
_input = msgspec.json.Decoder(_Input).decode
_manifest = msgspec.json.Decoder(_Manifest).decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Cline(ReadAnew):
    """One file."""

    def __init__(self, facts: Facts, path: Path) -> None:
        self.problem: str | None = None
        self._facts = facts
        self._path = path
        self._document = _Document([])

    def take(self, line: Line) -> None:
        """Takes in the document."""
        self._document = _decode(line.text)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the document."""
        session = self._path.parent.name
        name = self._path.name.partition(_SUFFIX)[0]
        with suppress(OSError, *_FAULTS):
            manifest = read_bytes(self._path.with_name(f"{session}.json"), _MAX_MANIFEST)
            self._facts.visit(_manifest(manifest).cwd, None)
        origin = self._document.origin
        if name == session or origin.parent is None:
            talk = Conversation(self._facts, self._document.session or name)
        else:
            role = self._facts.agent(self._document.agent)
            talk = Conversation(self._facts, session, name, subagent=role)
        left_out = 0
        for raw in self._document.messages:
            try:
                message = _message(raw)
                request = _take(talk, message)
            except _FAULTS:
                left_out += 1
                continue
            if request is not None:
                yield request
        if left_out:
            self.problem = f"{left_out} messages can't be read"


def _take(talk: Conversation, message: _Message) -> RecordedRequest | None:
    """Takes in a message, and returns the request that it answers."""
    content = bytes(message.content)
    blocks = _blocks(content) if content[:1] == b"[" else [_Block("text", Raw(content))]
    at = seconds(message.at)
    if message.role != "assistant":
        _ask(talk, blocks, at)
        return None
    billed = None if message.metrics is None else message.metrics.billed
    sent = talk.now if talk.now is not None else at
    request = None
    if billed is not None and sent is not None:
        model = qualified(message.model.provider, message.model.id)
        counts = f"{billed.input}:{billed.read}:{billed.write}:{billed.output}"
        name = f"cline:{message.id}:{message.at}:{counts}"
        request = talk.answered(RecordedAnswer(name, model, sent, billed, at))
    for block in blocks:
        if block.type == "tool_use":
            talk.called(block.id, block.name, _plain(bytes(block.input)))
        elif block.type == "thinking":
            talk.add("thinking", bytes(block.thinking))
        else:
            talk.add("text", bytes(block.text))
    return request


def _ask(talk: Conversation, blocks: list[_Block], at: float | None) -> None:
    """Takes in a person's message, or tools' results, beside which the text is Cline's own."""
    results = any(block.type == "tool_result" for block in blocks)
    for block in blocks:
        if block.type == "tool_result":
            talk.returned(block.call, bytes(block.content), at, failed=block.failed is True)
        elif block.type == "text" and not results:
            talk.message(bytes(block.text), at)
            results = True  # what follows is of the same message
        else:
            talk.add("document", bytes(block.text), "user")


def _plain(arguments: bytes) -> bytes:
    """Returns the arguments of a call that reads one file or runs one command as other agents have them."""
    with suppress(*_FAULTS):
        given = _input(arguments)
        if given.files is not None and len(given.files) == 1:
            return msgspec.json.encode(given.files[0])
        if given.commands is not None and len(given.commands) == 1:
            return msgspec.json.encode({"command": given.commands[0]})
    return arguments
