"""What was worked out of parts of a history, kept beside the database under a digest of all that it rests on.

What a part rests on is told by its digest alone, so nothing has to be told of changes: an import, a deletion, another
price or another version of the program give other digests, and what nobody asks for any more is left out.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from anchorline import __version__, files
from anchorline.store.database import Subject, worked_out_file

T = TypeVar("T")


def of_parts(
    path: Path,
    subject: Subject,
    digests: Sequence[bytes],
    make: Callable[[list[int]], Iterable[T]],
    kind: type[T],
) -> list[T]:
    """Returns the result of each part of the history in the database at `path`: the kept one, or what `make` makes.

    `digests` are those of all parts, and `make` returns the results of some, by their indices. Only what
    belongs to these parts is kept; where nothing can be written, nothing is.
    """
    file = worked_out_file(path, subject)
    kept = _read(file, kind)
    missing = [index for index, digest in enumerate(digests) if digest not in kept]
    results = dict(zip((digests[index] for index in missing), make(missing) if missing else (), strict=True))
    results |= {digest: kept[digest] for digest in digests if digest in kept}
    if (missing or len(results) < len(kept)) and path.exists():
        with suppress(OSError):
            files.write(file, msgspec.msgpack.encode((__version__, results)))
    return [results[digest] for digest in digests]


def _read(file: Path, kind: type[T]) -> dict[bytes, T]:
    try:
        version, kept = msgspec.msgpack.decode(file.read_bytes(), type=tuple[str, dict[bytes, kind]])  # type: ignore[valid-type]
    except (OSError, msgspec.DecodeError):
        return {}
    return kept if version == __version__ else {}
