"""The gateway's token: random, kept in a file for the owner's eyes, known to all programs of the owner's."""

import os
import secrets
import time
from pathlib import Path

FILE = "gateway.token"
BYTES = 24
LOOKS = 50
"""How often a token that is being written is looked at, a hundredth of a second apart."""


def token(folder: Path) -> str:
    """Return the token that is kept in `folder`, made at the first call, for the owner's eyes only (0600).

    Raises OSError where it can be neither read nor made.
    """
    path = folder / FILE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        for _ in range(LOOKS):
            known = path.read_text("ascii").strip()
            if len(known) >= BYTES:
                if os.name == "posix" and path.stat().st_mode & 0o077:
                    path.chmod(0o600)
                return known
            time.sleep(0.01)  # another program writes it just now
        path.unlink(missing_ok=True)  # cut short when it was written
        return token(folder)
    made = secrets.token_urlsafe(BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(made + "\n")
    return made
