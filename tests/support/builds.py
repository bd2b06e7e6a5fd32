"""Builds this checkout and installs what was built, by the locked tools."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[2]


def build(project: Path, folder: Path, *targets: str) -> None:
    """Build `targets` (sdist, wheel) of a project into `folder`, by the locked backend and without a network."""
    words = [word for target in targets for word in ("-t", target)]
    run([sys.executable, "-m", "hatchling", "build", "-d", str(folder), *words], cwd=project)


def uv(*words: str, env: dict[str, str] | None = None) -> str:
    """Run uv; return what it prints."""
    return run([find_uv_bin(), *words], env=env).stdout


def run(
    command: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that must succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
    return done
