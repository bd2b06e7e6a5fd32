"""Claude Code's plugin: its files in the data folder, and the settings that switch it and the status line on.

Claude Code (2.1.332) takes a plugin from a folder on this machine that its settings name: `extraKnownMarketplaces` with
the source `directory`, and `enabledPlugins`. It reads the files where they are, and runs the hooks from its next start
on; `claude plugin list` names what stands in its own list besides. A plugin can't set `statusLine` (of its settings
only `agent` and `subagentStatusLine` count), so that stands in the user's own.
"""

import json
import re
import shlex
import shutil
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anchorline import __version__, files
from anchorline.client_settings.document import Document, UnwritableError
from anchorline.client_settings.parsing import read
from anchorline.hooks import client, launcher

FOLDER = "claude-code"
NAME = "anchorline"
ID = f"{NAME}@{NAME}"
"""The plugin, at its marketplace."""
REFRESH_S = 10
"""How often Claude Code asks for the status line where nothing happens, so that the countdown goes on."""
INSTALLED = "plugins/installed_plugins.json"
"""Claude Code's list of installed plugins, below its folder."""
INSTALLED_VERSION = 2
NO_PLUGINS = '{"version": 2, "plugins": {}}\n'
"""The list that is made where there is none; it goes again when nothing else is in it."""
RECORDS = {INSTALLED: ("plugins", ID), "plugins/known_marketplaces.json": (NAME,)}
"""Where Claude Code notes what it knows of the plugin."""
DATA = f"plugins/data/{NAME}-{NAME}"
_CHAINED = (
    'anchorline_input=$(cat); printf %s "$anchorline_input" | {{ {theirs}\n}}; '
    'printf %s "$anchorline_input" | {ours}'
)
_THEIRS = re.compile(
    r'anchorline_input=\$\(cat\); printf %s "\$anchorline_input" \| \{ (.*)\n\}; '
    r'printf %s "\$anchorline_input" \| [^\n]*',
    re.DOTALL,
)
Values = dict[tuple[str, ...], Any]


def shipped() -> Path:
    """Returns the plugin's files: in the installed package, or `client-claude-code/` of the checkout."""
    package = Path(client.__file__).parents[1]
    packaged = package / "client-claude-code"
    return packaged if packaged.is_dir() else package.parents[1] / "client-claude-code"


def write(data: Path) -> Path:
    """Writes the plugin into the data folder, as a marketplace of its own, and returns that. Raises OSError.

    Its hooks start the client by this Python, without looking for `anchorline` on the PATH.
    """
    folder = data / FOLDER
    for name in (".claude-plugin/marketplace.json", ".claude-plugin/plugin.json", "hooks/hooks.json"):
        text = (shipped() / name).read_text("utf-8")
        if name == "hooks/hooks.json":
            text = json.dumps(_started_directly(json.loads(text), data), indent=2) + "\n"
        files.make_folder((folder / name).parent)
        files.write(folder / name, text)
    if sys.platform != "win32":
        launcher.write(folder, data)
    return folder


def register(data: Path, home: Path) -> None:
    """Adds the plugin to Claude Code's list in its folder. One of another form is not touched. Raises OSError."""
    listed = home / INSTALLED
    text = listed.read_bytes() if listed.exists() else NO_PLUGINS.encode()
    try:
        document = read(listed, text)
    except UnwritableError:
        return
    entries, keys = document.get(("plugins",)), RECORDS[INSTALLED]
    if document.get(("version",)) != INSTALLED_VERSION or not isinstance(entries, dict):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    entry = {"scope": "user", "installPath": str(data / FOLDER), "version": __version__, "installedAt": now}
    document.put(keys, [{**entry, "lastUpdated": now}])
    files.make_folder(listed.parent)
    files.write(listed, document.text, mode=listed.stat().st_mode & 0o777 if listed.exists() else 0o600)


def remove(data: Path, home: Path) -> None:
    """Takes out the plugin's files, and what Claude Code has noted of it in its folder `home`. Raises OSError.

    Settings are not touched.
    """
    for name, keys in RECORDS.items():
        record = home / name
        with suppress(FileNotFoundError, UnwritableError):
            _forget(record, keys)
    for folder in (home / DATA, home / DATA.rpartition("/")[0], home / "plugins"):
        with suppress(OSError):  # something is in it
            folder.rmdir()
    shutil.rmtree(data / FOLDER, ignore_errors=True)


def _forget(record: Path, keys: tuple[str, ...]) -> None:
    document = read(record, record.read_bytes())
    if document.get(keys) is None:
        return
    document.drop(keys)
    ours = read(record, NO_PLUGINS.encode())
    ours.put(keys, [])
    ours.drop(keys)
    if document.text == ours.text:  # made by `register`, and nothing has come to it since
        record.unlink()
    else:
        files.write(record, document.text, mode=record.stat().st_mode & 0o777)


def values(data: Path, settings: Document) -> Values:
    """Returns what is set in Claude Code's settings, as they are now; `settings` may have it already.

    A status line of the user's own stays: it is printed above ours.
    """
    folder = str(data / FOLDER)
    switched_on: Values = {
        ("extraKnownMarketplaces", NAME): {"source": {"source": "directory", "path": folder}},
        ("enabledPlugins", ID): True,
    }
    ours = status_line_command(data)
    current = settings.get(("statusLine",))
    command = current.get("command") if isinstance(current, dict) else None
    theirs = own_command(command) if isinstance(command, str) else None
    if current is None or command == ours:
        status_line = {"type": "command", "command": ours, "refreshInterval": REFRESH_S} | (current or {})
        return switched_on | {("statusLine",): status_line}
    if theirs is None or sys.platform == "win32":
        return switched_on
    return switched_on | {("statusLine", "command"): _CHAINED.format(theirs=theirs, ours=ours)}


def own_command(command: str) -> str:
    """Returns the user's own status line in a command that may have ours behind it."""
    chained = _THEIRS.fullmatch(command)
    return chained[1] if chained else command


def status_line_command(data: Path) -> str:
    """Returns the command of our status line, for the shell that Claude Code starts."""
    if (
        sys.platform == "win32"
    ):  # bash or PowerShell: a quoted path is a command in one and a text in the other
        return "anchorline statusline"
    return f"exec {shlex.quote(str(data / FOLDER / launcher.NAME))} {client.STATUS_LINE}"


def _started_directly(hooks: dict[str, Any], data: Path) -> dict[str, Any]:
    """Returns hooks that start the client itself, in the exec form, which no shell reads."""
    if sys.platform == "win32":
        command, *arguments = [sys.executable, "-I", "-S", client.__file__, str(data), "claude-code"]
    else:
        command, *arguments = ["${CLAUDE_PLUGIN_ROOT}/" + launcher.NAME, "claude-code"]
    for groups in hooks["hooks"].values():
        for group in groups:
            for hook in group["hooks"]:
                hook.update(command=command, args=arguments)
    return hooks
