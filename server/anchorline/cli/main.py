"""The `anchorline` command: a group that imports a subcommand only when it is called."""

import errno
import importlib
import os
import sys
import warnings

import click

from anchorline import __version__
from anchorline.cli.terminal import guard

COMMANDS: dict[str, tuple[str, str]] = {
    "plan": ("plan", "Plan a prompt: refinement, trims, cache anchors, route and cost."),
    "lint": ("lint", "Check prompts against the rules."),
    "lsp": ("lsp", "Run the language server over standard input and output."),
    "gateway": ("gateway", "Pass requests on to the provider, and record what they cost."),
    "top": ("top", "Watch what goes through the gateway."),
    "cache": ("cache", "Show and empty the gateway's response cache."),
    "connect": ("connect", "Point an editor or agent at the gateway."),
    "disconnect": ("disconnect", "Point an editor or agent back at its provider."),
    "import": ("import_", "Read what Claude Code and Codex have recorded."),
    "warm": ("warm", "List what the providers hold now."),
    "replay": ("replay", "Say what other caching policies would have cost on your history."),
    "report": ("report", "Say what came of it: cost, hits, routes, decisions; as a page too."),
    "dataset": ("dataset", "Build, export and describe what there is to learn from."),
    "train": ("train", "Train the network on what is recorded."),
    "evaluate": ("evaluate", "Measure the network beside its baselines on held-out sessions."),
    "outcome": ("outcome", "Record what became of a plan."),
    "experiment": ("experiment", "Try a trained network against what decides now."),
    "promote": ("promote", "Have a trained network decide."),
    "rollback": ("rollback", "Have what decided before decide again."),
    "history": ("history", "List which policy decided when, and why."),
    "store": ("store", "See, export and purge what is recorded."),
    "config": ("config", "Show and check the settings."),
    "model": ("model", "List, fetch, choose and remove local language models."),
    "rules": ("rules", "List the rules, or explain one."),
    "doctor": ("doctor", "Check the installation and say what would make it better."),
}


_UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Lazy(click.Group):
    """Knows its commands by name; imports one on use. Most of the start-up time would be imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"anchorline.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 done but something was found or refused, 2 wrong usage or unreadable input.",
)
@click.version_option(__version__, prog_name="anchorline")
def cli() -> None:
    """Plan a prompt before it is sent.

    \b
    Example:
      anchorline plan fix.prompt.md
    """


def main() -> None:
    """Run the command line; output that is cut off (`| head`) is no error, output that can't be written is one.

    What libraries warn their developers of is not shown, unless Python is told to (`-W`, PYTHONWARNINGS).
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    guard()
    try:
        cli()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _UNWRITTEN or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not tried again
        click.echo(f"Error: standard output: {error.strerror}", err=True)
        sys.exit(2)
