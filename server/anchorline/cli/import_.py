"""`anchorline import`: imports sessions of Claude Code and Codex, without keeping text."""

import sys
from pathlib import Path

import click
import msgspec

from anchorline.cli import progress, reading
from anchorline.cli.group import Group
from anchorline.figures import count
from anchorline.route.target import load as load_targets
from anchorline.sessions import session_files
from anchorline.sessions.session_files import Agent
from anchorline.store.database import StoreError
from anchorline.store.session_import import import_sessions

_PATHS = click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
_TITLES: dict[Agent, str] = {"claude-code": "Claude Code", "codex": "Codex"}
_HOMES: dict[Agent, str] = {"claude-code": "CLAUDE_CONFIG_DIR", "codex": "CODEX_HOME"}
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


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


@command.command("claude-code")
@_PATHS
@_JSON
def claude_code(paths: tuple[Path, ...], as_json: bool) -> None:
    """Import Claude Code's sessions: PATHS, or those under ~/.claude/projects (CLAUDE_CONFIG_DIR).

    \b
    Example:
      anchorline import claude-code --json
    """
    _run("claude-code", paths, as_json=as_json)


@command.command("codex")
@_PATHS
@_JSON
def codex(paths: tuple[Path, ...], as_json: bool) -> None:
    """Import Codex's sessions: PATHS, or those in sessions and archived_sessions of ~/.codex (CODEX_HOME).

    \b
    Example:
      anchorline import codex ~/backup/sessions
    """
    _run("codex", paths, as_json=as_json)


def _run(agent: Agent, paths: tuple[Path, ...], *, as_json: bool) -> None:
    settings = reading.settings().config
    if not settings.store.enabled:
        raise click.ClickException("recording is off (store.enabled)")
    sources = paths or session_files.homes(agent)
    if not any(source.exists() for source in sources):
        raise reading.Unusable(
            f"No sessions of {_TITLES[agent]} here: {sources[0]} doesn't exist. Name files or folders that have some, "
            f"or set {_HOMES[agent]}."
        )
    paths_to_read = session_files.files(sources)
    targets = load_targets(settings.files)
    try:
        with progress.bar("Importing", len(paths_to_read), quiet=as_json) as step:
            summary = import_sessions(agent, paths_to_read, settings, targets, step)
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
