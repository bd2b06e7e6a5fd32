"""The session files that a hook's event names, where they are the agent's own."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anchorline.sessions import session_files

_THREAD = re.compile(r"[0-9A-Za-z-]{1,64}")


def named(event: Mapping[str, Any], folder: Path) -> Path | None:
    """Returns the session file that `transcript_path` names; None where it names none in the agent's `folder`.

    A link that leads out of the folder is none of its files. Raises OSError.
    """
    path = event.get("transcript_path")
    if not isinstance(path, str) or "\0" in path or not path.endswith(".jsonl"):
        return None
    return _own(Path(path), folder)


def with_agents(file: Path, folder: Path) -> list[Path]:
    """Returns a session file of Claude Code's and those of its sub-agents. Raises OSError."""
    every = session_files.files("claude-code", (file, file.with_suffix("")))
    return [path for path in every if _own(path, folder) is not None]


def with_own_folder(file: Path, session: object, folder: Path) -> list[Path]:
    """Returns a session file of Gemini CLI's, and those of its sub-agents in the folder of the session's name.

    Raises OSError.
    """
    if not isinstance(session, str) or not _THREAD.fullmatch(session):
        return [file]
    agents = sorted((file.parent / session).glob("*.jsonl"))
    return [file, *(path for path in agents if _own(path, folder) is not None)]


def of_thread(thread: str, folder: Path) -> list[Path]:
    """Returns the session files of a thread of Codex's: `YEAR/MONTH/DAY/rollout-TIME-THREAD.jsonl`. Raises OSError."""
    if not _THREAD.fullmatch(thread):
        return []
    every = session_files.files("codex", tuple(folder.glob(f"*/*/*/rollout-*-{thread}.jsonl*")))
    return [path for path in every if _own(path, folder) is not None]


def _own(path: Path, folder: Path) -> Path | None:
    try:
        resolved, home = path.resolve(), folder.resolve()
    except RuntimeError as error:  # a circle of links, up to Python 3.12
        raise OSError(str(error)) from None
    return resolved if resolved.is_relative_to(home) and resolved.is_file() else None
