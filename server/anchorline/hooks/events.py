"""Events of agents, and what handles them.

A handler gets the event as the agent wrote it and returns what the agent reads: a text, or an object that goes out as
JSON; nothing (`""`) for silence. What it raises is logged, and the agent hears nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import msgspec

Event: TypeAlias = dict[str, Any]
ENVIRONMENT = "environment"
"""The member of an event that has variables of the agent's environment, by name; an agent's own is replaced."""
DISPLAY = "display"
"""The member of an event that has the `Display`; an agent's own is replaced."""
Answer: TypeAlias = str | dict[str, Any]


class Display(NamedTuple):
    """How an answer may look: the width of the terminal (0: unknown), and whether it may have colours."""

    columns: int = 0
    has_color: bool = False


class Handler(NamedTuple):
    """What answers an event. With `is_awaited` false the agent goes on at once, and events are handled one by one."""

    handle: Callable[[Event], Answer]
    is_awaited: bool = True


Handlers: TypeAlias = dict[tuple[str, str], Handler]
"""By the source (`claude-code`, `codex`, `gemini-cli`, `qwen-code`, `status-line`) and the event's name.

A status has no name.
"""


def name(event: Event) -> str:
    """Returns an event's name: `hook_event_name` of Claude Code, Gemini CLI and Qwen Code, `type` of Codex."""
    value = event.get("hook_event_name", event.get("type"))
    return value if isinstance(value, str) else ""


def read(raw: bytes) -> Event:
    """Returns an event. Raises msgspec.DecodeError (ValidationError where it is no object) and RecursionError."""
    return msgspec.json.decode(raw, type=dict[str, Any])


def written(answer: Answer) -> bytes:
    """Returns an answer as the client prints it."""
    return msgspec.json.encode(answer) if isinstance(answer, dict) else answer.encode("utf-8", "replace")
