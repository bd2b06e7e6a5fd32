"""Runs commands on a terminal of their own, where the system has such (not on Windows)."""

import os
import subprocess
from pathlib import Path


def on_a_terminal(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> bytes:
    """Return all that a command prints on a terminal of its own."""
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    parts = []
    try:
        while part := os.read(leader, 1 << 16):
            parts.append(part)
    except OSError:  # Linux says so that the other side is closed
        pass
    os.close(leader)
    process.wait()
    return b"".join(parts)
