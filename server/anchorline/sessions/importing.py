"""Reads session files piece by piece: one of lines that grew is read from where it ended, a replaced one anew.

A document is read as a whole and a database by its rows that are new; what either has left out since stays known, as it
was billed.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import msgspec

from anchorline.prompt.model import PromptError
from anchorline.prompt.source import PACKED, Line, lines, read_bytes, refused
from anchorline.rate_limits import LimitSample
from anchorline.sessions import agent_database, agents, messages
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import DatabaseTranscript, RecordedRequest, TellsLimits, Transcript
from anchorline.sessions.session_files import form, stamp

PROBLEMS = 10
"""Lines of a file that are named when they can't be read; of the others only the number is said."""
_MARK = 4096
STATE_S = 7 * 86_400
"""A file that was not written for so long is likely finished: it is read anew should it grow."""
STATE_BYTES = 1_000_000
"""A smaller file is read anew should it grow: that costs less than to keep the state of all files."""
STATE_LINES = 200_000
"""So is one of more lines: its state would take as much memory as the file."""
MAX_DOCUMENT = 512 * 1024 * 1024
"""Bytes of a document, which is held in memory while it is read."""

REPLACED = -1
"""The size of a file that was replaced while it was read: the next import reads it anew."""


class ReadPosition(msgspec.Struct, frozen=True):
    """How far a file was read: `offset` bytes and `line` lines, and what it was to look at then.

    `head` and `tail` are hashes of the first and last 4096 bytes before `offset`: a file that grew still has
    them. `state` is what the reader needs to go on, None where the file would be read anew.
    """

    size: int
    mtime_ns: int
    offset: int
    line: int
    head: bytes
    tail: bytes
    state: bytes | None


class LineProblem(msgspec.Struct, frozen=True):
    """A line that can't be read (0: the file itself)."""

    file: str
    line: int
    message: str


class FilePart(msgspec.Struct, frozen=True):
    """What was read of a file. `anew`: from its beginning, so that it replaces what was known of it.

    The requests are found while they are taken, once: a file has more than fit into memory well. `problems` is whole
    when they all are taken. `limits` is what it tells of a plan's limits.
    """

    requests: Iterable[RecordedRequest]
    position: ReadPosition
    problems: list[LineProblem]
    anew: bool
    bytes: int
    limits: tuple[LimitSample, ...] = ()


def read(
    path: Path,
    agent: str,
    earlier: ReadPosition | None,
    now: float,
    *,
    features: bool = False,
    key: bytes = b"",
    names: bool = False,
) -> FilePart | None:
    """Reads what is new in an agent's file; None where nothing is. Raises OSError.

    `features`: also what is learnt from a person's messages; then taking the requests raises OSError and PromptError
    too, where the file has gone meanwhile, as it does of a database. `key` is our own database's, for hashes of paths;
    `names`: those of folders, branches and sub-agents may be kept.
    """
    stamped = stamp(path)
    if earlier is not None and (earlier.size, earlier.mtime_ns) == stamped:
        return None
    reader = partial(_reader, agent, path, key, names)
    if form(path) == "database":
        return _database_part(path, cast("Callable[[], DatabaseTranscript]", reader), earlier, stamped)
    make = cast("Callable[[], Transcript]", reader)
    if form(path) == "document":
        return _document_part(path, make(), stamped, features=features)
    return _lines_part(path, agent, make, earlier, now, features=features)


def _reader(agent: str, path: Path, key: bytes, names: bool) -> object:
    return agents.reader(agent)(Facts(key, names=names), path)


def _database_part(
    path: Path,
    make: Callable[[], DatabaseTranscript],
    earlier: ReadPosition | None,
    stamped: tuple[int, int],
) -> FilePart:
    reader = make()
    if earlier is not None and earlier.state is not None:
        try:
            reader.resume(zlib.decompress(earlier.state))
        except (msgspec.DecodeError, zlib.error):  # another version wrote it
            reader = make()
    problems: list[LineProblem] = []
    position = ReadPosition(REPLACED, stamped[1], 0, 0, b"", b"", None)
    requests: Iterator[RecordedRequest] = iter(())
    try:
        with ExitStack() as stack:
            reader.take(stack.enter_context(agent_database.opened(path)))
            position = ReadPosition(*stamped, 0, 0, b"", b"", zlib.compress(reader.state(), 1))
            requests = _of_database(path, reader, stack.pop_all(), problems)
    except PromptError as error:
        problems.append(LineProblem(str(path), 0, str(error)))
    return FilePart(requests, position, problems, anew=False, bytes=stamped[0])


