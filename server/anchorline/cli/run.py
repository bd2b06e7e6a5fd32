"""`anchorline run`: an agent through the gateway, for one run and without a change to its settings."""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click
import msgspec

from anchorline import files
from anchorline.cli import child, reading, running
from anchorline.cli.running import base
from anchorline.config import Config, here
from anchorline.figures import count, share, usd
from anchorline.gateway import addresses, clients, launches
from anchorline.gateway import first_party as asserted
from anchorline.gateway.launches import Launch, Start, UnusableError
from anchorline.limits import wording
from anchorline.limits.model import WindowCost

INTERRUPTED = 130
"""The exit code of a shell's command that Ctrl-C has ended."""


class UnchangedRequests(msgspec.Struct, frozen=True):
    """Requests that went on unchanged, as those on a plan do."""

    what: str


class RunFigures(msgspec.Struct, frozen=True):
    """What the gateway tells of a run: the part of its state (`gateway/metrics.py`) that is shown at the end."""

    mode: str
    requests: dict[str, int]
    tokens: dict[str, int]
    usd: float | None
    saved_usd: float | None
    counts: dict[str, int]
    held: tuple[UnchangedRequests, ...] = ()
    unpriced: dict[str, int] = {}
    spent: tuple[WindowCost, ...] = ()


class RunSummary(msgspec.Struct, frozen=True):
    """What is printed with `--json`. `reason` says why the agent ran without the gateway; empty where it did not.

    `since_restart`: the gateway has ended meanwhile, and the figures are of what came after that.
    """

    agent: str
    exit_code: int
    seconds: float
    figures: RunFigures | None
    reason: str = ""
    since_restart: bool = False


@click.command(
    name="run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="-- AGENT [ARGUMENTS]...")
@click.option("--summary", "wanted", is_flag=True, help="Print the summary also where there is no terminal.")
@click.option("--quiet", is_flag=True, help="Print nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
@click.option(
    "--as",
    "name",
    metavar="AGENT",
    help="Which agent COMMAND starts, where its name does not say so (npx, a script).",
)
@click.option(
    "--first-party", is_flag=True, help="claude: as `anchorline connect claude-code --first-party`."
)
@click.pass_context
def command(
    ctx: click.Context,
    command: tuple[str, ...],
    wanted: bool,
    quiet: bool,
    as_json: bool,
    name: str | None,
    first_party: bool,
) -> None:
    """Run an agent through the gateway. No file is changed, and nothing stays set when it ends.

    It starts the gateway where none runs, and the agent with an environment (codex: with arguments, pi: with an
    extension) that points it there. AGENT is claude, codex, opencode, pi, gemini, qwen, aider, llm or mini, or any
    other program that reads ANTHROPIC_BASE_URL or OPENAI_BASE_URL. Terminal, signals and exit code are the agent's.
    At the end a line on standard error says what the run cost, and what the cache saved of it.

    Where you have set another address (a relay), the gateway passes its requests on to that. Where the gateway can't
    be used, the agent runs without it, and you are told why.

    \b
    Examples:
      anchorline run -- claude
      anchorline run -- codex exec "Fix the failing test"
      anchorline run --json -- claude -p "Fix it" 2>figures.json
      anchorline run --as claude -- npx @anthropic-ai/claude-code
    """
    if not command:
        raise click.UsageError("name the AGENT to run, as in: anchorline run -- claude")
    config = reading.settings(project=False).config
    if first_party and (refusal := asserted.refusal(config)):
        raise click.ClickException(f"--first-party: {refusal}")
    program = name or _program(command[0])
    started_at = time.monotonic()
    try:
        ended = _run(program, command, config, quiet=quiet, first_party=first_party)
    except child.NotStartedError as error:
        reading.notice(str(error))
        ctx.exit(error.code)
    except KeyboardInterrupt:  # before the agent was there
        ctx.exit(INTERRUPTED)
    if as_json:
        summary = msgspec.structs.replace(ended, seconds=round(time.monotonic() - started_at, 3))
        click.echo(msgspec.json.encode(summary).decode(), err=True)
    elif not ended.reason and not quiet and (wanted or sys.stderr.isatty()):
        reading.notice(_summary(ended))
    ctx.exit(ended.exit_code)


def _program(path: str) -> str:
    """Returns the name of a program without its folder, and without what Windows' names end in."""
    return re.sub(r"\.(?:exe|cmd|bat|ps1)\Z", "", re.split(r"[\\/]", path)[-1], flags=re.IGNORECASE)


def _run(
    program: str, command: Sequence[str], config: Config, *, quiet: bool, first_party: bool
) -> RunSummary:
    """Runs the agent; returns how that ended, without the time."""
    run = addresses.run_id()
    try:
        gateway = base()
        root = addresses.of_run(gateway, run)
        client = clients.of_program(program, root, first_party=first_party)
        prepared = launches.launch(Start(client, root, os.environ, here() or Path.home(), command[1:]))
        with running.held(config, run) as holder:
            with _arguments(prepared) as arguments:
                environment = {**os.environ, **prepared.variables}
                code = child.run([command[0], *arguments, *command[1:]], environment)
            figures = _figures(f"{gateway}/status/{run}")
            return RunSummary(program, code, 0.0, figures, since_restart=holder.is_another)
    except (UnusableError, reading.Unusable, running.UnheldError) as error:
        reason = str(error)
    if not quiet:
        reading.notice(f"{program} runs without the gateway: {reason}")
    return RunSummary(program, child.run(command, os.environ), 0.0, None, reason)


@contextmanager
def _arguments(prepared: Launch) -> Iterator[tuple[str, ...]]:
    """Holds the arguments before the user's; a file among them is there for as long."""
    if not prepared.private:
        yield prepared.arguments
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="anchorline-run-"))
            file = Path(folder) / "settings.json"
            files.write(file, prepared.private)
        except OSError as error:
            raise UnusableError(f"{error.filename}: {error.strerror or error}") from error
        yield (*prepared.arguments, str(file))


