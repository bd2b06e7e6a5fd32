"""The folder that an editor opens."""

from pathlib import Path

import pytest

from e2e.workspace import Workspace, lay


@pytest.fixture
def workspace(tmp_path: Path, isolated_home: Path) -> Workspace:
    """A folder with prompts; settings and database are in the isolated home."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    return lay(isolated_home, folder)
