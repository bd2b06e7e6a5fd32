"""The table of instruction files in warm prefixes: hashes only."""

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from anchorline import redact
from anchorline.instructions.in_sessions import SessionFiles
from anchorline.instructions.warm_files import WarmFile, WarmFiles
from anchorline.store import database, privacy
from anchorline.store.rows import insert

if TYPE_CHECKING:
    from sqlite_utils import Database


def read(connection: sqlite3.Connection, now: float) -> WarmFiles:
    """Returns the files in prefixes that are warm at `now` (epoch seconds)."""
    if "instructions" not in database.tables(connection):
        return WarmFiles()
    rows = connection.execute(
        "SELECT file, conversation, provider, account, model, ttl, tokens, behind, lines, taken, written_at, "
        "expires_at FROM instructions WHERE expires_at >= ?",
        [now],
    )
    return WarmFiles(database.key(connection), [WarmFile(*row) for row in rows])


def put(db: "Database", files: Iterable[WarmFile]) -> None:
    """Records files that are part of warm prefixes."""
    for file in files:
        if privacy.name(file.model) and privacy.name(file.provider) and not redact.find(file.account):
            insert(db, "instructions", msgspec.structs.asdict(file), conflict="REPLACE")


def replace(db: "Database", session: SessionFiles) -> None:
    """Records the files of a conversation; those that are known from before go on, all others are forgotten."""
    before = db.execute(
        "SELECT file, lines, tokens FROM instructions WHERE conversation = ?", [session.conversation]
    )
    recorded = {file: (lines, tokens) for file, lines, tokens in before.fetchall()}
    db.execute("DELETE FROM instructions WHERE conversation = ?", [session.conversation])
    for file in session.files:
        lines, tokens = (file.lines, file.tokens) if file.lines else recorded.get(file.file, (b"", 0))
        if lines:
            put(db, [msgspec.structs.replace(file, lines=lines, tokens=tokens)])
