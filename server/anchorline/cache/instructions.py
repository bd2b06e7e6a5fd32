"""Instruction files (CLAUDE.md, AGENTS.md, …) in warm prefixes: what an edit of one would have written again.

No text is kept. A file is known by a keyed hash of its path, its content by one of each line, with a random key of the
database. That is enough to find the first line that differs: what is warm behind it no longer fits.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import Literal

import msgspec

from anchorline.prompt import tokens

LINE = 8
"""Bytes of a line's hash."""
MAX_BYTES = 256 * 1024
"""Larger files are not looked at."""
Taken = Literal["request", "resume", "new"]
"""When a client reads the file: for each request, when a conversation is begun or resumed, or only when one is begun.

Claude Code reads it once and keeps it until the conversation is resumed, cleared or compacted
(https://github.com/anthropics/claude-code/issues/77355). Codex writes it into the session, and resumes with the old
text (https://github.com/openai/codex/issues/27473).
"""


class Known(msgspec.Struct, frozen=True):
    """An instruction file in a prefix that a provider holds until `expires_at` (epoch seconds).

    `file` and `conversation` are hashes, `lines` the hashes of its lines, one after the other. `tokens` is the estimate
    for its text, `behind` the tokens of the prefix after it that an edit costs as well.
    """

    file: str
    conversation: str
    provider: str
    account: str
    model: str
    ttl: str
    tokens: int
    behind: int
    lines: bytes
    taken: Taken
    written_at: float
    expires_at: float


class Edit(msgspec.Struct, frozen=True):
    """A file that differs from what a prefix holds, from the byte `start` of its line `start:end` on.

    `lost` are the tokens that are warm now and no longer fit.
    """

    known: Known
    start: int
    end: int
    lost: int


def name(path: str | PurePath, key: bytes) -> str:
    """Return the keyed hash that stands for a file. `path` is absolute and has no links in it."""
    return "b2:" + hashlib.blake2b(os.fsencode(path), digest_size=16, key=key).hexdigest()


def lines(text: bytes, key: bytes) -> bytes:
    """Return the hashes of a text's lines. White space at line ends, and blank lines around the text, don't count."""
    return b"".join(
        hashlib.blake2b(line.rstrip(), digest_size=LINE, key=key).digest()
        for line in text.strip().split(b"\n")
    )


def edit(data: bytes, known: Known, key: bytes) -> Edit | None:
    """Return where `data` differs from what a prefix holds; None where it doesn't."""
    position = len(data) - len(data.lstrip())
    held = known.lines
    place = 0
    for line in data.strip().split(b"\n"):
        digest = hashlib.blake2b(line.rstrip(), digest_size=LINE, key=key).digest()
        if held[place : place + LINE] != digest:
            return _edit(data, known, position, position + len(line.rstrip()))
        place += LINE
        position += len(line) + 1
    if place == len(held):
        return None
    return _edit(data, known, max(len(data.rstrip()) - 1, 0), len(data.rstrip()))


def _edit(data: bytes, known: Known, start: int, end: int) -> Edit:
    kept = tokens.estimate(data[:start], "document", tokens.family(known.model)) if start else 0
    return Edit(known, start, end, max(known.tokens - kept, 0) + known.behind)


class Instructions:
    """What is known of instruction files: `files` by the hash of the path, under it by conversation."""

    def __init__(self, key: bytes = b"", known: Iterable[Known] = ()) -> None:
        self.key = key
        self.files: dict[str, dict[tuple[str, str, str], Known]] = {}
        for one in known:
            self.files.setdefault(one.file, {})[one.provider, one.model, one.conversation] = one

    def put(self, known: Known) -> None:
        """Take in what is newly known of a file in a conversation, in the place of what was known before."""
        conversation = (known.provider, known.model, known.conversation)
        # Copied, since a document may be compared in another thread just now.
        self.files = {**self.files, known.file: {**self.files.get(known.file, {}), conversation: known}}

    def edits(self, path: PurePath, data: bytes, now: float) -> tuple[Edit, ...]:
        """Return in which warm prefixes the file's content differs from `data`."""
        if not self.files or len(data) > MAX_BYTES:
            return ()
        known = self.files.get(name(path, self.key), {}).values()
        found = (edit(data, one, self.key) for one in known if one.expires_at > now)
        return tuple(one for one in found if one is not None)
