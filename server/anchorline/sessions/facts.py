"""What a session file tells of a request beside its usage: folder, branch and pull request, and the tools' results.

No text is kept. A file's path is hashed with the database's key; names of folders, branches and sub-agents are kept
where they may be.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Raw
from xxhash import xxh3_128_digest

from anchorline import redact
from anchorline.prompt import tokens, vision
from anchorline.prompt.attachments import NOTHING
from anchorline.prompt.formats.codex import Item
from anchorline.prompt.model import Kind
from anchorline.prompt.tokens import SegmentFeatures

_K = TypeVar("_K")
_V = TypeVar("_V")
Effect = Literal["commit", "instructions"]
ResultKind = Literal["text", "image", "pdf"]

KEPT = 256
"""Calls and results that a file's state has: a request follows soon."""
MOST = 400
"""Characters of a folder or a branch; longer ones are cut."""
INSTRUCTIONS = frozenset({"CLAUDE.md", "CLAUDE.local.md", "AGENTS.md", "AGENTS.override.md"})
_INSTRUCTIONS = tuple(INSTRUCTIONS)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}\Z")
EDITS = frozenset(
    {
        *("Edit", "MultiEdit", "Write", "NotebookEdit", "edit", "multiedit", "write", "editor", "replace"),
        *("write_file", "write_to_file", "replace_in_file", "create", "str_replace_editor", "apply_patch"),
    }
)
"""What agents call the tools that edit a file."""
_COMMIT = re.compile(
    r"(?:^|[;&|(\n]|\$\()\s*(?:\w+=\S+\s+)*git\s+(?:-[cC]\s+\S+\s+|--?[\w=/.-]+\s+)*commit\b"
)
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
# Git's worktrees, as Claude Code, Codex and people name their folders, are of the project that they were made from; of
# Codex's only its name is known.
_WORKTREE = re.compile(r"[\\/](?:\.claude[\\/]worktrees|\.worktrees)[\\/].*\Z")
_CODEX_WORKTREE = re.compile(r"([\\/]\.codex[\\/]worktrees)[\\/][0-9a-f]+(?=[\\/])")
# A command that prints one file: whole, its beginning, or some of its lines.
_PRINTS = re.compile(
    r"\s*(?:cat|nl(?: -ba)?|sed -n ['\"]?(?P<first>\d+),(?P<last>\d+)p['\"]?|head -(?:n ?)?(?P<head>\d+))\s+"
    r"(?P<file>'[^']+'|\"[^\"$`]+\"|[^\s'\"$`*?|;&<>()-][^\s'\"$`*?|;&<>()]*)\s*\Z"
)
_FAILED = re.compile(rb'exited with code [1-9]|\\?"exit_code\\?":\s*[1-9]')
_HEAD = 400
_LARGEST = 1 << 40


class Checkout(msgspec.Struct, frozen=True):
    """Where a request was made: the session's folder (home as ``~``), git's branch, the pull request; "" is unknown."""

    project: str = ""
    branch: str = ""
    pr: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    """A part of a request's newest input: what a tool returned, or an image or PDF that a person attached (`tool` "").

    `target` is the keyed hash of the file that the tool read or wrote, `first_line` and `lines` the part of it; None is
    all of it. `effect` says what a call did that succeeded: it committed, or edited instruction files.
    """

    tool: str
    kind: ResultKind
    tokens: int
    target: bytes | None = None
    first_line: int | None = None
    lines: int | None = None
    effect: Effect | None = None


class Call(NamedTuple):
    """A tool's call. `agent` is the sub-agent that it starts."""

    tool: str
    target: bytes | None = None
    first_line: int | None = None
    lines: int | None = None
    effect: Effect | None = None


class Measured(NamedTuple):
    """A result before it is known which model reads it."""

    call: Call
    features: SegmentFeatures
    kind: Kind


class FrozenFacts(msgspec.Struct, frozen=True, array_like=True):
    """Facts at the end of a line, to go on from."""

    calls: dict[str, Call]
    results: dict[int, Measured]
    project: str
    branch: str
    prs: dict[str, str]


