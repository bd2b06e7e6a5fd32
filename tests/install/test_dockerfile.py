"""The Dockerfile, which nothing here can build: linted, reviewed by its instructions, and built without an engine.

What runs in it (a root that can't be written, another user, `top` as the health check) is what the core's tests run.
"""

import re
import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

from support.builds import ROOT, build, run


class Instruction(NamedTuple):
    name: str
    words: str


def instructions() -> list[list[Instruction]]:
    """The instructions of each stage, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    stages: list[list[Instruction]] = []
    for line in filter(None, lines):
        name, _, words = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, words))
    return stages


@pytest.mark.skipif(sys.platform != "linux", reason="hadolint's wheel is installed on Linux only")
def test_hadolint_finds_nothing():
    run(
        [
            str(Path(sys.executable).with_name("hadolint")),
            "--failure-threshold",
            "style",
            str(ROOT / "Dockerfile"),
        ]
    )


def test_it_runs_as_nobody_in_particular_writes_only_its_volume_and_publishes_no_port():
    *_, last = instructions()
    words = {instruction.name: instruction.words for instruction in last}
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", words["USER"])
    assert last.index(Instruction("USER", words["USER"])) > max(
        index for index, instruction in enumerate(last) if instruction.name == "RUN"
    )
    assert words["VOLUME"] == "/data"
    for variable in ("HOME", "ANCHORLINE_DATA_DIR"):
        assert f"{variable}=/data " in words["ENV"]
    assert "ANCHORLINE_CONFIG=/data/" in words["ENV"]
    assert "EXPOSE" not in words
    assert "pip" not in words["RUN"]


def test_its_health_check_and_command_are_anchorlines():
    *_, last = instructions()
    words = {instruction.name: instruction.words for instruction in last}
    assert words["ENTRYPOINT"] == '["anchorline"]'
    assert words["CMD"] == '["gateway"]'
    assert words["HEALTHCHECK"].endswith('CMD ["anchorline", "top", "--json"]')


def test_what_it_copies_builds_the_wheel(wheel: Path, tmp_path: Path):
    first, *_ = instructions()
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    allowed = [line[1:] for line in lines if line.startswith("!")]
    for instruction in first:
        if instruction.name == "COPY":
            *sources, target = instruction.words.split()
            for source in sources:
                assert any(fnmatch(source, pattern) for pattern in allowed), f"{source}: .dockerignore"
                there = tmp_path / target / ("" if (ROOT / source).is_dir() else source)
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / source, there)
    build(tmp_path, tmp_path / "dist", "wheel")
    assert (tmp_path / "dist" / wheel.name).read_bytes() == wheel.read_bytes()


def test_it_installs_the_locked_core():
    first, *_ = instructions()
    commands = [instruction.words for instruction in first if instruction.name == "RUN"]
    assert any("--require-hashes -r requirements-core.txt" in command for command in commands)
    assert all("--no-deps" in command for command in commands)
