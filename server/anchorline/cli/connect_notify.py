"""`anchorline connect codex --notify`: has Codex tell the helper when a turn ends."""

import click
import msgspec

from anchorline import files
from anchorline.cli import reading, terminal
from anchorline.client_settings import locations
from anchorline.client_settings.document import UnwritableError
from anchorline.client_settings.edits import SettingEdit, edited_files
from anchorline.client_settings.parsing import read
from anchorline.gateway import connecting
from anchorline.gateway.clients import Client
from anchorline.hooks import notify

NOTE = (
    "After each turn, what it was billed is recorded from Codex's own session file.\n"
    "A program of your own that `notify` names is still started."
)


def show() -> None:
    """Prints what `--write` would change, and changes nothing."""
    entry = _entry()
    changes = edited_files(SettingEdit(str(entry.file), keys, value) for keys, value in entry.values.items())
    if not changes:
        click.echo(f"{entry.file} has it already.")
    for change in changes:
        terminal.show_diff(change.diff())
    click.echo(f"\n{NOTE}\n`--write` does it.")


def install() -> None:
    """Writes Codex's settings."""
    entry = _entry()
    try:
        connecting.connect(entry)
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    click.echo(f"Codex tells Anchorline when a turn ends ({entry.file}).\n{NOTE}")
    click.echo("`anchorline disconnect codex` takes it out.")


def with_notify(entry: Client) -> Client:
    """Returns Codex with the setting beside those of `entry`."""
    try:
        return msgspec.structs.replace(entry, values=entry.values | _entry().values)
    except click.ClickException:  # somebody has made something else of it
        return entry


def _entry() -> Client:
    file = locations.codex() / "config.toml"
    try:
        content = file.read_bytes() if file.exists() else b""
        values = notify.values(files.data_folder().absolute(), read(file, content))
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    return Client("codex", "Codex", file, values, "")
