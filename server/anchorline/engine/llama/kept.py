"""What was computed of instructions and conversations, kept for the next request that begins alike.

Conversations stay in the worker's memory. Instructions are written to the model's own folder (0600) as well: they are
the program's constant text, never anything of a prompt. A file is named by all that it depends on and begins with its
hash, so it is either right or not read.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import msgspec

from anchorline import files

CONVERSATIONS = 8
"""Conversations that are kept: the one that was longest without a turn goes first."""
IN_MEMORY = 4
ON_DISK = 16
"""Instructions that are kept."""
FOLDER = ".prefixes"
SUFFIX = ".llama"
log = logging.getLogger(__name__)


class State(msgspec.Struct, frozen=True):
    """Tokens, and what llama.cpp computed of them."""

    tokens: list[int]
    data: bytes


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """Returns how many tokens two sequences have in common at their beginning."""
    return next(
        (at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right))
    )


class Conversations:
    """The kept conversations, of at most so many bytes together; none are kept with 0."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._kept: list[State] = []

    def nearest(self, tokens: Sequence[int]) -> tuple[State | None, int]:
        """Returns the state that has most tokens in common at the beginning, and how many."""
        counts = [(common(state.tokens, tokens), at) for at, state in enumerate(self._kept)]
        count, at = max(counts, default=(0, -1))
        if not count:
            return None, 0
        self._kept.append(self._kept.pop(at))
        return self._kept[-1], count

    def keep(self, state: State) -> None:
        """Keeps a state in the place of those that it continues."""
        if len(state.data) > self.most_bytes:
            return
        self._kept = [other for other in self._kept if common(other.tokens, state.tokens) < len(other.tokens)]
        self._kept.append(state)
        while len(self._kept) > CONVERSATIONS or self.size > self.most_bytes:
            del self._kept[0]

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return sum(len(state.data) for state in self._kept)

    def __len__(self) -> int:
        return len(self._kept)


class Instructions:
    """The kept instructions of one model. `identity` names the model and whatever else its numbers depend on."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder / FOLDER
        self._identity = identity
        self._kept: OrderedDict[str, State] = OrderedDict()
        self._unwritten: set[str] = set()

    def find(self, tokens: Sequence[int]) -> State | None:
        """Returns the state of an instruction, from memory or disk; None where none is kept."""
        name = self._name(tokens)
        if name not in self._kept:
            data = self._read(name)
            if data is None:
                return None
            self._remember(name, State(list(tokens), data))
        self._kept.move_to_end(name)
        return self._kept[name]

    def keep(self, state: State) -> None:
        """Keeps the state of an instruction; `write` puts it on disk."""
        name = self._name(state.tokens)
        self._remember(name, state)
        self._unwritten.add(name)

    def write(self) -> None:
        """Writes what is new: for a moment when nobody waits. What can't be written stays in memory only."""
        for name in self._unwritten & self._kept.keys():
            try:
                self._write(name, self._kept[name].data)
            except OSError as error:
                log.debug("an instruction is not written: %s", error)
        self._unwritten.clear()

    def _name(self, tokens: Sequence[int]) -> str:
        return hashlib.sha256(f"{self._identity} {list(tokens)}".encode()).hexdigest()[:32]

    def _remember(self, name: str, state: State) -> None:
        self._kept[name] = state
        while len(self._kept) > IN_MEMORY:
            self._kept.popitem(last=False)

    def _read(self, name: str) -> bytes | None:
        file = self._folder / f"{name}{SUFFIX}"
        try:
            content = file.read_bytes()
            file.touch()
        except OSError:
            return None
        digest, data = content[:32], content[32:]
        return data if hashlib.sha256(data).digest() == digest else None

    def _write(self, name: str, data: bytes) -> None:
        files.make_folder(self._folder)
        with files.replacing(self._folder / f"{name}{SUFFIX}") as part:
            part.write_bytes(hashlib.sha256(data).digest() + data)
        by_age = sorted(self._folder.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime)
        for old in by_age[:-ON_DISK]:
            old.unlink(missing_ok=True)
