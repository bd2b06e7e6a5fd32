"""The indexed files in memory: postings of each field, a large part that stays and a small one that changes."""

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from anchorline.index import words
from anchorline.index.contents import Contents
from anchorline.index.postings import Numbers, Postings, Scores, bm25
from anchorline.index.words import Terms

Field = Literal["text", "definitions", "path", "names", "imports"]
FIELDS: tuple[Field, ...] = get_args(Field)
UNSETTLED = 256
"""Changed files that are kept apart from the large part of the arrays: with each change they are put together anew."""


class Hits(NamedTuple):
    """What a query finds: three scores of each indexed file. All arrays and `paths` have the same order.

    `sizes` are bytes.
    """

    paths: tuple[str, ...]
    sizes: Numbers
    text: Scores
    definitions: Scores
    path: Scores


class Part(NamedTuple):
    """Some files as rows of arrays, numbered from 0."""

    paths: tuple[str, ...]
    sizes: Numbers
    postings: Mapping[Field, Postings]
    lengths: Mapping[Field, Numbers]


def part(files: Mapping[str, Contents]) -> Part:
    """Returns files as rows, in the order given."""
    paths = tuple(files)
    columns: dict[Field, list[Terms]] = {
        "text": [each.text for each in files.values()],
        "definitions": [each.definitions for each in files.values()],
        "path": [words.count(path.encode()) for path in paths],
        "names": [each.names for each in files.values()],
        "imports": [words.distinct(each.imports) for each in files.values()],
    }
    return Part(
        paths,
        np.array([each.size for each in files.values()], np.float32),
        {field: Postings.of(columns[field]) for field in FIELDS},
        {field: np.array([terms.length for terms in columns[field]], np.float32) for field in FIELDS},
    )


def joined(first: Part, live: NDArray[np.bool_], second: Part) -> Part:
    """Returns the live rows of `first` and all of `second` as one part."""
    kept = np.flatnonzero(live)
    rows = np.full(len(live) + len(second.paths), -1, np.int32)
    rows[kept] = np.arange(len(kept), dtype=np.int32)
    rows[len(live) :] = np.arange(len(kept), len(kept) + len(second.paths), dtype=np.int32)
    return Part(
        (*(first.paths[row] for row in kept), *second.paths),
        np.concatenate([first.sizes[kept], second.sizes]),
        {field: first.postings[field].joined(second.postings[field], len(live), rows) for field in FIELDS},
        {field: np.concatenate([first.lengths[field][kept], second.lengths[field]]) for field in FIELDS},
    )


class Documents:
    """The files at one moment. Nothing in it changes: other files are other `Documents`."""

    def __init__(self, first: Part, live: NDArray[np.bool_], second: Part) -> None:
        self._parts = (first, second)
        self._first_live = live
        self._live = np.concatenate([live, np.ones(len(second.paths), np.bool_)])
        self._rows = np.flatnonzero(self._live)
        every = (*first.paths, *second.paths)
        self._every = every
        self.paths = every if len(self._rows) == len(every) else tuple(every[row] for row in self._rows)
        self._sizes = np.concatenate([first.sizes, second.sizes])[self._rows]

    def search(self, terms: Mapping[int, int]) -> Hits:
        """Returns how well each file fits the terms of a query, each with how often it is there."""
        text, definitions, path = (self._scores(terms, field) for field in FIELDS[:3])
        return Hits(self.paths, self._sizes, text, definitions, path)

    def _scores(self, terms: Mapping[int, int], field: Field) -> Scores:
        lengths = np.concatenate([part.lengths[field] for part in self._parts])
        scores = bm25(terms, self._postings(field), lengths, self._live)
        return Scores(*(array[self._rows] for array in scores))

    def _postings(self, field: Field) -> list[tuple[int, Postings]]:
        first, second = self._parts
        return [(0, first.postings[field]), (len(first.paths), second.postings[field])]

    def having(self, field: Field, term: int) -> frozenset[str]:
        """Returns the paths of the files that have a term in a field."""
        rows = (offset + at for offset, part in self._postings(field) for at in part.find(term)[0])
        return frozenset(self._every[row] for row in rows if self._live[row])

    def files_if(self, path: str, field: Field, term: int) -> int:
        """Returns how many files have a term in a field; 0 if the file at `path` is none of them."""
        row = self._row_of.get(path)
        if row is None:
            return 0
        postings = self._postings(field)
        count = sum(len(part.find(term)[0]) for _, part in postings)
        return count if any(part.has(term, row - offset) for offset, part in postings) else 0

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {self._every[row]: row for row in self._rows.tolist()}

    def having_all(self, field: Field, terms: Collection[int]) -> list[str]:
        """Returns the paths of the files that have all of some terms in a field."""
        common: set[str] | None = None
        for term in terms:
            having = self.having(field, term)
            common = set(having) if common is None else common & having
            if not common:
                return []
        return sorted(common or ())

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(postings.size for part in self._parts for postings in part.postings.values())


class Collected:
    """Collects files, and makes `Documents` of them: a large part that was made once, and what has changed since."""

    def __init__(self, files: Mapping[str, Contents] | None = None) -> None:
        self._first = part(files or {})
        self._rows = {path: row for row, path in enumerate(self._first.paths)}
        self._live = np.ones(len(self._first.paths), np.bool_)
        self._changed: dict[str, Contents] = {}
        self._made: Documents | None = None

    def put(self, path: str, contents: Contents) -> None:
        """Adds a file, or takes another version of it."""
        self.remove(path)
        self._changed[path] = contents
        self._made = None

    def remove(self, path: str) -> None:
        """Takes a file out."""
        row = self._rows.pop(path, None)
        if row is not None:
            self._live = self._live.copy()  # the documents that were made keep theirs
            self._live[row] = False
        if self._changed.pop(path, None) is not None or row is not None:
            self._made = None

    def __contains__(self, path: str) -> bool:
        return path in self._rows or path in self._changed

    def __len__(self) -> int:
        return len(self._rows) + len(self._changed)

    def settle(self, share: int | None = None) -> None:
        """Makes what has changed part of the large part if it is more than `UNSETTLED`, or one in `share` of that."""
        many = len(self._rows) // share if share else 0
        if len(self._changed) <= max(UNSETTLED, many):
            return
        self._first = joined(self._first, self._live, part(self._changed))
        self._rows = {path: row for row, path in enumerate(self._first.paths)}
        self._live = np.ones(len(self._first.paths), np.bool_)
        self._changed = {}
        self._made = None

    def documents(self) -> Documents:
        """Returns the files as they are now."""
        if self._made is None:
            self._made = Documents(self._first, self._live, part(self._changed))
        return self._made


def query(terms: Iterable[str]) -> dict[int, int]:
    """Returns the terms of a query by their hashes, with how often each is there."""
    counts: dict[int, int] = {}
    for term in terms:
        number = words.key(term)
        counts[number] = counts.get(number, 0) + 1
    return counts
