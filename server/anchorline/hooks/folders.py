"""The indexes of the folders that agents work in, loaded while they work, and what these tell of a prompt."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from anchorline.ground.propose import open_index, propose
from anchorline.ground.recent import recent, written
from anchorline.ground.threshold import KEPT_S, AdditionDecision
from anchorline.index.folder import UnindexableError
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.plan import Addition
from anchorline.prompt.model import PromptError
from anchorline.sessions.edited import edited
from anchorline.store.database import StoreError
from anchorline.store.reader import Reader

ANSWER_S = 0.15
"""What is left for the question itself, while the index is brought up to date."""
MOST_FOLDERS = 3
"""Folders whose indexes stay loaded."""
log = logging.getLogger(__name__)


class _Folder:
    """A folder's index. It is refreshed by one thread and asked in others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index: WorkspaceIndex = open_index(root)
        self.is_ready = False
        self._refreshing = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._refresh: Future[None] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def refresh(self) -> Future[None]:
        """Brings the index up to date; where that is going on, it is the same one."""
        with self._lock:
            if self._refresh is None or self._refresh.done():
                self._refresh = self._refreshing.submit(self._bring_up_to_date)
            return self._refresh

    def _bring_up_to_date(self) -> None:
        self.index.refresh(self._stopped.is_set)
        self.is_ready = True

    def close(self) -> None:
        """Stops what goes on, and closes the index after it."""
        self._stopped.set()
        self._refreshing.submit(self.index.close)
        self._refreshing.shutdown(wait=False)


class Folders:
    """The indexes by folder. May be used in any thread."""

    def __init__(self) -> None:
        self._folders: OrderedDict[Path, _Folder] = OrderedDict()
        self._lock = threading.Lock()
        self._asking = ThreadPoolExecutor(2, thread_name_prefix="ground")

    def refresh(self, root: Path) -> None:
        """Brings the index of a folder up to date, in the background. Raises OSError and sqlite3.Error."""
        folder = self._folder(root)
        if folder is not None:
            folder.refresh()

    def facts(
        self, root: Path, prompt: str, session: Path | None, database: Path, seconds: float
    ) -> Sequence[Addition]:
        """Returns what a folder has to add to a prompt: nothing where that is not known in time.

        `session` is the agent's session file, `database` has the decisions so far. Raises what asking raises.
        """
        until = time.monotonic() + seconds
        folder = self._folder(root)
        if folder is None:
            return ()
        wait([folder.refresh()], timeout=until - time.monotonic() - ANSWER_S)
        if not folder.is_ready:
            return ()
        answer = self._asking.submit(_facts, folder, prompt, session, database)
        wait([answer], timeout=max(until - time.monotonic(), 0.0))
        return answer.result() if answer.done() else ()

    def _folder(self, root: Path) -> _Folder | None:
        """Returns a folder with its index; None for one that is not indexed."""
        with self._lock:
            folder = self._folders.get(root)
            if folder is None:
                try:
                    folder = self._folders[root] = _Folder(root)
                except UnindexableError as error:
                    log.warning("%s", error)
                    return None
            self._folders.move_to_end(root)
            if len(self._folders) > MOST_FOLDERS:
                self._folders.popitem(last=False)[1].close()
            return folder

    def close(self) -> None:
        """Closes the indexes."""
        with self._lock:
            while self._folders:
                self._folders.popitem()[1].close()
        self._asking.shutdown(wait=False, cancel_futures=True)


def _facts(folder: _Folder, prompt: str, session: Path | None, database: Path) -> tuple[Addition, ...]:
    now = time.time()
    newest: tuple[str, ...] = ()
    decisions: list[AdditionDecision] = []
    try:
        newest = edited(session, folder.root) if session is not None else ()
        decisions = Reader(database).addition_decisions(now - KEPT_S)
    except (OSError, PromptError, StoreError) as error:
        log.warning("a prompt is looked up without what was done before: %s", type(error).__name__)
    index = folder.index
    lately = () if newest else written(folder.root, index.paths, now)
    worked_on = recent(session=newest, lately=lately, history=index.history)
    return propose(index, prompt, worked_on, decisions, now=now)
