"""A terminal with a shell in it, as a person has one: what is typed, and what is shown."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

PATIENCE_S = 60.0


class Terminal:
    """A terminal of 80 columns in which an interactive Bash runs in a folder; its prompt is `shell$ `."""

    def __init__(self, env: dict[str, str], folder: Path | None = None) -> None:
        self._terminal, inner = os.openpty()
        self.resize(80)
        shell = ["setsid", "--ctty", "bash", "--norc", "--noprofile", "-i"]
        env = {"TERM": "dumb"} | env | {"PS1": "shell$ "}
        self._shell = subprocess.Popen(shell, env=env, cwd=folder, stdin=inner, stdout=inner, stderr=inner)
        os.close(inner)
        self._shown = b""

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._terminal, keys.encode())

    def resize(self, columns: int) -> None:
        """Make the window so wide."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def until(self, text: str) -> str:
        """Return what is shown up to a text, which has to come."""
        lost = time.monotonic() + PATIENCE_S
        while text.encode() not in self._shown:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, lost - time.monotonic()))
            assert ready, f"{text!r} does not come after {self._shown.decode('utf-8', 'replace')}"
            self._shown += os.read(self._terminal, 65536)
        before, _, self._shown = self._shown.partition(text.encode())
        return before.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the window: what runs in it hears of that."""
        os.close(self._terminal)
        try:
            self._shell.wait(5)
        except subprocess.TimeoutExpired:
            self._shell.kill()
            self._shell.wait()
