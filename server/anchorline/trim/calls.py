"""The call that a tool result answers: the one with the result's id, before it in the conversation."""

import re
from contextlib import suppress
from functools import cached_property
from typing import Any

import msgspec

from anchorline.prompt import layout
from anchorline.prompt.model import Prompt
from anchorline.trim.commands import drawn

_IDS = (b'"tool_use_id"', b'"tool_call_id"', b'"call_id"')
_SHELLS = frozenset(
    {
        "bash",
        "execute_command",
        "exec_command",
        "local_shell",
        "powershell",
        "run_command",
        "run_in_terminal",
        "run_shell_command",
        "run_terminal_cmd",
        "shell",
        "shell_command",
        "terminal",
    }
)
"""What clients call the tool that runs a command; ``container.exec`` is Codex's."""
_SEARCHES = frozenset({"grep", "grep_search", "search", "search_files", "search_file_content"})
_SEARCH = re.compile(r"(?:\b|(?<=\\n))(?:rg|[ef]?grep|ag|ack)\b")
_COMMANDS = ("command", "cmd")


class ToolCall(msgspec.Struct, frozen=True):
    """A tool's name in lower case, and the command if it was asked for one; `given` is all that it was asked."""

    tool: str
    command: str | None = None
    given: str = ""


class Origin:
    """Where tool result `segment` of a prompt comes from, looked up when somebody asks for it."""

    def __init__(self, prompt: Prompt, segment: int) -> None:
        self._prompt = prompt
        self._segment = segment

    @property
    def searches(self) -> bool:
        """Whether it is the output of a search in files."""
        call = self.call
        return call is not None and (call.tool in _SEARCHES or _SEARCH.search(call.given) is not None)

    @property
    def drawn(self) -> bool:
        """Whether it is a command's output, drawn for a terminal, in which nothing that a file holds is shown."""
        call = self.call
        return call is not None and call.command is not None and drawn(call.command)

    @cached_property
    def call(self) -> ToolCall | None:
        """The call, or None where it is not in the request or can't be read."""
        prompt, segments = self._prompt, self._prompt.segments
        own = segments[self._segment]
        content = prompt.load(own.start, own.end)
        name = next((content[m.start : m.end] for m in layout.members(content, 0) if m.key in _IDS), None)
        if name is None or len(name) < 3:
            return None
        for segment in reversed(segments[: self._segment]):
            if segment.role == "assistant" and segment.kind != "thinking":
                content = prompt.load(segment.start, segment.end)
                if name in content and (call := _call(content, name)) is not None:
                    return call
        return None


def _call(content: bytes, name: bytes) -> ToolCall | None:
    """Returns the call with the id `name` (a JSON string) in what the model wrote."""
    try:
        value = msgspec.json.decode(content)
        wanted = msgspec.json.decode(name)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    calls = value.get("tool_calls") if isinstance(value, dict) else None
    for call in calls if isinstance(calls, list) else [value]:
        if isinstance(call, dict) and wanted in (call.get("call_id"), call.get("id")):
            return _read(call)
    return None


def _read(call: dict[str, Any]) -> ToolCall:
    """Returns what the forms of a call have in common: Anthropic's, chat's, and the Responses API's."""
    function = call.get("function")
    asked: dict[str, Any] = function if isinstance(function, dict) else call
    tool = str(asked.get("name") or str(call.get("type")).removesuffix("_call")).lower()
    given = next((asked[key] for key in ("input", "arguments", "action") if asked.get(key)), None)
    if isinstance(given, str) and given.startswith("{"):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            given = msgspec.json.decode(given)
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    command = None
    if isinstance(given, dict) and (tool in _SHELLS or tool.endswith(".exec")):
        command = _command(next((given[key] for key in _COMMANDS if given.get(key)), None))
    return ToolCall(tool, command, text)


def _command(given: object) -> str | None:
    """Returns a command line: a text, or what ``bash -lc`` gets in a list."""
    if isinstance(given, str):
        return given
    if isinstance(given, list) and len(given) == 3 and given[1] in ("-c", "-lc"):
        return str(given[2])
    return None
