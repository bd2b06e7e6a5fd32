"""Localization tasks with the candidates that the product's own index and features give for each.

A task is a draft, the source tree at that moment, and the files that were then edited (tests/bench/quality/localize.py).
"""

import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import util
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

from anchorline.ground import draft as drafts
from anchorline.ground import features
from anchorline.ground.retrieval import NO_RECENT, Recent
from anchorline.index.workspace_index import WorkspaceIndex
from bench.data.git_trees import GitTreeSnapshot


class Task(NamedTuple):
    """A task with its candidates: their paths and features, and which of them were edited.

    `gold` counts the files that were edited, candidates or not.
    """

    id: str
    source: str
    repo: str
    split: str
    named: bool
    kind: str
    gold: int
    paths: tuple[str, ...]
    features: np.ndarray
    edited: np.ndarray


def loader(folder: Path) -> ModuleType:
    """Return the data's own loader."""
    spec = util.spec_from_file_location("localize_data", folder / "localize.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(folder: Path, repositories: Path) -> list[dict]:
    """Return the tasks as the data has them, those of a repository one after another in order of time."""
    found = loader(folder).tasks(str(folder), str(repositories))
    return sorted(found, key=lambda row: (row["repo"], row["at"], row["id"]))


class Tasks(NamedTuple):
    """The tasks, and the same as if nothing was known of what was worked on before."""

    given: list[Task]
    plain: list[Task]


def tasks(folder: Path, repositories: Path, kept: Path | None = None) -> Tasks:
    """Return the tasks; those of a repository are kept in a file of the folder `kept`, where it is given."""
    result = Tasks([], [])
    for repo, own in groupby(rows(folder, repositories), key=lambda row: row["repo"]):
        group = list(own)
        file = kept / f"{repo.replace('/', '__')}.pkl" if kept is not None else None
        made = _kept(file, group) if file is not None else None
        if made is None:
            made = list(made_of(group))
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(
                    pickle.dumps((features.NAMES, [(tuple(one), tuple(other)) for one, other in made]))
                )
            print(f"{repo}: {len(made)} tasks", file=sys.stderr, flush=True)
        result.given.extend(one for one, _ in made)
        result.plain.extend(other for _, other in made)
    return result


def _kept(file: Path, group: Sequence[dict]) -> list[tuple[Task, Task]] | None:
    """Return what was kept of these tasks, if it is of these features."""
    if not file.exists():
        return None
    names, made = pickle.loads(file.read_bytes())
    if names != features.NAMES or [one[0] for one, _ in made] != [row["id"] for row in group]:
        return None
    return [(Task(*one), Task(*other)) for one, other in made]


def made_of(group: Sequence[dict]) -> Iterator[tuple[Task, Task]]:
    """Yield the tasks of one repository with their candidates, with what was recent and without."""
    for row, index in indexed(group):
        draft = drafts.read(row["prompt"])
        hits = index.search(draft.text)
        known = features.tables(hits.paths, index.history)
        gold = set(row["gold"])
        both = []
        for before in (recent(row), NO_RECENT):
            found = features.candidates(index, hits, known, draft, before)
            paths = tuple(known.layout.paths[at] for at in found.rows)
            both.append(
                Task(
                    row["id"], row["source"], row["repo"], row["split"], row["named"], row["kind"], len(gold), paths,
                    found.features, np.array([path in gold for path in paths], bool),
                )
            )  # fmt: skip
        yield both[0], both[1]


def indexed(group: Iterable[dict]) -> Iterator[tuple[dict, WorkspaceIndex]]:
    """Yield the tasks of one repository, each with the index as it was at its commit."""
    snapshot: GitTreeSnapshot | None = None
    for row in group:
        if snapshot is None:
            snapshot = GitTreeSnapshot(Path(row["git"]), row["commit"])
            index = WorkspaceIndex(snapshot)
        snapshot.move(row["commit"])
        index.refresh()
        yield row, index


def recent(row: dict) -> Recent:
    """Return the files that were worked on before a task."""
    return Recent(tuple(row["recent"]), "edits" if row["recent_by"] == "session" else "commits")
