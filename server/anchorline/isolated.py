"""Commands of Anchorline's own programs that import and read nothing from the folder that a developer has opened.

``python -m`` puts the current folder first on the module path: a repository that holds an `anchorline/`, a `pip/` or a
`queue.py` would have it run. ``-P`` leaves it out (Python 3.11, PEP 587's ``safe_path``), and a folder of our own as
current folder keeps other programs from reading the repository's settings (`uv.toml`, `pip.conf`).
"""

import subprocess
import sys
from typing import TypedDict

SAFE_PATH = "-P"


class Detached(TypedDict, total=False):
    """Arguments of `subprocess.Popen`."""

    start_new_session: bool
    creationflags: int


def detached() -> Detached:
    """Returns how a process is started that outlives this one, and that a Ctrl+C meant for this one does not reach."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def python(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of this Python's. Start it in a folder of our own (`cwd`)."""
    return [sys.executable, SAFE_PATH, "-m", module, *arguments]
