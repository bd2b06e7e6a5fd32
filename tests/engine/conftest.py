"""Where tests with the real small model find it."""

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def models_here(models: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORLINE_MODELS_DIR", str(models))
        yield models


@pytest.fixture
def here(models_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(models_here))
