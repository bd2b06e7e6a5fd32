"""The extension with hooks for Gemini CLI and its fork Qwen Code: a folder of our own among the agent's extensions.

Both take a folder that lies there (Gemini CLI 0.61.0, Qwen Code 0.24.4), so no file of the user's is changed, and no
network is needed.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from anchorline import __version__, files
from anchorline.client_settings import locations
from anchorline.hooks import launcher

NAME = "anchorline"
DESCRIPTION = "Records what each turn was billed. Each event goes to Anchorline's helper on this machine."


class Surface(NamedTuple):
    """What an agent's extensions look like: their `home`, their `manifest`, the `events` asked for.

    `second` is what a timeout's second counts: Gemini CLI has milliseconds.
    """

    title: str
    home: Callable[[], Path]
    manifest: str
    events: tuple[str, ...]
    second: int = 1


SURFACES: dict[str, Surface] = {
    "gemini-cli": Surface(
        "Gemini CLI",
        locations.gemini_cli,
        "gemini-extension.json",
        # not PreCompress: it comes before each prompt, and what is compressed stays in the file
        ("SessionStart", "BeforeAgent", "AfterAgent", "SessionEnd"),
        1000,
    ),
    "qwen-code": Surface(
        "Qwen Code",
        locations.qwen_code,
        "qwen-extension.json",
        ("SessionStart", "UserPromptSubmit", "Stop", "SubagentStop", "PreCompact", "SessionEnd"),
    ),
}
TIMEOUT_S = 10


def folder(agent: str) -> Path:
    """Returns where the extension of an agent is. Raises KeyError for one that takes none."""
    return SURFACES[agent].home() / "extensions" / NAME


def write(agent: str, data: Path) -> Path:
    """Writes the extension and returns its folder; `data` is the data folder. Raises OSError."""
    target = folder(agent)
    files.make_folder(target / "hooks")
    if sys.platform != "win32":
        launcher.write(target, data)
    for name, content in contents(agent).items():
        files.write(target / name, json.dumps(content, indent=2) + "\n")
    return target


def contents(agent: str) -> dict[str, dict[str, object]]:
    """Returns the extension's JSON files by their names."""
    surface = SURFACES[agent]
    command = f"{shlex.quote(str(folder(agent).absolute() / launcher.NAME))} {agent}"
    if sys.platform == "win32":
        command = f"anchorline hook {agent}"
    hook = {"type": "command", "name": NAME, "command": command, "timeout": TIMEOUT_S * surface.second}
    return {
        surface.manifest: {"name": NAME, "version": __version__, "description": DESCRIPTION},
        "hooks/hooks.json": {"hooks": {event: [{"hooks": [hook]}] for event in surface.events}},
    }


def remove(agent: str) -> bool:
    """Takes the extension out; returns whether it was there. Raises OSError."""
    target = folder(agent)
    if not target.is_dir():
        return False
    shutil.rmtree(target)
    if not any(target.parent.iterdir()):
        target.parent.rmdir()
    return True
