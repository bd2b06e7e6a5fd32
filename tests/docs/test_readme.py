"""The README's first command shows what the README says it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_the_output_shown_is_the_output(tmp_path: Path):
    readme = (ROOT / "README.md").read_text("utf-8")
    command = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[0]
    shown = re.findall(r"^```text\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)[0]
    planning = [part.split() for part in command.split(" && ") if part.startswith("anchorline plan")]
    assert len(planning) == 2
    printed = ""
    for number, words in enumerate(planning):
        run = subprocess.run(
            [sys.executable, "-m", "anchorline", *words[1:]],
            cwd=ROOT,
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert re.fullmatch(r"plan [\w-]+\n", run.stderr)
        printed += ("\n" if number else "") + run.stdout
    assert shown == printed
