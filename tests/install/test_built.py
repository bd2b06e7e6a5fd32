"""The sdist and the wheel: their files are those that are meant, and `uvx` and `pipx` run what was built."""

import os
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from anchorline import __version__
from support.builds import ROOT, build, run, uv

SOURCES = ("server/anchorline/", "models/", "client-claude-code/")
SHIPPED = ("server/", "models/", "client-claude-code/", "tests/", "docs/", "scripts/")
PAGES = {f"{name}.md" for name in ("README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY", "CHANGELOG")}
LOCKS = {"requirements-core.txt", "requirements-dev.txt"}
PROJECT = PAGES | LOCKS | {"LICENSE", "pyproject.toml", ".gitignore", "Dockerfile", ".dockerignore"}
LEFT_OUT = ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
ABOUT = f"anchorline-{__version__}.dist-info"


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository, as they are on the disk."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone: git can't say which files belong to it")
    files = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT).stdout
    return {file for file in files.split("\0") if file and (ROOT / file).is_file()}


def test_the_wheel_holds_the_package_and_its_data(wheel: Path, tracked: set[str]):
    with zipfile.ZipFile(wheel) as built:
        names = {name for name in built.namelist() if not name.startswith(f"{ABOUT}/")}
        about = {name.removeprefix(f"{ABOUT}/") for name in built.namelist()} - names
        metadata = built.read(f"{ABOUT}/METADATA").decode()
        content = {name: built.read(name) for name in names}
    files = {file for file in tracked if file.startswith(SOURCES)}
    placed = {
        file.removeprefix("server/") if file.startswith("server/") else f"anchorline/{file}" for file in files
    }
    assert names == placed
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert content["anchorline/models/manifest.toml"] == (ROOT / "models/manifest.toml").read_bytes()
    assert "Requires-Dist: pyarrow>=21; extra == 'dataset'" in metadata
    assert "Requires-Dist: mlx-lm" in metadata


def test_the_sdist_holds_what_builds_and_tests_it(dist: Path, tracked: set[str]):
    (file,) = dist.glob("*.tar.gz")
    with tarfile.open(file) as built:
        names = {member.name.partition("/")[2] for member in built.getmembers() if member.isfile()}
    assert names == {name for name in tracked if name.startswith(SHIPPED)} | PROJECT | {"PKG-INFO"}


def test_the_sdist_builds_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path):
    (file,) = dist.glob("*.tar.gz")
    with tarfile.open(file) as built:
        built.extractall(tmp_path, filter="data")
    build(tmp_path / file.name.removesuffix(".tar.gz"), tmp_path / "dist", "wheel")
    assert (tmp_path / "dist" / wheel.name).read_bytes() == wheel.read_bytes()


def test_uvx_runs_the_wheel(wheel: Path, tmp_path: Path):
    words = ("tool", "run", "--isolated", "--python", sys.executable, "--from", str(wheel), "anchorline")
    assert uv(*words, "--version", env=private(tmp_path)) == f"anchorline, version {__version__}\n"
    assert uv(*words, env=private(tmp_path)).startswith(
        "No requests yet. Anchorline has looked for sessions in"
    )
    shutil.copytree(ROOT / "models/sample/claude-code", tmp_path / ".claude/projects/app")
    first = uv(*words, env=private(tmp_path))
    assert "at API prices: " in first
    assert "fix 1: " in first


def test_pipx_runs_the_wheel(wheel: Path, tmp_path: Path):
    pipx = (sys.executable, "-m", "pipx", "run", "--backend", "uv", "--python", sys.executable)
    shown = run([*pipx, "--spec", str(wheel), "anchorline", "--version"], env=private(tmp_path))
    assert shown.stdout == f"anchorline, version {__version__}\n"


def private(home: Path) -> dict[str, str]:
    """An environment in which tools keep what is theirs in `home`, but for uv's cache."""
    own = {"HOME": str(home), "PIPX_HOME": str(home / "pipx"), "UV_TOOL_DIR": str(home / "tools")}
    inherited = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return inherited | own | {"UV_CACHE_DIR": uv("cache", "dir").strip()}
