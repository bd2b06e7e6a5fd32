"""`anchorline cache`: what the gateway's response cache holds, and how to empty it."""

import time
from datetime import UTC, datetime

import click
import msgspec

from anchorline.cli import reading
from anchorline.cli.group import Group
from anchorline.config import user_file
from anchorline.store import answers
from anchorline.store.database import StoreError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(name="cache", cls=Group)
def command() -> None:
    """Show and empty the gateway's response cache: whole answers, given again to equal requests.

    It keeps nothing unless you turn it on: answers.reuse = "exact" or "near" in your settings.

    \b
    Example:
      anchorline cache status
    """


@command.command()
@AS_JSON
def status(as_json: bool) -> None:
    """Show how many answers are kept, how large they are, and how often they were given again.

    Exits with 2 when the file can't be read.

    \b
    Examples:
      anchorline cache status
      anchorline cache status --json | jq .uses
    """
    config = reading.settings(project=False).config
    try:
        cached = answers.status(answers.locate(config.store.path))
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        settings = msgspec.to_builtins(config.answers)
        shown = {"settings": settings, "reuse": config.answers.reuse, **msgspec.to_builtins(cached)}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)).decode())
        return
    if config.answers.reuse == "off" and not cached.entries:
        click.echo(
            'The response cache is off, and empty. answers.reuse = "exact" (or "near") in '
            f"{user_file()} turns it on; `anchorline gateway` then keeps answers."
        )
        return
    click.echo(f"file     {cached.path}" + ("" if cached.exists else " (nothing is kept yet)"))
    click.echo(f"reuse    answers.reuse = {config.answers.reuse}, for {config.answers.hours:g} hours")
    click.echo(f"answers  {cached.entries:,} of at most {config.answers.entries:,}")
    click.echo(f"size     {cached.size:,} bytes of at most {config.answers.megabytes << 20:,}")
    click.echo(f"given    {cached.uses:,} times again")
    if cached.oldest is not None and cached.newest is not None:
        click.echo(f"time     {_moment(cached.oldest)} to {_moment(cached.newest)}")


@command.command()
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="HOURS", help="Only what is older than this."
)
@AS_JSON
def clear(older_than: float | None, as_json: bool) -> None:
    """Remove the answers that are kept, from every byte of the file. A running gateway goes on.

    Exits with 1 when there is nothing to remove, with 2 when the file can't be written.

    \b
    Examples:
      anchorline cache clear
      anchorline cache clear --older-than 2
    """
    path = answers.locate(reading.settings(project=False).config.store.path)
    before = None if older_than is None else time.time() - older_than * 3600
    try:
        count = answers.purge(path, before)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode({"path": str(path), "answers": count}).decode())
    else:
        click.echo(f"Removed {count:,} answers from {path}.")
    if not count:
        click.get_current_context().exit(1)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
