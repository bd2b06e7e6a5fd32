"""The bill by what people think in: project, branch, pull request, agent, sub-agent, model, tool, and times."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from math import inf
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, get_args

from anchorline.billed.request import PricedModels
from anchorline.billed.requests import BilledRequest, billed_requests
from anchorline.report.model import GroupCost, Grouping, GroupKind
from anchorline.report.tool_costs import ToolCost, ToolCosts
from anchorline.route.pricing import Bill, Unpriced
from anchorline.route.target import Targets
from anchorline.store import database

GROUPS: tuple[GroupKind, ...] = get_args(GroupKind)
TIMES = frozenset({"day", "week", "block"})
"""Groups that stand in the order of time."""
BLOCK_S = 5 * 3600.0
GATEWAY = "gateway"
"""The agent of requests that no session file has."""
MAIN = "main"
"""What a conversation is called that no sub-agent has."""
_HOUR_S, _DAY_S = 3600, 86_400
_THURSDAY = 3
"""The weekday of 1970-01-01, counted from Monday."""
_DIGITS = 8
_HASH = 8
"""Characters of a session's hash that tell it from others."""


class GroupName(NamedTuple):
    """What a group is called; `project` is that of a branch or a session."""

    name: str | None
    project: str | None = None


TimedBill = tuple[float, Bill | Unpriced]
"""When an answer began, and its bill."""


class Place(NamedTuple):
    """A row of `places`; None is what is not known."""

    project: str | None
    branch: str | None
    pr: str | None


class Cell(NamedTuple):
    """What requests have in common that are added up first: from their sums follow those of all groups but times.

    `session` is None where no session file has them, `day` counts from 1970-01-01.
    """

    agent: str
    session: str | None
    place: int | None
    subagent: str | None
    main: bool
    model: str
    day: int


class CostSum:
    """Requests of one group, added up."""

    __slots__ = ("requests", "results", "uncached_usd", "unpriced", "usd")

    def __init__(self) -> None:
        self.requests = self.unpriced = self.results = 0
        self.usd = self.uncached_usd = 0.0

    def add(self, bill: Bill | Unpriced) -> None:
        """Adds a request by its bill."""
        self.requests += 1
        if isinstance(bill, Unpriced):
            self.unpriced += 1
        else:
            self.usd += bill.usd
            self.uncached_usd += bill.uncached

    def plus(self, other: "CostSum | ToolCost") -> None:
        """Adds another sum."""
        self.requests += other.requests
        self.unpriced += other.unpriced
        self.results += other.results
        self.usd += other.usd
        self.uncached_usd += other.uncached_usd

    def cost(self, name: GroupName, others: int = 0) -> GroupCost:
        """Returns the sum as a row of a report."""
        known = not self.unpriced or self.unpriced < self.requests
        return GroupCost(
            name.name,
            self.requests,
            round(self.usd, _DIGITS) if known else None,
            round(self.uncached_usd, _DIGITS) if known else None,
            self.unpriced,
            name.project,
            self.results,
            others,
        )


