"""The input of commands: a prompt from a path or standard input, the settings, and how a bad one is named."""

import sys
from pathlib import Path

import click

from anchorline.config import Config, Loaded, here, load
from anchorline.prompt.model import Format, Prompt, PromptError

NAMED = 10
"""Damaged lines of a session file that are named; of the others only the number is said."""


NOTHING_RECORDED = (
    "No requests recorded yet. Import past sessions (`anchorline import claude-code`, or another agent's) or record "
    "new ones (`anchorline gateway`)."
)


class Unusable(click.ClickException):
    """A file, setting, port or model that can't be used. The message names it and says what to do."""

    exit_code = 2


def prompt(path: str, file_format: Format | None, model: str | None = None) -> Prompt:
    """Reads a prompt from a file, or from standard input for ``-``. A document that names no model goes to `model`."""
    from anchorline.prompt import formats  # noqa: PLC0415  (40 ms, which commands without a prompt do without)

    try:
        if path == "-":
            return formats.read(sys.stdin.buffer.read(), format=file_format, model=model)
        contents = formats.read_file(Path(path), format=file_format, model=model)
    except PromptError as error:
        raise Unusable(f"{path}: {position(error)}{error}") from error
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from error
    for line in contents.left_out[:NAMED]:
        click.echo(f"{path}: {line}; the line is left out", err=True)
    if len(contents.left_out) > NAMED:
        click.echo(f"{path}: {len(contents.left_out) - NAMED} more lines are left out", err=True)
    return contents


def draft(path: str, config: Config) -> str:
    """Reads the newest instruction of a prompt. Raises ClickException where there is none."""
    contents = prompt(path, None, config.route.model)
    if contents.draft is None or not contents.draft.text.strip():
        raise click.ClickException(f"{path}: there is no prompt in it")
    return contents.draft.text


def position(error: PromptError) -> str:
    """Returns "line 3, byte 120: " as far as it is known."""
    parts = []
    if error.line is not None:
        parts.append(f"line {error.line}")
    if error.offset is not None:
        parts.append(f"byte {error.offset}")
    return f"{', '.join(parts)}: " if parts else ""


def settings(*, project: bool = True) -> Loaded:
    """Loads the user's settings, and those of the folder the command runs in; problems go to standard error, once."""
    loaded = load(here() if project else None)
    context = click.get_current_context(silent=True)
    reported = (
        context.find_root().meta.setdefault(f"{__name__}.reported", set()) if context is not None else set()
    )
    for problem in loaded.problems:
        if problem not in reported:
            reported.add(problem)
            click.echo(f"anchorline: {problem}", err=True)
    return loaded


def notice(message: str) -> None:
    """Says on standard error what was done to a file that could not be used as it was."""
    click.echo(f"anchorline: {message}", err=True)
