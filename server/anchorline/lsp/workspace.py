"""The workspace's folders: paths relative to them, their files, and what they tell about a draft."""

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from anchorline.lsp.documents import Document, Documents, to_path
from anchorline.prompt.model import Prompt
from anchorline.surroundings import Surroundings
from anchorline.workspace.files import WorkspaceFiles
from anchorline.workspace.look import SourcePosition, Sources, look

MOST_OPEN_FILES = 100
log = logging.getLogger(__name__)


class WorkspaceFolders:
    """The folders that the editor has open, in its order."""

    def __init__(self) -> None:
        self.roots: tuple[Path, ...] = ()

    @property
    def root(self) -> Path | None:
        """The first folder: the one whose `anchorline.toml` counts."""
        return self.roots[0] if self.roots else None

    def follow(self, roots: Iterable[Path]) -> None:
        """Takes other folders for the workspace's."""
        self.roots = tuple(roots)
        self.__dict__.pop("files", None)

    @cached_property
    def files(self) -> WorkspaceFiles:
        """The files of the folders."""
        return WorkspaceFiles(self.roots)

    def relative(self, uri: str) -> str:
        """Returns a URI as a workspace-relative path with forward slashes; other paths stay as they are."""
        path = to_path(uri) if "://" in uri else Path(uri)
        if path is None:
            return uri
        for root in self.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.as_posix()

    def sources(self, documents: Documents) -> Sources:
        """Returns where the text of source files comes from, with the open documents as they stand now."""
        return Sources(self.files, {self.relative(document.uri): document.data for document in documents})

    def surroundings(self, documents: Documents, active: Document | None) -> Surroundings:
        """Returns what the open documents tell."""
        return Surroundings(
            active_file=self.relative(active.uri) if active is not None else None,
            open_files=tuple(self.relative(document.uri) for document in documents)[:MOST_OPEN_FILES],
            workspace_root=str(self.root) if self.root is not None else None,
        )


def with_sources(
    surroundings: Surroundings,
    prompt: Prompt,
    sources: Sources,
    *,
    search: bool,
    at: SourcePosition | None = None,
) -> Surroundings:
    """Returns the surroundings with what the workspace tells about the draft; as they are if that fails."""
    if prompt.draft is None:
        return surroundings
    try:
        return look(prompt.draft.text, surroundings, sources, search=search, at=at)
    except Exception as error:  # noqa: BLE001  (fail open: a strange file must not cost the plan)
        log.warning("the workspace can't be looked at (%s)", type(error).__name__)
        return surroundings
