"""`anchorline connect gemini-cli --hooks`, and of Qwen Code: installs the extension with hooks."""

import json
import sys

import click

from anchorline import files
from anchorline.cli import reading
from anchorline.hooks import extension, launcher

NOTES = {
    "gemini-cli": "After each turn, what it was billed is recorded from Gemini CLI's own session file. Before a prompt "
    "whose cache\nhas likely expired in a pause, it says what that costs (hooks.block_usd).",
    "qwen-code": "After each turn, what it was billed is recorded from Qwen Code's own session file.",
}


def show(agent: str) -> None:
    """Prints what `--write` would write, and writes nothing."""
    surface = extension.SURFACES[agent]
    click.echo(f"{surface.title} takes an extension from {files.with_tilde(extension.folder(agent))}:\n")
    for name, content in extension.contents(agent).items():
        click.echo(f"{name}\n{json.dumps(content, indent=2)}\n")
    if sys.platform != "win32":
        click.echo(f"{launcher.NAME} starts Anchorline's client, which asks its helper on this machine.\n")
    click.echo(f"{NOTES[agent]}\n`--write` does it, and changes no file of yours.")


def install(agent: str) -> None:
    """Writes the extension."""
    try:
        folder = extension.write(agent, files.data_folder().absolute())
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    title = extension.SURFACES[agent].title
    click.echo(
        f"{title} has the extension from its next start on ({files.with_tilde(folder)}).\n{NOTES[agent]}"
    )
    click.echo(f"`anchorline disconnect {agent}` takes it out.")
