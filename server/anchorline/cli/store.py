"""`anchorline store`: what is recorded, where, and how to see, switch off, purge and export it."""

import sys
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from anchorline import config
from anchorline.cli import reading, setting, tables
from anchorline.cli.group import Group
from anchorline.cli.terminal import steered
from anchorline.store import answers, database, export, purging
from anchorline.store.database import TABLES, StoreError
from anchorline.store.reader import Reader, StoreStatus

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(name="store", cls=Group)
def command() -> None:
    """See, switch off, purge and export what is recorded on this machine.

    \b
    Example:
      anchorline store status
    """


@command.command()
def path() -> None:
    """Print the path of the database.

    \b
    Example:
      sqlite3 "$(anchorline store path)" .tables
    """
    click.echo(str(_path()))


@command.command()
@AS_JSON
def status(as_json: bool) -> None:
    """Show how much is recorded, and what prompt text is kept.

    Exits with 2 when the database can't be read.

    \b
    Example:
      anchorline store status --json
    """
    chosen = settings()
    state = Reader(database.locate(chosen.path)).status()
    if as_json:
        shown = {"enabled": chosen.enabled, "text": chosen.text, **msgspec.to_builtins(state)}
        _print_json(shown)
    else:
        _print_status(chosen, state)
    if state.problem and state.schema is None:
        raise reading.Unusable(state.problem)


def _print_status(chosen: config.Store, state: StoreStatus) -> None:
    click.echo(f"database   {state.path}" + ("" if state.exists else " (nothing is recorded yet)"))
    click.echo(f"recording  {'on' if chosen.enabled else 'off'}")
    kept = ", ".join(f"{count} {mode}" for mode, count in sorted(state.texts.items())) or "none"
    click.echo(f"text       store.text = {chosen.text}; kept now: {kept}")
    if state.schema is not None:
        click.echo(f"size       {state.size:,} bytes, schema {state.schema}")
        click.echo(f"time       {_moment(state.oldest)} to {_moment(state.newest)}")
        if state.dropped:
            click.echo(f"dropped    {state.dropped} plans or ledger updates found the queue full")

        table = tables.table("table", "rows")
        for name, count in state.counts.items():
            table.add_row(name, str(count))
        tables.console().print(table)
    for file in state.damaged:
        click.echo(f"damaged    {file} (kept as it was; `anchorline store purge --all` removes it)")
    if state.problem and state.schema is not None:
        click.echo(f"problem    {state.problem}")


def _moment(at: float | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


@command.command()
def off() -> None:
    """Stop recording: write `store.enabled = false` into your own settings.

    What is recorded already stays until you purge it. Exits with 1 when the file can't be changed without
    touching anything else in it.

    \b
    Example:
      anchorline store off
    """
    file = config.user_file()
    try:
        if not setting.write(file, "store", "enabled", value=False):
            raise click.ClickException(
                f"{file} was left as it is. Write into its section [store]: enabled = false"
            )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise reading.Unusable(f"{file}: can't be read: {error}") from error
    except OSError as error:
        raise reading.Unusable(f"{file}: {error.strerror or error}") from error
    click.echo(
        f"Recording is off (store.enabled in {file}). `anchorline store purge --all` removes what is kept."
    )


@command.command()
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), help="Remove what is older than this day (UTC).")
@click.option(
    "--older-than", type=click.IntRange(0, 20_000), metavar="DAYS", help="Remove what is older than this."
)
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@AS_JSON
def purge(
    *, before: datetime | None, older_than: int | None, everything: bool, yes: bool, as_json: bool
) -> None:
    """Remove recorded rows from every byte of the database, its log and set-aside damaged files.

    Answers that the gateway keeps (`anchorline cache status`) go with them. Networks that were
    trained on what is removed go as well.

    Exports that you made are yours to delete. Exits with 1 when there is nothing to remove.

    \b
    Example:
      anchorline store purge --older-than 90
    """
    if (before is not None) + (older_than is not None) + everything != 1:
        raise click.UsageError("Say what to remove: --before DATE, --older-than DAYS or --all.")
    limit: float | None = None
    what = "everything that is recorded"
    if before is not None:
        limit = before.replace(tzinfo=UTC).timestamp()
    elif older_than is not None:
        limit = time.time() - older_than * 86_400
    if limit is not None:
        what = f"what was recorded before {_moment(limit)}"
    file = _path()
    if not yes:
        click.confirm(f"Remove {what} from {file}?", abort=True, err=True)
    try:
        purged = purging.purge(file, limit)
        removed = answers.purge(answers.locate(settings().path), limit)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    total = sum(purged.rows.values())
    if as_json:
        _print_json({"path": str(file), **msgspec.to_builtins(purged), "answers": removed})
    else:
        rows = ", ".join(f"{count:,} {table}" for table, count in purged.rows.items() if count)
        click.echo(f"Removed {rows or 'nothing'} from {file}.")
        if removed:
            click.echo(f"Removed {removed} answers from the gateway's response cache.")
        for name in purged.files:
            click.echo(f"Removed {name}.")
        if purged.versions:
            click.echo(f"Removed what was trained on it: {', '.join(purged.versions)}.")
        for name in purged.left:
            click.echo(f"Left {name}: it may hold newer rows. --all removes it.")
    if not total and not purged.files and not purged.versions and not removed:
        click.get_current_context().exit(1)


@command.command(name="export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--table", type=click.Choice(TABLES), help="One table only; FOLDER may then be - for standard output."
)
@click.option("--text", is_flag=True, help="Also the kept prompt texts.")
@AS_JSON
def export_command(*, folder: Path, table: str | None, text: bool, as_json: bool) -> None:
    """Write the tables as JSON lines, one file a table, into FOLDER.

    Without --text there is no prompt text in it: hashes, lengths, kinds and numbers only. Exits with 1 when
    nothing is recorded.

    \b
    Example:
      anchorline store export anchorline-export
      anchorline store export - --table outcomes
    """
    file = _path()
    if table == "texts" and not text:
        raise click.UsageError("The table texts is prompt text: add --text.")
    if not file.exists():
        raise click.ClickException(f"{file}: nothing is recorded yet")
    try:
        if str(folder) == "-":
            if table is None:
                raise click.UsageError("Standard output takes one table: add --table.")
            export.stream(file, table, steered(sys.stdout).buffer)
            return
        counts = export.export(file, folder, (table,) if table else export.tables(text=text))
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        _print_json({"folder": str(folder), "rows": counts})
        return
    for name, count in counts.items():
        click.echo(f"{folder / f'{name}.jsonl'}: {count:,} rows")


def settings() -> config.Store:
    """Returns the store's settings in the folder that the command runs in; problems go to standard error."""
    return reading.settings().config.store


def _path() -> Path:
    return database.locate(settings().path)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())
