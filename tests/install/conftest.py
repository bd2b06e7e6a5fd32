"""What is built of this checkout, and an environment that has the core and nothing else: each once for all tests."""

import sys
from pathlib import Path

import pytest

from support.builds import ROOT, build, uv


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (file,) = dist.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of `requirements-core.txt` and the wheel, as docs/how-to/install.md says."""
    venv = tmp_path_factory.mktemp("core")
    uv("venv", "--python", sys.executable, "--clear", str(venv))
    install = ("pip", "install", "--python", str(venv), "--compile-bytecode", "--no-deps")
    uv(*install, "-r", str(ROOT / "requirements-core.txt"))
    uv(*install, str(wheel))
    return venv
