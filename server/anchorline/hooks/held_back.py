"""Which conversations' prompts were held back already: each once, until it was warm and went cold again."""

import threading
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.store import tags
from anchorline.store.database import held_back_file

MOST = 200
"""Conversations that are remembered, the newest ones."""
_LOCK = threading.Lock()


def note(session: str, sent_at: float) -> bool:
    """Notes that a prompt is held back that follows the request of `sent_at`; False where one was already.

    It is kept in the data folder, under the hash of the session's name, and so outlives the helper: a second Enter
    always goes through. Raises OSError where it can't be kept.
    """
    file = held_back_file()
    with _LOCK:
        noted = _noted(file)
        key = tags.tag(session)
        if noted.pop(key, None) == sent_at:
            return False
        noted[key] = sent_at
        files.write(file, msgspec.json.encode(dict(list(noted.items())[-MOST:])))
        return True


def _noted(file: Path) -> dict[str, float]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, float])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
