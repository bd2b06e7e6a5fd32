"""The candidates for what a draft is about, and the numbers by which they are ranked.

Candidates are the first files by each search, what was committed together with those, what is recent and its folders,
and what the draft names. `NAMES` lists the numbers.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from anchorline.ground import layout as layouts
from anchorline.ground.commits import HALF_LIVES, Commits, Floats, Together
from anchorline.ground.draft import Draft, FileMention
from anchorline.ground.layout import Layout
from anchorline.ground.retrieval import Recent
from anchorline.index.documents import Hits
from anchorline.index.history import History
from anchorline.index.postings import Scores

Rows = NDArray[np.int64]
MOST_RECENT = 40
"""Recent files that count, and how many of them are looked at for what belongs to them."""
MOST_SOURCES = 12
SEEDS = 4
"""Files that match the draft best, for what belongs to them."""
NEAR = 60
"""Files in the folders of the recent ones that become candidates."""
RARE = 20
"""A quoted text that more files hold says nothing."""
_FADE = 4.0
"""Places among the recent files after which one counts 1/e."""
_HALF_RANK = 3
_GENERIC = frozenset({"index", "mod", "main", "__init__", "types"})


class Workspace(Protocol):
    """What is asked of the workspace's index."""

    @property
    def history(self) -> History:
        """The newest commits."""
        ...

    def search(self, query: str) -> Hits:
        """Returns how well each file fits a text."""
        ...

    def definers(self, name: str) -> Collection[str]:
        """Returns the files that define a name."""
        ...

    def imports(self, path: str) -> Iterable[str]:
        """Returns the last parts of what a file imports, in lower case."""
        ...

    def importing(self, name: str) -> Collection[str]:
        """Returns the files that import something whose last part is `name`."""
        ...

    def holding(self, literal: str) -> Collection[str] | None:
        """Returns the files that hold a text, or None if too many may do."""
        ...


class Clues(NamedTuple):
    """What was looked up for a draft, by row: what the features are made of, and the evidence after them.

    `recent` are the rows of the recent files, the newest first; `seeds` those that match best. `traces` says how much
    of a file's path the draft names, `literals` which quoted texts a file holds and `defined` which names it defines,
    each with the number of files that do. `imported` are the names that recent files import, `importing` the rows that
    import a recent file, each with the place of that file.
    """

    draft: Draft
    layout: Layout
    commits: Commits
    hits: Hits
    edits: bool
    recent: list[int]
    seeds: list[int]
    traces: dict[int, tuple[float, FileMention]]
    literals: dict[int, list[tuple[str, int]]]
    defined: dict[int, list[tuple[str, int]]]
    imported: dict[str, int]
    importing: dict[int, int]


class Candidates(NamedTuple):
    """The rows of the candidates, and their features: one row each, in the order of `NAMES`."""

    rows: Rows
    features: NDArray[np.float32]
    clues: Clues


class Tables(NamedTuple):
    """What depends on the workspace alone. Its rows are in the order of the paths, whatever the index's own is.

    So files of equal scores have the same order, however the index came to be. `order` has the index's rows.
    """

    order: Rows
    layout: Layout
    commits: Commits


def tables(paths: tuple[str, ...], history: History) -> Tables:
    """Returns the tables of a workspace whose index has `paths`."""
    order = np.array(sorted(range(len(paths)), key=paths.__getitem__), np.int64)
    layout = Layout(tuple(paths[row] for row in order.tolist()))
    return Tables(order, layout, Commits(history, layout.rows))


def ordered(hits: Hits, known: Tables) -> Hits:
    """Returns hits in the order of the tables."""
    order = known.order
    scores = (
        Scores(*(array[order] for array in field)) for field in (hits.text, hits.definitions, hits.path)
    )
    return Hits(known.layout.paths, hits.sizes[order], *scores)


