"""The bill by what people think in: project, branch, pull request, agent, sub-agent, model, tool, and times."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, get_args

from anchorline.billed.imported import ImportedRequest
from anchorline.billed.request import PricedModels
from anchorline.billed.requests import BilledRequest, billed_requests
from anchorline.report.model import GroupCost, Grouping, GroupKind
from anchorline.report.tool_costs import ToolCosts
from anchorline.route.pricing import Unpriced
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
_HOUR_S = 3600
_DIGITS = 8
_HASH = 8
"""Characters of a session's hash that tell it from others."""


class GroupName(NamedTuple):
    """What a group is called; `project` is that of a branch or a session."""

    name: str | None
    project: str | None = None


class Place(NamedTuple):
    """A row of `places`; None is what is not known."""

    project: str | None
    branch: str | None
    pr: str | None


class CostSum:
    """Requests of one group, added up."""

    __slots__ = ("requests", "results", "uncached_usd", "unpriced", "usd")

    def __init__(self) -> None:
        self.requests = self.unpriced = self.results = 0
        self.usd = self.uncached_usd = 0.0

    def add(self, request: BilledRequest) -> None:
        """Adds a request."""
        self.requests += 1
        bill = request.bill
        if isinstance(bill, Unpriced):
            self.unpriced += 1
        else:
            self.usd += bill.usd
            self.uncached_usd += bill.uncached

    def plus(self, other: "CostSum") -> None:
        """Adds another sum."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

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
        self._kinds = [kind for kind in kinds if kind in _NAMES]
        self._sums: dict[GroupKind, defaultdict[GroupName, CostSum]] = {
            kind: defaultdict(CostSum) for kind in self._kinds
        }
        self._order = tuple(kinds)
        self._whole = CostSum()
        self._tools = ToolCosts(connection, models) if "tool" in kinds else None
        self._timed: dict[str, list[BilledRequest]] | None = defaultdict(list) if "block" in kinds else None

    def add(self, request: BilledRequest) -> None:
        """Adds a request; those of a session by their times."""
        self._whole.add(request)
        for kind in self._kinds:
            self._sums[kind][_NAMES[kind](self._facts, request)].add(request)
        if self._tools is not None:
            self._tools.add(request)
        if self._timed is not None:
            self._timed[_agent(request)].append(request)

    def groupings(self, most: int | None = None) -> tuple[Grouping, ...]:
        """Returns the sums; of each kind the `most` dearest groups and one for all others."""
        whole = self._whole.cost(GroupName(None))
        sums = whole.requests, whole.usd, whole.uncached_usd, whole.unpriced
        return tuple(Grouping(kind, *sums, _rows(kind, self._summed(kind), most)) for kind in self._order)

    def _summed(self, kind: GroupKind) -> dict[GroupName, CostSum]:
        if kind == "tool" and self._tools is not None:
            sums: dict[GroupName, CostSum] = {}
            for tool, cost in self._tools.costs().items():
                one = sums[GroupName(tool)] = CostSum()
                one.requests, one.results, one.unpriced = cost.requests, cost.results, cost.unpriced
                one.usd, one.uncached_usd = cost.usd, cost.uncached_usd
            return sums
        if kind == "block" and self._timed is not None:
            return _blocks(self._timed)
        return self._sums[kind]


def grouped(path: Path, targets: Targets, kind: GroupKind, since: float | None = None) -> Grouping:
    """Returns all that was billed since then by one kind of group. Raises StoreError where it can't be read."""
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
    return groups.groupings()[0]


