"""README is short, its commands run, and its pictures show what they print."""

import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from bench.make.readme_picture import PICTURES, Picture, printed, svg

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
PLANS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("anchorline plan")]


def test_it_leads_to_eight_pages_at_most():
    assert len(re.findall(r"(?<!!)\[[^\]]+\]\([^)]+\)", README)) <= 8


def test_it_has_two_commands_the_main_job_and_the_tests():
    assert len(BLOCKS) == 2  # `.ci/run` runs them by their number
    assert BLOCKS[1] == "scripts/test\n"
    assert PLANS


def test_the_first_screen_comes_first():
    first = [line.partition("#")[0].strip() for line in BLOCKS[0].splitlines()]
    assert first[:2] == ["pip install .", "anchorline"]
    assert re.findall(r"docs/images/([\w-]+)\.svg", README) == [one.name for one in PICTURES]


@pytest.mark.process
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_shows_what_its_command_prints(picture: Picture):
    shown = picture.file.read_text("utf-8")
    assert words(shown) == words(svg(picture, printed(picture))), "python tests/bench readme_picture"
    assert "@font-face" not in shown, "nothing is loaded from elsewhere"


def words(svg: str) -> list[str]:
    """The text of a picture."""
    return [unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]


@pytest.mark.process
@pytest.mark.parametrize("command", PLANS)
def test_what_readme_tells_to_try_works(command: str, tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-m", *shlex.split(command, comments=True)],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"plan [\w-]+\n", run.stderr)
    assert "**Cost**" in run.stdout