def candidates(workspace: Workspace, hits: Hits, known: Tables, draft: Draft, recent: Recent) -> Candidates:
    """Returns the candidates for a draft with their features. `hits` are the index's for the draft's text."""
    layout, commits = known.layout, known.commits
    first = workspace.search(draft.first_line) if draft.first_line != draft.text.strip() else hits
    prose = workspace.search(draft.prose) if draft.prose != draft.text else hits
    # Where the index was changed meanwhile, the rows are others.
    first, prose = (ordered(each if each.paths is hits.paths else hits, known) for each in (first, prose))
    hits = ordered(hits, known)
    places = {text: _places(scores.bm25) for text, scores in _fields(hits, "")}
    places |= {text: _places(scores.bm25) for text, scores in _fields(first, "first ")}
    places |= {text: _places(scores.bm25) for text, scores in _fields(prose, "prose ")[:2]}
    own = [layout.rows[path] for path in dict.fromkeys(recent.paths) if path in layout.rows][:MOST_RECENT]
    fused = (
        _nearness(places["text"])
        + _nearness(places["definitions"])
        + 0.5 * _nearness(places["path"])
        + 0.5 * _nearness(places["first text"])
    )
    seeds = [int(row) for row in np.argsort(-fused, kind="stable")[:SEEDS]]
    clues = _clues(workspace, known, draft, hits, own, seeds, edits=recent.origin == "edits")
    by_recent = commits.together(own[:MOST_SOURCES], _fading(min(len(own), MOST_SOURCES)))
    by_seeds = commits.together(seeds, _fading(len(seeds)))
    frequent = _places(commits.frequency[1])
    folders = _folders(layout, own)
    chosen = np.zeros(len(layout.paths), np.bool_)
    for place, count in (
        (places["text"], 50),
        (places["definitions"], 50),
        (places["path"], 30),
        (places["first text"], 15),
        (_places(by_seeds.total), 15),
        (_places(by_recent.total), 30),
        (frequent, 15),
    ):
        chosen |= place < count
    chosen[own] = True
    for named in (clues.traces, clues.literals, _coded(clues)):
        chosen[list(named)] = True
    near = [row for folder in folders for row in layout.folders[folder]]
    near.sort(key=lambda row: (-folders[layout.facts[row].folder], commits.last[row], layout.paths[row]))
    chosen[near[:NEAR]] = True
    for row in (*own, *seeds):
        chosen[layout.subjects[layout.facts[row].subject][:RARE]] = True
    rows = np.flatnonzero(chosen)
    columns = _matches(rows, clues, hits, first, places)
    columns |= _recency(rows, clues)
    columns |= _history(rows, clues, by_recent, by_seeds, frequent)
    columns |= _relations(rows, clues, folders)
    columns |= _mentions(rows, clues)
    columns |= _kinds(rows, clues, columns)
    numbers = np.stack([columns[name] for name in NAMES], axis=1) if len(rows) else np.zeros((0, len(NAMES)))
    return Candidates(rows, numbers.astype(np.float32), clues)


def _fields(hits: Hits, prefix: str) -> list[tuple[str, Scores]]:
    return [
        (f"{prefix}text", hits.text),
        (f"{prefix}definitions", hits.definitions),
        (f"{prefix}path", hits.path),
    ]


def _places(scores: NDArray[np.float32] | Floats) -> Floats:
    """Returns the place of each score, 0 for the highest; what has none comes after all others."""
    places = np.full(len(scores), len(scores) + 50.0)
    scored = np.flatnonzero(scores > 0)
    places[scored[np.argsort(-scores[scored], kind="stable")]] = np.arange(len(scored))
    return places


def _nearness(places: Floats) -> Floats:
    return 1 / (1 + places / _HALF_RANK)


def _fading(count: int) -> Floats:
    return np.exp(-np.arange(count) / _FADE)


def _fade(place: int) -> float:
    return math.exp(-place / _FADE)


def _folders(layout: Layout, recent: list[int]) -> dict[str, float]:
    """Returns the folders of the recent files, each with its share of them, the newest counting most."""
    folders: defaultdict[str, float] = defaultdict(float)
    for place, row in enumerate(recent):
        folders[layout.facts[row].folder] += _fade(place)
    total = sum(folders.values())
    return {folder: weight / total for folder, weight in folders.items()}


def _coded(clues: Clues) -> dict[int, float]:
    """Returns how many names of code the draft has that a file defines, those of several files counting less."""
    coded: defaultdict[int, float] = defaultdict(float)
    for row, names in clues.defined.items():
        for name, count in names:
            if name in clues.draft.coded:
                coded[row] += 1 / count
    return coded


