"""`anchorline import`: imports sessions of Claude Code and Codex, without keeping text."""

import gc
import sys
import time
from itertools import islice
from pathlib import Path

import click
import msgspec

from anchorline.cli import progress, reading
from anchorline.cli.group import Group
from anchorline.config import Config
from anchorline.instructions.in_sessions import files_of_session
from anchorline.prompt.model import PromptError
from anchorline.route.target import load as load_targets
from anchorline.sessions import importing
from anchorline.sessions.importing import LineProblem
from anchorline.sessions.request import Agent, Newest, warm
from anchorline.store import imports
from anchorline.store.database import StoreError, locate

_PATHS = click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


class ImportSummary(msgspec.Struct):
    """What an import did. `requests` counts those that are new; sizes in bytes, time in seconds."""

    agent: str
    files: int = 0
    unchanged: int = 0
    bytes: int = 0
    requests: int = 0
    warm: int = 0
    seconds: float = 0.0
    problems: list[LineProblem] = []


@click.group(name="import", cls=Group)
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
    sources = paths or importing.homes(agent)
    if not any(source.exists() for source in sources):
        raise reading.Unusable(f"{sources[0]}: there is no such folder. Name the sessions' files or folders")
    started = time.perf_counter()
    gc.disable()  # hundreds of thousands of small objects, none in a cycle: looking for some takes long
    try:
        summary = _import(agent, importing.files(sources), settings, quiet=as_json)
    except StoreError as error:
        raise reading.Unusable(str(error)) from error
    finally:
        gc.enable()
    summary.seconds = round(time.perf_counter() - started, 3)
    for problem in summary.problems:
        position = f"{problem.file}:{problem.line}" if problem.line else problem.file
        click.echo(f"{position}: {problem.message}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(summary).decode())
    else:
        click.echo(
            f"{summary.requests} new requests from {summary.files} files ({summary.unchanged} had nothing new), "
            f"{summary.bytes / 1e6:.1f} MB in {summary.seconds:.1f} s; {summary.warm} warm prefixes"
        )
    if summary.problems:
        sys.exit(1)


def _import(agent: Agent, files: list[Path], settings: Config, *, quiet: bool) -> ImportSummary:
    targets = load_targets(settings.files)
    summary = ImportSummary(agent, problems=[])
    with (
        imports.opened(locate(settings.store.path)) as store,
        progress.bar("Importing", len(files), quiet=quiet) as step,
    ):
        if store.notice is not None:
            reading.notice(store.notice)
        waiting: list[imports.ImportedFile] = []
        for path in files:
            summary.files += 1
            now = time.time()
            try:
                piece = importing.read(
                    path, agent, store.position(path, agent), now, features=settings.store.features
                )
                if piece is None:
                    summary.unchanged += 1
                    continue
                newest = Newest()
                requests = newest.passing(piece.requests)
                last = list(islice(requests, imports.PART))
                added = None
                if len(last) == imports.PART:
                    summary.requests += store.put(waiting)  # before: whoever has a request first keeps it
                    waiting.clear()
                    last, added = store.put_parts(path, agent, last, requests, anew=piece.anew)
            except (OSError, PromptError) as error:
                summary.problems.append(
                    LineProblem(str(path), 0, getattr(error, "strerror", None) or str(error))
                )
                continue
            finally:
                step()
            held = warm(newest.requests(), targets, settings.cache.account, now)
            files_seen = files_of_session(path, agent, newest.requests(), held, store.key) if held else None
            waiting.append(imports.ImportedFile(path, agent, last, piece, held, files_seen, added))
            if sum(1 + len(file.requests) for file in waiting) >= imports.BATCH:
                summary.requests += store.put(waiting)
                waiting.clear()
            summary.bytes += piece.bytes
            summary.warm += len(held)
            summary.problems.extend(piece.problems)
        summary.requests += store.put(waiting)
    return summary
