"""README is short, its first command runs, and its picture shows what that command prints."""

import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from bench.make.readme_picture import COMMAND, PICTURE, picture, printed

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
FIRST = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
PLANS = [part.strip() for part in FIRST.split(" && ") if part.startswith("anchorline plan")]


def test_it_leads_to_eight_pages_at_most():
    assert len(re.findall(r"(?<!!)\[[^\]]+\]\([^)]+\)", README)) <= 8


@pytest.mark.process
def test_the_picture_shows_what_the_first_command_prints():
    assert PLANS[0] == COMMAND
    shown = PICTURE.read_text("utf-8")
    assert str(PICTURE.relative_to(ROOT)) in README
    assert words(shown) == words(picture(printed())), "python tests/bench readme_picture"
    assert "@font-face" not in shown, "nothing is loaded from elsewhere"


def words(svg: str) -> list[str]:
    """The text of a picture."""
    return [unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", svg)]


@pytest.mark.process
@pytest.mark.parametrize("command", PLANS)
def test_what_readme_tells_to_try_works(command: str, tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-m", *shlex.split(command)],
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert re.fullmatch(r"plan [\w-]+\n", run.stderr)
    assert "**Cost**" in run.stdout