def _clues(
    workspace: Workspace,
    known: Tables,
    draft: Draft,
    hits: Hits,
    own: list[int],
    seeds: list[int],
    *,
    edits: bool,
) -> Clues:
    layout = known.layout
    literals: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for literal in draft.literals:
        holders = [layout.rows[path] for path in workspace.holding(literal) or () if path in layout.rows]
        if 0 < len(holders) <= RARE:
            for row in holders:
                literals[row].append((literal, len(holders)))
    defined: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for name in draft.names:
        definers = [layout.rows[path] for path in workspace.definers(name) if path in layout.rows]
        for row in definers:
            defined[row].append((name, len(definers)))
    imports: dict[str, int] = {}
    importing: dict[int, int] = {}
    for place, row in enumerate(own[:MOST_SOURCES]):
        for name in workspace.imports(layout.paths[row]):
            imports.setdefault(name, place)
        stem = layout.facts[row].stem
        if stem not in _GENERIC:
            for path in workspace.importing(stem):
                if path in layout.rows:
                    importing.setdefault(layout.rows[path], place)
    return Clues(
        draft, layout, known.commits, hits, edits, own, seeds, _traces(draft, layout), dict(literals), dict(defined),
        imports, importing,
    )  # fmt: skip


def _traces(draft: Draft, layout: Layout) -> dict[int, tuple[float, FileMention]]:
    """Returns the files that the draft names, with the share of the written path that fits."""
    traces: dict[int, tuple[float, FileMention]] = {}
    for mention in draft.files:
        same = layout.names.get(mention.parts[0], ())
        for row in same if len(same) <= NEAR else ():
            parts = layout.paths[row].lower().split("/")[::-1]
            fitting = _shared(mention.parts, parts)
            share = fitting / len(mention.parts)
            if fitting == 1:
                share *= (1.0 if len(mention.parts) == 1 else 0.5) / math.sqrt(len(same))
            if share > traces.get(row, (0.0,))[0]:
                traces[row] = share, mention
    return traces


