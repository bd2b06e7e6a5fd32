"""The files that a draft is about: best first, each with a calibrated probability and what speaks for it."""

from typing import Literal

import msgspec

MOST_SHOWN = 3
"""Files that are proposed for a draft, at most."""


class Recent(msgspec.Struct, frozen=True):
    """The files that were worked on last, newest first, relative to the workspace.

    `origin` says how far they tell what the draft continues: ``edits`` of the editor, the work tree or the agent's
    session say much, the last ``commits`` less.
    """

    paths: tuple[str, ...] = ()
    origin: Literal["edits", "commits"] = "commits"


NO_RECENT = Recent()


class SymbolMatch(msgspec.Struct, frozen=True):
    """A definition that matches the draft. `line` counts from 1; `exact`: the draft holds the whole name."""

    name: str
    line: int
    exact: bool


class ChangedTogether(msgspec.Struct, frozen=True):
    """Another file, and in how many of the commits looked at both were changed."""

    path: str
    commits: int


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for a file; what a reason is made of. Each fact can be checked in the workspace.

    `named`: the draft writes the file's path, or its name. `trace_line`: the line at which a stack trace in the draft
    names it, counted from 1. `literal`: a quoted text or error message of the draft that stands in the file. `words`
    and `path_words` are words of the draft, as it writes them, that the file's text and path hold, the rarest in the
    workspace first. `symbols` are definitions that match, the best first. `recent` is the place among the recent
    files, 0 being the newest; `recent_origin` where those come from. `committed` is when the last commit that changed
    it was made (seconds since 1970). `changed_with` names a recent file, or the best match of the text, with which it
    was changed most often. `tests` is the file that it tests, `tested_by` the one that tests it: of the recent files
    or of those that match best. `imports` and `imported_by` likewise.
    """

    named: bool = False
    trace_line: int | None = None
    literal: str | None = None
    words: tuple[str, ...] = ()
    path_words: tuple[str, ...] = ()
    symbols: tuple[SymbolMatch, ...] = ()
    recent: int | None = None
    recent_origin: Literal["edits", "commits"] = "commits"
    committed: float | None = None
    changed_with: ChangedTogether | None = None
    tests: str | None = None
    tested_by: str | None = None
    imports: str | None = None
    imported_by: str | None = None


NO_EVIDENCE = Evidence()


class RankedFile(msgspec.Struct, frozen=True):
    """A file of the workspace, and the calibrated probability that it is among those that will be edited."""

    path: str
    probability: float
    evidence: Evidence = NO_EVIDENCE


class Retrieval(msgspec.Struct, frozen=True):
    """The files that a draft may be about, best first; `threshold` is the probability from which one is shown."""

    files: tuple[RankedFile, ...] = ()
    threshold: float = 1.0


NOTHING = Retrieval()
