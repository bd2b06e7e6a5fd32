"""The agents whose history is read: one table, which import, first screen, reports and docs share.

To add an agent:

1. Write its reader in a module of its own here, as `anchorline.sessions.request.Transcript` (JSON lines, or one JSON
   document a session) or `DatabaseTranscript` (SQLite) describe it; `ReadAnew` is for one that can't go on from where
   it ended. `anchorline.sessions.conversation.Conversation` makes requests of what it reads, and
   `anchorline.sessions.branches.Branches` keeps those of a tree apart. A file's name says how it is read: ``.json``
   whole, ``.db`` as a database, all else line by line, packed or not (`anchorline.sessions.session_files.form`).
2. Add a row to `AGENTS`, with its folder in `anchorline.client_settings.locations`.
3. Add its row to the table of docs/how-to/importing.md; tests/sessions/test_sessions_agents.py checks both.

Nothing here imports a reader: the first screen needs the table alone, and most of its runs read nothing.
"""

import pkgutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from anchorline.client_settings import locations

Recognised = Literal["id", "answer", "times"]


class Agent(NamedTuple):
    """An agent that records its sessions.

    `homes` returns the folders they are in: under its own environment `variable`, else its default. `patterns` are
    those of the session files below them (`Path.rglob`). `reader` is where the class is that reads one, as
    `pkgutil.resolve_name` takes it; it is called with the file's `anchorline.sessions.facts.Facts`.

    `recognised` says by what a request in a copy or a fork of a session is the same one. ``id``: its
    `RecordedRequest.id`, which the reader makes of what both have. ``answer``: the ids of answer and request, with
    the time of the first line. ``times``: its session and its times.
    """

    name: str
    title: str
    variable: str
    homes: Callable[[], tuple[Path, ...]]
    reader: str
    patterns: tuple[str, ...] = ("*.jsonl",)
    recognised: Recognised = "id"


AGENTS: dict[str, Agent] = {
    agent.name: agent
    for agent in (
        Agent(
            "claude-code",
            "Claude Code",
            "CLAUDE_CONFIG_DIR",
            lambda: (locations.claude_code() / "projects",),
            "anchorline.sessions.claude_code:ClaudeCode",
            recognised="answer",
        ),
        Agent(
            "codex",
            "Codex",
            "CODEX_HOME",
            # it moves a session that its user archives out of the first one
            lambda: (locations.codex() / "sessions", locations.codex() / "archived_sessions"),
            "anchorline.sessions.codex:Codex",
            recognised="times",
        ),
        Agent(
            "opencode",
            "OpenCode",
            "XDG_DATA_HOME",
            lambda: (locations.opencode(), *locations.opencode_database()),
            "anchorline.sessions.opencode:OpenCode",
            patterns=("opencode*.db",),
        ),
        Agent(
            "pi",
            "Pi",
            "PI_CODING_AGENT_DIR",
            lambda: (locations.pi_sessions(),),
            "anchorline.sessions.pi:Pi",
        ),
        Agent(
            "cline",
            "Cline",
            "CLINE_DIR",
            lambda: (locations.cline_sessions(),),
            "anchorline.sessions.cline:Cline",
            patterns=("*.messages.json",),
        ),
        Agent(
            "copilot-cli",
            "Copilot CLI",
            "COPILOT_HOME",
            lambda: (locations.copilot() / "session-state",),
            "anchorline.sessions.copilot:Copilot",
            patterns=("events.jsonl",),
        ),
        Agent(
            "gemini-cli",
            "Gemini CLI",
            "GEMINI_CLI_HOME",
            lambda: (locations.gemini_cli() / "tmp",),
            "anchorline.sessions.gemini_cli:GeminiCli",
            patterns=("chats/*.jsonl", "chats/*/*.jsonl", "chats/*.json"),
        ),
        Agent(
            "qwen-code",
            "Qwen Code",
            "QWEN_HOME",
            lambda: (locations.qwen_code() / "projects",),
            "anchorline.sessions.qwen_code:QwenCode",
            patterns=("chats/*.jsonl",),
        ),
    )
}
"""By their names, in the order in which they are shown."""


@cache
def reader(agent: str) -> Callable[..., object]:
    """Returns the class that reads an agent's session files. Raises KeyError for an agent that is not in the table."""
    made: Callable[..., object] = pkgutil.resolve_name(AGENTS[agent].reader)
    return made


def title(agent: str) -> str:
    """Returns what people call an agent, or whatever else requests are recorded as."""
    return AGENTS[agent].title if agent in AGENTS else agent
