"""An index that was kept up to date is the same as one that is made anew."""

import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anchorline.index.folder import FolderSnapshot
from anchorline.index.workspace_index import Bounds, WorkspaceIndex
from support.repositories import Repository

NAMES = (
    "a.py",
    "b.py",
    "pkg/a.py",
    "pkg/deep/c.go",
    "README.md",
    "pkg/notes.txt",
    ".env",
    "key.pem",
    "x.png",
)
WORDS = ("parse", "Config", "timeout_s", "HTTPServer", "größe", "x")
TEXTS = st.one_of(
    st.builds(
        "def {0}():\n    return {1}\n\nclass {1}{0}:\n    pass\n".format,
        st.sampled_from(WORDS),
        st.sampled_from(WORDS),
    ),
    st.builds(
        "# {0} {1}\nimport {0}\nfunc {1}() {{}}\n".format, st.sampled_from(WORDS), st.sampled_from(WORDS)
    ),
    st.sampled_from(["", "\0binary", "a" * 300_000, "parse " * 300]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(NAMES), TEXTS),
        st.tuples(st.just("save"), st.sampled_from(NAMES), TEXTS),
        st.tuples(st.just("delete"), st.sampled_from(NAMES)),
        st.tuples(st.just("rename"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.just("ignore"), st.sampled_from(NAMES)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("branch"), st.sampled_from(["one", "two"])),
        st.tuples(st.just("amend")),
        st.tuples(st.just("reopen")),
        st.tuples(st.just("refresh")),
        st.tuples(st.just("stopped"), st.integers(0, 3)),
    ),
    max_size=14,
)


def answers(index: WorkspaceIndex) -> object:
    """All that an index answers, in an order of its own."""
    paths = sorted(index.paths)
    scores = []
    for query in ("parsing of configs", "HTTPServer timeout", "größe pkg notes"):
        hits = index.search(query)
        order = np.argsort(np.array(hits.paths, dtype=object)) if hits.paths else []
        scores += [column[order].tolist() for part in hits[2:] for column in part] + [
            hits.sizes[order].tolist()
        ]
    return (
        paths,
        np.round(np.array(scores, dtype=np.float64), 4).tolist(),
        [(index.symbols(path), index.imports(path)) for path in paths],
        [
            (sorted(index.definers(word)), index.defining(word), sorted(index.importing(word.lower())))
            for word in WORDS
        ],
        index.history,
    )


def apply(step: tuple[object, ...], repository: Repository, index: WorkspaceIndex, reopen) -> WorkspaceIndex:
    kind, *rest = step
    folder = repository.folder
    if kind in {"write", "save"}:
        name, text = rest
        repository.write({name: text})
        if kind == "save":
            index.update(name)
    elif kind == "delete":
        (folder / rest[0]).unlink(missing_ok=True)
    elif kind == "rename" and (folder / rest[0]).exists():
        (folder / rest[1]).parent.mkdir(parents=True, exist_ok=True)
        (folder / rest[0]).replace(folder / rest[1])
    elif kind == "ignore":
        repository.write({".gitignore": f"{rest[0]}\n"})
    elif kind == "commit":
        repository.commit({})
    elif kind == "amend":
        repository.git("commit", "-q", "--allow-empty", "--amend", "-m", "amended")
    elif kind == "branch":
        repository.git(
            "checkout",
            "-q",
            "-f",
            "-B",
            rest[0],
            "HEAD~1" if repository.git("rev-list", "--count", "HEAD") > "1" else "HEAD",
        )
    elif kind == "reopen":
        index.close()
        return reopen()
    elif kind == "refresh":
        index.refresh()
    elif kind == "stopped":
        asked = itertools.count()
        index.refresh(lambda: next(asked) >= rest[0])
    return index


@settings(max_examples=40)
@given(STEPS, st.sampled_from([Bounds(), Bounds(files=3)]))
def test_what_was_changed_bit_by_bit_is_what_is_made_anew(steps: list[tuple[object, ...]], bounds: Bounds):
    with TemporaryDirectory() as name:
        folder = Path(name)
        repository = Repository(folder / "project")
        repository.commit({"a.py": "def first(): pass\n"})

        def opened() -> WorkspaceIndex:
            return WorkspaceIndex(FolderSnapshot(repository.folder), folder / "index.db", bounds)

        index = opened()
        for step in steps:
            index = apply(step, repository, index, opened)
        index.refresh()
        anew = WorkspaceIndex(FolderSnapshot(repository.folder), None, bounds)
        anew.refresh()
        assert answers(index) == answers(anew)
        index.close()
