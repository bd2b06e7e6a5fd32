"""`anchorline report`: cost, hits, routes and decisions, from what was recorded."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import click
import msgspec
from rich.table import Table

from anchorline import figures, files
from anchorline.cli import reading, tables
from anchorline.cli.grouping import table as table_of_groups
from anchorline.cli.replay import Since, nothing_since
from anchorline.config import here
from anchorline.findings.model import Fix
from anchorline.limits import wording
from anchorline.report.collect import collect, with_limits
from anchorline.report.groups import GROUPS, grouped
from anchorline.report.model import Cost, GroupKind, Report
from anchorline.report.page import dashboard
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate

MOST = 5
"""Of what is not known, that is named."""
WIDE = 120
"""Columns of a terminal from which on a table has room for sentences."""
DAYS, WEEKS = 14, 26
"""The longest history that is shown by day, and by week. A longer one is shown by month."""


@click.command(name="report")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the dashboard, a page.")
@click.option(
    "--since",
    type=Since(),
    help="Only what was recorded since then: an age (12h, 30d, 2w) or a date (2026-11-23).",
)
@click.option(
    "--by",
    type=click.Choice(GROUPS),
    help="Divide the bill: by project, git branch, pull request, agent, …; block is five hours.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(html: Path | None, since: float | None, by: GroupKind | None, as_json: bool) -> None:
    """Show cost with and without the cache, cache hits, model choices, and which suggestions you accepted.

    It adds up what the gateway and your editors have recorded, and what `anchorline import` has read. The page
    has charts, works offline and holds sums only. Exits with 2 when the database can't be read.

    \b
    Examples:
      anchorline report --since 30d
      anchorline report --by branch --since 7d
      anchorline report --html report.html
      anchorline report --json | jq .hits
    """
    if by is not None:
        if html is not None:
            raise click.UsageError("--by prints a table; the page of --html has all of them")
        _show_grouping(by, since, as_json=as_json)
        return
    report = _collect(since)
    if html is not None:
        try:
            files.write(html, dashboard(report))
        except OSError as error:
            raise reading.Unusable(f"{html}: {error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    _show(report)
    for use in report.budgets:
        left = f"{figures.cents(use.left_usd)} left" if use.left_usd > 0 else "used up"
        click.echo(f"Budget: {use}, {left}.")
    for window_budget in report.window_budgets:
        click.echo(f"Budget: {window_budget}.")
    for window, name in zip(report.windows, wording.names(report.windows), strict=True):
        click.echo(f"Your {name}: {wording.state(window, report.made_at)}.")
    if html is not None:
        click.echo(f"Dashboard: {html}")


def _collect(since: float | None) -> Report:
    settings = reading.settings().config
    targets = load_targets(settings.files)
    try:
        path = locate(settings.store.path)
        return with_limits(collect(path, targets, since, own=settings.files), path, targets, settings, here())
    except StoreError as error:
        raise reading.Unusable(str(error)) from error


def _show_grouping(by: GroupKind, since: float | None, *, as_json: bool) -> None:
    settings = reading.settings().config
    try:
        grouping = grouped(locate(settings.store.path), load_targets(settings.files), by, since)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode(grouping).decode())
    elif not grouping.requests:
        click.echo(nothing_since(since) if since is not None else reading.NOTHING_RECORDED)
    else:
        console = tables.console()
        console.print(table_of_groups(grouping, console.width))


def _show(report: Report) -> None:
    if not report.requests and not any(route.plans for route in report.routes):
        if report.since is not None:
            tables.say(nothing_since(report.since))
            return
        tables.say(reading.NOTHING_RECORDED)
        return
    if not report.requests:
        tables.say(reading.NOTHING_RECORDED)
    console = tables.console()
    width = console.width
    for table in (_models(report, width), _periods(report, width), _findings(report, width), _routes(report)):
        if table.row_count:
            console.print(table)
            console.print()
    if console.width < WIDE:
        for finding in report.overview.findings:
            if finding.fix is not None:
                tables.say(f"{finding.title}: {_fix(finding.fix)}.")
    titles: dict[str, str] = {finding.code: finding.title for finding in report.overview.findings}
    for share in report.finding_shares:
        tables.say(f"{titles.get(share.code, share.code)}: {share}.")
    if summary := _summary(report):
        tables.say(summary)


def _models(report: Report, width: int) -> Table:
    return _costs("model", report.costs, lambda cost: cost.model, width)


def _periods(report: Report, width: int) -> Table:
    """Returns the costs by day, by week (its Monday) or by month, the last one at the end."""
    costs = sorted(report.costs, key=lambda cost: cost.day)
    days = [date.fromisoformat(cost.day) for cost in costs if cost.requests]
    span = (days[-1] - days[0]).days + 1 if days else 0
    if span <= DAYS:
        return _costs("day", costs, lambda cost: cost.day, width)
    if span <= WEEKS * 7:
        return _costs("week of", costs, lambda cost: _monday(date.fromisoformat(cost.day)), width)
    return _costs("month", costs, lambda cost: cost.day[:7], width)


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()


def _costs(title: str, costs: Sequence[Cost], label: Callable[[Cost], str], width: int) -> Table:
    groups: defaultdict[str, list[Cost]] = defaultdict(list)
    for cost in costs:
        if cost.requests:
            groups[label(cost)].append(cost)
    rows = []
    for name, group in groups.items():
        usd, uncached = _sums(group)
        saved = f"{1 - usd / uncached:.0%}" if uncached and usd is not None else ""
        requests = sum(cost.requests for cost in group)
        rows.append((name, f"{requests:,}", _dollars(usd), _dollars(uncached), saved))
    columns = (title, "requests", "billed", "without a cache", "saved")
    optional = ("saved", "without a cache", "requests")
    return tables.fitted(columns, rows, width=width, optional=optional, numbers=columns[1:])


def _findings(report: Report, width: int) -> Table:
    """Returns where the money went: each finding, and what is none; all of it is what was billed.

    What to do about it is a column only where the terminal has room for sentences.
    """
    overview = report.overview
    rows: list[tuple[str, ...]] = [
        (
            finding.title,
            f"{finding.count:,} {finding.unit}",
            _dollars(finding.usd),
            f"{finding.worst.day} {_folder(finding.worst.project)}".strip()
            if finding.worst is not None
            else "",
            _fix(finding.fix) if finding.fix is not None else "",
        )
        for finding in overview.findings
    ]
    if rows:
        rows.append(("(no finding)", "", _dollars(overview.rest), "", ""))
    columns: tuple[str, ...] = ("finding", "how often", "cost", "worst", "what to do")
    if width < WIDE:
        columns, rows = columns[:-1], [row[:-1] for row in rows]
        return tables.fitted(columns, rows, width=width, optional=("how often", "worst"), numbers=("cost",))
    table = tables.table(*columns)
    for row in rows:
        table.add_row(*row)
    return table


def _folder(project: str | None) -> str:
    """Returns the last name of a folder's path."""
    return re.split(r"[\\/]", project)[-1] if project else ""


