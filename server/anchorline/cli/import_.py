"""`anchorline import`: imports agents' sessions, without keeping text."""

import sys
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cli import progress, reading
from anchorline.cli.group import Group
from anchorline.figures import count
from anchorline.route.target import load as load_targets
from anchorline.sessions import session_files
from anchorline.sessions.agents import AGENTS, Agent
from anchorline.store.database import StoreError
from anchorline.store.session_import import import_sessions

_PATHS = click.Argument(["paths"], nargs=-1, type=click.Path(exists=True, path_type=Path))
_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object.")


class _Agents(Group):
    """Says what to do about the sessions of other agents."""

    unknown = (
        "Only sessions of these can be imported. What other tools send is recorded by the gateway: "
        "`anchorline connect` lists them."
    )


@click.group(name="import", cls=_Agents)
def command() -> None:
    """Read what other tools have recorded: what was sent, when, and what was billed.

    Only hashes, sizes and token counts are kept, never text. What did not change is not read again. Exits
    with 1 when a line could not be read; the rest is imported.

    \b
    Example:
      anchorline import claude-code
    """


def _command(agent: Agent) -> click.Command:
    """Returns the command that imports the sessions of one agent."""
    folders = " and ".join(files.with_tilde(folder) for folder in agent.homes())
    set_by = f" ({agent.variable})" if agent.variable else ""
    return click.Command(
        agent.name,
        params=[_PATHS, _JSON],
        callback=lambda paths, as_json: _run(agent, paths, as_json=as_json),
        short_help=f"Import {agent.title}'s sessions.",
        help=(
            f"Import {agent.title}'s sessions: PATHS, or those under {folders}{set_by}.\n\n\b\nExample:\n"
            f"  anchorline import {agent.name} --json"
        ),
    )


for _agent in AGENTS.values():
    command.add_command(_command(_agent))


def _run(agent: Agent, paths: tuple[Path, ...], *, as_json: bool) -> None:
    settings = reading.settings().config
    if not settings.store.enabled:
        raise click.ClickException("recording is off (store.enabled)")
    sources = paths or agent.homes()
    if not any(source.exists() for source in sources):
        raise reading.Unusable(
            f"No sessions of {agent.title} here: {sources[0]} doesn't exist. Name files or folders that have some, "
            f"or set {agent.variable}."
        )
    paths_to_read = session_files.files(agent.name, sources)
    targets = load_targets(settings.files)
    try:
        with progress.bar("Importing", len(paths_to_read), quiet=as_json) as step:
            summary = import_sessions(agent.name, paths_to_read, settings, targets, step)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    if summary.notice is not None:
        reading.notice(summary.notice)
    for problem in summary.problems:
        position = f"{problem.file}:{problem.line}" if problem.line else problem.file
        click.echo(f"{position}: {problem.message}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        click.echo(
            f"{count(summary.requests)} new requests from {count(summary.files)} files "
            f"({count(summary.unchanged)} had nothing new), "
            f"{summary.bytes / 1e6:.1f} MB in {summary.seconds:.1f} s; {summary.warm} warm prefixes"
        )
    if summary.problems:
        sys.exit(1)