class Groups:
    """Adds requests up by each of some `kinds`, in one pass."""

    def __init__(
        self, connection: sqlite3.Connection, models: PricedModels, kinds: Collection[GroupKind]
    ) -> None:
        self._facts = _Facts(connection)
        self._kinds = tuple(kinds)
        self._cells: defaultdict[Cell, CostSum] = defaultdict(CostSum)
        self._tools = ToolCosts(connection, models) if "tool" in kinds else None
        self._timed: defaultdict[str, list[TimedBill]] | None = (
            defaultdict(list) if "block" in kinds else None
        )

    def add(self, request: BilledRequest) -> None:
        """Adds a request; those of a session by their times."""
        imported, bill = request.imported, request.bill
        model, day = request.facts.shown, int(request.at // _DAY_S)
        if imported is None:
            cell = Cell(GATEWAY, None, None, None, False, model, day)
            answered = request.at
        else:
            main = imported.chain == "main"
            cell = Cell(imported.agent, imported.session, imported.place, imported.subagent, main, model, day)
            answered = request.at if imported.began is None else imported.began
        self._cells[cell].add(bill)
        if self._tools is not None:
            self._tools.add(request)
        if self._timed is not None:
            self._timed[cell.agent].append((answered, bill))

    def groupings(self, most: int | None = None) -> tuple[Grouping, ...]:
        """Returns the sums; of each kind the `most` dearest groups and one for all others."""
        total = CostSum()
        for cost in self._cells.values():
            total.plus(cost)
        whole = total.cost(GroupName(None))
        sums = whole.requests, whole.usd, whole.uncached_usd, whole.unpriced
        return tuple(Grouping(kind, *sums, _rows(kind, self._summed(kind), most)) for kind in self._kinds)

    def _summed(self, kind: GroupKind) -> dict[GroupName, CostSum]:
        sums: defaultdict[GroupName, CostSum] = defaultdict(CostSum)
        if kind == "tool" and self._tools is not None:
            for tool, share in self._tools.costs().items():
                sums[GroupName(tool)].plus(share)
        elif kind == "block" and self._timed is not None:
            return _blocks(self._timed)
        else:
            named = _NAMES[kind]
            for cell, cost in self._cells.items():
                sums[named(self._facts, cell)].plus(cost)
        return sums


def grouped(
    path: Path, targets: Targets, kind: GroupKind, since: float | None = None, most: int | None = None
) -> Grouping:
    """Returns all that was billed since then by one kind of group, in `most` rows and one for all others.

    Raises StoreError where it can't be read.
    """
    empty = Grouping(kind, 0, 0.0, 0.0, 0, ())
    if not path.exists():
        return empty
    with database.reading(path) as connection:
        connection.row_factory = None  # plain tuples: there may be a hundred thousand
        if "plans" not in database.tables(connection):
            return empty
        models = PricedModels(targets)
        groups = Groups(connection, models, (kind,))
        for request in billed_requests(connection, models, since or 0.0):
            groups.add(request)
    return groups.groupings(most)[0]


class _Facts:
    """Where requests were made, by the number of the place; nothing where the database is an earlier one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._places: dict[int, Place] = {}
        self._prs: dict[tuple[str, str], str] = {}
        self._begins: dict[str, float] = {}
        self._projects: dict[str, str | None] = {}
        tables = database.tables(connection)
        if "places" in tables:
            rows = connection.execute("SELECT id, project, branch, pr FROM places")
            self._places = {number: Place(*(name or None for name in names)) for number, *names in rows}
            # A file that was gone on with, or a sub-agent's, does not say again which one it is.
            self._prs = {
                (session, branch): pr
                for session, branch, pr in connection.execute(
                    "SELECT DISTINCT session, places.branch, pr FROM places JOIN imported ON place = places.id "
                    "WHERE pr != ''"
                )
            }
        if "imported" in tables:
            self._begins = dict(connection.execute("SELECT session, min(sent_at) FROM imported GROUP BY 1"))

    def place(self, cell: Cell) -> Place:
        """Returns where requests were made."""
        return _NOWHERE if cell.place is None else self._places.get(cell.place, _NOWHERE)

    def pr(self, cell: Cell) -> str | None:
        """Returns the pull request that a branch led to."""
        place = self.place(cell)
        if place.pr is None and place.branch is not None and cell.session is not None:
            return self._prs.get((cell.session, place.branch))
        return place.pr

    def session(self, cell: Cell) -> GroupName:
        """Returns a name for a session: when it began, the beginning of its hash, and its project."""
        if cell.session is None:
            return GroupName(None)
        project = self._projects.setdefault(cell.session, self.place(cell).project)
        began = _time(self._begins.get(cell.session, cell.day * _DAY_S), "%Y-%m-%d %H:%M")
        return GroupName(f"{began} {cell.session.removeprefix('b2:')[:_HASH]}", project)


_NOWHERE = Place(None, None, None)


def _branch(facts: _Facts, cell: Cell) -> GroupName:
    place = facts.place(cell)
    return GroupName(place.branch, place.project)


def _subagent(_facts: _Facts, cell: Cell) -> GroupName:
    return GroupName(MAIN if cell.subagent is None and cell.main else cell.subagent or None)


def _week(_facts: _Facts, cell: Cell) -> GroupName:
    return GroupName(_time((cell.day - (cell.day + _THURSDAY) % 7) * _DAY_S, "%Y-%m-%d"))


_NAMES: dict[GroupKind, Callable[[_Facts, Cell], GroupName]] = {
    "project": lambda facts, cell: GroupName(facts.place(cell).project),
    "branch": _branch,
    "pr": lambda facts, cell: GroupName(facts.pr(cell)),
    "agent": lambda _facts, cell: GroupName(cell.agent),
    "subagent": _subagent,
    "model": lambda _facts, cell: GroupName(cell.model),
    "day": lambda _facts, cell: GroupName(_time(cell.day * _DAY_S, "%Y-%m-%d")),
    "week": _week,
    "session": _Facts.session,
}


def _time(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _blocks(timed: dict[str, list[TimedBill]]) -> dict[GroupName, CostSum]:
    """Returns the five-hour blocks of each agent, as ccusage counts them.

    A block begins with the UTC hour of its first answer. An answer more than five hours after that, or after the answer
    before, begins the next one (github.com/ryoppippi/ccusage, session blocks).
    """
    sums: dict[GroupName, CostSum] = {}
    for agent, requests in timed.items():
        start = before = -inf
        for at, bill in sorted(requests, key=itemgetter(0)):
            if at - start > BLOCK_S or at - before > BLOCK_S:
                start = at // _HOUR_S * _HOUR_S
                name = _time(start, "%Y-%m-%d %H:%M")
                block = sums[GroupName(name if len(timed) == 1 else f"{name} {agent}")] = CostSum()
            before = at
            block.add(bill)
    return sums


def _rows(kind: GroupKind, sums: dict[GroupName, CostSum], most: int | None) -> tuple[GroupCost, ...]:
    """Returns the groups: the newest ones of times, else the dearest ones first, and one for all others."""
    if kind in TIMES:
        ranked = sorted(sums.items(), key=lambda item: str(item[0].name), reverse=True)
    else:
        ranked = sorted(sums.items(), key=lambda item: (-item[1].usd, -item[1].requests, str(item[0])))
    kept, left = (ranked, []) if most is None else (ranked[:most], ranked[most:])
    rows = [cost.cost(name) for name, cost in kept]
    if left:
        others = CostSum()
        for _, cost in left:
            others.plus(cost)
        rows.append(others.cost(GroupName(None), len(left)))
    return tuple(reversed(rows) if kind in TIMES else rows)
