"""The script by which an agent's hooks start the client: it does nothing once Anchorline is uninstalled."""

import shlex
import sys
from pathlib import Path

from anchorline import files
from anchorline.hooks import client

NAME = "launch"
_SCRIPT = """#!/bin/sh
[ -x {python} ] && [ -f {client} ] || exit 0
exec {python} -I -S {client} {folder} "$@"
"""


def write(folder: Path, data: Path) -> None:
    """Writes the script into a folder; `data` is the data folder that its client uses. Raises OSError."""
    files.write(folder / NAME, _script(data), mode=0o700)


def is_own(folder: Path, data: Path) -> bool:
    """Returns whether the script in a folder starts this installation's client."""
    try:
        return (folder / NAME).read_text("utf-8") == _script(data)
    except (OSError, UnicodeDecodeError):
        return False


def _script(data: Path) -> str:
    return _SCRIPT.format(
        python=shlex.quote(sys.executable),
        client=shlex.quote(client.__file__),
        folder=shlex.quote(str(data)),
    )
