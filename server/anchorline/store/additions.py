"""The table `additions`: what was proposed to be added to a draft, and what the developer made of each.

Of an addition it keeps kind, probability and decision: never the path, symbol or line that was proposed.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from anchorline.outcome import Decision

if TYPE_CHECKING:
    from sqlite_utils import Database

_DECIDE = """
    INSERT INTO additions (plan, addition, decision, decided_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (plan, addition) DO UPDATE SET
        decided_at = CASE WHEN decision IS excluded.decision THEN decided_at ELSE excluded.decided_at END,
        decision = excluded.decision
"""


def decide(db: "Database", plan: str, decisions: Mapping[str, Decision], now: float) -> None:
    """Records decisions about additions of a plan, inside the caller's transaction.

    The newest decision about an addition counts; one that is reported again keeps its time. The plan itself may be
    recorded later, by another program.
    """
    for addition, decision in decisions.items():
        db.execute(_DECIDE, (plan, addition, decision, now))