def _fix(fix: Fix) -> str:
    worth = fix.worth
    return f"{fix.title}: would have saved {_dollars(worth.value)} ({_dollars(worth.low)} to {_dollars(worth.high)})"


def _routes(report: Report) -> Table:
    table = tables.table("proposed model", "tier", "plans", "answered")
    for route in report.routes:
        table.add_row(route.target, route.tier, f"{route.plans:,}", f"{route.answered:,}")
    return table


def _sums(costs: Sequence[Cost]) -> tuple[float | None, float | None]:
    """Returns what was billed, and without a cache; None where the price of nothing is known."""
    usd = [cost.usd for cost in costs if cost.requests and cost.usd is not None]
    uncached = [cost.uncached_usd for cost in costs if cost.requests and cost.uncached_usd is not None]
    billed = any(cost.requests for cost in costs)
    return (sum(usd), sum(uncached)) if usd or not billed else (None, None)


def _dollars(usd: float | None) -> str:
    return "not known" if usd is None else f"${usd:,.2f}"


def _summary(report: Report) -> str:
    usd, uncached = _sums(report.costs)
    hits, refined = report.hits, report.refinements
    requests = f"{report.requests:,} request{'s' * (report.requests != 1)}"
    parts = []
    if report.requests:
        parts.append(
            f"{requests}, of which no price is known."
            if usd is None
            else f"{requests}: {_dollars(usd)} billed, {_dollars(uncached)} without a cache."
        )
    if report.pings:
        parts.append(f"{report.pings:,} keep-alive pings, not included, cost {_dollars(report.pings_usd)}.")
    if report.unpriced:
        unknown = sorted(report.unknown.items(), key=lambda reason: -reason[1])
        reasons = "; ".join(f"{what}: {count:,}" for what, count in unknown[:MOST])
        more = f" and {len(unknown) - MOST:,} others" if len(unknown) > MOST else ""
        parts.append(
            f"{report.unpriced:,} requests have no known price ({reasons}{more}). Add one with `files.models`."
        )
    if hits.returns:
        parts.append(
            f"Cache hit rate {hits.hits / hits.returns:.0%} ({hits.hits:,} of {hits.returns:,} follow-up requests)."
        )
    parts.extend(
        f"{finding.count:,} {finding.unit} ended without a commit ({_dollars(finding.usd)})."
        for finding in report.overview.observations
    )
    if refined.proposed:
        parts.append(
            f"Suggestions: {refined.proposed:,}, of which {refined.accepted:,} accepted, {refined.modified:,} edited, "
            f"{refined.rejected:,} rejected."
        )
    if (added := report.additions).shown:
        calibration = ""
        if added.predicted is not None and added.observed is not None:
            calibration = f"; of files {added.observed:.0%} taken, {added.predicted:.0%} predicted"
        parts.append(
            f"Additions: {added.shown:,}, of which {added.accepted:,} accepted, {added.modified:,} edited, "
            f"{added.rejected:,} rejected{calibration}."
        )
    return " ".join(parts)
