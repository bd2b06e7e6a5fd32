"""`anchorline hook` and `anchorline statusline`: what agents start for their hooks, and for their status line."""

import click

from anchorline import files
from anchorline.hooks import client

SOURCES = ("claude-code", "codex", "gemini-cli", "qwen-code")


@click.command(name="hook")
@click.argument("agent", type=click.Choice(SOURCES))
@click.argument("event", required=False)
def command(agent: str, event: str | None) -> None:
    """Answer an event of AGENT's.

    Agents start this themselves, with the event as JSON on standard input or as EVENT. Whatever breaks, the agent
    goes on: the exit code is 0, and the reason stands in hooks.log in the data folder.

    \b
    Example:
      echo '{"hook_event_name": "Stop"}' | anchorline hook claude-code
    """
    client.main([str(files.data_folder()), agent, *([event] if event is not None else [])])


@click.command(name="statusline")
def status_line() -> None:
    """Print Claude Code's status line.

    Claude Code starts this itself, with the session as JSON on standard input.

    \b
    Example:
      echo '{"model": {"display_name": "Sonnet 5"}}' | anchorline statusline
    """
    client.main([str(files.data_folder()), client.STATUS_LINE])