def _shared(first: Iterable[str], second: Iterable[str]) -> int:
    """Counts the equal parts with which two paths begin."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def _matches(
    rows: Rows, clues: Clues, hits: Hits, first: Hits, places: dict[str, Floats]
) -> dict[str, Floats]:
    """How well the text, the definitions and the path fit the draft, its first line and its prose."""
    most_rare = math.log(1 + len(clues.layout.paths))
    columns: dict[str, Floats] = {}
    for name, scores in _fields(hits, ""):
        bm25 = scores.bm25[rows].astype(np.float64)
        columns[f"{name} place"] = _nearness(places[name][rows])
        columns[f"{name} share"] = bm25 / max(float(scores.bm25.max(initial=0)), 1e-6)
        columns[f"{name} score"] = np.log1p(bm25)
        columns[f"{name} coverage"] = scores.coverage[rows].astype(np.float64)
        columns[f"{name} rarest"] = scores.rarest[rows].astype(np.float64) / most_rare
    for name, scores in _fields(first, "first "):
        columns[f"{name} place"] = _nearness(places[name][rows])
        columns[f"{name} coverage"] = scores.coverage[rows].astype(np.float64)
    for name in ("prose text", "prose definitions"):
        columns[f"{name} place"] = _nearness(places[name][rows])
    return columns


def _recency(rows: Rows, clues: Clues) -> dict[str, Floats]:
    """The place among the recent files, and which of these fits the draft best."""
    count, edits = len(clues.recent), float(clues.edits)
    total = len(clues.layout.paths)
    place = np.full(total, np.inf)
    by_text, by_path = np.full(total, np.inf), np.full(total, np.inf)
    if count:
        own = np.array(clues.recent)
        place[own] = np.arange(count)
        by_text[own[np.argsort(-clues.hits.text.bm25[own], kind="stable")]] = np.arange(count)
        fits = own[clues.hits.path.bm25[own] > 0]
        by_path[fits[np.argsort(-clues.hits.path.bm25[fits], kind="stable")]] = np.arange(len(fits))
    place = place[rows]
    member = np.isfinite(place).astype(np.float64)
    faded = np.exp(-place / _FADE)
    return {
        "edited": edits * faded,
        "edited at all": edits * member,
        "edited last": edits * (place == 0),
        "committed": (1 - edits) * faded,
        "committed at all": (1 - edits) * member,
        "recent share": member / max(count, 1),
        "recent by text": 1 / (1 + by_text[rows]),
        "recent by path": 1 / (1 + by_path[rows]),
        "recent files edited": np.full(len(rows), edits * math.log1p(count)),
        "edits known": np.full(len(rows), edits),
    }


def _history(
    rows: Rows, clues: Clues, by_recent: Together, by_seeds: Together, frequent: Floats
) -> dict[str, Floats]:
    """How long ago and how often a file was committed, and with what."""
    commits = clues.commits
    days = np.log1p(np.maximum(commits.age[rows], 0) / 86_400)
    columns = {
        "last commit": _nearness(commits.last[rows]),
        "newest commit": (commits.last[rows] == 0) / math.sqrt(commits.newest_size),
        "age": np.where(np.isnan(days), 9.0, days),
        "frequency place": _nearness(frequent[rows]),
        "with recent": by_recent.total[rows],
        "with recent most": by_recent.most[rows],
        "with recent place": _nearness(_places(by_recent.total)[rows]),
        "with seeds": by_seeds.total[rows],
        "with seeds most": by_seeds.most[rows],
        "with seeds place": _nearness(_places(by_seeds.total)[rows]),
    }
    for half, frequency in zip(HALF_LIVES, commits.frequency, strict=True):
        columns[f"frequency {half:.0f}"] = np.log1p(frequency[rows])
    return columns


def _relations(rows: Rows, clues: Clues, folders: dict[str, float]) -> dict[str, Floats]:
    """What a file has to do with the recent ones and with those that match best: folder, test, imports."""
    layout = clues.layout
    recent = set(clues.recent)
    newest = clues.recent[:MOST_SOURCES]
    by_subject: dict[str, tuple[int, int]] = {}
    for place, row in enumerate(clues.recent):
        by_subject.setdefault(layout.facts[row].subject, (place, row))
    seed_subjects: dict[str, tuple[int, int]] = {}
    for place, row in enumerate(clues.seeds):
        seed_subjects.setdefault(layout.facts[row].subject, (place, row))
    columns = {name: np.zeros(len(rows)) for name in _RELATIONS}
    nearest: dict[str, float] = {}
    for at, row in enumerate(rows.tolist()):
        fact = layout.facts[row]
        columns["folder"][at] = share = folders.get(fact.folder, 0.0)
        columns["folder of edits"][at] = share * clues.edits * (row not in recent)
        if fact.folder not in nearest:
            nearest[fact.folder] = _nearest(fact.parts, clues, newest)
        columns["nearest folder"][at] = nearest[fact.folder]
        pair = by_subject.get(fact.subject)
        if pair is not None and row not in recent and len(fact.subject) > 2:
            other = layout.facts[pair[1]]
            kind = (
                "test of"
                if fact.test and not other.test
                else "tested by"
                if other.test and not fact.test
                else "same name as"
            )
            columns[f"{kind} recent"][at] = _fade(pair[0])
        seed = seed_subjects.get(fact.subject)
        if seed is not None and seed[1] != row:
            columns["pair of seed"][at] = 1 / (1 + seed[0])
        if fact.stem in clues.imported and fact.stem not in _GENERIC:
            columns["imported by recent"][at] = _fade(clues.imported[fact.stem])
        if row in clues.importing:
            columns["imports recent"][at] = _fade(clues.importing[row])
    return columns


def _nearest(parts: tuple[str, ...], clues: Clues, newest: list[int]) -> float:
    """Returns which share of a folder's path that of a recent file has, at most, the newest counting most."""
    shares = (
        _shared(parts, other) / max(len(parts), len(other), 1) * _fade(place)
        for place, other in enumerate(clues.layout.facts[row].parts for row in newest)
    )
    return max(shares, default=0.0)


_RELATIONS = (
    "folder",
    "folder of edits",
    "nearest folder",
    "test of recent",
    "tested by recent",
    "same name as recent",
    "pair of seed",
    "imported by recent",
    "imports recent",
)


