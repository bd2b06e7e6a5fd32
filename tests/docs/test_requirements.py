"""What tests and lint run with is compiled from pyproject.toml as it is, for each platform that is supported."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKED = (ROOT / "requirements-dev.txt").read_text("utf-8")
CORE = (ROOT / "requirements-core.txt").read_text("utf-8")
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (("linux", "Linux", "x86_64"), ("linux", "Linux", "aarch64"), ("darwin", "Darwin", "arm64"),
             ("darwin", "Darwin", "x86_64"), ("win32", "Windows", "AMD64"))  # fmt: skip


@pytest.fixture(scope="module")
def asked() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"]
    return [Requirement(one) for one in (*PROJECT["dependencies"], *extras["dev"], *extras["editors"])]


@pytest.fixture(scope="module")
def pins() -> dict[Requirement, str]:
    """Each locked version, and what is said of it: its hashes, and what asks for it."""
    parts = re.findall(r"^(\S.*) \\\n((?:    .*\n)+)", LOCKED, re.MULTILINE)
    return {Requirement(pin): said for pin, said in parts}


@pytest.mark.parametrize("platform", PLATFORMS, ids="-".join)
@pytest.mark.parametrize("python", PYTHONS)
def test_one_version_is_locked_of_all_that_is_asked_for(
    python: str, platform: tuple[str, str, str], asked: list[Requirement], pins: dict[Requirement, str]
):
    here = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": platform[0],
        "platform_system": platform[1],
        "platform_machine": platform[2],
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    for one in asked:
        if one.marker is None or one.marker.evaluate(here):
            locked = [
                str(pin.specifier).removeprefix("==")
                for pin in pins
                if canonicalize_name(pin.name) == canonicalize_name(one.name)
                and (pin.marker is None or pin.marker.evaluate(here))
            ]
            assert len(locked) == 1, f"{one}: .ci/lock"
            assert one.specifier.contains(locked[0]), f"{one}: .ci/lock"


def test_nothing_is_locked_that_is_no_longer_asked_for(
    asked: list[Requirement], pins: dict[Requirement, str]
):
    own = {canonicalize_name(pin.name) for pin, said in pins.items() if "anchorline (pyproject.toml)" in said}
    assert own == {canonicalize_name(one.name) for one in asked}


def test_every_version_is_locked_by_its_hashes(pins: dict[Requirement, str]):
    assert len(pins) == len(re.findall(r"^[^\s#]", LOCKED, re.MULTILINE))
    assert all("--hash=sha256:" in said for said in pins.values())


def test_the_core_is_locked_in_the_same_versions_without_what_only_a_model_or_a_comfort_needs():
    def pinned(lock: str) -> set[str]:
        return {re.split(r"[ ;]", line)[0] for line in re.findall(r"^\S+==.*", lock, re.MULTILINE)}

    assert pinned(CORE) <= pinned(LOCKED), ".ci/lock"
    names = {canonicalize_name(Requirement(pin).name) for pin in pinned(CORE)}
    wanted = {canonicalize_name(Requirement(one).name) for one in PROJECT["dependencies"]}
    left_out = {name for name in wanted - names if not name.startswith("tree-sitter")}
    assert left_out == {"brotli", "gguf", "huggingface-hub", "jinja2", "mlx", "mlx-lm", "uvloop", "xllamacpp"}
    assert CORE.count("--hash=sha256:") >= len(pinned(CORE))
