"""The editor's facts around a draft, the only ones that grounding may use.

Clients send these with a plan or refine request; the language server adds what it knows from open documents.
Names are the protocol's (camelCase on the wire).
"""

import msgspec


class Selection(msgspec.Struct, frozen=True, rename="camel"):
    """Selected text. `start_line` and `end_line` count from 1, inclusive."""

    path: str
    start_line: int
    end_line: int
    text: str = ""


class Diagnostic(msgspec.Struct, frozen=True, rename="camel"):
    """One of the editor's own diagnostics near the cursor. `line` counts from 1."""

    path: str
    line: int
    message: str
    severity: str = "error"


class Absent(msgspec.Struct, frozen=True, rename="camel"):
    """A file that the draft names and that the workspace does not have, and the one it may mean."""

    path: str
    similar: str | None = None


class Definition(msgspec.Struct, frozen=True, rename="camel"):
    """Where a symbol that the draft names is defined. `line` counts from 1."""

    name: str
    path: str
    line: int


class Surroundings(msgspec.Struct, frozen=True, rename="camel"):
    """Everything known about the place where the draft is written. Paths are workspace-relative.

    `absent` and `definitions` are looked up for one draft; of a symbol that is named there are either all
    definitions or none.
    """

    active_file: str | None = None
    selection: Selection | None = None
    symbol: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    open_files: tuple[str, ...] = ()
    recent_edits: tuple[str, ...] = ()
    workspace_root: str | None = None
    absent: tuple[Absent, ...] = ()
    definitions: tuple[Definition, ...] = ()


NOTHING = Surroundings()
