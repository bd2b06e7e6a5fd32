"""Reads session files piece by piece: a file that grew is read from where it ended, a replaced one anew."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from anchorline.prompt.model import PromptError
from anchorline.prompt.source import PACKED, lines, refused
from anchorline.sessions import messages
from anchorline.sessions.claude_code import ClaudeCode
from anchorline.sessions.codex import Codex
from anchorline.sessions.facts import Facts
from anchorline.sessions.request import RecordedRequest, Transcript
from anchorline.sessions.session_files import Agent

READERS: dict[Agent, Callable[[Facts], Transcript]] = {"claude-code": ClaudeCode, "codex": Codex}
NAMES: dict[Agent, str] = {"claude-code": "a Claude Code", "codex": "a Codex"}
PROBLEMS = 10
"""Lines of a file that are named when they can't be read; of the others only the number is said."""
_MARK = 4096
STATE_S = 7 * 86_400
"""A file that was not written for so long is likely finished: it is read anew should it grow."""
STATE_BYTES = 1_000_000
"""A smaller file is read anew should it grow: that costs less than to keep the state of all files."""
STATE_LINES = 200_000
"""So is one of more lines: its state would take as much memory as the file."""


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
    when they all are taken.
    """

    requests: Iterable[RecordedRequest]
    position: ReadPosition
    problems: list[LineProblem]
    anew: bool
    bytes: int


def read(
    path: Path,
    agent: Agent,
    earlier: ReadPosition | None,
    now: float,
    *,
    features: bool = False,
    key: bytes = b"",
    names: bool = False,
) -> FilePart | None:
    """Reads what is new in a file; None where nothing is. Raises OSError.

    `features`: also what is learnt from a person's messages; then taking the requests raises OSError and PromptError
    too, where the file has gone meanwhile. `key` is the database's, for hashes of paths; `names`: those of folders,
    branches and sub-agents may be kept.
    """
    stat = path.stat()
    if earlier is not None and (earlier.size, earlier.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return None
    packed = path.suffix in PACKED
    facts = Facts(key, names=names)
    if path.name.startswith("agent-"):
        facts.own_agent(path)
    reader = READERS[agent](facts)
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
            reader = READERS[agent](Facts(key, names=names))
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
            LineProblem(str(path), 0, f"{left_out} more lines can't be read. Is it {NAMES[agent]} session?")
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
    return FilePart(requests, position, problems, anew, stat.st_size - (0 if packed else begin))


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
