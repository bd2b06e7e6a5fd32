"""What speaks for a ranked file, as facts that a developer can check in a second."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from anchorline.ground import layout as layouts
from anchorline.ground.features import MOST_SOURCES, Clues
from anchorline.ground.retrieval import ChangedTogether, Evidence, SymbolMatch
from anchorline.index import words
from anchorline.workspace.symbols import Symbol

MOST_WORDS = 5
MOST_SYMBOLS = 5
SHORTEST = 3
"""Characters of a word that is named as evidence."""
FEWEST_TERMS = 2
"""Terms that a definition must share with the draft, where the draft does not name it whole."""


class Workspace(Protocol):
    """What is asked of the workspace's index."""

    def matched(self, path: str, query: str) -> tuple[str, ...]:
        """Returns the words of a text that a file has in it, the rarest first."""
        ...

    def symbols(self, path: str) -> Sequence[Symbol]:
        """Returns what a file defines."""
        ...

    def importing(self, name: str) -> Iterable[str]:
        """Returns the files that import something whose last part is `name`."""
        ...


class _Related(NamedTuple):
    tests: str | None
    tested_by: str | None
    imports: str | None
    imported_by: str | None


def of(row: int, clues: Clues, workspace: Workspace) -> Evidence:
    """Returns the evidence for one file."""
    layout, draft = clues.layout, clues.draft
    path = layout.paths[row]
    share, mention = clues.traces.get(row, (0.0, None))
    terms = layouts.terms(path)
    in_path = terms.name | terms.folder
    matched = tuple(word for word in workspace.matched(path, draft.text) if _worth(word))
    literals = sorted(clues.literals.get(row, ()), key=lambda each: (each[1], -len(each[0])))
    related = _related(row, clues)
    return Evidence(
        named=share >= 1.0,
        trace_line=mention.line if mention is not None and share >= 1.0 else None,
        literal=literals[0][0] if literals else None,
        words=matched[:MOST_WORDS],
        path_words=tuple(word for word in matched if in_path & set(words.split(word)))[:MOST_WORDS],
        symbols=_symbols(row, clues, workspace),
        recent=clues.recent.index(row) if row in clues.recent else None,
        recent_origin="edits" if clues.edits else "commits",
        committed=clues.commits.time(row),
        changed_with=_changed_with(row, clues),
        tests=related.tests,
        tested_by=related.tested_by,
        imports=related.imports,
        imported_by=related.imported_by,
    )


def _worth(word: str) -> bool:
    return len(word) >= SHORTEST and word.lower() not in words.STOP and word.isprintable()


def _symbols(row: int, clues: Clues, workspace: Workspace) -> tuple[SymbolMatch, ...]:
    """Returns the definitions whose names the draft writes, then those that share most terms with it."""
    draft = clues.draft
    exact = {
        name
        for name, _ in clues.defined.get(row, ())
        if name in draft.coded or len(draft.terms) <= FEWEST_TERMS
    }
    ranked: dict[str, tuple[bool, int, float, SymbolMatch]] = {}
    for symbol in workspace.symbols(clues.layout.paths[row]):
        own = (
            set(words.split(symbol.name))
            if words.WORD.fullmatch(symbol.name)
            else set(words.terms(symbol.name))
        )
        shared = own & draft.terms
        parts = {term for term in own if term != symbol.name.lower()}
        named = symbol.name in exact
        if symbol.name in ranked or not (named or len(shared) >= FEWEST_TERMS):
            continue
        match = SymbolMatch(symbol.name, symbol.line, named)
        ranked[symbol.name] = (not named, -len(shared), -len(shared) / max(len(parts), 1), match)
    return tuple(each[3] for each in sorted(ranked.values(), key=lambda each: (*each[:3], each[3].line)))[
        :MOST_SYMBOLS
    ]


def _neighbours(row: int, clues: Clues) -> list[int]:
    """Returns the files whose relation says something: recent edits, then those that match best."""
    recent = clues.recent[:MOST_SOURCES] if clues.edits else []
    return [other for other in dict.fromkeys([*recent, *clues.seeds]) if other != row]


def _changed_with(row: int, clues: Clues) -> ChangedTogether | None:
    neighbours = _neighbours(row, clues)
    counts = [clues.commits.common(row, other) for other in neighbours]
    best = int(np.argmax(counts)) if counts else 0
    if not counts or counts[best] < 2:
        return None
    return ChangedTogether(clues.layout.paths[neighbours[best]], counts[best])


def _related(row: int, clues: Clues) -> _Related:
    layout = clues.layout
    fact = layout.facts[row]
    tests = tested_by = imports = imported_by = None
    for other in _neighbours(row, clues):
        near, path = layout.facts[other], layout.paths[other]
        if near.subject == fact.subject and len(fact.subject) > 2 and near.test != fact.test:
            tests, tested_by = (tests or path, tested_by) if fact.test else (tests, tested_by or path)
    newest = clues.recent[:MOST_SOURCES]
    if row in clues.importing and clues.edits:
        imports = layout.paths[newest[clues.importing[row]]]
    if fact.stem in clues.imported and clues.edits and row != newest[clues.imported[fact.stem]]:
        imported_by = layout.paths[newest[clues.imported[fact.stem]]]
    return _Related(tests, tested_by, imports, imported_by)
