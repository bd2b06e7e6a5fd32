"""Print the Nth shell command of README.md, so that CI runs what a reader is told to run."""

import re
import sys
from pathlib import Path

readme = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
commands = re.findall(r"^```sh\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
print(commands[int(sys.argv[1]) - 1], end="")
