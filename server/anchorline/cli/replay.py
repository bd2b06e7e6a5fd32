"""`anchorline replay`: what each caching policy would have cost on one's own history."""

import time
from datetime import datetime
from pathlib import Path

import click
import msgspec

from anchorline import ages, files
from anchorline.cli import progress, reading, tables
from anchorline.replay import history
from anchorline.replay.comparison import Comparison, compare
from anchorline.replay.policies import POLICIES
from anchorline.report import replay as written
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate


class Since(click.ParamType[float]):
    """A time: an age (``12h``, ``30d``, ``2w``) or a date."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Returns epoch seconds."""
        try:
            return ages.since(str(value), time.time())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _policies(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for value in values for name in value.split(",")))
    for name in names:
        if name not in POLICIES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(POLICIES)}")
    return names or tuple(POLICIES)


_EPILOG = "\b\nPolicies:\n" + "\n".join(f"  {name}: {policy.does}" for name, policy in POLICIES.items())


@click.command(name="replay", epilog=_EPILOG)
@click.option("--policy", "names", multiple=True, callback=_policies, help="Only these; several with commas.")
@click.option(
    "--since", type=Since(), help="Only requests since then: an age (12h, 30d, 2w) or a date (2026-11-23)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with charts.")
def command(names: tuple[str, ...], since: float | None, as_json: bool, html: Path | None) -> None:
    """Show what your recorded requests would have cost under other caching policies.

    All requests that `anchorline import` has read run through a simulation of the provider's cache, once for each
    policy. Only providers whose anchors a client sets are replayed. Exits with 2 when the database can't be read.

    \b
    Examples:
      anchorline replay --since 30d
      anchorline replay --policy zed,anchorline --json
      anchorline replay --html replay.html
    """
    comparison = _compare(names, since, quiet=as_json)
    if html is not None:
        try:
            files.write(html, written.page(comparison))
        except OSError as error:
            raise reading.Unusable(f"{html}: {error.strerror or error}") from error
    if as_json:
        click.echo(msgspec.json.encode(comparison).decode())
    elif not comparison.requests:
        _nothing(comparison, since)
    else:
        _show(comparison)
        if html is not None:
            click.echo(f"Charts: {html}")


def _compare(names: tuple[str, ...], since: float | None, *, quiet: bool) -> Comparison:
    settings = reading.settings().config
    targets = load_targets(settings.files)
    try:
        path = locate(settings.store.path)
        recorded = history.load(path, targets, since or 0.0)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    with progress.bar("Replaying", len(names), quiet=quiet) as step:
        every = since is None and len(names) == len(POLICIES)
        return compare(recorded, names, targets, done=lambda _: step(), path=path if every else None)


def _nothing(comparison: Comparison, since: float | None) -> None:
    left = comparison.left_out
    if left.automatic or left.unpriced:
        click.echo(_left_out(comparison))
    elif since is not None:
        click.echo(nothing_since(since))
    else:
        click.echo(f"Nothing to replay. {reading.NOTHING_RECORDED}")


def nothing_since(since: float) -> str:
    """Returns that there is nothing from then on: which is not that there is nothing at all."""
    day = f"{datetime.fromtimestamp(since).astimezone():%Y-%m-%d %H:%M %Z}"
    return f"Nothing is recorded since {day} (--since); without it, everything that is recorded counts."


def _show(comparison: Comparison) -> None:
    console = tables.console()
    columns = ("policy", "input cost", "saves", "95 % interval", "vs. no cache", "what it does")
    rows = []
    for line in comparison.policies:
        saved, interval = written.saves(line)
        rows.append((line.policy, f"${line.usd:,.2f}", saved, interval, f"{line.relative:.1%}", line.does))
    table = tables.fitted(
        columns, rows, width=console.width, optional=columns[3:], numbers=(*columns[1:3], "vs. no cache")
    )
    console.print(table)
    if len(table.columns) < len(columns):
        click.echo("`anchorline replay --help` says what each policy does; a wider terminal shows it here.")
    click.echo()
    click.echo(written.summary(comparison))
    for further in filter(None, (written.warning(comparison), _left_out(comparison))):
        click.echo(further)


def _left_out(comparison: Comparison) -> str:
    left = comparison.left_out
    parts = []
    if left.automatic:
        parts.append(
            f"{left.automatic:,} requests to providers that cache by themselves: there is nothing to choose"
        )
    if left.unpriced:
        parts.append(
            f"{left.unpriced:,} requests to models without a known price (`files.models` can name one)"
        )
    return "Left out: " + "; ".join(parts) if parts else ""
