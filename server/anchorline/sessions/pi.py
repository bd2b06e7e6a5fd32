"""Pi's session files: entries that form a tree, each naming the one before it (its docs/session-format.md).

An assistant's message is an answer: its usage (`input` without cached tokens, `output` with reasoning), when it was
asked for, and the response's id. The header has the folder. What the summary of a compaction or of a branch cost is
not recorded, nor the lifetime of what was written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.prompt.model import Kind
from anchorline.prompt.source import Line, value
from anchorline.sessions.branches import Branches
from anchorline.sessions.conversation import Conversation, RecordedAnswer, qualified, seconds, usage
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import ReadAnew, RecordedRequest

_NULL = Raw(b"null")
_KINDS: dict[str, Kind] = {"text": "text", "thinking": "thinking", "image": "image"}
_BROKEN_OFF = ("aborted", "error")


class _Usage(msgspec.Struct):
    input: int = 0
    output: int = 0
    read: int = msgspec.field(name="cacheRead", default=0)
    write: int = msgspec.field(name="cacheWrite", default=0)


class _Message(msgspec.Struct):
    role: str = ""
    content: Raw = _NULL
    timestamp: float | None = None
    provider: str = ""
    model: str = ""
    usage: _Usage | None = None
    stop: Any = msgspec.field(name="stopReason", default=None)
    response: str | None = msgspec.field(name="responseId", default=None)
    call: str = msgspec.field(name="toolCallId", default="")
    failed: Any = msgspec.field(name="isError", default=None)
    command: Raw = _NULL
    output: Raw = _NULL


class _Entry(msgspec.Struct):
    type: str = ""
    id: str | None = None
    parent: str | None = msgspec.field(name="parentId", default=None)
    message: _Message | None = None
    cwd: Any = None
    summary: Raw = _NULL
    content: Raw = _NULL


class _Block(msgspec.Struct):
    type: str = ""
    text: Raw = _NULL
    thinking: Raw = _NULL
    data: Raw = _NULL
    id: str = ""
    name: Any = None
    arguments: Raw = Raw(b"{}")


_decode = msgspec.json.Decoder(_Entry).decode
_blocks = msgspec.json.Decoder(list[_Block]).decode


class Pi(ReadAnew):
    """One file."""

    def __init__(self, facts: Facts, path: Path) -> None:
        self._facts = facts
        self._talk = Conversation(facts, path.stem)
        self._branches = Branches(self._talk)

    @property
    def problem(self) -> str | None:
        """What was left out."""
        return self._branches.problem

    def take(self, line: Line) -> None:
        """Takes in an entry."""
        entry = _decode(line.text)
        if entry.type == "session":
            if entry.id is not None:
                self._talk.session = entry.id
            self._facts.visit(entry.cwd, None)
        elif entry.id is None:  # a file of before there was a tree
            self._enter(entry, line)
        elif self._branches.follow(entry.parent):
            self._enter(entry, line)
            self._branches.enter(entry.id, entry.parent)

    def _enter(self, entry: _Entry, line: Line) -> None:
        talk, message = self._talk, entry.message
        if entry.type == "compaction":
            talk.compacted()
            talk.add("document", bytes(entry.summary), "user")
        elif entry.type == "branch_summary":
            talk.add("document", bytes(entry.summary), "user")
        elif entry.type == "custom_message":
            talk.add("document", bytes(entry.content), "user")
        elif message is None:
            return
        elif message.role == "user":
            self._message(message, line)
        elif message.role == "assistant":
            self._answer(entry.id, message)
        elif message.role == "toolResult":
            failed = message.failed is True
            talk.returned(message.call, bytes(message.content), seconds(message.timestamp), failed=failed)
        elif message.role == "bashExecution":
            talk.add("document", bytes(message.command) + bytes(message.output), "user")

    def _message(self, message: _Message, line: Line) -> None:
        content, at = bytes(message.content), seconds(message.timestamp)
        if content[:1] != b"[":
            start = line.offset + value(line.text, b"content", content)
            self._talk.message(content, at, start=start, words=(start, start + len(content)))
            return
        first = True
        for block in _blocks(content):
            text = bytes(block.text)
            if block.type == "text" and first:
                start = line.offset + value(line.text, b"text", text)
                self._talk.message(text, at, start=start, words=(start, start + len(text)))
                first = False
            else:
                self._talk.add(_KINDS.get(block.type, "other"), text + bytes(block.data), "user")

    def _answer(self, key: str | None, message: _Message) -> None:
        talk, counts, at = self._talk, message.usage or _Usage(), seconds(message.timestamp)
        partial = message.stop in _BROKEN_OFF
        billed = usage(counts.input, counts.read, counts.write, counts.output, partial=partial)
        sent = at if at is not None else talk.now
        if billed is not None and sent is not None:
            model = qualified(message.provider, message.model)
            name = f"pi:{key or ''}:{message.response or ''}@{sent}"
            answer = RecordedAnswer(name, model, sent, billed, answer=message.response)
            self._branches.add(key, talk.answered(answer))
        blocks = _blocks(message.content) if bytes(message.content)[:1] == b"[" else []
        for block in blocks:
            if block.type == "toolCall":
                talk.called(block.id, block.name, bytes(block.arguments))
            else:
                kind = _KINDS.get(block.type, "other")
                talk.add(kind, bytes(block.thinking if kind == "thinking" else block.text))

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the file: those on the way to the newest entry as its branch 0."""
        return self._branches.requests()
