"""`anchorline ground`: the files, symbols and tests of a workspace that a prompt is about, for scripts and hooks."""

from pathlib import Path

import click
import msgspec

from anchorline.cli import grounding, reading
from anchorline.index.folder import UnindexableError
from anchorline.plan import Addition


@click.command(name="ground")
@click.argument("file")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The workspace (default: the current folder).",
)
@click.option(
    "--session",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Session file of your agent: what it has edited last counts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(
    context: click.Context, file: str, root: Path | None, session: Path | None, as_json: bool
) -> None:
    """List the files, symbols and tests of the workspace that the prompt in FILE (``-``: standard input) is about.

    Each has the probability that it is among what will be edited, and a reason. The first run indexes the folder, later
    ones read what has changed; nothing leaves this machine. Exits with 0 where something was found, with 1 where
    nothing is likely enough, with 2 where FILE or folder can't be used.

    \b
    Examples:
      anchorline ground fix-timeout.prompt.md
      echo "the timeout is ignored" | anchorline ground - --json | jq -r '.facts[].text'
    """
    config = reading.settings().config
    draft = reading.draft(file, config)
    if not config.ground.enabled:
        raise reading.Unusable("grounding is off (ground.enabled)")
    folder = grounding.workspace(root)
    own = () if file == "-" else (Path(file),)
    try:
        facts = grounding.ground(draft, folder, config, session=session, without=own, quiet=as_json)
    except UnindexableError as error:
        raise reading.Unusable(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{folder}: {error.strerror or error}") from error
    if as_json:
        found = {"root": str(folder), "facts": facts}
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif facts:
        show(facts)
    else:
        click.echo("Nothing in the workspace is likely enough.", err=True)
    context.exit(0 if facts else 1)


def show(facts: tuple[Addition, ...]) -> None:
    """Prints facts, each with its id, its probability and its reason."""
    for fact in facts:
        click.echo(f"  {fact.id}  {fact.text}  ({fact.probability:.0%})")
        click.echo(f"      {fact.reason}")
