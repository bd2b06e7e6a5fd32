"""Shared fixtures: an isolated home for settings and database, and the real data where it is at hand."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the developer's own settings or database."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(home / "anchorline.toml"))
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
    return home


def data_folder() -> Path | None:
    """Where the real development data lies: `ANCHORLINE_TEST_DATA`, or `shared/data` beside the checkout."""
    named = os.environ.get("ANCHORLINE_TEST_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data, or a skip that says what is missing."""
    folder = data_folder()
    if folder is None:
        pytest.skip("the development data is not here: set ANCHORLINE_TEST_DATA to its folder")
    return folder
