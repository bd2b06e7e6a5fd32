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


def edit(data: bytes, hashes: bytes, known: Known) -> Edit | None:
    """Return where `data`, whose lines have these hashes, differs from what a prefix holds; None where it doesn't."""
    held = known.lines
    if hashes == held:
        return None
    place = 0
    while (same := hashes[place : place + LINE]) and same == held[place : place + LINE]:
        place += LINE
    text = data.strip()
    above = text.split(b"\n", place // LINE)[: place // LINE]
    start = data.find(text) + sum(map(len, above)) + len(above)
    if start > len(data.rstrip()):  # lines at the end are gone
        start = max(len(data.rstrip()) - 1, 0)
    end = start + len(data[start:].split(b"\n", 1)[0].rstrip())
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
        known = [one for one in self.files.get(name(path, self.key), {}).values() if one.expires_at > now]
        hashes = lines(data, self.key) if known else b""
        found = (edit(data, hashes, one) for one in known)
        return tuple(one for one in found if one is not None)
