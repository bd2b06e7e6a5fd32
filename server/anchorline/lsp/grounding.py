"""What the workspace has to add to a draft: the indexes of its folders, and the files that were worked on last."""

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from anchorline.ground.recent import recent, written
from anchorline.ground.threshold import AdditionDecision
from anchorline.index.snapshot import counts
from anchorline.lsp.documents import Document, to_path
from anchorline.lsp.folder_index import FolderIndex
from anchorline.lsp.recent_files import RecentFiles
from anchorline.plan import Addition

if TYPE_CHECKING:
    from anchorline.index.workspace_index import WorkspaceIndex

GIT_STATE = frozenset({"HEAD", "index"})
"""Files that git writes as it changes others."""
MOST_EDITED = 10
"""Files that a developer or an agent changes at once: more are a branch switch, or a program's output."""


class Grounding:
    """The indexes of the session's folders. Used on the event loop.

    `watched`: the client tells which files change. An untrusted workspace has no index.
    """

    def __init__(self) -> None:
        self.recent = RecentFiles()
        self.watched = False
        self._folders: dict[Path, FolderIndex] = {}

    @property
    def is_on(self) -> bool:
        """Whether there is an index."""
        return bool(self._folders)

    def follow(self, roots: Iterable[Path]) -> None:
        """Indexes these folders and no others."""
        wanted = dict.fromkeys(roots)
        for root in [root for root in self._folders if root not in wanted]:
            self._folders.pop(root).close()
        for root in wanted:
            if root not in self._folders:
                self._folders[root] = FolderIndex(root, watched=self.watched)

    def watch(self) -> None:
        """Takes note that the client tells which files change."""
        self.watched = True
        for folder in self._folders.values():
            folder.watched = True

    def of(self, document: Document | None) -> FolderIndex | None:
        """Returns the index of the folder that a document lies in, else of the first one."""
        path = to_path(document.uri) if document is not None else None
        folders = list(self._folders.values())
        around = (folder for folder in folders if path is not None and path.is_relative_to(folder.root))
        return next(around, folders[0] if folders else None)

    def changed(self, paths: Iterable[Path]) -> None:
        """Takes note of files that were written, created or deleted: of a few, that they are worked on."""
        changed = [path for path in paths if ".git" not in path.parts or path.name in GIT_STATE]
        for folder in self._folders.values():
            inside = [path for path in changed if path.is_relative_to(folder.root)]
            names = [path.relative_to(folder.root).as_posix() for path in inside if ".git" not in path.parts]
            if len(names) < len(inside):
                folder.changed()
            folder.changed(filter(counts, names))
            if len(inside) <= MOST_EDITED:
                for name in filter(counts, names):
                    self.recent.add(folder.root / name)

    async def additions(
        self,
        draft: str,
        document: Document | None,
        edited: Iterable[str] = (),
        decisions: Iterable[AdditionDecision] = (),
        *,
        refined: str | None = None,
    ) -> tuple[Addition, ...]:
        """Returns what the workspace has to add to a draft; nothing where no index is ready.

        `edited` are files that the client says were edited, newest first, `decisions` what the developer made of
        earlier additions; `refined` is the refined draft.
        """
        folder = self.of(document)
        if folder is None:
            return ()
        root = folder.root
        own = to_path(document.uri) if document is not None else None
        without = {own.relative_to(root).as_posix()} if own is not None and own.is_relative_to(root) else ()
        worked_on = tuple(dict.fromkeys((*edited, *self.recent.below(root))))

        def question(index: "WorkspaceIndex") -> tuple[Addition, ...]:
            from anchorline.ground.propose import propose  # noqa: PLC0415  (NumPy, which the index has loaded)

            now = time.time()
            lately = written(root, index.paths, now)
            newest = recent(editor=worked_on, lately=lately, history=index.history)
            return propose(index, draft, newest, decisions, now=now, refined=refined, without=without)

        return await folder.ask(question, (draft, refined, worked_on)) or ()

    def close(self) -> None:
        """Closes the indexes."""
        self.follow(())
