"""The index of a workspace: brought up to date file by file, asked by words, names and paths."""

import threading
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from anchorline.index import documents, words
from anchorline.index.contents import contents
from anchorline.index.database import FileRow, IndexDatabase
from anchorline.index.documents import Collected, Hits
from anchorline.index.history import History
from anchorline.index.snapshot import Listed, Snapshot
from anchorline.workspace.symbols import Symbol

CHUNK = 64
"""Files that are read before they are written, all together."""
UNSETTLED = 256
"""Changed files above which they are put into the large part of the arrays."""
PASSES = 3
"""How often the files are listed again because some have changed meanwhile."""
MOST_READ = 60
"""Files that are searched for a literal text, at most."""


class Bounds(NamedTuple):
    """How much of a workspace is indexed: files, and bytes of them."""

    files: int = 20_000
    size: int = 256 * 1024 * 1024


class Refreshed(NamedTuple):
    """What a refresh did: files that were read and that were removed, all that are indexed, those beyond the bounds.

    `complete` says that it was not stopped.
    """

    read: int
    removed: int
    files: int
    beyond: int
    complete: bool


class Place(NamedTuple):
    """Where a symbol is defined: the line is counted from 1."""

    path: str
    line: int


class WorkspaceIndex:
    """The index of a workspace. May be used in any thread: a question is answered while a refresh goes on."""

    def __init__(self, snapshot: Snapshot, file: Path | None = None, bounds: Bounds | None = None) -> None:
        """Keeps the index in a file; without one in memory alone."""
        self._snapshot = snapshot
        self._bounds = bounds or Bounds()
        self._changing = threading.RLock()
        self._database = IndexDatabase(file)
        self._collected = Collected()
        self._fingerprints: dict[str, str] = {}
        self._loaded = False
        self.history = History()

    def refresh(self, stop: Callable[[], bool] = bool) -> Refreshed:
        """Brings the index up to date, as far as `stop` lets it. Raises OSError where the folder can't be listed."""
        self._load()
        read = removed = 0
        chosen: dict[str, Listed] = {}
        listed: dict[str, Listed] = {}
        for _ in range(PASSES):
            listed = self._snapshot.files()
            history = self._snapshot.history(self.history)
            if history != self.history:
                self.history = history
                self._database.keep_history(history)
            chosen = self._chosen(listed)
            gone = [path for path in self._fingerprints if path not in chosen]
            changed = [
                path for path, file in chosen.items() if self._fingerprints.get(path) != file.fingerprint
            ]
            with self._changing:
                self._remove(gone)
            removed += len(gone)
            remaining = iter(changed)
            while chunk := list(islice(remaining, CHUNK)):
                if stop():
                    return Refreshed(read, removed, len(self._fingerprints), len(listed) - len(chosen), False)
                with self._changing:
                    self._take({path: chosen[path] for path in chunk})
                read += len(chunk)
            if not changed:
                break
        with self._changing:
            if self._collected.changed > UNSETTLED:
                self._collected.settle()
        return Refreshed(read, removed, len(self._fingerprints), len(listed) - len(chosen), True)

    def update(self, path: str) -> bool:
        """Takes another version of one file that is or was indexed; says whether it is."""
        with self._changing:
            self._load()
            file = self._snapshot.file(path)
            if file is None:
                self._remove([path])
                return False
            self._take({path: file})
            return path in self._collected

    def _load(self) -> None:
        with self._changing:
            if self._loaded:
                return
            self._loaded = True
            rows = {}
            for row in self._database.all():
                self._fingerprints[row.path] = row.fingerprint
                if row.contents is not None:
                    rows[row.path] = row.contents
            self._collected = Collected(rows)
            self.history = self._database.history()

    def _chosen(self, listed: dict[str, Listed]) -> dict[str, Listed]:
        """Returns the files within the bounds: those committed last come first, then those nearest to the root."""
        last = self.history.last
        beyond = len(last)
        order = sorted(listed, key=lambda path: (last.get(path, beyond), path.count("/"), path))
        chosen: dict[str, Listed] = {}
        size = 0
        for path in order:
            file = listed[path]
            size += file.size
            if len(chosen) >= self._bounds.files or size > self._bounds.size:
                break
            chosen[path] = file
        return chosen

    def _take(self, listed: dict[str, Listed]) -> None:
        rows = []
        for path, file in listed.items():
            kept = self._database.find(path, file.fingerprint)
            if kept is None:
                raw = self._snapshot.read(path)
                both = contents(path, raw) if raw is not None else None
                kept = FileRow(path, file.fingerprint, *(both or (None,)))
                rows.append(kept)
            self._fingerprints[path] = kept.fingerprint
            if kept.contents is not None:
                self._collected.put(path, kept.contents)
            else:
                self._collected.remove(path)
        self._database.change(rows)

    def _remove(self, paths: list[str]) -> None:
        if paths:
            self._database.change((), paths)
        for path in paths:
            self._fingerprints.pop(path, None)
            self._collected.remove(path)

    def search(self, query: str) -> Hits:
        """Returns how well each indexed file fits a text."""
        return self._documents().search(documents.query(words.terms(query)))

    def _documents(self) -> documents.Documents:
        with self._changing:
            return self._collected.documents()

    @property
    def paths(self) -> tuple[str, ...]:
        """The indexed files, in no order."""
        return self._documents().paths

    def read(self, path: str) -> bytes | None:
        """Returns the bytes of a file of the workspace, None where it is gone or does not count."""
        return self._snapshot.read(path)

    def together(self, paths: Collection[str]) -> dict[str, float]:
        """Returns how often files were committed together with these, as `History.together`."""
        return self.history.together(paths)

    def matched(self, path: str, query: str) -> tuple[str, ...]:
        """Returns the words of a text that a file has in it, in its path or its definitions, the rarest first."""
        held = self._documents()
        rarity: dict[str, int] = {}
        for word in dict.fromkeys(words.WORD.findall(query)):
            for term in words.split(word):
                number = words.key(term)
                having = held.having("text", number) | held.having("path", number)
                if path in having:
                    rarity[word] = min(rarity.get(word, len(having)), len(having))
        return tuple(sorted(rarity, key=lambda word: (rarity[word], word)))

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        """Returns what a file defines in the order of its lines; of a document its headings."""
        return self._database.symbols(path)

    def definers(self, name: str) -> frozenset[str]:
        """Returns the files that define a name, written as it is."""
        return self._documents().having("names", words.key(name))

    def defining(self, name: str) -> tuple[Place, ...]:
        """Returns where a name is defined."""
        return tuple(
            Place(path, symbol.line)
            for path in sorted(self.definers(name))
            for symbol in self.symbols(path)
            if symbol.name == name
        )

    def imports(self, path: str) -> tuple[str, ...]:
        """Returns the last parts of what a file imports, in lower case."""
        return self._database.imports(path)

    def importing(self, name: str) -> frozenset[str]:
        """Returns the files that import something whose last part is `name`, in lower case."""
        return self._documents().having("imports", words.key(name))

    def holding(self, literal: str) -> tuple[str, ...] | None:
        """Returns the files that hold a text as it is, or None if too many may do."""
        terms = dict.fromkeys(words.key(term) for term in words.terms(literal))
        if not terms:
            return None
        candidates = self._documents().having_all("text", terms)
        if len(candidates) > MOST_READ:
            return None
        wanted = literal.encode()
        return tuple(path for path in candidates if wanted in (self._snapshot.read(path) or b""))

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
