"""The gateway's token: random, kept in a file for the owner's eyes, known to all programs of the owner's."""

import errno
import os
import re
import secrets
from pathlib import Path

from anchorline import files

FILE = "gateway.token"
BYTES = 24
_FORM = re.compile(rb"[A-Za-z0-9_-]{%d,}" % BYTES)
"""It stands in addresses as it is."""
_LONGEST = 1024
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""Errors of a disk that takes no file."""


def token(folder: Path) -> str:
    """Returns the token that is kept in `folder`, made at the first call, for the owner's eyes only (0600).

    Raises OSError where it can be neither read nor made.
    """
    path = folder / FILE
    files.make_folder(folder)
    secret = _kept(path)
    if secret is None:
        with files.lock(folder / f"{FILE}-lock"):
            secret = _kept(path) or _made(path)  # another program may have been faster
    return secret


def renewed(folder: Path) -> str:
    """Returns a new token in the place of the one that is kept. Clients have to be connected again. Raises OSError."""
    files.make_folder(folder)
    with files.lock(folder / f"{FILE}-lock"):
        return _made(folder / FILE)


def passing() -> str:
    """Returns a token that is kept nowhere, for a gateway whose disk takes no file."""
    return secrets.token_urlsafe(BYTES)


def _kept(path: Path) -> str | None:
    """Returns the token in the file; None where there is none, or what stands there can be none."""
    try:
        files.check_plain(path)
        with path.open("rb") as file:
            content = file.read(_LONGEST).strip()
    except FileNotFoundError:
        return None
    if not _FORM.fullmatch(content):
        return None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return content.decode("ascii")


def _made(path: Path) -> str:
    secret = passing()
    files.write(path, secret + "\n")
    return secret
