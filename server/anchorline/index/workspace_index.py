"""The index of a workspace: brought up to date file by file, asked by words, names and paths."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from anchorline.index import database, documents, words
from anchorline.index.contents import contents
from anchorline.index.database import FAILURES, FileRow
from anchorline.index.documents import Collected, Field, Hits
from anchorline.index.history import History
from anchorline.index.snapshot import Listed, Snapshot
from anchorline.workspace.symbols import Symbol

CHUNK = 64
"""Files that are read before they are written, all together."""
PASSES = 3
"""How often the files are listed again because some have changed meanwhile."""
UNSETTLED_SHARE = 8
"""While many files are read, one in so many may be unsettled."""
DATABASES = 2
"""How often another database is taken for one that fails: a new file, then one in memory."""
MOST_READ = 60
"""Files that are searched for a literal text, at most."""
IN_FILE: tuple[Field, ...] = ("text", "path")
"""Where a word may be that a file has: its definitions are part of its text."""
T = TypeVar("T")
log = logging.getLogger(__name__)


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
    """The index of a workspace. May be used in any thread.

    A question does not wait for a refresh: it is answered from the files as they were known before its last step.
    """

    def __init__(self, snapshot: Snapshot, file: Path | None = None, bounds: Bounds | None = None) -> None:
        """Keeps the index in a file; without one, or where it can't be written, in memory alone."""
        self._snapshot = snapshot
        self._bounds = bounds or Bounds()
        self._changing = threading.RLock()
        self._database = database.opened(file)
        self._failure: Exception | None = None
        self._bounds_told = False
        self._forget()

    def _forget(self) -> None:
        self._collected = Collected()
        self._published = self._collected.documents()
        self._fingerprints: dict[str, str] = {}
        self._loaded = False
        self.history = History()

    def refresh(self, stop: Callable[[], bool] = bool) -> Refreshed:
        """Brings the index up to date, as far as `stop` lets it. Raises OSError where the folder can't be listed.

        What was done until then is kept: the next refresh goes on there.
        """
        for _ in range(DATABASES):
            try:
                if self._failure is None:
                    return self._refresh(stop)
            except FAILURES as error:
                self._failure = error
            self._start_anew()
        return self._refresh(stop)

    def _start_anew(self) -> None:
        """Takes another database for the one that failed, and forgets what was in it."""
        with self._changing:
            if self._failure is not None:
                self._database.close()
                self._database = database.renewed(self._database.path, self._failure)
                self._failure = None
                self._forget()

    def _refresh(self, stop: Callable[[], bool]) -> Refreshed:
        self._load()
        read = removed = beyond = 0
        complete = True
        for _ in range(PASSES):
            listed = self._snapshot.files()
            self._follow_history()
            chosen = self._chosen(listed)
            beyond = len(listed) - len(chosen)
            known = self._fingerprints.copy()
            gone = [path for path in known if path not in chosen]
            changed = [path for path, file in chosen.items() if known.get(path) != file.fingerprint]
            self._apply([], gone)
            removed += len(gone)
            remaining = iter(changed)
            while chunk := list(islice(remaining, CHUNK)):
                rows = []
                for path in chunk:
                    if stop():
                        complete = False
                        break
                    rows.append(self._row(path, chosen[path]))
                self._apply(rows, [])
                read += len(rows)
                if not complete:
                    break
            if not changed or not complete:
                break
        with self._changing:
            self._collected.settle()
        if beyond and not self._bounds_told:
            self._bounds_told = True
            log.warning("of this workspace's files %d are not indexed: it has too many", beyond)
        return Refreshed(read, removed, len(self._collected), beyond, complete)

    def update(self, path: str) -> bool:
        """Takes a file as it is now, or out where it is gone; says whether it is indexed.

        It is for files that were indexed before: a new one may be one that git ignores, which `refresh` asks for.
        """
        if path not in self._fingerprints:
            return False
        file = self._snapshot.file(path)
        try:
            self._apply(
                [self._row(path, file)] if file is not None else [], [] if file is not None else [path]
            )
        except FAILURES as error:
            self._failure = error
        return path in self._collected

    def _load(self) -> None:
        """Reads what is kept, once."""
        with self._changing:
            if self._loaded:
                return
            rows = {}
            for row in self._database.rows():
                self._fingerprints[row.path] = row.fingerprint
                if row.contents is not None:
                    rows[row.path] = row.contents
            self.history = self._database.history()
            self._collected = Collected(rows)
            self._loaded = True

    def _follow_history(self) -> None:
        history = self._snapshot.history(self.history)
        if history.head != self.history.head:
            self.history = history
            self._write(lambda: self._database.keep_history(history))

    def _row(self, path: str, file: Listed) -> FileRow:
        """Returns what there is to keep of a file: another program may have kept it already."""
        kept = self._database.find(path, file.fingerprint)
        if kept is not None and self._fingerprints.get(path) != file.fingerprint:
            return kept._replace(symbols=self._database.symbols(path))
        raw = self._snapshot.read(path)
        both = contents(path, raw) if raw is not None else None
        return FileRow(path, file.fingerprint, *(both or (None,)))

    def _apply(self, rows: list[FileRow], gone: list[str]) -> None:
        with self._changing:
            for row in rows:
                self._fingerprints[row.path] = row.fingerprint
                if row.contents is not None:
                    self._collected.put(row.path, row.contents)
                else:
                    self._collected.remove(row.path)
            for path in gone:
                self._fingerprints.pop(path, None)
                self._collected.remove(path)
            if rows or gone:
                self._collected.settle(UNSETTLED_SHARE)
                self._write(lambda: self._database.change(rows, gone))

    def _write(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            log.debug("another program writes the index: %s", error)  # it has the same to write

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

    def search(self, query: str) -> Hits:
        """Returns how well each indexed file fits a text."""
        return self._documents().search(documents.query(words.terms(query)))

    def _documents(self) -> documents.Documents:
        if self._changing.acquire(blocking=False):
            try:
                self._published = self._collected.documents()
            finally:
                self._changing.release()
        return self._published

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
        """Returns the words of a text that a file has in it or in its path, the rarest first."""
        held = self._documents()
        rarity: dict[str, int] = {}
        for word in dict.fromkeys(words.WORD.findall(query)):
            terms = [words.key(term) for term in words.split(word)]
            files = [
                count for term in terms for field in IN_FILE if (count := held.files_if(path, field, term))
            ]
            if files:
                rarity[word] = min(files)
        return tuple(sorted(rarity, key=lambda word: (rarity[word], word)))

    def symbols(self, path: str) -> tuple[Symbol, ...]:
        """Returns what a file defines in the order of its lines; of a document its headings."""
        return self._asked(self._database.symbols, path)

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
        return self._asked(self._database.imports, path)

    def _asked(self, question: Callable[[str], tuple[T, ...]], path: str) -> tuple[T, ...]:
        """Returns what the database answers; nothing if it fails, and then the next refresh makes another one."""
        try:
            return question(path)
        except FAILURES as error:
            self._failure = error
            return ()

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

    @property
    def size(self) -> int:
        """Bytes that the postings take in memory."""
        return self._documents().size

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
