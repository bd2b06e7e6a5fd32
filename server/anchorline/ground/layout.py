"""The workspace's paths as the ranking sees them: folders, what a file is about, tests, documents, configuration."""

import re
from collections import Counter, defaultdict
from functools import lru_cache
from typing import NamedTuple

from anchorline.index import words

_TEST = re.compile(
    r"(?:^|/)(?:tests?|testing|__tests__|specs?|e2e|testdata)/|(?:^|/)test[_.]|_test\.|\.test\.|\.spec\.|conftest"
)
_DOCUMENT = re.compile(r"\.(?:md|mdx|rst|txt|adoc)$|(?:^|/)docs?/", re.IGNORECASE)
_CONFIGURATION = re.compile(
    r"\.(?:toml|ya?ml|json|ini|cfg|conf)$|(?:^|/)(?:Makefile|Dockerfile|\.[^/]+)$|(?:^|/)\.github/",
    re.IGNORECASE,
)
_SOURCE = re.compile(
    r"\.(?:py|go|rs|tsx?|jsx?|mjs|cjs|java|kt|swift|rb|php|c|cc|cpp|h|hpp|cs|lua|sh|fish|zsh|ps1|vue|svelte)$"
)
_TESTING = re.compile(r"^test_|_test$|\.test$|\.spec$|_spec$|^tests?$|Test$")
"""What of a name only says that the file is a test."""


class PathFacts(NamedTuple):
    """What a path tells.

    `stem` is the name without its ending, `subject` the stem without what makes it a test, both in lower case.
    """

    stem: str
    subject: str
    folder: str
    parts: tuple[str, ...]
    test: bool
    document: bool
    configuration: bool
    source: bool


class PathTerms(NamedTuple):
    """The terms of a file's name without its ending, and of its folders."""

    name: frozenset[str]
    folder: frozenset[str]


@lru_cache(maxsize=32_768)
def facts(path: str) -> PathFacts:
    """Returns what a path tells."""
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return PathFacts(
        stem.lower(),
        _TESTING.sub("", stem).lower(),
        folder,
        tuple(folder.split("/")) if folder else (),
        _TEST.search(path) is not None,
        _DOCUMENT.search(path) is not None,
        _CONFIGURATION.search(path) is not None,
        _SOURCE.search(path) is not None,
    )


@lru_cache(maxsize=8192)
def terms(path: str) -> PathTerms:
    """Returns the terms of a path."""
    folder, _, name = path.rpartition("/")
    return PathTerms(frozenset(words.terms(name.rpartition(".")[0] or name)), frozenset(words.terms(folder)))


class Layout:
    """The files of a workspace by row, folder, name and subject. `rows` maps paths to their row."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self.rows = {path: row for row, path in enumerate(paths)}
        self.facts = [facts(path) for path in paths]
        self.stems = Counter(fact.stem for fact in self.facts)
        self.folders: defaultdict[str, list[int]] = defaultdict(list)
        self.subjects: defaultdict[str, list[int]] = defaultdict(list)
        self.names: defaultdict[str, list[int]] = defaultdict(list)
        for row, fact in enumerate(self.facts):
            self.folders[fact.folder].append(row)
            self.subjects[fact.subject].append(row)
            self.names[paths[row].rpartition("/")[2].lower()].append(row)
