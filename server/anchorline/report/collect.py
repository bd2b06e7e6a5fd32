"""Collecting the report: the tables are read once each, and grouped by SQLite where a sum is all that is asked for."""

import sqlite3
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from anchorline.cache.rules import Rules
from anchorline.report.imported import add_imported
from anchorline.report.model import Arm, Refinements, Report, Route
from anchorline.report.planned import add_planned
from anchorline.report.sums import Sums
from anchorline.route.catalog import Catalog
from anchorline.store import database


def collect(path: Path, rules: Rules, catalog: Catalog, since: float | None = None) -> Report:
    """Return the report of what was recorded from `since` on; an empty one where there is no database.

    Raises StoreError when the database can't be read.
    """
    sums = Sums(rules, catalog)
    begin = since or 0.0
    refinements = Refinements(0, 0, 0, 0, None, 0, 0)
    routes: tuple[Route, ...] = ()
    arms: tuple[Arm, ...] = ()
    if path.exists():
        with database.reading(path) as connection:
            connection.row_factory = None  # plain tuples: there may be a hundred thousand
            tables = database.tables(connection)
            if "plans" in tables:
                _expect(connection, sums, begin)
                answered, billed = add_planned(connection, sums, begin)
                if "imported" in tables:
                    add_imported(connection, sums, begin, billed)
                routes = _routes(connection, begin, answered)
                refinements = _refinements(connection, begin)
                arms = _arms(connection, begin)
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
    )


def _expect(connection: sqlite3.Connection, sums: Sums, since: float) -> None:
    found = connection.execute(
        "SELECT cast(created_at / 86400 AS INTEGER), target, count(*), total(cost_usd), total(without_plan_usd), "
        "min(created_at), max(created_at) FROM plans WHERE created_at >= ? AND NOT failed GROUP BY 1, 2",
        [since],
    )
    for day, target, plans, usd, without_plan_usd, first, last in found:
        sums.expect(day, target or "", plans, usd, without_plan_usd)
        sums.span(first, last)


def _routes(connection: sqlite3.Connection, since: float, answered: dict[str, int]) -> tuple[Route, ...]:
    routes: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    found = connection.execute(
        "SELECT target, tier, count(*), total(sticky) FROM plans WHERE created_at >= ? AND NOT failed "
        "GROUP BY 1, 2",
        [since],
    )
    for target, tier, plans, sticky in found:
        routes[target or "", tier or ""] = [plans, int(sticky)]
    for target in answered.keys() - {target for target, _ in routes}:
        routes[target, ""] = [0, 0]
    shown = [
        Route(target, tier, plans, sticky, answered.get(target, 0))
        for (target, tier), (plans, sticky) in routes.items()
    ]
    return tuple(sorted(shown, key=lambda route: (-route.plans, -route.answered, route.target)))


def _refinements(connection: sqlite3.Connection, since: float) -> Refinements:
    proposed = _count(
        connection, "SELECT count(*) FROM plans WHERE created_at >= ? AND refinement = 'proposed'", since
    )
    decided: defaultdict[str, list[int | None]] = defaultdict(list)
    found = connection.execute(
        "SELECT decision, edit_distance FROM outcomes WHERE recorded_at >= ? AND id IN "
        "(SELECT max(id) FROM outcomes WHERE decision IS NOT NULL GROUP BY plan)",
        [since],
    )
    for decision, distance in found:
        decided[decision].append(distance)
    distances = [distance for distance in decided["modified"] if distance is not None]
    thumbs = "SELECT count(*) FROM feedback WHERE recorded_at >= ? AND thumbs"
    return Refinements(
        proposed=proposed,
        accepted=len(decided["accepted"]),
        modified=len(decided["modified"]),
        rejected=len(decided["rejected"]),
        edit_distance=median(distances) if distances else None,
        thumbs_up=_count(connection, f"{thumbs} > 0", since),
        thumbs_down=_count(connection, f"{thumbs} < 0", since),
    )


def _arms(connection: sqlite3.Connection, since: float) -> tuple[Arm, ...]:
    found = connection.execute(
        "SELECT policy, version, arm, round(avg(propensity), 4), count(*) FROM plans WHERE created_at >= ? "
        "GROUP BY 1, 2, 3 ORDER BY 5 DESC",
        [since],
    )
    return tuple(Arm(*row) for row in found)


def _count(connection: sqlite3.Connection, query: str, since: float) -> int:
    return int(connection.execute(query, [since]).fetchone()[0])
