"""Sums of a session, day by day: its bill, divided among the findings."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import attrgetter

import msgspec

from anchorline.billed.duplicates import SeenRequests
from anchorline.billed.imported import ImportedRequest, imported_requests
from anchorline.billed.planned import PlannedRequest, planned_requests, seen_requests, untold_requests
from anchorline.billed.request import PricedModels
from anchorline.findings.attribution import Conversation, ReadResult, Shares
from anchorline.findings.model import Code
from anchorline.route.pricing import Unpriced
from anchorline.store import database

GATEWAY = "gateway"
"""The agent of requests that no session file has."""
DAY_S = 86_400

Seen = Callable[[ImportedRequest, Shares], None]


class FindingSum(msgspec.Struct, gc=False):
    """How often a finding occurred, in how many requests, and what it cost."""

    count: int = 0
    requests: int = 0
    usd: float = 0.0


class SessionDay(msgspec.Struct):
    """A session on one UTC day. `day` counts from 1970-01-01; `committed`: the session has a commit, on whatever day.

    `committed` is None where it is not known.
    """

    session: str
    agent: str
    day: int
    first_at: float
    last_at: float
    project: str | None = None
    committed: bool | None = None
    requests: int = 0
    unpriced: int = 0
    usd: float = 0.0
    findings: dict[Code, FindingSum] = {}

    def add(self, at: float, usd: float | None, shares: Shares) -> None:
        """Adds a request that was sent then; `usd` is None where its price is not known."""
        self.first_at, self.last_at = min(self.first_at, at), max(self.last_at, at)
        self.requests += 1
        if usd is None:
            self.unpriced += 1
            return
        self.usd += usd
        shares.within(usd)
        for code in shares.usd.keys() | shares.counts.keys():
            total = self.findings.get(code)
            if total is None:
                total = self.findings[code] = FindingSum()
            total.count += shares.counts[code]
            total.requests += 1
            total.usd += shares.usd[code]


def session_days(
    connection: sqlite3.Connection,
    models: PricedModels,
    since: float,
    seen: Seen = lambda _request, _shares: None,
) -> Iterator[SessionDay]:
    """Yields the sums of all that was billed since then, each request once. `seen` is shown each imported one.

    What the gateway saw as well counts as it was billed there.
    """
    planned = seen_requests(connection)
    for request in planned_requests(connection, models, since):
        planned.note(request)
    if "imported" in database.tables(connection):
        facts = _Facts(connection)
        requests = imported_requests(connection, models, since)
        for session, group in groupby(requests, attrgetter("session")):
            yield from _session(session, group, models, planned, facts, seen)
    yield from _others(connection, models, since, planned)


def _session(
    session: str,
    requests: Iterable[ImportedRequest],
    models: PricedModels,
    planned: SeenRequests[PlannedRequest],
    facts: "_Facts",
    seen: Seen,
) -> Iterator[SessionDay]:
    results, project, committed = facts.of(session)
    days: dict[int, SessionDay] = {}
    conversations: dict[str, Conversation] = {}
    for request in requests:
        conversation = conversations.get(request.chain)
        if conversation is None:
            conversation = conversations[request.chain] = Conversation(subagent=request.chain != "main")
        began = request.at if request.began is None else request.began
        match = planned.take(began, request.answer, request.request, request.bill)
        at, facts_, tokens = (
            (request.at, request.facts, request.tokens)
            if match is None
            else (match.at, match.facts, match.tokens)
        )
        shares = conversation.divide(
            models,
            at,
            facts_,
            tokens,
            prefix_return=request.prefix_return,
            compacted=request.trigger == "compact",
            results=results.get(request.id, ()),
        )
        seen(request, shares)
        number = int(at // DAY_S)
        day = days.get(number)
        if day is None:
            day = SessionDay(session, request.agent, number, at, at, project, committed)
            days[number] = day
        bill = models.bill(at, facts_, tokens)
        day.add(at, None if isinstance(bill, Unpriced) else bill.usd, shares)
    yield from days.values()


def _others(
    connection: sqlite3.Connection, models: PricedModels, since: float, planned: SeenRequests[PlannedRequest]
) -> Iterator[SessionDay]:
    """Yields what no session file has, all of one day together."""
    days: dict[int, SessionDay] = {}

    def add(at: float, usd: float | None, shares: Shares) -> None:
        number = int(at // DAY_S)
        if number not in days:
            days[number] = SessionDay("", GATEWAY, number, at, at)
        days[number].add(at, usd, shares)

    for request in planned.left():
        shares = Conversation(subagent=False).divide(
            models,
            request.at,
            request.facts,
            request.tokens,
            prefix_return=request.prefix_return,
            compacted=False,
            results=(),
        )
        bill = models.bill(request.at, request.facts, request.tokens)
        add(request.at, None if isinstance(bill, Unpriced) else bill.usd, shares)
    for untold in untold_requests(connection, models, since):
        add(untold.at, None, Shares())
    yield from days.values()


class _Facts:
    """What the session files tell beside the bill, session by session; nothing where the database is an older one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known = "tool_results" in database.tables(connection)

    def of(self, session: str) -> tuple[dict[str, list[ReadResult]], str | None, bool | None]:
        """Returns a session's tool results by request, its project, and whether it committed."""
        results: defaultdict[str, list[ReadResult]] = defaultdict(list)
        if not self._known:
            return results, None, None
        rows = self._connection.execute(
            "SELECT result.request, tool, target, first_line, lines, tokens, kind, effect FROM tool_results AS result "
            "JOIN imported ON imported.id = result.request WHERE session = ? ORDER BY result.request, number",
            [session],
        )
        committed = False
        for request, *result in rows:
            results[request].append(ReadResult(*result))
            committed = committed or result[-1] == "commit"
        projects = Counter(
            project
            for (project,) in self._connection.execute(
                "SELECT project FROM imported JOIN places ON places.id = place WHERE session = ?", [session]
            )
        )
        return results, next((name for name, _ in projects.most_common(1) if name), None), committed
