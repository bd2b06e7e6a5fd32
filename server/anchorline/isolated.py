"""Commands of Anchorline's own programs that import and read nothing from the folder that a developer has opened.

``python -m`` puts the current folder first on the module path: a repository that holds an `anchorline/`, a `pip/` or a
`queue.py` would have it run. ``-P`` leaves it out (Python 3.11, PEP 587's ``safe_path``), and a folder of our own as
current folder keeps other programs from reading the repository's settings (`uv.toml`, `pip.conf`).
"""

import sys

SAFE_PATH = "-P"


def python(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of this Python's. Start it in a folder of our own (`cwd`)."""
    return [sys.executable, SAFE_PATH, "-m", module, *arguments]
