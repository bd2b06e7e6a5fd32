"""Adds the facts that the workspace holds about a draft to those of the editor."""

import time
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

import msgspec

from anchorline.refine import names
from anchorline.refine.mask import Masked
from anchorline.surroundings import Absent, Definition, Surroundings
from anchorline.workspace import symbols
from anchorline.workspace.files import WorkspaceFiles

MOST_ABSENT = 8
"""Named files that are not there, of which a hint is given."""
MOST_SYMBOLS = 4
MOST_SOURCES = 2_000
SEARCH_S = 0.5
"""Seconds for the search of all sources; what is found until then counts only if the search ended."""
MOST_DEFINITIONS = 5
LONGEST = 65_536
"""Characters of a draft that is looked at, as for its refinement."""


class Sources(NamedTuple):
    """Where source text comes from: open documents (relative path → text) come before the files."""

    files: WorkspaceFiles
    opened: Mapping[str, bytes]

    def read(self, path: str) -> bytes | None:
        """Returns the text of a file as the editor has it, else as it is on disk."""
        text = self.opened.get(path)
        return text if text is not None else self.files.read(path)


class SourcePosition(NamedTuple):
    """A line of a source file, counted from 1: where a draft stands that is part of one."""

    path: str
    line: int


def look(
    draft: str,
    surroundings: Surroundings,
    sources: Sources,
    *,
    search: bool,
    at: SourcePosition | None = None,
) -> Surroundings:
    """Returns the surroundings with absent files, definitions and the symbol around the selection, or around `at`.

    With `search` all source files of the workspace are searched for the symbols that the draft names: that takes
    too long for every keystroke. Reads files, so it is not for the event loop.
    """
    if len(draft) > LONGEST:
        return surroundings
    masked = Masked(draft)
    named = dict.fromkeys(named.name for named in names.files(masked))
    missing = (n for n in named if n not in sources.opened and sources.files.find(n) == "absent")
    absent = tuple(Absent(name, sources.files.similar(name)) for name in islice(missing, MOST_ABSENT))
    wanted = list(dict.fromkeys(named.name for named in names.symbols(masked)))[:MOST_SYMBOLS]
    return msgspec.structs.replace(
        surroundings,
        absent=absent,
        definitions=_definitions(wanted, sources) if search else (),
        symbol=surroundings.symbol or _symbol(surroundings, sources, at),
    )


def _symbol(surroundings: Surroundings, sources: Sources, at: SourcePosition | None) -> str | None:
    selection = surroundings.selection
    if selection is not None:
        at = SourcePosition(selection.path, selection.start_line)
    if at is None or symbols.language(at.path) is None:
        return None
    text = sources.read(at.path)
    symbol = symbols.enclosing(text, at.path, at.line) if text is not None else None
    return symbol.name if symbol is not None else None


def _definitions(wanted: list[str], sources: Sources) -> tuple[Definition, ...]:
    if not wanted:
        return ()
    candidates = _searched(wanted, sources) or []
    return tuple(definition for name in wanted for definition in _first(candidates, name))


def _first(definitions: list[Definition], name: str) -> list[Definition]:
    return [definition for definition in definitions if definition.name == name][:MOST_DEFINITIONS]


def _searched(wanted: list[str], sources: Sources) -> list[Definition] | None:
    """Searches open documents and files; None if there were too many or it took too long to know them all."""
    until = time.monotonic() + SEARCH_S
    definitions = [each for path, text in sources.opened.items() for each in _defined(wanted, path, text)]
    for count, path in enumerate(sources.files.sources(symbols.SUFFIXES)):
        if count >= MOST_SOURCES or time.monotonic() > until:
            return None
        if path in sources.opened:
            continue
        text = sources.files.read(path)
        if text is not None:
            definitions += _defined(wanted, path, text)
    return definitions if sources.files.listing().complete else None


def _defined(wanted: list[str], path: str, text: bytes) -> list[Definition]:
    if symbols.language(path) is None:
        return []
    return [
        Definition(name, path, symbol.line)
        for name in wanted
        if name.encode() in text
        for symbol in symbols.definitions(text, path, name)
    ]
