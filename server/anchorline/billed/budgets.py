"""Budgets: what was spent today, this week and in a project this week, beside what the settings allow.

Days and weeks are UTC, weeks begin on Monday, as in reports. Keep-alive pings count: they are billed as well.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from anchorline import figures
from anchorline.billed.planned import answered_pings
from anchorline.billed.request import PricedModels
from anchorline.billed.requests import billed_requests
from anchorline.config import Budget
from anchorline.route.pricing import Unpriced
from anchorline.route.target import Targets
from anchorline.store import database

LEVELS = (80, 100)
"""Percent of a budget at which a warning is due."""
_DAY = timedelta(days=1)
Period = Literal["day", "week", "project"]
_SPANS: dict[Period, str] = {"day": "today", "week": "this week", "project": "in {} this week"}


class Spending(msgspec.Struct, frozen=True):
    """Dollars of the `day` and the `week`, the week's by project, and the projects of its sessions."""

    day: float = 0.0
    week: float = 0.0
    projects: dict[str, float] = {}
    sessions: dict[str, str] = {}


class BudgetUse(msgspec.Struct, frozen=True):
    """What of a budget was spent. `begins` is the day its period began on; `project` names that of ``project``."""

    period: Period
    begins: str
    limit_usd: float
    spent_usd: float
    project: str = ""

    @property
    def key(self) -> str:
        """The setting that it is."""
        return f"budget.{self.period}"

    @property
    def left_usd(self) -> float:
        """What is left; below 0 where more was spent."""
        return self.limit_usd - self.spent_usd

    @property
    def level(self) -> int:
        """The highest one of `LEVELS` that was reached; 0 where none was."""
        percent = 100 * self.spent_usd / self.limit_usd
        return max((level for level in LEVELS if percent >= level), default=0)

    def __str__(self) -> str:
        span = _SPANS[self.period].format(self.project)
        return f"{figures.cents(self.spent_usd)} of {figures.cents(self.limit_usd)} spent {span} ({self.key})"


def spending(path: Path, targets: Targets, now: float) -> Spending:
    """Returns what was spent until the epoch second `now`. Raises StoreError where the database can't be read."""
    day, week = _begin(now)
    if not path.exists():
        return Spending()
    today = all_week = 0.0
    projects: defaultdict[str, float] = defaultdict(float)
    sessions: dict[str, str] = {}
    with database.reading(path) as connection:
        connection.row_factory = None
        tables = database.tables(connection)
        if "plans" not in tables:
            return Spending()
        names: dict[int, str] = (
            dict(connection.execute("SELECT id, project FROM places")) if "places" in tables else {}
        )
        models = PricedModels(targets)
        for request in billed_requests(connection, models, week):
            imported = request.imported
            project = names.get(imported.place, "") if imported is not None and imported.place else ""
            if imported is not None and project:
                sessions[imported.session] = project
            if isinstance(request.bill, Unpriced):
                continue
            usd = request.bill.usd
            all_week += usd
            today += usd if request.at >= day else 0.0
            if project:
                projects[project] += usd
        for at, facts, tokens in answered_pings(connection, models, week):
            bill = models.bill(at, facts, tokens)
            if not isinstance(bill, Unpriced):
                all_week += bill.usd
                today += bill.usd if at >= day else 0.0
    return Spending(today, all_week, dict(projects), sessions)


def uses(budget: Budget, spent: Spending, now: float, project: str = "") -> tuple[BudgetUse, ...]:
    """Returns what of each budget that is set was spent; of `project`'s where one is named."""
    day, week = (datetime.fromtimestamp(begin, UTC).date().isoformat() for begin in _begin(now))
    made = []
    if budget.day:
        made.append(BudgetUse("day", day, budget.day, spent.day))
    if budget.week:
        made.append(BudgetUse("week", week, budget.week, spent.week))
    if budget.project and project:
        used = spent.projects.get(project, 0.0)
        made.append(BudgetUse("project", week, budget.project, used, project))
    return tuple(made)


def _begin(now: float) -> tuple[float, float]:
    """Returns when the day and the week began."""
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.timestamp(), (day - day.weekday() * _DAY).timestamp()
