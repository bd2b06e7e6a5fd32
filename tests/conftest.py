"""Shared fixtures: an isolated home for settings and database, and what is real: the data, a language model."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from anchorline.sessions.agents import AGENTS
from support.examples import examples
from support.recorded import data_folder

MODEL = "smollm2-135m"
FOLDERS = {
    "clients": "process",
    "e2e": "editor",
    "engine": "process",
    "fault": "process",
    "fuzz": "process",
    "gateway": "process",
    "hooks": "process",
    "index": "process",
    "install": "process",
    "lsp": "process",
}
"""Folders whose tests have a marker as a whole. The fast part of the tests has none of them."""

settings.register_profile("untimed", examples())
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Give the programs under test the signals that `nohup`, or a shell's background, has this process ignore.

    Programs inherit what is ignored, but no function: this process goes on ignoring them.
    """
    for name in ("SIGINT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long: by its folder, and what uses the language model by its fixture."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDERS:
            item.add_marker(FOLDERS[folder])
        if isinstance(item, pytest.Function) and {"models", "coder"} & set(item.fixturenames):
            item.add_marker("model")


@pytest.fixture(autouse=True)
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the developer's own settings, database or models."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(home / "anchorline.toml"))
    monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(home / "data"))
    monkeypatch.delenv("ANCHORLINE_MODELS_DIR", raising=False)
    for agent in AGENTS.values():
        monkeypatch.delenv(agent.variable, raising=False)
    return home


@pytest.fixture(scope="session")
def data() -> Path:
    """The real data, or a skip that says what is missing."""
    folder = data_folder()
    if folder is None:
        pytest.skip("the development data is not here: set ANCHORLINE_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def models(request: pytest.FixtureRequest) -> Path:
    """A folder of models with the small one in it, fetched once and kept, or a skip that says what is missing.

    `ANCHORLINE_TEST_ENGINE=required` makes that a failure.
    """
    missing = pytest.fail if os.environ.get("ANCHORLINE_TEST_ENGINE") == "required" else pytest.skip
    from anchorline.engine import installed, manifest, requirements, sources
    from anchorline.engine.errors import DamagedModelError, PullError
    from support import mlx_models

    if lacks := requirements.missing():
        missing(lacks)
    folder = request.config.cache.mkdir("anchorline-models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORLINE_MODELS_DIR", str(folder))
        try:
            installed.verify(installed.folder(MODEL))
        except DamagedModelError:
            try:
                sources.pull(manifest.find(MODEL))
            except PullError as error:
                missing(f"the language model can't be fetched: {error}")
        if not requirements.missing("mlx"):
            mlx_models.converted(MODEL)
    return folder


@pytest.fixture
def model(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the small model, which is installed for this test."""
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(models))
    return models / MODEL


@pytest.fixture(scope="session")
def coder() -> Path:
    """The folder of Qwen2.5 Coder 0.5B, or a skip: nobody has to fetch 491 MB for the tests.

    It is in the folder that `ANCHORLINE_TEST_MODELS` names, as `anchorline model pull` installs it there.
    """
    from anchorline.engine import installed
    from anchorline.engine.errors import DamagedModelError

    name = "qwen2.5-coder-0.5b"
    folder = os.environ.get("ANCHORLINE_TEST_MODELS")
    if not folder:
        pytest.skip(f"ANCHORLINE_TEST_MODELS names no folder with {name}")
    try:
        installed.verify(Path(folder, name))
    except DamagedModelError as error:
        pytest.skip(str(error))
    return Path(folder, name)
