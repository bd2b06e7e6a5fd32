"""The overview that was worked out last, kept beside the database for as long as nothing changes that it rests on."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from anchorline import __version__, files
from anchorline.config import Files
from anchorline.findings.model import Overview
from anchorline.store import database
from anchorline.store.database import overview_file


class _Kept(msgspec.Struct, frozen=True):
    """`basis` is a hash of the state of all files that the overview rests on."""

    basis: str
    overview: Overview


def basis(path: Path, own: Files) -> str:
    """Returns what tells the state of the database at `path` and of the user's `own` prices from any other."""
    states = [__version__]
    prices = (Path(name).expanduser() for name in (own.providers, own.models) if name)
    for file in (*database.members(path)[:2], *prices):
        with suppress(OSError):
            status = file.stat()
            if status.st_size:  # an empty write-ahead log comes and goes with each reader
                states.append(f"{file} {status.st_size} {status.st_mtime_ns}")
    return hashlib.blake2b("\n".join(states).encode(), digest_size=16).hexdigest()


def read(path: Path, state: str) -> Overview | None:
    """Returns the overview that was kept in this state; None where there is none."""
    try:
        kept = msgspec.json.decode(overview_file(path).read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
    return kept.overview if kept.basis == state else None


def current(path: Path, own: Files, make: Callable[[], Overview]) -> Overview:
    """Returns what is kept where nothing has changed since, else what `make` returns, which is kept then."""
    state = basis(path, own)
    overview = read(path, state)
    if overview is None:
        overview = make()
        if path.exists():
            write(path, state, overview)
    return overview


def write(path: Path, state: str, overview: Overview) -> None:
    """Keeps an overview, where that is possible: without it, the next one is worked out anew."""
    with suppress(OSError):
        files.write(overview_file(path), msgspec.json.encode(_Kept(state, overview)))
