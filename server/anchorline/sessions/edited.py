"""The files that an agent has edited in its newest tasks, from the end of its session file.

Reads the lines of Claude Code, Codex, Gemini CLI and Qwen Code: a person's message begins a task, and calls of tools
that edit files name them. Edits by commands of a shell (sed, a formatter) are not seen. No text is kept.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from anchorline.prompt.source import PACKED, lines, refused
from anchorline.sessions.facts import EDITS

TASKS = 3
"""The newest tasks whose edits count, those without one left out."""
MOST = 50
"""Files that are returned, at most."""
TAIL = 4 << 20
"""Bytes at the end of a file that are looked through: some tens of milliseconds."""
_NULL = Raw(b"null")
_PATCHED = re.compile(r"\*\*\* (?:Add|Update|Delete) File: (.+?)(?=\\[nr]|[\r\n]|\Z)")
"""A file of a patch of Codex's, also where the patch is a string in a script."""
_FAILED = re.compile(rb'exited with code [1-9]|\\?"exit_code\\?":\s*[1-9]')
_HEAD = 400
_MACHINE = re.compile(r"\s*(?:<[a-zA-Z_-]+>|# AGENTS\.md|\[Request interrupted|Caveat: )")
"""How a message begins that the agent itself has written."""
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)


class _Input(msgspec.Struct):
    file_path: Any = None
    file_path_in_camel_case: Any = msgspec.field(name="filePath", default=None)
    absolute_path: Any = None
    notebook_path: Any = None
    path: Any = None

    @property
    def file(self) -> str | None:
        named = (
            self.file_path,
            self.file_path_in_camel_case,
            self.absolute_path,
            self.notebook_path,
            self.path,
        )
        return next((path for path in named if isinstance(path, str) and path), None)


class _Call(msgspec.Struct):
    """A tool's call as Gemini CLI and Qwen Code write it."""

    id: Any = ""
    name: Any = None
    args: Raw = Raw(b"{}")
    status: Any = None


class _Response(msgspec.Struct):
    id: Any = ""
    response: Raw = Raw(b"{}")


class _Block(msgspec.Struct):
    """A part of a message: of Claude Code's `content`, of Codex's, or of the `parts` of Gemini's API."""

    type: str = ""
    text: Any = None
    id: Any = None
    name: Any = None
    input: Raw = _NULL
    tool_use_id: Any = None
    is_error: Any = None
    function_call: _Call | None = msgspec.field(name="functionCall", default=None)
    function_response: _Response | None = msgspec.field(name="functionResponse", default=None)


class _Message(msgspec.Struct):
    content: Raw = _NULL
    parts: Raw = _NULL


class _Payload(msgspec.Struct):
    type: str = ""
    role: Any = None
    content: Raw = _NULL
    call_id: Any = None
    input: Any = None
    arguments: Any = None
    output: Raw = _NULL


class _Line(msgspec.Struct):
    type: str = ""
    subtype: Any = None
    is_sidechain: Any = msgspec.field(name="isSidechain", default=None)
    is_meta: Any = msgspec.field(name="isMeta", default=None)
    message: _Message | None = None
    payload: Raw = _NULL
    content: Raw = _NULL
    calls: list[_Call] | None = msgspec.field(name="toolCalls", default=None)


_decode = msgspec.json.Decoder(_Line).decode
_decode_payload = msgspec.json.Decoder(_Payload).decode
_decode_blocks = msgspec.json.Decoder(list[_Block] | str | None).decode
_decode_input = msgspec.json.Decoder(_Input).decode


class _Edit(NamedTuple):
    """A file that a call edits; `call` is the call's id."""

    call: object
    path: str


class _Failure(NamedTuple):
    """A call that did not succeed."""

    call: object


class _Task(NamedTuple):
    """A person's message, with which a task begins."""


_Event = _Edit | _Failure | _Task