class _Input(msgspec.Struct, frozen=True):
    """The members of a tool's input that are looked at: any client's, and those of MCP servers for files."""

    file_path: Any = None
    file_path_in_camel_case: Any = msgspec.field(name="filePath", default=None)
    absolute_path: Any = None
    notebook_path: Any = None
    path: Any = None
    offset: Any = None
    limit: Any = None
    command: Any = None
    cmd: Any = None
    workdir: Any = None
    prompt: Raw = Raw(b"")
    subagent_type: Any = None


class _Call(msgspec.Struct):
    name: Any = None
    input: _Input | None = None


class _AgentMeta(msgspec.Struct):
    type: Any = msgspec.field(name="agentType", default=None)


class _Result(msgspec.Struct):
    is_error: Any = None


_decode_call = msgspec.json.Decoder(_Call).decode
_decode_meta = msgspec.json.Decoder(_AgentMeta).decode
_decode_result = msgspec.json.Decoder(_Result).decode
_decode_input = msgspec.json.Decoder(_Input).decode
_list = msgspec.json.Decoder(list[Raw]).decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError)
_ATTACHED = Call("")
_NOTHING = _Input()


class Facts:
    """Collects the facts of one session file. `key` is the database's; `names`: folders and branches may be kept."""

    def __init__(self, key: bytes, *, names: bool) -> None:
        self._key = key
        self._names = names
        self.project = ""
        self.branch = ""
        self.folder = ""
        self.git_branch = ""
        self.prs: dict[str, str] = {}
        self.agents: dict[bytes, str] = {}
        self.only_agent = ""
        self._calls: dict[str, Call] = {}
        self._results: dict[int, Measured] = {}

    def anew(self) -> "Facts":
        """Returns facts of another session, under the same rules."""
        return Facts(self._key, names=self._names)

    def beside(self) -> "Facts":
        """Returns facts of another conversation in the same place."""
        facts = self.anew()
        facts.folder, facts.git_branch = self.folder, self.git_branch
        facts.project, facts.branch = self.project, self.branch
        return facts

    def visit(self, folder: object, branch: object) -> None:
        """Takes in where a line was written. The first folder is the session's."""
        if folder != self.folder and isinstance(folder, str):
            self.folder = folder
            if self._names and not self.project:
                self.project = project(folder)
        if branch != self.git_branch and isinstance(branch, str) and self._names:
            self.git_branch, self.branch = branch, text(branch)

    def link(self, number: object, repository: object, branch: str) -> None:
        """Takes in the pull request that the work on a branch led to."""
        if self._names and type(number) is int and number > 0:
            where = text(repository) if isinstance(repository, str) else ""
            self.prs[branch] = f"{where}#{number}"

    def checkout(self, branch: str) -> Checkout | None:
        """Returns where a request on `branch` was made; None where nothing is known or names are not kept."""
        checkout = Checkout(self.project, branch, self.prs.get(branch, ""))
        return checkout if checkout != Checkout() else None

    def agent(self, name: object) -> str:
        """Returns a sub-agent's type as it is kept."""
        return _kept_name(name) if self._names and isinstance(name, str) else ""

    def own_agent(self, path: Path) -> None:
        """Takes the type of the sub-agent whose file of Claude Code this is from the file beside it."""
        meta = path.with_name(f"{path.name.partition('.')[0]}.meta.json")
        with suppress(OSError, *_FAULTS):
            self.only_agent = self.agent(_decode_meta(meta.read_bytes()).type)

    def block(self, kind: Kind, start: int, raw: bytes, tool: str | None) -> None:
        """Takes in a content block of Claude Code that stands at `start` of the file; `tool` is the call's id."""
        try:
            if kind == "tool_use":
                if tool is not None:
                    self._calls[tool] = self._call(_decode_call(raw))
            elif kind == "tool_result":
                self._result(start, raw, self._calls.get(tool or "", _UNKNOWN))
            elif kind in ("image", "document"):
                self._results[start] = Measured(_ATTACHED, tokens.measure(raw, kind), kind)
        except _FAULTS:
            return

    def call(self, call: str, tool: object, arguments: bytes) -> None:
        """Takes in a tool's call: its id, the tool's name and its arguments, which are a JSON object."""
        try:
            self._calls[call] = self._call(_Call(tool, _decode_input(arguments)))
        except _FAULTS:
            self._calls[call] = Call(_tool(tool))

    def result(self, call: str, content: bytes, *, failed: bool = False) -> None:
        """Takes in what the tool returned that was called with this id."""
        made = self._calls.get(call, _UNKNOWN)
        if failed:
            made = made._replace(effect=None)
        with suppress(*_FAULTS):
            measured = Measured(made, tokens.measure(content, "tool_result"), "tool_result")
            self._results[len(self._results)] = measured

    def item(self, item: Item, start: int, payload: bytes) -> None:
        """Takes in an item of Codex, whose bytes are `payload` and stand at `start` of the file."""
        kind, call_id = item.type, item.call_id
        try:
            if call_id is not None and kind.endswith("_call"):
                self._calls[call_id] = self._codex_call(item)
            elif call_id is not None and kind.endswith("_output"):
                call = self._calls.get(call_id, _UNKNOWN)
                if call.effect is not None and _FAILED.search(payload, 0, _HEAD):
                    call = call._replace(effect=None)
                self._results[start] = Measured(call, tokens.measure(payload, "tool_result"), "tool_result")
            elif kind == "message" and b'"input_image"' in payload:
                for index, part in enumerate(_list(item.content)):
                    raw = bytes(part)
                    if b"_image" in raw[:40]:
                        image = tokens.measure(raw, "image")
                        self._results[start + index] = Measured(_ATTACHED, image, "image")
        except _FAULTS:
            return

    def results(self, starts: Iterable[int], model: str) -> tuple[ToolResult, ...]:
        """Returns the results that stand at `starts`, in order, with their tokens for `model`."""
        family = tokens.family(model)
        parts: list[ToolResult] = []
        for start in starts:
            measured = self._results.get(start)
            if measured is None:
                continue
            call, features, kind = measured
            if features.attached == NOTHING:
                parts.append(
                    ToolResult(call[0], "text", tokens.weigh(features, kind, family, model), *call[1:])
                )
            else:
                parts.extend(_weighed(measured, family, model))
        return tuple(parts)

    def take(self, model: str) -> tuple[ToolResult, ...]:
        """Returns all results, with their tokens for `model`, and forgets them."""
        taken = self.results(sorted(self._results), model)
        self._results.clear()
        return taken

    def frozen(self) -> FrozenFacts | None:
        """Returns what is needed to go on; None where a tool's name or a call's id has not the form of one."""
        calls, results = _newest(self._calls), _newest(self._results)
        names = [
            *calls,
            *(call.tool for call in calls.values()),
            *(item.call.tool for item in results.values()),
        ]
        if not all(_NAME.match(name) for name in names if name):
            return None
        return FrozenFacts(calls, results, self.project, self.branch, self.prs)

    def resume(self, frozen: FrozenFacts) -> None:
        """Goes on from `frozen`; what may not be named any more is left out."""
        self._calls, self._results = frozen.calls, frozen.results
        if self._names:
            self.project, self.branch, self.prs = frozen.project, frozen.branch, frozen.prs

    def _call(self, block: _Call) -> Call:
        given, tool = block.input or _NOTHING, _tool(block.name)
        if given.subagent_type is not None and given.prompt:
            self.agents[prompt_digest(bytes(given.prompt))] = self.agent(given.subagent_type)
        path = (
            given.file_path
            or given.notebook_path
            or given.path
            or given.file_path_in_camel_case
            or given.absolute_path
        )
        if not isinstance(path, str):
            return self._command(tool, given.command, self.folder)
        effect: Effect | None = None
        if tool in EDITS and path.endswith(_INSTRUCTIONS) and PurePath(path).name in INSTRUCTIONS:
            effect = "instructions"
        inside = not path.startswith(("/", "\\", "~")) and path[1:2] != ":"
        target = self._target(f"{self.folder}/{path}" if inside else path)
        return Call(tool, target, _number(given.offset), _number(given.limit), effect)

    def _codex_call(self, item: Item) -> Call:
        arguments = item.arguments if isinstance(item.arguments, str) else ""
        given = _decode_input(arguments) if arguments.startswith("{") else _NOTHING
        command = given.cmd if given.cmd is not None else given.command
        if isinstance(command, list):  # a program and its arguments: a shell's script is the last one
            command = command[-1] if command else None
        namespace = item.namespace if isinstance(item.namespace, str) else ""
        tool = f"{namespace}{item.name}" if isinstance(item.name, str) else item.type.removesuffix("_call")
        folder = given.workdir if isinstance(given.workdir, str) else self.folder
        return self._command(_tool(tool), item.input or command, folder)

    def _command(self, tool: str, command: object, folder: str) -> Call:
        """Returns the call of a command in a shell, or of a patch."""
        if not isinstance(command, str):
            return Call(tool)
        if "*** " in command:
            edited = [PurePath(path.strip()).name for path in _PATCHED.findall(command)]
            if INSTRUCTIONS.intersection(edited):
                return Call(tool, effect="instructions")
        if "commit" in command and _COMMIT.search(command):
            return Call(tool, effect="commit")
        printed = _PRINTS.match(command)
        if printed is None:
            return Call(tool)
        target = self._target(str(PurePath(folder) / printed["file"].strip("'\"")))
        if printed["first"]:
            first, last = int(printed["first"]), int(printed["last"])
            return Call(tool, target, _number(first), _number(last - first + 1))
        return Call(tool, target, None, _number(int(printed["head"])) if printed["head"] else None)

    def _target(self, path: str) -> bytes:
        return blake2b(
            os.path.normpath(path).encode("utf-8", "surrogatepass"), digest_size=16, key=self._key
        ).digest()

    def _result(self, start: int, raw: bytes, call: Call) -> None:
        if call.effect is not None and _decode_result(raw).is_error:
            call = call._replace(effect=None)
        self._results[start] = Measured(call, tokens.measure(raw, "tool_result"), "tool_result")