def _of_database(
    path: Path, reader: DatabaseTranscript, stack: ExitStack, problems: list[LineProblem]
) -> Iterator[RecordedRequest]:
    with stack:
        yield from reader.requests()
    if reader.problem is not None:
        problems.append(LineProblem(str(path), 0, reader.problem))


def _document_part(path: Path, reader: Transcript, stamped: tuple[int, int], *, features: bool) -> FilePart:
    """Reads a document. One that can't be read, as while it is just being rewritten, is read again next time."""
    problems: list[LineProblem] = []
    error: PromptError | None
    try:
        content = read_bytes(path, MAX_DOCUMENT)
        error = refused(Line(1, 0, content, complete=True), reader.take)
    except PromptError as refusal:
        error = refusal
    if error is not None:
        problems.append(LineProblem(str(path), 0, _without_text(error)))
        return FilePart((), ReadPosition(REPLACED, stamped[1], 0, 0, b"", b"", None), problems, False, 0)
    position = ReadPosition(*stamped, 0, 0, b"", b"", None)
    requests = _requests(path, reader, problems, features=features)
    return FilePart(requests, position, problems, anew=False, bytes=stamped[0])


def _lines_part(
    path: Path,
    agent: str,
    make: Callable[[], Transcript],
    earlier: ReadPosition | None,
    now: float,
    *,
    features: bool,
) -> FilePart:
    stat = path.stat()
    packed = path.suffix in PACKED
    reader = make()
    anew = True
    if (
        earlier is not None
        and earlier.state is not None
        and not packed
        and _grew(path, earlier, stat.st_size)
    ):
        try:
            reader.resume(zlib.decompress(earlier.state))
            anew = False
        except (msgspec.DecodeError, zlib.error):  # another version wrote it
            reader = make()
    begin, number = (0, 0) if anew or earlier is None else (earlier.offset, earlier.line)
    keep = not packed and stat.st_size >= STATE_BYTES and now - stat.st_mtime < STATE_S
    problems: list[LineProblem] = []
    offset, left_out = begin, 0
    state: bytes | None = None
    torn = False
    try:
        for line in lines(path, begin, number):
            if not line.complete:  # it may just be being written: it is read once more when it is whole
                torn, state = True, reader.state() if keep and number <= STATE_LINES else None
                refused(line, reader.take)
                break
            error = refused(line, reader.take)
            if error is not None and len(problems) < PROBLEMS:
                problems.append(LineProblem(str(path), line.number, _without_text(error)))
            elif error is not None:
                left_out += 1
            number, offset = line.number, line.offset + len(line.text) + 1
    except PromptError as error:
        problems.append(LineProblem(str(path), error.line or 0, str(error)))
    if left_out:
        problems.append(
            LineProblem(
                str(path),
                0,
                f"{left_out} more lines can't be read. Is it a session of {agents.title(agent)}?",
            )
        )
    if keep and not torn and number <= STATE_LINES:
        state = reader.state()
    whole = _same(path, stat, None if anew else earlier)
    head, tail = (b"", b"") if packed or not whole else _marks(path, offset)
    position = ReadPosition(
        stat.st_size if whole else REPLACED,
        stat.st_mtime_ns,
        offset,
        number,
        head,
        tail,
        zlib.compress(state, 1) if keep and state and whole else None,
    )
    requests = _requests(path, reader, problems, features=features)
    size = stat.st_size - (0 if packed else begin)
    limits = tuple(reader.limits()) if isinstance(reader, TellsLimits) else ()
    return FilePart(requests, position, problems, anew, size, limits)


def _requests(
    path: Path, reader: Transcript, problems: list[LineProblem], *, features: bool
) -> Iterator[RecordedRequest]:
    yield from messages.with_features(path, reader.requests()) if features else reader.requests()
    if reader.problem is not None:
        problems.append(LineProblem(str(path), 0, reader.problem))


def _same(path: Path, before: os.stat_result, earlier: ReadPosition | None) -> bool:
    """Says whether a file has at most grown while it was read, from `earlier` on or from its beginning."""
    try:
        now = path.stat()
        grown = (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino) and now.st_size >= before.st_size
        return grown and (earlier is None or _grew(path, earlier, now.st_size))
    except FileNotFoundError:
        return False


def _without_text(error: PromptError) -> str:
    """Returns what is wrong with a line in the decoder's words: they name places and types, never content."""
    return str(error).partition(": ")[2] or "can't be read"


def _grew(path: Path, position: ReadPosition, size: int) -> bool:
    return size >= position.offset and _marks(path, position.offset) == (position.head, position.tail)


def _marks(path: Path, offset: int) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(min(_MARK, offset))
        file.seek(max(0, offset - _MARK))
        tail = file.read(min(_MARK, offset))
    return hashlib.blake2b(head, digest_size=16).digest(), hashlib.blake2b(tail, digest_size=16).digest()
