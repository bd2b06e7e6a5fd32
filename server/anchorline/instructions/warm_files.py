"""The instruction files that stand in warm prefixes, and from which line on an edited file differs from one.

No text is kept. A file is known by a keyed hash of its path, its content by one of each line, with a random key of the
database. That is enough to find the first line that differs: what is warm behind it no longer fits.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import PurePath
from typing import Literal

import msgspec

from anchorline.cache.ledger import Entry
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


class WarmFile(msgspec.Struct, frozen=True):
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


class InstructionEdit(msgspec.Struct, frozen=True):
    """A file that differs from what a prefix holds, from the byte `start` of its line `start:end` on.

    `lost` are the tokens that are warm now and no longer fit.
    """

    file: WarmFile
    start: int
    end: int
    lost: int


def keyed_hash(value: str | PurePath, key: bytes) -> str:
    """Returns the hash that stands for a conversation, or for a file by its absolute path without links."""
    return "b2:" + hashlib.blake2b(os.fsencode(value), digest_size=16, key=key).hexdigest()


def line_hashes(text: bytes, key: bytes) -> bytes:
    """Returns the hashes of a text's lines, without white space at line ends and blank lines around the text."""
    return b"".join(
        hashlib.blake2b(line.rstrip(), digest_size=LINE, key=key).digest()
        for line in text.strip().split(b"\n")
    )


def warm_file(
    path: PurePath, content: bytes, entry: Entry, key: bytes, *, conversation: str, behind: int, taken: Taken
) -> WarmFile:
    """Returns the file at `path`, whose `content` stands in the prefix that `entry` holds.

    `conversation` is a hash. Without content the file has no lines and no tokens.
    """
    return WarmFile(
        file=keyed_hash(path, key),
        conversation=conversation,
        provider=entry.provider,
        account=entry.account,
        model=entry.model,
        ttl=entry.ttl,
        tokens=tokens.estimate(content, "document", tokens.family(entry.model)) if content else 0,
        behind=behind,
        lines=line_hashes(content, key) if content else b"",
        taken=taken,
        written_at=entry.written_at,
        expires_at=entry.expires_at,
    )


def first_edit(data: bytes, hashes: bytes, file: WarmFile) -> InstructionEdit | None:
    """Returns where `data`, whose lines have these hashes, differs from what a prefix holds; None where it doesn't."""
    if hashes == file.lines:
        return None
    same = 0
    while (line := hashes[same : same + LINE]) and line == file.lines[same : same + LINE]:
        same += LINE
    text = data.strip()
    above = text.split(b"\n", same // LINE)[: same // LINE]
    start = data.find(text) + sum(map(len, above)) + len(above)
    if start > len(data.rstrip()):  # lines at the end are gone
        start = max(len(data.rstrip()) - 1, 0)
    end = start + len(data[start:].split(b"\n", 1)[0].rstrip())
    kept = tokens.estimate(data[:start], "document", tokens.family(file.model)) if start else 0
    return InstructionEdit(file, start, end, max(file.tokens - kept, 0) + file.behind)


class WarmFiles:
    """All instruction files in warm prefixes: `files` by the hash of the path, under it by conversation."""

    def __init__(self, key: bytes = b"", files: Iterable[WarmFile] = ()) -> None:
        self.key = key
        self.files: dict[str, dict[tuple[str, str, str], WarmFile]] = {}
        for file in files:
            self.files.setdefault(file.file, {})[file.provider, file.model, file.conversation] = file

    def put(self, file: WarmFile) -> None:
        """Replaces what was known of a file in a conversation."""
        conversation = (file.provider, file.model, file.conversation)
        # Copied, since a document may be compared in another thread just now.
        self.files = {**self.files, file.file: {**self.files.get(file.file, {}), conversation: file}}

    def warm(self, path: PurePath, now: float) -> list[WarmFile]:
        """Returns the file as it stands in each warm prefix; `path` is absolute and without links."""
        if not self.files:
            return []
        return [
            file for file in self.files.get(keyed_hash(path, self.key), {}).values() if file.expires_at > now
        ]

    def edits(self, path: PurePath, data: bytes, now: float) -> tuple[InstructionEdit, ...]:
        """Returns in which warm prefixes the file's content differs from `data`."""
        if len(data) > MAX_BYTES:
            return ()
        warm = self.warm(path, now)
        hashes = line_hashes(data, self.key) if warm else b""
        edits = (first_edit(data, hashes, file) for file in warm)
        return tuple(edit for edit in edits if edit is not None)
