"""Imported requests of one's own making, as the store has them."""

import random
from pathlib import Path
from typing import Any

import msgspec

from anchorline.rate_limits import LimitSample
from anchorline.sessions import importing
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database, imports
from anchorline.store.recorder import Recorder

MODEL = "claude-opus-4-6"
HOUR = 3600.0
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


TAKEN = {"read": 1e-6, "write_1h": 20e-6, "output": 50e-6}
"""Per cent of five hours that a token takes in `plan_work`: as list prices have it; of a week it is 0.4 of that."""


def plan_work(now: float) -> None:
    """Work of the last three hours on a plan, of which what tokens take of both windows can be learnt (`TAKEN`)."""
    begins, mixed = now - 3 * HOUR, random.Random(7)
    requests, samples, used = [], [], 0.0
    for number in range(170):
        cold = mixed.random() < 0.1
        tokens = {
            "read": 0 if cold else mixed.randrange(20_000, 150_000),
            "write_1h": mixed.randrange(30_000, 90_000) if cold else mixed.randrange(500, 9000),
            "output": mixed.randrange(100, 4000),
        }
        at = begins + 60.0 * number
        requests.append(
            msgspec.structs.replace(request(number, input=10, **tokens), sent_at=at, first_at=at + 2)
        )
        used += sum(TAKEN[kind] * count for kind, count in tokens.items())
        samples += [
            LimitSample(
                at + 3, "anthropic", name, float(round(part * used)), begins + left, length, "status_line"
            )
            for name, part, left, length in (
                ("five_hour", 1.0, 5 * HOUR, 5 * HOUR),
                ("seven_day", 0.4, 100 * HOUR, 168 * HOUR),
            )
        ]
    put(requests)
    recorder = Recorder(database.locate())
    recorder.limits(samples)
    assert recorder.close()


def put(requests: list[RecordedRequest], agent: str = "claude-code", file: str = "session.jsonl") -> None:
    """Writes them as an import does."""
    mark = importing.ReadPosition(1, 1, 1, 1, b"", b"", None)
    piece = importing.FilePart(requests, mark, [], anew=True, bytes=1)
    with imports.opened(database.locate()) as store:
        store.put([imports.ImportedFile(Path(file), agent, requests, piece, [])])
