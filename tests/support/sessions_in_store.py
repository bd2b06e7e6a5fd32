"""Imported requests of one's own making, as the store has them."""

from pathlib import Path
from typing import Any

from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database, imports

MODEL = "claude-opus-4-6"
START = 1_767_600_000.0
"""2026-01-05, 08:00 UTC."""


def request(number: int, at: float = 60.0, **more: Any) -> RecordedRequest:
    """The request of that number of a session, `at` seconds after its start, that reads all that was left."""
    values: dict[str, Any] = {
        "id": f"{more.get('session', 's')}-{more.get('chain', 'main')}-{more.get('branch', 0)}-{number}",
        "session": "s",
        "chain": "main",
        "branch": 0,
        "model": MODEL,
        "sent_at": START + at,
        "first_at": START + at + 2,
        "trigger": "user",
        "switched": False,
        "blocks": number,
        "prefix": bytes([number % 256]),
        "input": 0,
        "read": 0,
        "write_5m": 0,
        "write_1h": 0,
        "output": 100,
        "ttl": "1h",
    }
    return RecordedRequest(**{**values, **more})


def put(requests: list[RecordedRequest], agent: str = "claude-code", file: str = "session.jsonl") -> None:
    """Writes them as an import does."""
    mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
    piece = importing.FilePart(requests, mark, [], anew=True, bytes=1)
    with imports.opened(database.locate()) as store:
        store.put([imports.ImportedFile(Path(file), agent, requests, piece, [])])
