"""In which documents a term is: an inverted index in NumPy arrays, and BM25 over it."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from anchorline.index.words import Terms

K1 = 1.2
B = 0.75
"""How much the number of times and the document's length count (Robertson and Zaragoza 2009)."""
MOST_TIMES = 3
"""A term counts at most so often in a query: stack traces repeat themselves."""

Numbers = NDArray[np.float32]
Rows = NDArray[np.int32]


class Scores(NamedTuple):
    """How well each document fits a query.

    `bm25` is the sum over the query's terms; `coverage` the share of the query's terms that are in the document, by
    their idf; `rarest` the idf of the rarest one that is.
    """

    bm25: Numbers
    coverage: Numbers
    rarest: Numbers


class Postings:
    """The documents of each term, as rows, with how often it is in them."""

    def __init__(self, terms: NDArray[np.uint32], rows: Rows, counts: NDArray[np.uint8]) -> None:
        """Takes one entry for each term of each document, in any order."""
        order = np.argsort(terms, kind="stable")
        terms = terms[order]
        self._rows = rows[order]
        self._counts = counts[order]
        first = np.ones(len(terms), np.bool_)
        np.not_equal(terms[1:], terms[:-1], out=first[1:])
        starts = np.flatnonzero(first)
        self._terms = terms[starts]
        self._starts = np.append(starts, len(terms)).astype(np.int64)

    @classmethod
    def of(cls, documents: Sequence[Terms]) -> Self:
        """Returns the postings of documents, the first of which is row 0."""
        sizes = [len(document.counts) for document in documents]
        rows = np.repeat(np.arange(len(documents), dtype=np.int32), sizes)
        terms = np.frombuffer(b"".join(document.hashes for document in documents), np.uint32)
        counts = np.frombuffer(b"".join(document.counts for document in documents), np.uint8)
        return cls(terms, rows, counts)

    def joined(self, other: "Postings", offset: int, rows: Rows) -> "Postings":
        """Returns these postings and those of `other`, whose rows come after `offset`.

        `rows` has the new number of each row, -1 for those that are left out.
        """
        ours, others = self.entries(), other.entries(offset)
        terms = np.concatenate([ours[0], others[0]])
        numbers = rows[np.concatenate([ours[1], others[1]])]
        counts = np.concatenate([ours[2], others[2]])
        kept = numbers >= 0
        return Postings(terms[kept], numbers[kept], counts[kept])

    def entries(self, offset: int = 0) -> tuple[NDArray[np.uint32], Rows, NDArray[np.uint8]]:
        """Returns term, row and count of each entry, the rows from `offset` on."""
        terms = np.repeat(self._terms, np.diff(self._starts))
        return terms, self._rows + np.int32(offset), self._counts

    def find(self, term: int) -> tuple[Rows, NDArray[np.uint8]]:
        """Returns the rows of the documents that have a term, and how often each has it."""
        at = int(np.searchsorted(self._terms, np.uint32(term)))
        if at == len(self._terms) or self._terms[at] != term:
            return self._rows[:0], self._counts[:0]
        start, end = self._starts[at], self._starts[at + 1]
        return self._rows[start:end], self._counts[start:end]

    def has(self, term: int, row: int) -> bool:
        """Says whether a document has a term."""
        rows, _ = self.find(term)  # in their order
        at = int(np.searchsorted(rows, np.int32(row)))
        return at < len(rows) and int(rows[at]) == row

    @property
    def size(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in (self._terms, self._starts, self._rows, self._counts))


def bm25(
    query: Mapping[int, int],
    parts: Sequence[tuple[int, Postings]],
    lengths: Numbers,
    live: NDArray[np.bool_],
) -> Scores:
    """Returns the scores of all rows; those that are not `live` have none.

    `query` has the query's terms and how often each is in it; `parts` the postings, each with its first row.
    """
    scores = Scores(*(np.zeros(len(live), np.float32) for _ in Scores._fields))
    documents = int(np.count_nonzero(live))
    if not documents:
        return scores
    mean = float(lengths[live].mean()) or 1.0
    penalty = (K1 * (1 - B + B * lengths / mean)).astype(np.float32)
    mass = 0.0
    for term, times in query.items():
        hits = [(offset, *part.find(term)) for offset, part in parts]
        at = np.concatenate([rows + np.int32(offset) for offset, rows, _ in hits])
        counts = np.concatenate([count for _, _, count in hits]).astype(np.float32)
        kept = live[at]
        at, counts = at[kept], counts[kept]
        if not len(at):
            continue
        idf = math.log(1 + (documents - len(at) + 0.5) / (len(at) + 0.5))
        mass += idf
        scores.bm25[at] += min(times, MOST_TIMES) * idf * (K1 + 1) * counts / (counts + penalty[at])
        scores.coverage[at] += idf
        scores.rarest[at] = np.maximum(scores.rarest[at], np.float32(idf))
    if mass:
        np.divide(scores.coverage, mass, out=scores.coverage)
    return scores
