"""Collects the report: each table is read once, and grouped by SQLite where a sum is all that is asked for."""

import gc
import sqlite3
import time
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

import msgspec

from anchorline.billed import budgets
from anchorline.billed.planned import answered_pings
from anchorline.billed.requests import billed_requests
from anchorline.config import Config, Files
from anchorline.findings import kept
from anchorline.findings.model import Overview
from anchorline.findings.overview import overview
from anchorline.limits import wording
from anchorline.limits.budgets import window_budgets
from anchorline.limits.state import limits
from anchorline.report.finding_shares import finding_shares
from anchorline.report.groups import GROUPS, Groups
from anchorline.report.model import (
    AdditionDecisions,
    Arm,
    ExperimentStep,
    Grouping,
    Refinements,
    Report,
    Route,
)
from anchorline.report.sums import Sums
from anchorline.route.target import Targets
from anchorline.sessions import facts
from anchorline.store import additions, billing, database, outcomes

STEPS = 20
"""Of experiments, that are shown."""
MOST = 20
"""Groups of a grouping that a report has, the dearest ones; all others are one more."""
SHOWN = tuple(group for group in GROUPS if group not in ("model", "day"))
"""Costs by model and day are those of the report itself."""
_EXPECTED = """
    SELECT cast(created_at / 86400 AS INTEGER), target, tier, policy, version, arm, failed, count(*), total(sticky),
        total(refinement = 'proposed'), total(propensity), total(cost_usd), total(without_plan_usd),
        min(created_at), max(created_at)
    FROM plans WHERE created_at >= ? GROUP BY 1, 2, 3, 4, 5, 6, 7
"""
_DECIDED = """
    SELECT decision, edit_distance FROM outcomes AS decided
    WHERE recorded_at >= ? AND decision IS NOT NULL AND id = {newest}
        AND EXISTS (SELECT 1 FROM plans WHERE plans.id = decided.plan AND plans.refinement = 'proposed')
"""


def collect(path: Path, targets: Targets, since: float | None = None, *, own: Files | None = None) -> Report:
    """Returns the report of what was recorded from `since` on; an empty one where there is no database.

    `own` are the files that `targets` were read from beside the built-in ones. Raises StoreError when the database
    can't be read.
    """
    if since is None:
        shown = kept.current(path, own or Files(), lambda: overview(path, targets))
    else:
        shown = overview(path, targets, since)
    collecting = gc.isenabled()
    gc.disable()  # hundreds of thousands of small objects, none in a cycle: looking for some takes long
    try:
        return _collected(path, Sums(targets), since, shown)
    finally:
        if collecting:
            gc.enable()


def with_limits(
    report: Report, path: Path, targets: Targets, settings: Config, folder: Path | None
) -> Report:
    """Returns the report with a plan's windows, and with what is left of the budgets that are set, `folder`'s as well.

    Raises StoreError when the database can't be read.
    """
    now = time.time()
    known = limits(path, targets, now)
    windows = wording.current(known.windows, now)
    report = msgspec.structs.replace(
        report,
        windows=windows,
        window_budgets=window_budgets(settings.budget, windows),
        finding_shares=finding_shares(report.overview, known) if windows else (),
    )
    if not settings.budget.in_usd:
        return report
    spent = budgets.spending(path, targets, now)
    project = facts.project(str(folder)) if folder is not None else ""
    return msgspec.structs.replace(report, budgets=budgets.uses(settings.budget, spent, now, project))


def _collected(path: Path, sums: Sums, since: float | None, shown: Overview) -> Report:
    begin = since or 0.0
    refinements = Refinements(0, 0, 0, 0, None, 0, 0)
    routes: tuple[Route, ...] = ()
    arms: tuple[Arm, ...] = ()
    steps: tuple[ExperimentStep, ...] = ()
    groupings: tuple[Grouping, ...] = ()
    added = AdditionDecisions()
    if path.exists():
        with database.reading(path) as connection:
            connection.row_factory = None  # plain tuples: there may be a hundred thousand
            tables = database.tables(connection)
            if "plans" in tables:
                plans, arms, proposed = _add_plans(connection, sums, begin)
                groups = Groups(connection, sums.models, SHOWN)
                answered = _add_requests(connection, sums, groups, begin)
                groupings = groups.groupings(MOST)
                routes = _routes(plans, answered)
                refinements = _refinements(connection, begin, proposed)
                if "additions" in tables:
                    added = AdditionDecisions(*additions.added_up(connection, begin))
                steps = _steps(connection) if "policy_events" in tables else ()
    return Report(
        made_at=time.time(),
        since=since,
        first_at=sums.begin if sums.begin <= sums.end else None,
        last_at=sums.end if sums.begin <= sums.end else None,
        requests=sums.requests,
        unpriced=sums.unpriced,
        costs=sums.costs(),
        hits=sums.hits(),
        calibration=sums.calibration(),
        routes=routes,
        refinements=refinements,
        arms=arms,
        steps=steps,
        overview=shown,
        unknown=dict(sums.unknown),
        pings=sums.pings,
        pings_usd=sums.pings_usd,
        groupings=groupings,
        additions=added,
    )


