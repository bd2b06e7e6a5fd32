"""What was learnt of a plan's windows, kept beside the database, and their state by that and by the newest samples.

Nothing here looks at requests or needs NumPy, so it is quick enough for a status line.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from anchorline import __version__, files
from anchorline.limits.forecast import forecast
from anchorline.limits.model import Learnt, PastUse, WindowState
from anchorline.limits.windows import Series, WindowSpan, spans
from anchorline.rate_limits import DAY_S, HOUR_S, LimitSample
from anchorline.store import database
from anchorline.store import limits as rows
from anchorline.store.database import worked_out_file

HISTORY_S = 60 * DAY_S
"""So far back goes what is learnt from."""
FORGOTTEN_S = 14 * DAY_S
"""A window that nothing has told of for so long is not shown any more."""


NEWEST = 50
_SENT = {
    table: f"SELECT max({column}) FROM (SELECT {column} FROM {table} ORDER BY rowid DESC LIMIT {NEWEST})"  # noqa: S608
    for table, column in (("imported", "sent_at"), ("outcomes", "sent_at"))
}
"""When the newest of the rows that were written last was sent: a scan of all would take long."""


class WindowKnowledge(msgspec.Struct, frozen=True):
    """What was learnt of one window: what tokens cost of it (None: not known, for want of `steps`), and its past use.

    `shared`: several accounts have such a window, and nothing tells whose requests are whose.
    """

    series: Series
    learnt: Learnt | None
    past: PastUse
    steps: int
    shared: bool = False


class Knowledge(msgspec.Struct, frozen=True):
    """All that was learnt, at `made_at`. `basis` tells the state of the database that it was learnt from."""

    version: str
    basis: str
    made_at: float
    windows: list[WindowKnowledge]

    def by_series(self) -> dict[Series, WindowKnowledge]:
        """Returns it by window."""
        return {window.series: window for window in self.windows}


def read(path: Path) -> Knowledge | None:
    """Returns what was learnt from the database at `path`; None where nothing is kept, or another version kept it."""
    try:
        content = worked_out_file(path, "limits").read_bytes()
        knowledge = msgspec.msgpack.decode(content, type=Knowledge)
    except (OSError, msgspec.DecodeError):
        return None
    return knowledge if knowledge.version == __version__ else None


def write(path: Path, knowledge: Knowledge) -> None:
    """Keeps what was learnt, where that is possible: without it, it is learnt anew."""
    with suppress(OSError):
        files.write(worked_out_file(path, "limits"), msgspec.msgpack.encode(knowledge))


class StoredSamples(NamedTuple):
    """The samples of a database, and when the newest requests in it were sent.

    `basis` tells its state from any other that would teach something else.
    """

    samples: list[LimitSample]
    sent_at: float
    basis: str


def stored_samples(connection: sqlite3.Connection, now: float) -> StoredSamples:
    """Returns what a database tells of a plan's limits until the epoch second `now`."""
    samples = rows.read(connection, now - HISTORY_S)
    counts = [
        connection.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0]  # noqa: S608  (constants)
        for table in ("imported", "outcomes")
        if table in database.tables(connection)
    ]
    newest = max((sample.newest for sample in samples), default=0.0)
    sent = [
        connection.execute(query).fetchone()[0]
        for table, query in _SENT.items()
        if table in database.tables(connection)
    ]
    return StoredSamples(
        samples, max((at for at in sent if at is not None), default=0.0), f"{counts} {len(samples)} {newest}"
    )


def states(stored: StoredSamples, knowledge: Knowledge | None, now: float) -> tuple[WindowState, ...]:
    """Returns the state of each window of which something was told of late."""
    learnt: Mapping[Series, WindowKnowledge] = {} if knowledge is None else knowledge.by_series()
    made = [
        _state(newest, learnt.get(series), stored.sent_at, now)
        for series, group in spans(stored.samples).items()
        if (newest := group[-1]).newest > now - FORGOTTEN_S
    ]
    made.sort(key=lambda state: (state.provider, state.length or 0.0, state.window))
    return tuple(made)


def windows(path: Path, now: float) -> tuple[WindowState, ...]:
    """Returns the state of each window at the epoch second `now`, by what was learnt last. Raises StoreError."""
    if not path.exists():
        return ()
    with database.reading(path) as connection:
        connection.row_factory = None
        stored = stored_samples(connection, now)
    return states(stored, read(path), now) if stored.samples else ()


def _state(span: WindowSpan, learnt: WindowKnowledge | None, sent_at: float, now: float) -> WindowState:
    point = span.points[-1]
    state = WindowState(
        span.series.provider,
        span.series.window,
        point.used,
        point.until,
        span.resets_at,
        span.length,
        span.plan,
        span.series.account,
        over=span.resets_at is not None and span.resets_at <= now,
    )
    if state.over or span.resets_at is None:
        return state
    past = learnt.past if learnt is not None else PastUse(now, 300.0, [])
    # A figure that stays is not told again by everybody, so a request tells as well that somebody is at work.
    active_at = max(span.newest, min(sent_at, now)) if sent_at - span.newest < HOUR_S else span.newest
    pace, at_reset, wall = forecast(span, past, now, active_at)
    return msgspec.structs.replace(state, pace=pace, at_reset=at_reset, wall=wall)
