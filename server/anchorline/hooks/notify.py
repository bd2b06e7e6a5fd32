"""Codex's `notify`: the one program that it starts after each turn, with the user's own kept behind ours.

Codex (0.171.0) adds the event as the last argument: `agent-turn-complete`, with the thread whose session file is
imported.
"""

import sys
from pathlib import Path
from typing import Any

from anchorline.client_settings.document import Document, UnwritableError
from anchorline.hooks import client

KEY = "notify"
_OPTIONS = ["-I", "-S"]
_CLIENT = ("anchorline", "hooks", "client.py")


def command(data: Path, own: list[str]) -> list[str]:
    """Returns the setting's value: our program, and the user's own, which ours starts."""
    return [sys.executable, *_OPTIONS, client.__file__, str(data), "codex", *own]


def own_command(value: object) -> list[str]:
    """Returns the user's own program in a value that may have ours before it. Raises UnwritableError."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UnwritableError("`notify` is no list of texts, so it is left alone")
    words: list[str] = value
    is_ours = len(words) > 5 and words[1:3] == _OPTIONS and Path(words[3]).parts[-3:] == _CLIENT
    return words[6:] if is_ours else words


def values(data: Path, settings: Document) -> dict[tuple[str, ...], Any]:
    """Returns what is set in Codex's settings, as they are now. Raises UnwritableError."""
    return {(KEY,): command(data, own_command(settings.get((KEY,))))}
