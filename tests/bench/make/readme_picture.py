"""Makes `docs/images/plan.svg`: what `anchorline plan docs/examples/agent.request.json` prints, as a picture of a terminal.

    python tests/bench readme_picture

A test makes it anew and compares, so that the picture in README shows what the command prints.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[3]
PICTURE = ROOT / "docs" / "images" / "plan.svg"
COMMAND = "anchorline plan docs/examples/agent.request.json"
WIDTH = 118
STYLES = {
    r"\*\*[^*]+\*\*": "bold cyan",
    r"`[^`]+`": "green",
    r"\$\d+(?:\.\d+)?": "yellow",
    r"P\(hit\) \d+%": "bold",
}


def printed() -> str:
    """Return what the command prints on a machine where nothing was recorded."""
    with tempfile.TemporaryDirectory() as home:
        folders = {"HOME": home, "ANCHORLINE_CONFIG": f"{home}/a.toml", "ANCHORLINE_DATA_DIR": f"{home}/data"}
        command = [sys.executable, "-m", *COMMAND.split()]
        run = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **folders}, capture_output=True, check=True
        )
        return run.stdout.decode()


def picture(output: str) -> str:
    """Return the SVG. No font is loaded from anywhere."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    console.print(Text(f"$ {COMMAND}\n", "bold"))
    text = Text(output.rstrip("\n"))
    for pattern, style in STYLES.items():
        text.highlight_regex(pattern, style)
    console.print(text)
    svg = console.export_svg(title="anchorline", unique_id="plan")
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(picture(printed()), "utf-8")


if __name__ == "__main__":
    main()
