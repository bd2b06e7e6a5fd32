"""What a person calls a request by: its client, its session and its project, as far as it tells them."""

import re

from anchorline.prompt.model import Prompt

_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}")
_CLIENTS = {
    "claude-cli": "claude-code",
    "codex_cli_rs": "codex",
    "codex_exec": "codex",
    "codex_vscode": "codex",
    "codex-tui": "codex",
}
"""What clients call themselves otherwise than people do."""
_SESSION = 8
"""Characters of a session's name that tell it from others."""
_FOLDER = re.compile(rb"(?:[Ww]orking directory: ?|<cwd>)([/~A-Za-z][^\\\"<\r\n]{0,400})")
"""Where Claude Code, OpenCode and Codex name the folder. Windows' folders are escaped in JSON, and not taken."""
_LOOKED_AT = 8
"""Segments besides tools: the folder is told at the beginning."""


def client(user_agent: str) -> str:
    """Returns the name of the program that a User-Agent header begins with."""
    match = _PRODUCT.match(user_agent)
    return "" if match is None else _CLIENTS.get(match[0], match[0])


def session(prompt: Prompt) -> str:
    """Returns the beginning of the session's name; nothing where its client names none."""
    return (prompt.session or "")[:_SESSION]


def project(prompt: Prompt) -> str:
    """Returns the name of the folder that an agent works in; nothing where the prompt does not begin with it."""
    first = [segment for segment in prompt.segments[:200] if segment.section != "tools"][:_LOOKED_AT]
    for segment in first:
        match = _FOLDER.search(prompt.load(segment.start, segment.end))
        if match is not None:
            return match[1].decode("utf-8", "replace").rstrip("/ ").rsplit("/", 1)[-1]
    return ""
