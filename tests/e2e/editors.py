"""Real editors, set up by the snippets of docs/how-to/editors and driven by a script: find, isolate, run.

A driver writes one JSON object to the file that the environment variable `E2E_RESULTS` names: what a user of the
editor would have seen, step by step, or under "error" where and why it stopped.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

DOCS = Path(__file__).parents[2] / "docs"
BIN = Path(sys.executable).parent
PATH = os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)])
TIMEOUT_S = 300


def missing(what: str) -> NoReturn:
    """Skip because something is not installed; fail instead where `ANCHORLINE_TEST_EDITORS=required` says so."""
    if os.environ.get("ANCHORLINE_TEST_EDITORS") == "required":
        pytest.fail(f"{what} (ANCHORLINE_TEST_EDITORS=required)")
    pytest.skip(what)


def program(name: str, install: str) -> str:
    """Return the path of a program: of this virtual environment, or of the system."""
    found = shutil.which(name, path=PATH)
    if found is None:
        missing(f"{name} is not installed: {install}")
    return found


def snippets(document: str, language: str) -> list[str]:
    """Return the code blocks in `language` of a document: what a user is told to copy."""
    text = (DOCS / document).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which nothing of the developer's own is read or written."""
    assert (BIN / "anchorline").exists(), f"the console script is not installed beside {sys.executable}"
    folders = {
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
        "XDG_CACHE_HOME": ".cache",
        "XDG_RUNTIME_DIR": ".run",
    }
    for name in folders.values():
        (home / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "HOME": str(home),
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "ANCHORLINE_CONFIG": str(home / "anchorline.toml"),
        "ANCHORLINE_DATA_DIR": str(home / "data"),
        **{variable: str(home / name) for variable, name in folders.items()},
    }


def drive(
    command: list[str], home: Path, folder: Path, *, patience: float = TIMEOUT_S, **variables: str
) -> dict[str, Any]:
    """Run an editor with its driver in `folder`, for `patience` seconds at most; return what the driver saw."""
    results = home / "results.json"
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment(home), "E2E_RESULTS": str(results), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        said = b"(ended by the test after %d s)" % patience
    finally:
        _end_group(process)
    shown = said.decode("utf-8", "replace")[-4000:]
    assert results.exists(), f"the driver wrote nothing; the editor said:\n{shown}"
    seen: dict[str, Any] = json.loads(results.read_text("utf-8"))
    assert "error" not in seen, f"{seen['error']}\nseen until then: {sorted(seen)}\nthe editor said:\n{shown}"
    assert process.returncode == 0, shown
    return seen


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the editor if it hangs, and a server that it left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    process.wait()
