"""Where agents keep the files of their sessions."""

from pathlib import Path
from typing import Literal, get_args

from anchorline.client_settings import locations
from anchorline.prompt.source import PACKED

Agent = Literal["claude-code", "codex"]
AGENTS: tuple[Agent, ...] = get_args(Agent)


def homes(agent: Agent) -> tuple[Path, ...]:
    """Returns the folders in which a tool keeps its sessions: under its own environment variable, else its default.

    Codex moves a session that its user archives out of the first one.
    """
    if agent == "codex":
        return locations.codex() / "sessions", locations.codex() / "archived_sessions"
    return (locations.claude_code() / "projects",)


def files(paths: tuple[Path, ...]) -> list[Path]:
    """Returns the session files at and below `paths`, each once, in a fixed order.

    A packed file beside the plain one of its name is the same session: a client was just packing it.
    """
    session_files: set[Path] = set()
    for path in paths:
        if path.is_dir():
            session_files.update(file for file in path.rglob("*.jsonl*") if _is_session(file))
        else:
            session_files.add(path)
    return sorted({file.resolve() for file in session_files if file.is_file()})


def _is_session(file: Path) -> bool:
    if file.suffix in PACKED:
        plain = file.with_suffix("")
        return plain.suffix == ".jsonl" and not plain.exists()
    return file.suffix == ".jsonl"
