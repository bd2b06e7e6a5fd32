"""A terminal that a program believes to be a person's, by tmux: keys go in, and what the screen shows is read."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

INSTALLED = shutil.which("tmux") is not None
PATIENCE_S = 60.0
LOOK_S = 0.05
"""How often the screen is looked at: tmux tells nobody that it has changed."""


class Terminal:
    """A program on a screen of its own, from the beginning to the end of the `with` block."""

    def __init__(
        self, command: list[str], cwd: Path, env: dict[str, str], *, columns: int = 100, rows: int = 40
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tmux-")  # a socket's path has to be short
        self._start = ["new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(cwd)]
        given = [f"{name}={value}" for name, value in env.items()]
        self._command = ["env", "-i", *given, *command]

    def __enter__(self) -> Self:
        self._tmux(*self._start, "--", *self._command)
        self._tmux("set-option", "-g", "remain-on-exit", "on")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.screen())
        self._tmux("kill-server")
        self._folder.cleanup()

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", f"{self._folder.name}/socket", "-f", os.devnull, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def screen(self) -> str:
        """Return what is on the screen now."""
        return self._tmux("capture-pane", "-p")

    def type(self, text: str) -> None:
        """Type a text, as pasted; return once the screen shows its end."""
        self._tmux("send-keys", "-l", text)
        self.until(re.escape(text[-20:]))

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names of them."""
        self._tmux("send-keys", *keys)

    def until(self, pattern: str, patience_s: float = PATIENCE_S) -> str:
        """Return the screen once it shows a pattern. Raise AssertionError where it does not."""
        until = time.monotonic() + patience_s
        while True:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            assert time.monotonic() < until, f"the screen does not show {pattern!r}"
            time.sleep(LOOK_S)
