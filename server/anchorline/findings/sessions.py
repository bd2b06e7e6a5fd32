"""Sums of a session, day by day: its bill, divided among the findings."""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from operator import add

import msgspec

from anchorline.billed.request import BilledTokens, PricedModels
from anchorline.billed.requests import BilledRequest, billed_requests
from anchorline.findings.attribution import Conversation, Shares
from anchorline.findings.evidence import Evidence
from anchorline.findings.model import Code
from anchorline.route.pricing import Unpriced
from anchorline.sessions.facts import ToolResult
from anchorline.store import database

GATEWAY = "gateway"
"""The agent of requests that no session file has."""
DAY_S = 86_400
Split = tuple[float, float, float]
_PLAIN: Split = (1.0, 0.0, 0.0)


class FindingSum(msgspec.Struct, gc=False):
    """How often a finding occurred, in how many requests, and what it cost."""

    count: int = 0
    requests: int = 0
    usd: float = 0.0
    tokens: dict[str, list[float]] = {}
    """By model: tokens that were plain input, read, written for five minutes and for an hour."""

    def count_tokens(self, model: str, unread: float, read: float, split: Split) -> None:
        """Adds tokens of a request to a model, the unread ones as its prompt's were `split`."""
        sums = self.tokens.get(model)
        if sums is None:
            sums = self.tokens[model] = [0.0] * 4
        plain, short, long = split
        sums[0] += unread * plain
        sums[1] += read
        sums[2] += unread * short
        sums[3] += unread * long

    def include(self, part: "FindingSum") -> None:
        """Adds another sum."""
        self.count += part.count
        self.requests += part.requests
        self.usd += part.usd
        for model, tokens in part.tokens.items():
            sums = self.tokens.get(model)
            self.tokens[model] = tokens[:] if sums is None else list(map(add, sums, tokens))


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

    def add(self, at: float, usd: float | None, shares: Shares, model: str, split: Split) -> None:
        """Adds a request that was sent then to a model; `usd` is None where its price is not known.

        `split` is what part of its unread tokens was plain input, written for five minutes, and for an hour.
        """
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
            total.count += shares.counts.get(code, 0)
            total.requests += 1
            total.usd += shares.usd.get(code, 0.0)
            if code in shares.unread or code in shares.read:
                unread, read = shares.unread.get(code, 0.0), shares.read.get(code, 0.0)
                total.count_tokens(model, unread, read, split)


class SessionSums(msgspec.Struct):
    """What is added up of a session, or (without a name) of all that no session file has."""

    session: str = ""
    days: list[SessionDay] = []
    evidence: Evidence = msgspec.field(default_factory=Evidence)


def session_sums(
    connection: sqlite3.Connection,
    models: PricedModels,
    since: float = 0.0,
    sessions: Collection[str] | None = None,
) -> Iterator[SessionSums]:
    """Yields the sums of all that was billed since then, session by session; only of some `sessions` where given."""
    facts = _Facts(connection)
    sums = SessionSums()
    days: dict[int, SessionDay] = {}
    current: _Session | None = None
    for billed in billed_requests(connection, models, since, sessions):
        request = billed.imported
        session = request.session if request is not None else ""
        if current is None or session != current.name:
            if current is not None:
                yield sums
            current = _Session(session, facts)
            sums, days = SessionSums(session), {}
        shares = current.divide(models, billed)
        if request is not None:
            sums.evidence.note(request.id, shares)
        number = int(billed.at // DAY_S)
        day = days.get(number)
        if day is None:
            agent = GATEWAY if request is None else request.agent
            project = None if request is None else facts.project(request.place)
            day = SessionDay(session, agent, number, billed.at, billed.at, project, current.committed)
            days[number] = day
            sums.days.append(day)
        usd = None if isinstance(billed.bill, Unpriced) else billed.bill.usd
        day.add(billed.at, usd, shares, billed.facts.shown, _split(billed.tokens))
    if current is not None:
        yield sums


def _split(tokens: BilledTokens | None) -> Split:
    """Returns what parts of a prompt's unread tokens were plain input, written for five minutes, and for an hour."""
    if tokens is None:
        return _PLAIN
    if tokens.usage is not None:
        first = tokens.usage.first
        plain, written, long = first.input, first.write, first.write_1h
    else:
        plain, written, long = tokens.prompt - tokens.read - tokens.written, tokens.written, tokens.long
    unread = plain + written
    return (plain / unread, (written - long) / unread, long / unread) if unread else _PLAIN


class _Session:
    """A session on the way, or (without a name) all that no session file has."""

    def __init__(self, name: str, facts: "_Facts") -> None:
        self.name = name
        self._results = facts.results(name)
        self._conversations: dict[str, Conversation] = {}

    @property
    def committed(self) -> bool | None:
        """Whether it has a commit; None where that is not known."""
        if self._results is None:
            return None
        return any(result.effect == "commit" for results in self._results.values() for result in results)

    def divide(self, models: PricedModels, billed: BilledRequest) -> Shares:
        """Returns the shares of its next request."""
        if billed.tokens is None:
            return Shares()
        request = billed.imported
        if request is None:
            conversation = Conversation(subagent=False)
            prefix_return = billed.planned.prefix_return if billed.planned is not None else None
            results: Sequence[ToolResult] = ()
        else:
            if request.chain not in self._conversations:
                self._conversations[request.chain] = Conversation(subagent=request.chain != "main")
            conversation = self._conversations[request.chain]
            prefix_return = request.prefix_return
            results = (self._results or {}).get(request.id, ())
        return conversation.divide(
            models,
            billed.at,
            billed.facts,
            billed.tokens,
            prefix_return=prefix_return,
            compacted=request is not None and request.trigger == "compact",
            results=results,
        )


class _Facts:
    """What session files tell beside the bill; nothing where the database is an older one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known = (database.read_schema(connection) or 0) >= database.FACTS
        places = connection.execute("SELECT id, project FROM places") if self._known else ()
        self._projects: dict[int, str] = dict(places)

    def project(self, place: int | None) -> str | None:
        """Returns the folder of a place; None where it is not known."""
        return (self._projects.get(place) or None) if place is not None else None

    def results(self, session: str) -> dict[str, list[ToolResult]] | None:
        """Returns a session's tool results by request; None where they are not known."""
        if not self._known or not session:
            return None
        results: defaultdict[str, list[ToolResult]] = defaultdict(list)
        rows = self._connection.execute(
            "SELECT result.request, tool, kind, tokens, target, first_line, lines, effect FROM tool_results AS result "
            "JOIN imported ON imported.id = result.request WHERE session = ? ORDER BY result.request, number",
            [session],
        )
        for request, *result in rows:
            results[request].append(ToolResult(*result))
        return results
