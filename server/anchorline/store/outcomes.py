"""The outcome of a plan: all that were recorded of it, combined into one.

They complete each other. What was billed is told by the newest outcome with a usage, and so are model, time and latency
where it names them; where it does not, and of everything else, the newest outcome counts that says it. Of a signal the
newest value counts. Pings are no requests, and stand apart.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from anchorline.outcome import Usage
from anchorline.store import billing

Signals = Mapping[str, bool | int | float]
_signals = msgspec.json.Decoder(dict[str, bool | int | float]).decode


class PlanOutcome(msgspec.Struct, frozen=True):
    """All outcomes of a plan together; None where none of them says. `pings` kept its prefix warm."""

    sent_at: float | None = None
    target: str | None = None
    usage: Usage | None = None
    latency_ms: float | None = None
    decision: str | None = None
    signals: Signals = {}
    pings: tuple[Usage, ...] = ()


def read(
    connection: sqlite3.Connection, where: str = "1", values: Mapping[str, object] | None = None
) -> dict[str, list[sqlite3.Row]]:
    """Returns the rows of outcomes by plan, oldest first. `where` is a condition on `outcomes`, with its `values`."""
    by_plan: dict[str, list[sqlite3.Row]] = {}
    for row in connection.execute(
        f"SELECT outcomes.*, {billing.pinged(connection)} AS pinged FROM outcomes WHERE {where} ORDER BY id",  # noqa: S608
        values or {},
    ):
        by_plan.setdefault(row["plan"], []).append(row)
    return by_plan


def combine(rows: Sequence[sqlite3.Row], ttl: str | None) -> PlanOutcome:
    """Returns the outcomes of a plan as one; `rows` are those of `read`, `ttl` is the plan's."""
    own = [row for row in reversed(rows) if not row["pinged"]]
    billed = next((row for row in own if row["input_tokens"] is not None), None)
    ordered = own if billed is None else [billed, *own]
    signals: dict[str, bool | int | float] = {}
    for row in reversed(own):
        signals |= _signals(row["signals"])
    pings = (billing.outcome(row, ttl) for row in rows if row["pinged"])
    return PlanOutcome(
        sent_at=_first(ordered, "sent_at"),
        target=_first(ordered, "target"),
        usage=None if billed is None else billing.outcome(billed, ttl),
        latency_ms=_first(ordered, "latency_ms"),
        decision=_first(own, "decision"),
        signals=signals,
        pings=tuple(usage for usage in pings if usage is not None),
    )


def _first(rows: Sequence[sqlite3.Row], column: str) -> Any:  # noqa: ANN401  (of whatever type the column is)
    return next((row[column] for row in rows if row[column] is not None), None)


def newest(column: str, pinged: str, plan: str = "plans.id") -> str:
    """Returns the rule in SQL: the id of the newest outcome of a plan that says a column, pings left out."""
    return f"(SELECT max(id) FROM outcomes WHERE plan = {plan} AND {column} IS NOT NULL AND NOT {pinged})"  # noqa: S608


def billed_or_newest(column: str, pinged: str) -> str:
    """Returns the rule in SQL for what the billed outcome, joined as `outcomes`, may leave open."""
    return f"coalesce(outcomes.{column}, (SELECT {column} FROM outcomes WHERE id = {newest(column, pinged)}))"  # noqa: S608
