"""Retrieves the files that a draft is about: candidates, their features, the learnt ranking, evidence."""

import threading
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from anchorline.ground import draft as drafts
from anchorline.ground import evidence, features, ranking
from anchorline.ground.features import Tables
from anchorline.ground.ranking import Ranking
from anchorline.ground.retrieval import NO_EVIDENCE, NO_RECENT, NOTHING, RankedFile, Recent, Retrieval
from anchorline.index.history import History

MOST_RANKED = 20
"""Files that are returned, at most."""
MOST_EXPLAINED = 5
"""Files that are returned with their evidence: more are never shown."""


class Workspace(features.Workspace, evidence.Workspace, Protocol):
    """What is asked of the workspace's index: `index.workspace_index.WorkspaceIndex`."""

    def importing(self, name: str) -> frozenset[str]:
        """Returns the files that import something whose last part is `name`."""
        ...


class _Latest:
    """The tables of the workspaces that were asked about last: they change with the files alone."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._kept: list[tuple[tuple[str, ...], History, Tables]] = []
        self._lock = threading.Lock()

    def of(self, paths: tuple[str, ...], history: History) -> Tables:
        for kept_paths, kept_history, kept in list(self._kept):
            if kept_paths is paths and kept_history is history:
                return kept
        made = features.tables(paths, history)
        with self._lock:
            self._kept = [(paths, history, made), *self._kept][: self._most]
        return made


_LATEST = _Latest()


def retrieve(
    index: Workspace,
    draft: str,
    recent: Recent | Iterable[str] = NO_RECENT,
    model: Ranking | None = None,
) -> Retrieval:
    """Returns the files that a draft is about, best first, at most `MOST_RANKED`.

    `recent` is what was worked on last (`ground.recent.recent`), the newest first; plain paths count as edits. `model`
    stands in for the ranking that ships. Reads no more of the workspace's files than quoted texts of the draft make it.
    """
    if not draft.strip():
        return NOTHING
    given = recent if isinstance(recent, Recent) else Recent(tuple(recent), "edits")
    said = drafts.read(draft)
    hits = index.search(said.text)
    if not hits.paths:
        return NOTHING
    known = _LATEST.of(hits.paths, index.history)
    candidates = features.candidates(index, hits, known, said, given)
    model = model or ranking.shipped()
    probabilities = model.probabilities(candidates.features)
    order = np.lexsort((candidates.rows, -probabilities))[:MOST_RANKED]
    ranked = []
    for place, at in enumerate(order.tolist()):
        row = int(candidates.rows[at])
        facts = evidence.of(row, candidates.clues, index) if place < MOST_EXPLAINED else NO_EVIDENCE
        ranked.append(RankedFile(known.layout.paths[row], round(float(probabilities[at]), 4), facts))
    return Retrieval(tuple(ranked), model.threshold)