def _mentions(rows: Rows, clues: Clues) -> dict[str, Floats]:
    """What the draft names: files, definitions, texts, and words of the path."""
    layout, draft = clues.layout, clues.draft
    coded = _coded(clues)
    columns = {name: np.zeros(len(rows)) for name in _MENTIONS}
    for at, row in enumerate(rows.tolist()):
        stem, terms = layout.facts[row].stem, layouts.terms(layout.paths[row])
        columns["defines"][at] = min(sum(1 / count for _, count in clues.defined.get(row, ())), 3.0)
        columns["defines coded"][at] = min(coded.get(row, 0.0), 3.0)
        columns["literal"][at] = min(sum(1 / count for _, count in clues.literals.get(row, ())), 2.0)
        columns["trace"][at] = clues.traces[row][0] if row in clues.traces else 0.0
        if len(stem) > 2 and stem in draft.words:
            columns["stem named"][at] = 1 / math.sqrt(layout.stems[stem])
        shared = len(terms.name & draft.terms)
        columns["name terms"][at] = shared
        columns["name covered"][at] = shared / max(len(terms.name), 1)
        columns["folder covered"][at] = len(terms.folder & draft.terms) / max(len(terms.folder), 1)
    return columns


_MENTIONS = (
    "defines",
    "defines coded",
    "literal",
    "trace",
    "stem named",
    "name terms",
    "name covered",
    "folder covered",
)


def _kinds(rows: Rows, clues: Clues, columns: dict[str, Floats]) -> dict[str, Floats]:
    """What kind of file it is, what kind of draft, and where the two meet."""
    layout, draft, edits = clues.layout, clues.draft, float(clues.edits)
    facts = [layout.facts[row] for row in rows.tolist()]

    def each(name: str) -> Floats:
        return np.array([getattr(fact, name) for fact in facts], np.float64)

    def same(value: float) -> Floats:
        return np.full(len(rows), float(value))

    test, document, configuration = each("test"), each("document"), each("configuration")
    length = math.log1p(len(draft.text))
    short = len(draft.terms) < 6
    return {
        "test": test,
        "document": document,
        "configuration": configuration,
        "source": each("source"),
        "draft on tests": same(draft.tests),
        "draft on documents": same(draft.documents),
        "draft on configuration": same(draft.configuration),
        "test asked for": test * draft.tests,
        "document asked for": document * draft.documents,
        "configuration asked for": configuration * draft.configuration,
        "test after edits": test * edits,
        "document after edits": document * edits,
        "size": np.log1p(clues.hits.sizes[rows].astype(np.float64)),
        "depth": np.array([len(fact.parts) for fact in facts], np.float64),
        "stem alone": np.array([1 / layout.stems[fact.stem] for fact in facts], np.float64),
        "draft length": same(length),
        "draft terms": same(math.log1p(len(draft.terms))),
        "files": same(math.log(1 + len(layout.paths))),
        "draft short": same(short),
        "edited, draft short": columns["edited at all"] * short,
        "edited last, draft short": columns["edited last"] * short,
        "text place, draft long": columns["text place"] * length / 6,
        "definitions place, draft long": columns["definitions place"] * length / 6,
        "edited, draft long": columns["edited"] * length / 6,
        "text share, edited": columns["text share"] * columns["edited at all"],
        "best coverage": same(float(clues.hits.text.coverage.max(initial=0))),
        "best definition": same(
            float(clues.hits.definitions.rarest.max(initial=0)) / math.log(1 + len(layout.paths))
        ),
    }


_FIELDS = ("text", "definitions", "path")
NAMES = (
    *(f"{name} {what}" for name in _FIELDS for what in ("place", "share", "score", "coverage", "rarest")),
    *(f"first {name} {what}" for name in _FIELDS for what in ("place", "coverage")),
    "prose text place",
    "prose definitions place",
    "edited",
    "edited at all",
    "edited last",
    "committed",
    "committed at all",
    "recent share",
    "recent by text",
    "recent by path",
    "recent files edited",
    "edits known",
    "last commit",
    "newest commit",
    "age",
    "frequency place",
    "with recent",
    "with recent most",
    "with recent place",
    "with seeds",
    "with seeds most",
    "with seeds place",
    *(f"frequency {half:.0f}" for half in HALF_LIVES),
    *_RELATIONS,
    *_MENTIONS,
    "test",
    "document",
    "configuration",
    "source",
    "draft on tests",
    "draft on documents",
    "draft on configuration",
    "test asked for",
    "document asked for",
    "configuration asked for",
    "test after edits",
    "document after edits",
    "size",
    "depth",
    "stem alone",
    "draft length",
    "draft terms",
    "files",
    "draft short",
    "edited, draft short",
    "edited last, draft short",
    "text place, draft long",
    "definitions place, draft long",
    "edited, draft long",
    "text share, edited",
    "best coverage",
    "best definition",
)
"""The features by their column."""
