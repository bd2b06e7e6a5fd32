"""`anchorline connect claude-code --plugin`: installs Claude Code's plugin and status line."""

import json
import subprocess
import sys
from pathlib import Path

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
from anchorline.hooks import client as hook_client
from anchorline.hooks import client_aside, launcher, plugin

SETTINGS_FILE = "settings.json"


def show() -> None:
    """Prints what `--write` would change, and changes nothing."""
    entry = with_plugin()
    try:
        changes = edited_files(
            SettingEdit(str(entry.file), keys, value) for keys, value in entry.values.items()
        )
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"The plugin's files go to {files.with_tilde(_data() / plugin.FOLDER)}; Claude Code reads them there.\n"
    )
    if not changes:
        click.echo(f"{entry.file} names them already.")
    for change in changes:
        terminal.show_diff(change.diff())
    click.echo(f"\n{_note(entry)}\n`--write` does it.")


def install() -> None:
    """Writes the plugin's files, and Claude Code's settings."""
    try:
        entry = with_plugin()
        plugin.write(_data())
        connecting.connect(entry)
        plugin.register(_data(), locations.claude_code())
    except UnwritableError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise reading.Unusable(f"{error.filename}: {error.strerror}") from error
    click.echo(f"Claude Code has the plugin from its next start on ({entry.file}).\n{_note(entry)}")
    if blocker := connecting.hindrance(entry):
        click.echo(f"Its hooks and status line don't run yet: {blocker}.")
    click.echo("`anchorline disconnect claude-code` takes it out.")


def remove() -> bool:
    """Takes out the plugin's files and ends the helper; returns whether there were any. Raises OSError.

    The settings are `connecting.disconnect`'s.
    """
    data = _data()
    if not (data / plugin.FOLDER).exists():
        return False
    plugin.remove(data, locations.claude_code())
    command = [sys.executable, "-I", "-S", hook_client.__file__, str(data), hook_client.END]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  (our own program)
    return True


def problem() -> str | None:
    """Returns what keeps the plugin from working, empty where nothing does; None where it is not installed."""
    data = _data()
    folder = data / plugin.FOLDER
    if not folder.exists():
        return None
    if sys.platform != "win32" and not launcher.is_own(folder, data):
        return "it starts another installation of Anchorline, or one that is gone"
    entry = with_plugin()
    settings = connecting.settings(entry)
    switched_on = {keys: value for keys, value in entry.values.items() if keys[0] != "statusLine"}
    if settings is None or any(settings.get(keys) != value for keys, value in switched_on.items()):
        return f"{entry.file} does not switch it on any more"
    if settings.get(("disableAllHooks",)) is True:
        return "disableAllHooks is true in Claude Code's settings, so neither hooks nor status line run"
    command = [sys.executable, "-I", "-S", hook_client.__file__, str(data), hook_client.STATUS_LINE]
    asked = json.dumps({"model": {"display_name": "doctor"}})
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)  # noqa: S603
    return "" if "doctor" in done.stdout else f"its client answers nothing; see {data / client_aside.LOG}"


def with_plugin(entry: Client | None = None) -> Client:
    """Returns Claude Code with the plugin's settings beside those of `entry`. Raises UnwritableError and OSError."""
    file = locations.claude_code() / SETTINGS_FILE
    content = file.read_bytes() if file.exists() else b""
    values = plugin.values(_data(), read(file, content))
    if entry is not None:
        return msgspec.structs.replace(entry, values=entry.values | values)
    return Client("claude-code", "Claude Code", file, values, "", unless={("disableAllHooks",): False})


def _data() -> Path:
    return files.data_folder().absolute()


def _note(entry: Client) -> str:
    if ("statusLine",) in entry.values:
        return "A plugin can't set the status line, so your settings do."
    if ("statusLine", "command") in entry.values:
        return "Your own status line stays, and Anchorline's is printed below it."
    return "Your own status line stays. `anchorline statusline` prints Anchorline's, from the same input."
