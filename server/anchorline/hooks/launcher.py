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
    script = _SCRIPT.format(
        python=shlex.quote(sys.executable),
        client=shlex.quote(client.__file__),
        folder=shlex.quote(str(data)),
    )
    files.write(folder / NAME, script, mode=0o700)
