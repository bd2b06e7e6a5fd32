"""Prints the Nth shell command of README.md, so that CI runs what a reader runs: the main job, or the tests."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
commands = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
if len(commands) != 2:
    sys.exit(f"README.md has {len(commands)} shell commands: there are two, the main job and the tests")
print(commands[int(sys.argv[1]) - 1], end="")