def _figures(url: str) -> RunFigures | None:
    """Returns what the gateway tells of the run; None where it tells nothing any more."""
    try:
        return msgspec.json.decode(running.fetch(url), type=RunFigures)
    except (reading.Unusable, msgspec.MsgspecError):
        return None


def _summary(ended: RunSummary) -> str:
    if ended.figures is None:
        return "the gateway has ended, so what the run cost is not known"
    since = " · since the gateway was started again" if ended.since_restart else ""
    return line(ended.figures) + since


def line(figures: RunFigures) -> str:
    """Returns the summary on one line."""
    requests = sum(figures.requests.values())
    if not requests:
        return "no request went through the gateway"
    tokens = figures.tokens
    sent = sum(tokens.get(kind, 0) for kind in ("input", "read", "write"))
    parts = [f"{count(requests)} request{'s' * (requests != 1)}"]
    if sent:
        read = tokens.get("read", 0) / sent
        parts.append(f"{count(sent)} tokens in, {share(read)} cached")
        parts.append(f"{count(tokens.get('output', 0))} out")
    if figures.usd is not None:
        listed = " at list prices" if figures.held else ""
        parts += [f"{usd(figures.usd)}{listed}", _saved(figures.saved_usd or 0.0)]
    if taken := wording.costs(figures.spent):
        parts.append(taken)
    parts += [f"{count(number)} not in it: {what}" for what, number in figures.unpriced.items()]
    if changed := figures.counts.get("changed", 0):
        parts.append(f"{count(changed)} changed ({figures.mode})")
    parts += [f"{entry.what} unchanged" for entry in figures.held]
    return " · ".join(parts)


def _saved(amount: float) -> str:
    if amount < 0:
        return f"{usd(-amount)} more than without a cache"
    return f"{usd(amount)} saved by the cache"
