"""Makes the pictures of `docs/images`: what commands print in a terminal.

    python tests/bench readme_picture

A test makes them anew and compares, so that the pictures in README show what the commands print.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[3]


class Picture(NamedTuple):
    """A picture of a command in a terminal of so many columns."""

    name: str
    command: str
    width: int

    @property
    def file(self) -> Path:
        """Where the picture is kept."""
        return ROOT / "docs" / "images" / f"{self.name}.svg"


PICTURES = (
    Picture("first-screen", "anchorline --sample", 80),
    Picture("plan", "anchorline plan docs/examples/agent.request.json", 104),
)


def printed(picture: Picture) -> str:
    """Return what a command prints in a terminal on a machine where nothing was recorded."""
    with tempfile.TemporaryDirectory() as home:
        own = {"HOME": home, "ANCHORLINE_CONFIG": f"{home}/a.toml", "ANCHORLINE_DATA_DIR": f"{home}/data"}
        look = {"COLUMNS": str(picture.width), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | own | look
        import pty

        leader, follower = pty.openpty()
        command = [sys.executable, "-m", *picture.command.split()]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=follower, stderr=subprocess.DEVNULL)
        os.close(follower)
        output = b""
        try:
            while piece := os.read(leader, 65536):
                output += piece
        except OSError:  # the end of a terminal
            pass
        os.close(leader)
        if process.wait():
            raise RuntimeError(picture.command)
        return output.decode().replace("\r\n", "\n")


def svg(picture: Picture, output: str) -> str:
    """Return the SVG. No font is loaded from anywhere."""
    console = Console(
        record=True, width=picture.width, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    console.print(Text(f"$ {picture.command}\n", "bold"))
    console.print(Text.from_ansi(output.rstrip("\n")))
    text = console.export_svg(title="anchorline", unique_id=picture.name)
    text = re.sub(r"\s*@font-face \{.*?\}\n", "\n", text, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main() -> None:
    """Write the pictures."""
    for picture in PICTURES:
        picture.file.write_text(svg(picture, printed(picture)), "utf-8")


if __name__ == "__main__":
    main()
