"""The table `additions`: what was proposed to be added to a draft, and what the developer made of each.

Of an addition it keeps kind, probability and decision: never the path, symbol or line that was proposed.
"""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from anchorline.ground.threshold import AdditionDecision
from anchorline.outcome import Decision
from anchorline.plan import Plan
from anchorline.store import database

if TYPE_CHECKING:
    from sqlite_utils import Database

ShownIn: TypeAlias = Literal["editor", "cli"]
MOST_DECISIONS = 1000
"""Decisions that are learnt from, the newest ones."""

_PUT = """
    INSERT INTO additions (plan, addition, kind, probability, shown_at, shown_in) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (plan, addition) DO UPDATE SET
        kind = excluded.kind, probability = excluded.probability,
        shown_at = excluded.shown_at, shown_in = excluded.shown_in
"""
_DECIDE = """
    INSERT INTO additions (plan, addition, decision, decided_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (plan, addition) DO UPDATE SET
        decided_at = CASE WHEN decision IS excluded.decision THEN decided_at ELSE excluded.decided_at END,
        decision = excluded.decision
"""


def put(db: "Database", plan: Plan, shown_in: ShownIn) -> None:
    """Records what a plan, stripped of text, proposes to add, inside the caller's transaction."""
    for addition in plan.refinement.additions:
        row = (plan.id, addition.id, addition.kind, addition.probability, plan.created_at, shown_in)
        db.execute(_PUT, row)


def decide(db: "Database", plan: str, decisions: Mapping[str, Decision], now: float) -> None:
    """Records decisions about additions of a plan, inside the caller's transaction.

    The newest decision about an addition counts; one that is reported again keeps its time. The plan itself may be
    recorded later, by another program.
    """
    for addition, decision in decisions.items():
        db.execute(_DECIDE, (plan, addition, decision, now))


def decisions(connection: sqlite3.Connection, since: float) -> list[AdditionDecision]:
    """Returns the newest decisions about files, from the epoch second `since` on.

    The threshold is one of files: a symbol or a command is proposed with its file.
    """
    if "additions" not in database.tables(connection):
        return []
    rows = connection.execute(
        "SELECT probability, decision != 'rejected', decided_at FROM additions "
        "WHERE decided_at >= ? AND kind = 'file' ORDER BY decided_at DESC LIMIT ?",
        [since, MOST_DECISIONS],
    )
    return [AdditionDecision(probability, bool(accepted), at) for probability, accepted, at in rows]


def added_up(
    connection: sqlite3.Connection, since: float
) -> tuple[int, int, int, int, float | None, float | None]:
    """Returns how many were shown, accepted, modified and rejected from `since` on, commands left out.

    Then, of the files that were decided about, the mean probability and the share that was taken.
    """
    row = connection.execute(
        "SELECT count(*), coalesce(sum(decision = 'accepted'), 0), coalesce(sum(decision = 'modified'), 0), "
        "coalesce(sum(decision = 'rejected'), 0), "
        "avg(probability) FILTER (WHERE kind = 'file' AND decision IS NOT NULL), "
        "avg(decision != 'rejected') FILTER (WHERE kind = 'file' AND decision IS NOT NULL) "
        "FROM additions WHERE shown_at >= ? AND kind IN ('file', 'symbol')",
        [since],
    ).fetchone()
    return tuple(row)