def edited(file: Path, root: Path, tail: int = TAIL) -> tuple[str, ...]:
    """Returns the files below `root` that were edited in the newest `TASKS` tasks, the last one first.

    Paths are relative to `root`, with slashes, each once. Raises OSError and PromptError.
    """
    size = file.stat().st_size
    events: list[_Event] = []

    def take(text: bytes) -> None:
        line = _decode(text)
        events.extend(_codex(line) if line.payload != _NULL else _others(line))

    for line in lines(file, 0 if file.suffix in PACKED else max(size - tail, 0)):
        refused(line, lambda taken: take(taken.text))  # the first one may be a part of a line
    failed = {event.call for event in events if isinstance(event, _Failure)}
    paths: dict[str, None] = {}
    tasks, holds_edits = 0, False
    for event in reversed(events):
        if isinstance(event, _Edit) and event.call not in failed:
            inner = _inside(root, event.path)
            if inner is not None:
                paths[inner] = None
                holds_edits = True
        elif isinstance(event, _Task) and holds_edits:
            tasks, holds_edits = tasks + 1, False
            if tasks == TASKS:
                break
    return tuple(paths)[:MOST]


def _inside(root: Path, path: str) -> str | None:
    """Returns a path relative to the root; None for one that leads out of it."""
    if "\0" in path:
        return None
    try:
        inner = PurePosixPath((root / path).relative_to(root).as_posix())
    except ValueError:
        return None
    return str(inner) if ".." not in inner.parts and inner.parts else None


def _others(line: _Line) -> Iterator[_Event]:
    """Yields what a line of Claude Code's, Gemini CLI's or Qwen Code's tells."""
    if line.message is not None:
        content = line.message.content if line.message.content != _NULL else line.message.parts
    else:
        content = line.content
    blocks = _decode_blocks(content)
    if isinstance(blocks, str):
        blocks = [_Block(type="text", text=blocks)]
    own = not line.is_sidechain and not line.is_meta and line.subtype is None
    if line.type == "user" and own and _is_spoken(blocks or []):
        yield _Task()
    for block in blocks or ():
        if block.type == "tool_use":
            yield from _call(block.id, block.name, bytes(block.input))
        elif block.type == "tool_result" and block.is_error:
            yield _Failure(block.tool_use_id)
        elif block.function_call is not None:
            called = block.function_call
            yield from _call(called.id, called.name, bytes(called.args))
        elif (
            block.function_response is not None
            and b'"error":' in bytes(block.function_response.response)[:16]
        ):
            yield _Failure(block.function_response.id)
    for called in line.calls or ():
        yield from _call(called.id, called.name, bytes(called.args))
        if called.status in ("error", "cancelled"):
            yield _Failure(called.id)


def _is_spoken(blocks: list[_Block]) -> bool:
    """Says whether a person has written this message: it has words, and no tool's result."""
    if any(block.type == "tool_result" or block.function_response is not None for block in blocks):
        return False
    return any(isinstance(block.text, str) and not _MACHINE.match(block.text) for block in blocks)


def _codex(line: _Line) -> Iterator[_Event]:
    if line.type != "response_item":
        return
    item = _decode_payload(line.payload)
    if item.type == "message" and item.role == "user":
        blocks = _decode_blocks(item.content)
        if isinstance(blocks, list) and _is_spoken(blocks):
            yield _Task()
    elif item.type.endswith("_call"):
        text = item.input if isinstance(item.input, str) else item.arguments
        if isinstance(text, str) and "*** " in text:
            for path in _PATCHED.findall(text):
                yield _Edit(item.call_id, path.strip())
    elif item.type.endswith("_output") and _FAILED.search(bytes(item.output), 0, _HEAD):
        yield _Failure(item.call_id)


def _call(call: object, tool: object, arguments: bytes) -> Iterator[_Edit]:
    if tool in EDITS:
        try:
            path = _decode_input(arguments).file
        except _FAULTS:
            return
        if path is not None:
            yield _Edit(call, path)
