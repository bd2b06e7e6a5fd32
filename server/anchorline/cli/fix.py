"""`anchorline fix` and `undo`: make a fix that `anchorline` has offered, and take it back."""

import time
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cli import offers, reading, terminal
from anchorline.client_settings import fixes
from anchorline.client_settings.document import UnwritableError
from anchorline.client_settings.edits import edited_files
from anchorline.client_settings.fixes import AppliedFix, UndoError

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.command(name="fix")
@click.argument("number", metavar="N", type=click.IntRange(1))
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@_JSON
def command(number: int, dry_run: bool, as_json: bool) -> None:
    """Make fix N of those that `anchorline` has shown last, in the settings of your agent.

    Every other setting and comment stays. A copy of the file is kept; `anchorline undo` takes the fix back.

    \b
    Examples:
      anchorline fix 1 --dry-run
      anchorline fix 1
    """
    offer = _offered(number)
    try:
        made = edited_files(offer.edits())
        applied = None if dry_run or not made else fixes.apply(offer.fix.title, made, files.data_folder())
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    if as_json:
        shown = {"applied": applied, "diff": "\n".join(change.diff() for change in made)}
        click.echo(msgspec.json.encode(shown).decode())
        return
    click.echo(offer.fix.title)
    if not made:
        click.echo("Nothing to change: your settings say so already.")
        return
    for change in made:
        terminal.show_diff(change.diff())
    if applied is None:
        click.echo(f"Nothing was changed. Without --dry-run, `anchorline fix {number}` does it.")
    else:
        click.echo(f"Done. `anchorline undo {applied.number}` takes it back.")


def _offered(number: int) -> offers.FixOffer:
    try:
        shown = offers.shown(files.data_folder())
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    if not shown:
        raise click.ClickException("No fix is on offer. Run `anchorline`: it looks for what can be saved.")
    for offer in shown:
        if offer.number == number:
            return offer
    raise click.ClickException(f"There is no fix {number}: `anchorline` has shown 1 to {len(shown)}.")


@click.command(name="undo")
@click.argument("number", metavar="[N]", required=False, type=click.IntRange(1))
@click.option("--list", "as_list", is_flag=True, help="List the fixes that were made.")
@_JSON
def undo(number: int | None, as_list: bool, as_json: bool) -> None:
    """Take fix N back, by default the newest one. N is the number that `anchorline undo --list` shows.

    A file that only fixes have changed is byte for byte what it was. Of one that you have edited since, only what
    the fix had set is taken back; exits with 1 where that was changed too.

    \b
    Examples:
      anchorline undo
      anchorline undo --list
    """
    data = files.data_folder()
    try:
        if as_list:
            _list(fixes.history(data), as_json=as_json)
            return
        undone = fixes.undo(number, data)
    except (UndoError, UnwritableError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    if as_json:
        click.echo(msgspec.json.encode(undone).decode())
        return
    click.echo(f"Fix {undone.number} is undone: {undone.title}")
    for entry in undone.files:
        click.echo(
            f"  {entry.file}{'' if Path(entry.file).exists() else ' (removed: it was not there before)'}"
        )


def _list(applied: list[AppliedFix], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(applied).decode())
        return
    if not applied:
        click.echo("No fixes were made yet. Run `anchorline`: it looks for what can be saved.")
    for fix in applied:
        state = "in force" if fix.undone is None else f"undone {_day(fix.undone)}"
        click.echo(f"{fix.number:>3}  {_day(fix.at)}  {fix.title} ({state})")
        for entry in fix.files:
            click.echo(f"     {entry.file}")


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
