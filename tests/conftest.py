"""Shared fixtures: an isolated home for settings and database, and the real data where it is at hand."""

from pathlib import Path

import pytest

from recorded import data_folder


@pytest.fixture(autouse=True)
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the developer's own settings or database."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(home / "anchorline.toml"))
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
    return home


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data, or a skip that says what is missing."""
    folder = data_folder()
    if folder is None:
        pytest.skip("the development data is not here: set ANCHORLINE_TEST_DATA to its folder")
    return folder
