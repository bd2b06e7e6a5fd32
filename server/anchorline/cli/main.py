"""The `anchorline` command: a group that imports a subcommand only when it is called."""

import errno
import importlib
import os
import sys
import warnings
from typing import NamedTuple

import click

from anchorline import __version__
from anchorline.cli.terminal import guard

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Findings": {
        "fix": ("fix.command", "Make a fix that `anchorline` has shown, in your agent's settings."),
        "undo": ("fix.undo", "Take a fix back."),
    },
    "Prompts": {
        "plan": ("plan.command", "Plan a prompt: refinement, trims, cache anchors, route and cost."),
        "refine": ("refine.command", "Suggest a clearer prompt, and the files and symbols that it is about."),
        "ground": ("ground.command", "List the files, symbols and tests that a prompt is about."),
        "lint": ("lint.command", "Check prompts against the rules."),
        "rules": ("rules.command", "List the rules, or explain one."),
        "outcome": ("outcome.command", "Record what became of a plan."),
    },
    "Editors and agents": {
        "run": ("run.command", "Run an agent through the gateway, without a change to its settings."),
        "lsp": ("lsp.command", "Run the language server over standard input and output."),
        "gateway": ("gateway.command", "Pass requests on to the provider, and record what they cost."),
        "mcp": ("mcp.command", "Answer agents that ask what a prompt costs (Model Context Protocol)."),
        "connect": ("connect.command", "Point an editor or agent at the gateway."),
        "disconnect": ("connect.disconnect", "Point an editor or agent back at its provider."),
        "top": ("top.command", "Watch what goes through the gateway."),
        "cache": ("cache.command", "Show and empty the gateway's response cache."),
        "hook": ("hook.command", "Answer an event of an agent's (agents start this)."),
        "statusline": ("hook.status_line", "Print Claude Code's status line (Claude Code starts this)."),
    },
    "Cost and history": {
        "import": ("import_.command", "Import past sessions of coding agents."),
        "report": ("report.command", "Show cost, cache hits and model choices; optionally as an HTML page."),
        "limits": (
            "limits.command",
            "Show your plan's limits: used, when full, and what tokens cost of them.",
        ),
        "warm": ("warm.command", "List the prefixes that providers hold now."),
        "replay": ("replay.command", "Show what other caching policies would have cost on your history."),
        "otel": ("otel.command", "Export what was billed to an OpenTelemetry collector."),
        "store": ("store.command", "Show, export and purge what is recorded."),
    },
    "Learning": {
        "dataset": ("dataset.command", "Build, export and describe the training data."),
        "train": ("train.command", "Train the network on what is recorded."),
        "evaluate": ("evaluate.command", "Measure the network and its baselines on held-out sessions."),
        "experiment": ("experiment.command", "Try a trained network against what decides now."),
        "promote": ("experiment.promote", "Let a trained network decide."),
        "rollback": ("experiment.rollback", "Undo the last promotion."),
        "history": ("experiment.history", "List which policy decided when, and why."),
    },
    "Set-up": {
        "config": ("config.command", "Show and check the settings."),
        "model": ("model.command", "List, fetch, choose and remove local language models."),
        "doctor": ("doctor.command", "Check the installation, and say what would make it better."),
    },
}
"""The commands by what they are for: the module and name of each, and a line of help."""
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


class Extra(NamedTuple):
    """An extra of the package, and what it installs."""

    name: str
    packages: tuple[str, ...]


_MCP = Extra("mcp", ("mcp",))
_OTEL = Extra("otel", ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"))
EXTRAS = {
    "anyio": _MCP,
    "mcp": _MCP,
    "mcp_types": _MCP,
    "google": _OTEL,
    "opentelemetry": _OTEL,
    "pyarrow": Extra("dataset", ("pyarrow",)),
    "requests": _OTEL,
}
"""Packages that only some commands import, with the extra that installs each."""

_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Lazy(click.Group):
    """Knows its commands by name; imports one on use. Most of the start-up time would be imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(".")
        try:
            command: click.Command = getattr(importlib.import_module(f"anchorline.cli.{module}"), name)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            extra, packages = EXTRAS[package]
            raise click.ClickException(
                f"`anchorline {cmd_name}` needs {' and '.join(packages)}, which the extra `{extra}` installs: "
                f"pip install 'anchorline[{extra}]' (pipx inject anchorline {' '.join(packages)}; "
                f"uv tool install{''.join(f' --with {package}' for package in packages)} …)"
            ) from error
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # noqa: PLC0415  (5 ms that only a misspelling is worth)

            if similar := difflib.get_close_matches(args[0], COMMANDS, n=1):
                raise click.UsageError(f"{error.message} Did you mean {similar[0]!r}?", ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except OSError as error:
            if not _is_cut_off(error):
                raise
            _discard_output()
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        width = max(map(len, COMMANDS))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in commands.items()])


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 done but something was found or refused, 2 wrong usage or unreadable input.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the screen.")
@click.option("--sample", is_flag=True, help="Show a sample history instead of yours.")
@click.version_option(__version__, prog_name="anchorline")
@click.pass_context
def cli(ctx: click.Context, as_json: bool, sample: bool) -> None:
    """Show what your coding agents cost, on what, and what to do about it.

    Without a command it reads the agents' sessions that are new, and prints what they cost, the
    findings ranked by cost, and for each one what would have saved money. Nothing leaves this machine, and no text of
    prompts is kept.

    \b
    Examples:
      anchorline
      anchorline fix 1 --dry-run
      anchorline plan fix.prompt.md
    """
    if ctx.invoked_subcommand is None:
        importlib.import_module("anchorline.cli.overview").show(as_json=as_json, sample=sample)
    elif as_json or sample:
        raise click.UsageError("--json and --sample before a command are for `anchorline` without one")


def main() -> None:
    """Runs the command line; output that is cut off (`| head`) is no error, output that can't be written is one.

    What libraries warn their developers of is not shown, unless Python is told to (`-W`, PYTHONWARNINGS).
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    guard()
    try:
        cli()
    except OSError as error:
        if error.errno not in _UNWRITTEN or error.filename is not None:
            raise
        _discard_output()
        click.echo(f"Error: standard output: {error.strerror}", err=True)
        sys.exit(2)


def _is_cut_off(error: OSError) -> bool:
    """Returns whether the reader of the output has seen enough (`| head`); Windows calls that an invalid argument."""
    return isinstance(error, BrokenPipeError) or (
        sys.platform == "win32" and error.errno == errno.EINVAL and error.filename is None
    )


def _discard_output() -> None:
    """Sends what is left of the output nowhere, so that it is not tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