class _Facts:
    """Where requests were made, by the number of the place; nothing where the database is an earlier one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.places: dict[int, Place] = {}
        self._prs: dict[tuple[str, str], str] = {}
        self._firsts: dict[str, float] = {}
        self._projects: dict[str, str | None] = {}
        tables = database.tables(connection)
        if "places" in tables:
            rows = connection.execute("SELECT id, project, branch, pr FROM places")
            self.places = {number: Place(*(name or None for name in names)) for number, *names in rows}
            # A file that was gone on with, or a sub-agent's, does not say again which one it is.
            self._prs = {
                (session, branch): pr
                for session, branch, pr in connection.execute(
                    "SELECT DISTINCT session, places.branch, pr FROM imported JOIN places ON places.id = place "
                    "WHERE pr != ''"
                )
            }
        if "imported" in tables:
            self._firsts = dict(connection.execute("SELECT session, min(sent_at) FROM imported GROUP BY 1"))

    def place(self, request: BilledRequest) -> Place:
        """Returns where a request was made."""
        imported = request.imported
        number = None if imported is None else imported.place
        return _NOWHERE if number is None else self.places.get(number, _NOWHERE)

    def pr(self, request: BilledRequest) -> str | None:
        """Returns the pull request that a request's branch led to."""
        place = self.place(request)
        if place.pr is None and place.branch is not None and request.imported is not None:
            return self._prs.get((request.imported.session, place.branch))
        return place.pr

    def session(self, request: BilledRequest, imported: ImportedRequest) -> GroupName:
        """Returns a name for a session: when it began, the beginning of its hash, and its project."""
        project = self._projects.setdefault(imported.session, self.place(request).project)
        began = _time(self._firsts.get(imported.session, imported.at), "%Y-%m-%d %H:%M")
        return GroupName(f"{began} {imported.session.removeprefix('b2:')[:_HASH]}", project)


_NOWHERE = Place(None, None, None)


def _project(facts: _Facts, request: BilledRequest) -> GroupName:
    return GroupName(facts.place(request).project)


def _branch(facts: _Facts, request: BilledRequest) -> GroupName:
    place = facts.place(request)
    return GroupName(place.branch, place.project)


def _pr(facts: _Facts, request: BilledRequest) -> GroupName:
    return GroupName(facts.pr(request))


def _agent(request: BilledRequest) -> str:
    return GATEWAY if request.imported is None else request.imported.agent


def _subagent(_facts: _Facts, request: BilledRequest) -> GroupName:
    imported = request.imported
    if imported is None:
        return GroupName(None)
    if imported.subagent is None and imported.chain == "main":
        return GroupName(MAIN)
    return GroupName(imported.subagent or None)


def _session(facts: _Facts, request: BilledRequest) -> GroupName:
    if request.imported is None:
        return GroupName(None)
    return facts.session(request, request.imported)


def _week(_facts: _Facts, request: BilledRequest) -> GroupName:
    day = datetime.fromtimestamp(request.at, UTC).date()
    return GroupName((day - timedelta(days=day.weekday())).isoformat())


_NAMES: dict[GroupKind, Callable[[_Facts, BilledRequest], GroupName]] = {
    "project": _project,
    "branch": _branch,
    "pr": _pr,
    "agent": lambda _facts, request: GroupName(_agent(request)),
    "subagent": _subagent,
    "model": lambda _facts, request: GroupName(request.facts.shown),
    "day": lambda _facts, request: GroupName(_time(request.at, "%Y-%m-%d")),
    "week": _week,
    "session": _session,
}


def _time(at: float, form: str) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(form)


def _blocks(timed: dict[str, list[BilledRequest]]) -> dict[GroupName, CostSum]:
    """Returns the five-hour blocks of each agent, as ccusage counts them.

    A block begins with the UTC hour of its first answer. An answer more than five hours after that, or after the answer
    before, begins the next one (github.com/ryoppippi/ccusage, session blocks).
    """
    sums: dict[GroupName, CostSum] = {}
    for agent, requests in timed.items():
        start = before = float("-inf")
        for request in sorted(requests, key=_answered):
            at = _answered(request)
            if at - start > BLOCK_S or at - before > BLOCK_S:
                start = at // _HOUR_S * _HOUR_S
                name = _time(start, "%Y-%m-%d %H:%M")
                block = sums[GroupName(name if len(timed) == 1 else f"{name} {agent}")] = CostSum()
            before = at
            block.add(request)
    return sums


def _answered(request: BilledRequest) -> float:
    imported = request.imported
    return request.at if imported is None or imported.began is None else imported.began


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
