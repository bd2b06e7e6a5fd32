"""The history of a heavy user: recorded sessions repeated in time, each copy with ids of its own."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

from anchorline.prompt.source import PACKED, read_bytes

DAYS = 7
"""Days from one copy to the next: sessions of several copies overlap, as those of several projects do."""

_IDS = re.compile(rb"\b(msg|req|toolu)_(?=01|vrtx_|bdrk_)")
_DATES = re.compile(rb"\b(20\d\d-\d\d-\d\d)(?=T\d\d:)")


def samples(transcripts: Path) -> dict[str, list[Path]]:
    """Return the session files of each agent below `transcripts`."""
    return {
        folder.name: sorted(path for form in ("", *PACKED) for path in folder.glob(f"*.jsonl{form}"))
        for folder in sorted(transcripts.iterdir())
        if folder.is_dir()
    }


def lay_out(files: Sequence[Path], folder: Path, copies: Iterable[int]) -> int:
    """Write copies (by number, 0 is as recorded) of session files below `folder`; return the bytes written.

    A session's id, which is its file's name, the ids of its answers, requests and tool calls, and all dates are another
    copy's own. The files are as old as their sessions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    wanted = list(copies)
    for file in files:
        content = read_bytes(file)
        name = file.name.partition(".")[0]
        for copy in wanted:
            session = _session(name, copy)
            text = content.replace(name.encode(), session.encode())
            text = _IDS.sub(rb"\1_%dc" % copy, text) if copy else text
            text, newest = _later(text, copy * DAYS)
            path = folder / f"{session}.jsonl"
            path.write_bytes(text)
            os.utime(path, (newest, newest))
            written += len(text)
    return written


def _session(name: str, copy: int) -> str:
    if not copy:
        return name
    return name[:-12] + hashlib.blake2b(f"{name} {copy}".encode(), digest_size=6).hexdigest()


def _later(text: bytes, days: int) -> tuple[bytes, float]:
    """Return a session so many days later, and the time of its newest day (epoch seconds)."""
    shifted: dict[bytes, bytes] = {}
    for day in set(_DATES.findall(text)):
        try:
            later = date.fromisoformat(day.decode()) + timedelta(days)
        except ValueError:  # it only looks like one
            continue
        shifted[day] = later.isoformat().encode()
    newest = max(shifted.values(), default=b"2026-01-01").decode()
    stamp = (date.fromisoformat(newest) - date(1970, 1, 1)).days * 86_400.0
    return _DATES.sub(lambda match: shifted.get(match[1], match[1]), text), stamp
