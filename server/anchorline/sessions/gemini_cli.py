"""Gemini CLI's session files: messages, as lines (`session-….jsonl`) and before that as one document (`….json`).

A message of the model's has the usage of its request: `input` with the cached tokens, `output` without the thoughts.
Lines come again with a message's tools, may take the conversation back (`$rewindTo`) or replace it (`$set`), as a
summary and `--resume` do. Ids of answers are not recorded, nor requests beside the conversation (for routing, for a
summary). A sub-agent has a file of its own in a folder of its session's name. Source: ChatRecordingService of 0.61.0.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Raw

from anchorline import files
from anchorline.prompt.source import Line, epoch
from anchorline.sessions import gemini_parts
from anchorline.sessions.conversation import Conversation, ConversationMark, RecordedAnswer, usage
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import ReadAnew, RecordedRequest

ROOT = ".project_root"
"""A file beside the sessions' folder that holds the path of their project."""
ROOT_BYTES = 4096
_NULL = Raw(b"null")
Key = tuple[str, str]
"""A message's type and id: a resumed session gives a tool's result the id of its call."""


class _Tokens(msgspec.Struct):
    input: int = 0
    output: int = 0
    cached: int = 0
    thoughts: int = 0
    tool: int = 0


class _ToolCall(msgspec.Struct):
    id: str = ""
    name: object = None
    args: Raw = Raw(b"{}")
    result: Raw = _NULL
    status: object = None
    timestamp: datetime | None = None


class _Thought(msgspec.Struct):
    description: Raw = _NULL


class _Message(msgspec.Struct):
    id: str = ""
    timestamp: datetime | None = None
    type: str = ""
    content: Raw = _NULL
    tokens: _Tokens | None = None
    model: str | None = None
    thoughts: list[_Thought] | None = None
    calls: list[_ToolCall] | None = msgspec.field(name="toolCalls", default=None)

    @property
    def key(self) -> Key:
        return self.type, self.id


class _Update(msgspec.Struct):
    messages: list[_Message] | None = None


class _Line(_Message):
    session: str | None = msgspec.field(name="sessionId", default=None)
    kind: str | None = None
    messages: list[_Message] | None = None
    update: _Update | None = msgspec.field(name="$set", default=None)
    rewind_to: str | None = msgspec.field(name="$rewindTo", default=None)


_decode = msgspec.json.Decoder(_Line).decode


class GeminiCli(ReadAnew):
    """One file."""

    def __init__(self, facts: Facts, path: Path) -> None:
        self.problem: str | None = None
        self._path = path
        self._talk = Conversation(facts, path.stem)
        self._start = self._talk.mark()
        self._marks: dict[Key, ConversationMark] = {}
        self._known: set[Key] = set()
        self._calls: set[str] = set()
        self._results: set[str] = set()
        self._requests: dict[str, RecordedRequest] = {}
        self._left: dict[str, int] = {}
        facts.visit(_project(path), None)

    @property
    def is_compacted(self) -> bool:
        """Whether the conversation was summarised after its newest request."""
        return self._talk.is_compacted

    def take(self, line: Line) -> None:
        """Takes in a line, or a whole document."""
        read = _decode(line.text)
        if read.rewind_to is not None:
            self._rewind(read.rewind_to)
        elif read.update is not None:
            if read.update.messages is not None:
                self._replace(read.update.messages)
        elif read.session is not None:
            self._begin(read.session, read.kind)
            for message in read.messages or ():
                self._add(message)
        elif read.type:
            self._add(read, line)

    def _begin(self, session: str, kind: str | None) -> None:
        if kind == "subagent":
            self._talk.session, self._talk.chain = self._path.parent.name, session
            self._talk.subagent = ""
        else:
            self._talk.session = session

    def _add(self, message: _Message, line: Line | None = None) -> None:
        key = message.key
        if key in self._marks:
            self._answer(message)
            self._call(message)
            return
        self._marks[key] = self._talk.mark()
        known = key in self._known
        self._known.add(key)
        content = bytes(message.content)
        if message.type == "gemini":
            self._answer(message)
            for thought in message.thoughts or ():
                self._talk.add("thinking", bytes(thought.description))
            gemini_parts.put(self._talk, content, by_model=True)
            self._call(message)
        elif message.type == "user" and known:
            gemini_parts.put(self._talk, content, by_model=False)
        elif message.type == "user":
            at = epoch(message.timestamp)
            if not gemini_parts.returned(self._talk, content, at, self._results):
                gemini_parts.message(self._talk, content, at, line)

    def _answer(self, message: _Message) -> None:
        counts, at = message.tokens, epoch(message.timestamp)
        if counts is None or message.id in self._requests or message.type != "gemini":
            return
        fresh = counts.input - counts.cached + counts.tool
        billed = usage(fresh, counts.cached, 0, counts.output + counts.thoughts)
        if billed is None or at is None:
            return
        sent = min(self._talk.now or at, at)
        answer = RecordedAnswer(f"gemini-cli:{message.id}", message.model or "", sent, billed, first_at=at)
        self._requests[message.id] = self._talk.answered(answer)

    def _call(self, message: _Message) -> None:
        """Takes in the tools that a message has called. Their results are messages of their own in lines."""
        for call in message.calls or ():
            if call.id in self._calls:
                continue
            self._calls.add(call.id)
            self._talk.called(call.id, call.name, bytes(call.args))
            if self._path.suffix == ".json":
                failed = call.status == "error"
                self._talk.returned(call.id, bytes(call.result), epoch(call.timestamp), failed=failed)

    def _rewind(self, name: str) -> None:
        """Takes a message out, and all that follow. All requests among them are one branch."""
        keys = list(self._marks)
        position = next((index for index, key in enumerate(keys) if key[1] == name), 0)
        if not keys:
            return
        self._talk.go_back(self._marks[keys[position]])
        branch = max(self._left.values(), default=0) + 1
        for key in keys[position:]:
            del self._marks[key]
            if key[1] in self._requests:
                self._left.setdefault(key[1], branch)

    def _replace(self, messages: list[_Message]) -> None:
        """Begins the conversation anew with these messages: known ones again, or a summary of them."""
        answered = {key for key in self._known if key[0] == "gemini"}
        self._talk.go_back(self._start)
        if answered and answered.isdisjoint(message.key for message in messages):
            self._talk.compacted()
        self._marks.clear()
        self._calls.clear()
        for message in messages:
            self._add(message)

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests of the file; those that a rewind took out with their branch."""
        for name, request in self._requests.items():
            branch = self._left.get(name, 0)
            yield request if branch == 0 else msgspec.structs.replace(request, branch=branch)


def _project(path: Path) -> str | None:
    """Returns the folder of a session's project; None where nothing says it, as in versions with a hash for it."""
    for folder in list(path.absolute().parents)[1:3]:
        try:
            root = folder / ROOT
            files.check_plain(root)
            with root.open("rb") as file:
                return file.read(ROOT_BYTES).decode("utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            continue
    return None
