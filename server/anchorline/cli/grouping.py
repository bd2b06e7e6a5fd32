"""A bill by group, as a table: `anchorline report --by`."""

from rich.table import Table

from anchorline import figures
from anchorline.cli import tables
from anchorline.report.model import GroupCost, Grouping, GroupKind

UNKNOWN: dict[GroupKind, str] = {
    "project": "unknown project",
    "branch": "unknown branch",
    "pr": "no pull request",
    "subagent": "sub-agent of unknown type",
    "session": "no session file",
}
TITLES: dict[GroupKind, str] = {"pr": "pull request", "subagent": "sub-agent", "block": "five hours from"}
_FIGURES = 14
"""Columns that the dollars take in a narrow terminal."""
_LEAST = 16
MAIN = "main conversation"


def table(grouping: Grouping, width: int) -> Table:
    """Returns the rows and their sum, to fit `width` columns."""
    kind = grouping.by
    title = TITLES.get(kind, kind)
    whole = GroupCost(
        "all", grouping.requests, grouping.usd, grouping.uncached_usd, grouping.unpriced, results=0
    )
    rows = [
        (
            _shortened(label(kind, row), width - _FIGURES),
            row.project or "",
            f"{row.results:,}" if row.results else "",
            f"{row.requests:,}",
            _dollars(row.usd),
            _dollars(row.uncached_usd),
            saved(row),
        )
        for row in (*grouping.rows, whole)
    ]
    columns = (title, "in", "results", "requests", "billed", "without a cache", "saved")
    optional = ("saved", "without a cache", "requests", "results", "in")
    return tables.fitted(columns, rows, width=width, optional=optional, numbers=columns[2:])


def label(kind: GroupKind, row: GroupCost) -> str:
    """Returns what a group is called for people."""
    if row.others:
        return f"{row.others:,} others"
    if row.name is None:
        return UNKNOWN.get(kind, "unknown")
    return MAIN if kind == "subagent" and row.name == "main" else row.name


def _shortened(name: str, room: int) -> str:
    """Returns a name without its middle where there is no room for it: folders and branches differ at their ends."""
    room = max(room, _LEAST)
    return name if len(name) <= room else f"{name[: room // 2 - 1]}…{name[-(room - room // 2) :]}"


def saved(row: GroupCost) -> str:
    """Returns the share of the cost without a cache that was not billed."""
    if row.usd is None or not row.uncached_usd:
        return ""
    return f"{1 - row.usd / row.uncached_usd:.0%}"


def _dollars(usd: float | None) -> str:
    return "not known" if usd is None else figures.cents(usd)