_UNKNOWN = Call("unknown")
"""Stands for a call that is not in the file."""


@lru_cache(1024)
def text(name: str) -> str:
    """Returns a name as it is kept: in one line, not too long, with secrets masked."""
    return redact.redact(" ".join(name.encode("utf-8", "replace").decode().split()))[:MOST]


@lru_cache(1024)
def project(folder: str) -> str:
    """Returns a folder as it is kept: below the home folder as ``~``, a worktree as what it was made from."""
    folder = _CODEX_WORKTREE.sub(r"\1", _WORKTREE.sub("", folder))
    home = str(Path.home())
    inside = folder == home or folder.startswith(home + os.sep)
    return text("~" + folder[len(home) :] if inside else folder)


def prompt_digest(literal: bytes) -> bytes:
    """Returns the digest of a sub-agent's first message: its call has the same JSON string."""
    return xxh3_128_digest(literal)


def _weighed(measured: Measured, family: str, model: str) -> Iterator[ToolResult]:
    """Yields the text of a result, its images and its pages apart, each with its tokens."""
    call, features, kind = measured
    images, pages, others = features.attached
    if kind == "tool_result" or others:
        plain = features._replace(attached=NOTHING)
        count = others + (tokens.weigh(plain, kind, family, model) if kind == "tool_result" else 0)
        yield ToolResult(call.tool, "text", count, *call[1:])
    if images:
        count = sum(vision.image_tokens(image, family, model) for image in images)
        yield ToolResult(call.tool, "image", count, *call[1:4])
    if pages:
        yield ToolResult(call.tool, "pdf", pages * vision.page_tokens(family), *call[1:4])


def _tool(name: object) -> str:
    return _kept_name(name) or _UNKNOWN.tool if isinstance(name, str) else _UNKNOWN.tool


@lru_cache(1024)
def _kept_name(name: str) -> str:
    """Returns a name of a tool or an agent; "" where it has not the form of one, or is a secret."""
    return sys.intern(name) if _NAME.match(name) and not redact.find(name) else ""


def _number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= _LARGEST else None


def _newest(items: dict[_K, _V]) -> dict[_K, _V]:
    return dict(islice(items.items(), max(len(items) - KEPT, 0), None))
