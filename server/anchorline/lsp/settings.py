"""The settings of a session: the files' of `anchorline.toml`, and over them the editor's."""

from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from anchorline import config as files
from anchorline.lsp.protocol import JSON

SECTION = "anchorline"
TRUSTED = "workspaceTrusted"
"""An editor's initialization option beside the settings; VS Code's extension sends it."""
SHOWN_PROBLEMS = 3
"""Settings of one file that are shown one by one where they do not fit."""


def section(settings: JSON) -> dict[str, Any]:
    """Returns our settings: editors send them bare or under the name ``anchorline``."""
    if not isinstance(settings, dict):
        return {}
    inner = settings.get(SECTION, settings)
    return (
        {name: value for name, value in inner.items() if name != TRUSTED} if isinstance(inner, dict) else {}
    )


def trusted(options: JSON) -> bool:
    """Whether the project's settings may be read: not where the editor says that its user does not trust it."""
    return not (isinstance(options, dict) and options.get(TRUSTED) is False)


class EditorSettings:
    """The settings in force. Of an untrusted workspace no file is read."""

    def __init__(self) -> None:
        self.trusted = True
        self._loaded = files.Loaded()
        self._editor: dict[str, Any] = {}

    @property
    def config(self) -> files.Config:
        """The settings in force."""
        return self._loaded.config

    @property
    def user_config(self) -> files.Config:
        """The settings without those of the project."""
        return files.load(None, self._editor).config

    def read(self, root: Path | None, editor: dict[str, Any] | None = None) -> None:
        """Reads the files of the user and of the folder `root`; `editor` are new settings of the editor."""
        if editor is not None:
            self._editor = editor
        self._loaded = files.load(root if self.trusted else None, self._editor)

    def problems(self) -> Iterator[str]:
        """Yields messages about what does not fit, a few for each file."""
        for source, group in groupby(self._loaded.problems, attrgetter("source")):
            problems = list(group)
            for problem in problems[:SHOWN_PROBLEMS]:
                yield f"Anchorline settings: {problem}"
            if len(problems) > SHOWN_PROBLEMS:
                further = len(problems) - SHOWN_PROBLEMS
                yield f"Anchorline settings: {source}: {further} more; `anchorline config check` names them"
