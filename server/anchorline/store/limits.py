"""The table `limit_samples`: what was told of a plan's limits, each figure of a window once.

A status line tells the same some three times a second and a fork of a session repeats its parent, so a row is known by
what it says, not by when: of a figure that is told again only the first and the last time are kept, in whatever order.
"""

import sqlite3
from collections.abc import Iterable
from typing import TYPE_CHECKING

from anchorline.rate_limits import LimitSample
from anchorline.store import database, privacy

if TYPE_CHECKING:
    from sqlite_utils import Database

RESET_STEP_S = 60
"""Resets that differ by less are those of one window: providers tell them to a few seconds."""
NO_RESET_STEP_S = 3600
"""For how long a figure is the same one, where no reset tells its window from the next."""

_PUT = """
    INSERT INTO limit_samples
        (provider, account, plan, window, source, reset, used, at, until, resets_at, length)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (provider, account, plan, window, source, reset, used) DO UPDATE SET
        at = min(at, excluded.at), until = max(until, excluded.until)
"""


def put(db: "Database", samples: Iterable[LimitSample]) -> None:
    """Writes samples, inside the caller's transaction."""
    db.conn.executemany(_PUT, [_row(sample) for sample in samples])


def _row(sample: LimitSample) -> tuple[object, ...]:
    if sample.resets_at is not None:
        reset = round(sample.resets_at / RESET_STEP_S)
    else:
        reset = -int(sample.at // NO_RESET_STEP_S)
    return (
        privacy.name(sample.provider),
        sample.account,
        privacy.name(sample.plan),
        privacy.name(sample.window),
        sample.source,
        reset,
        sample.used,
        sample.at,
        sample.newest,
        sample.resets_at,
        sample.length,
    )


def read(connection: sqlite3.Connection, since: float) -> list[LimitSample]:
    """Returns what was told from `since` on, by the time it was first told."""
    if "limit_samples" not in database.tables(connection):
        return []
    rows = connection.execute(
        "SELECT at, provider, window, used, resets_at, length, source, plan, account, until "
        "FROM limit_samples WHERE until >= ? ORDER BY at, used",
        [since],
    )
    return [LimitSample(*row) for row in rows]
