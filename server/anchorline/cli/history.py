"""`anchorline history`: which policy decided when, and why."""

from datetime import UTC, datetime

import click
import msgspec

from anchorline.cli import reading, tables
from anchorline.cli.steps import AS_JSON, refusing, standing_now


@click.command(name="history")
@AS_JSON
def command(as_json: bool) -> None:
    """List every step from one policy to another: when, what, by whom and why. The newest is last.

    \b
    Example:
      anchorline history --json
    """
    from anchorline.store import database, experiments  # noqa: PLC0415  (the group's --help stays fast)

    path = database.locate(reading.settings().config.store.path)
    with refusing():
        events = []
        if path.exists():
            with database.reading(path) as connection:
                events = experiments.events(connection)
        standing = standing_now()
    if as_json:
        shown = {"decides": standing.champion, "events": msgspec.to_builtins(events)}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    if events:
        table = tables.table("time", "step", "version", "instead of", "by", "why")
        for event in events:
            when = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            table.add_row(when, event.event, event.version, event.instead_of, event.by, event.reason)
        tables.console().print(table)
    trial = standing.trial
    on_trial = f"; {trial.challenger} is on trial ({trial.stage})" if trial is not None else ""
    click.echo(f"{standing.champion} decides{on_trial}.")