def _add_requests(connection: sqlite3.Connection, sums: Sums, groups: Groups, since: float) -> Counter[str]:
    """Adds all that was billed, each request once; returns how often each model answered a plan."""
    answered: Counter[str] = Counter()
    for request in billed_requests(connection, sums.models, since):
        told = request.planned or request.imported
        if request.planned is not None:
            answered[request.facts.shown] += 1
        sums.add(request, None if told is None else told.prefix_return)
        groups.add(request)
    for ping in answered_pings(connection, sums.models, since):
        sums.ping(*ping)
    return answered


def _add_plans(
    connection: sqlite3.Connection, sums: Sums, since: float
) -> tuple[dict[tuple[str, str], list[int]], tuple[Arm, ...], int]:
    """Adds what plans expected.

    Returns how many there were by model and tier (with those kept on it), the arms, and how many proposed a draft.
    """
    routes: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    arms: defaultdict[tuple[str, str, str], list[float]] = defaultdict(lambda: [0.0, 0])
    proposed = 0
    rows = connection.execute(_EXPECTED, [since])
    for (
        day,
        target,
        tier,
        policy,
        version,
        arm,
        failed,
        plans,
        sticky,
        drafts,
        propensity,
        *usd,
        first,
        last,
    ) in rows:
        arms[policy, version, arm][0] += propensity
        arms[policy, version, arm][1] += plans
        proposed += int(drafts)
        if not failed:
            routes[target or "", tier or ""][0] += plans
            routes[target or "", tier or ""][1] += int(sticky)
            sums.expect(day, target or "", plans, *usd)
            sums.span(first, last)
    shown = [
        Arm(*names, propensity=round(propensity / plans, 4), plans=int(plans))
        for names, (propensity, plans) in arms.items()
    ]
    return routes, tuple(sorted(shown, key=lambda arm: -arm.plans)), proposed


def _routes(plans: dict[tuple[str, str], list[int]], answered: dict[str, int]) -> tuple[Route, ...]:
    others = answered.keys() - {target for target, _ in plans}
    counts = {**plans, **{(target, ""): [0, 0] for target in others}}
    routes = [
        Route(target, tier, proposed, sticky, answered.get(target, 0))
        for (target, tier), (proposed, sticky) in counts.items()
    ]
    return tuple(sorted(routes, key=lambda route: (-route.plans, -route.answered, route.target)))


def _refinements(connection: sqlite3.Connection, since: float, proposed: int) -> Refinements:
    edit_distances: defaultdict[str, list[int | None]] = defaultdict(list)
    rows = connection.execute(
        _DECIDED.format(newest=outcomes.newest("decision", billing.pinged(connection), "decided.plan")),
        [since],
    )
    for decision, distance in rows:
        edit_distances[decision].append(distance)
    distances = [distance for distance in edit_distances["modified"] if distance is not None]
    thumbs = "SELECT count(*) FROM feedback WHERE recorded_at >= ? AND known AND thumbs"
    return Refinements(
        proposed=proposed,
        accepted=len(edit_distances["accepted"]),
        modified=len(edit_distances["modified"]),
        rejected=len(edit_distances["rejected"]),
        edit_distance=median(distances) if distances else None,
        thumbs_up=_count(connection, f"{thumbs} > 0", since),
        thumbs_down=_count(connection, f"{thumbs} < 0", since),
    )


def _steps(connection: sqlite3.Connection) -> tuple[ExperimentStep, ...]:
    rows = connection.execute(
        "SELECT at, event, version, instead_of, by, reason, experiment, stage, share FROM policy_events "
        "ORDER BY id DESC LIMIT ?",
        [STEPS],
    )
    return tuple(ExperimentStep(*row) for row in rows)


def _count(connection: sqlite3.Connection, query: str, since: float) -> int:
    return int(connection.execute(query, [since]).fetchone()[0])
