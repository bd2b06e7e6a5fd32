"""Collects the overview from the database."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import msgspec

from anchorline.billed.request import PricedModels
from anchorline.findings.evidence import CLAUDE_CODE, ClaudeCodeEvidence, Evidence
from anchorline.findings.fixes import best
from anchorline.findings.kept_sessions import all_sessions
from anchorline.findings.kinds import KINDS
from anchorline.findings.model import AgentUse, Code, CostFinding, Example, FindingTokens, Overview
from anchorline.findings.sessions import DAY_S, FindingSum, SessionDay, SessionSums, session_sums
from anchorline.replay import history
from anchorline.replay.worth import WhatIf
from anchorline.route.target import Targets
from anchorline.store import database

EMPTY = Overview((), None, None, 0, 0, 0, 0, 0.0, (), 0.0)


def overview(
    path: Path, targets: Targets, since: float | None = None, *, step: Callable[[], None] = lambda: None
) -> Overview:
    """Returns the overview of what was recorded from `since` on; an empty one where there is no database.

    `step` is called after each finding whose fix was looked for. Raises StoreError when the database can't be read.
    """
    if not path.exists():
        return EMPTY
    collecting = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects, none in a cycle: looking for some takes long
    try:
        with database.reading(path) as connection:
            connection.row_factory = None
            if "plans" not in database.tables(connection):
                return EMPTY
            evidence, own = Evidence(), ClaudeCodeEvidence()
            if since is None:
                sums = all_sessions(connection, path, targets)
            else:
                sums = session_sums(connection, PricedModels(targets), since)
            summary = summed(_days(sums, evidence, own))
        return _with_fixes(
            summary, evidence, own, WhatIf(history.load(path, targets, since or 0.0), targets), step
        )
    finally:
        if collecting:
            gc.enable()


def _days(sums: Iterable[SessionSums], evidence: Evidence, own: ClaudeCodeEvidence) -> Iterator[SessionDay]:
    """Yields the days of all sessions, and takes in their evidence, with that of Claude Code's `own` apart."""
    for session in sums:
        evidence.add(session.evidence)
        if any(day.agent == CLAUDE_CODE for day in session.days):
            own.sessions.add(session.session)
            own.evidence.add(session.evidence)
        yield from session.days


def _with_fixes(
    summary: Overview, evidence: Evidence, own: ClaudeCodeEvidence, what_if: WhatIf, step: Callable[[], None]
) -> Overview:
    findings = []
    for finding in summary.findings:
        fix = best(finding.code, evidence, own, what_if.worth)
        findings.append(msgspec.structs.replace(finding, fix=fix))
        step()
    return msgspec.structs.replace(summary, findings=tuple(findings))


def summed(days: Iterable[SessionDay]) -> Overview:
    """Returns the overview of sessions."""
    agents: defaultdict[str, _Use] = defaultdict(_Use)
    findings: defaultdict[Code, _Total] = defaultdict(_Total)
    sessions: set[str] = set()
    dates: set[int] = set()
    first, last = inf, -inf
    requests = unpriced = 0
    usd = rest = 0.0
    for day in days:
        first, last = min(first, day.first_at), max(last, day.last_at)
        dates.add(day.day)
        requests += day.requests
        unpriced += day.unpriced
        usd += day.usd
        rest += day.usd
        agents[day.agent].add(day)
        if day.session:
            sessions.add(day.session)
        for code, part in day.findings.items():
            rest -= part.usd
            findings[code].add(day, part)
        if day.committed is False:
            counted = FindingSum(0, day.requests, day.usd)
            findings["no_commit"].add(day, counted)
    ranked = sorted(
        (_finding(code, total) for code, total in findings.items()), key=lambda finding: -finding.usd
    )
    return Overview(
        agents=tuple(sorted((use.shown(agent) for agent, use in agents.items()), key=lambda use: -use.usd)),
        first_at=first if requests else None,
        last_at=last if requests else None,
        days=len(dates),
        sessions=len(sessions),
        requests=requests,
        unpriced=unpriced,
        usd=round(usd, 6),
        findings=tuple(finding for finding in ranked if finding.code != "no_commit" and finding.usd > 0),
        rest=round(max(rest, 0.0), 6),
        observations=tuple(finding for finding in ranked if finding.code == "no_commit"),
    )


class _Use:
    """What one agent was used for."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.requests = 0
        self.usd = 0.0

    def add(self, day: SessionDay) -> None:
        if day.session:
            self.sessions.add(day.session)
        self.requests += day.requests
        self.usd += day.usd

    def shown(self, agent: str) -> AgentUse:
        return AgentUse(agent, len(self.sessions), self.requests, round(self.usd, 6))


class _Total:
    """A finding's sum, and the session and day on which it was worst."""

    def __init__(self) -> None:
        self.sum = FindingSum()
        self.sessions: set[str] = set()
        self.worst: tuple[float, SessionDay] | None = None

    def add(self, day: SessionDay, part: FindingSum) -> None:
        self.sum.include(part)
        self.sessions.add(day.session)
        if part.usd > (self.worst[0] if self.worst is not None else 0.0):
            self.worst = part.usd, day


def _finding(code: Code, total: _Total) -> CostFinding:
    kind = KINDS[code]
    count = len(total.sessions) if code == "no_commit" else total.sum.count
    worst = None
    if total.worst is not None:
        usd, day = total.worst
        date = datetime.fromtimestamp(day.day * DAY_S, UTC).date().isoformat()
        worst = Example(day.project, date, round(usd, 6), day.session)
    return CostFinding(
        code,
        kind.title,
        count,
        kind.unit[count != 1],
        total.sum.requests,
        round(total.sum.usd, 6),
        worst,
        tokens=tuple(
            FindingTokens(model, *map(round, tokens)) for model, tokens in sorted(total.sum.tokens.items())
        ),
    )
