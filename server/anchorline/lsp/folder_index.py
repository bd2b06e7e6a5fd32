"""The indexes of a session's folders: opened after the start, kept up to date beside the event loop, and asked.

Nothing waits for an index: until it is ready, nothing is found. The client tells what changes where it can watch files;
beside that git's state is looked at with each question, and where nothing is watched the folder as well.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from anchorline.index.folder import UnindexableError

if TYPE_CHECKING:
    from anchorline.index.workspace_index import WorkspaceIndex

Result = TypeVar("Result")
State = Literal["indexing", "ready", "failed"]

ANSWER_S = 2.0
"""Seconds that a question waits, at most."""
UPDATE_S = 1.0
"""Seconds of these that it waits for an index that is being brought up to date."""
GATHER_S = 0.2
"""Seconds for which changes are gathered: a branch switch changes many files."""
REST = 4.0
MOST_REST_S = 5.0
"""How much longer than a refresh takes changes are gathered, and for how long at most: they may not end."""
FRESH_S = 10.0
"""Seconds after which a folder that nobody watches is looked at again, once it is asked about."""
MOST_UPDATES = 50
"""Changed files that are updated one by one; of more the folder is listed anew."""
log = logging.getLogger(__name__)


class FolderIndex:
    """The index of one folder. Used on the event loop; it works in threads of its own, one question at a time."""

    def __init__(self, root: Path, *, watched: bool) -> None:
        self.root = root
        self.watched = watched
        self.state: State = "indexing"
        self.reason = ""
        self.files = 0
        self._stop = threading.Event()
        self._keeping = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="ground")
        self._index: WorkspaceIndex | None = None
        self._version = 0
        self._last: tuple[object, object] | None = None
        self._changed: set[str] = set()
        self._listing = False
        self._git = b""
        self._looked_at = 0.0
        self._took_s = 0.0
        self._keeper: asyncio.Task[None] | None = None
        self.changed()

    def changed(self, paths: Iterable[str] | None = None) -> None:
        """Takes note of changed files, or that any may have changed, and brings the index up to date soon."""
        if paths is None:
            self._listing = True
        else:
            self._changed.update(paths)
            if not self._changed:
                return
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.ensure_future(self._keep())

    async def ask(self, question: "Callable[[WorkspaceIndex], Result]", key: object) -> Result | None:
        """Returns what `question` finds in the index; None where it is not ready or takes too long.

        Editors ask the same at each move of the cursor: with the same `key` the last answer is given again, until the
        index has changed.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_S):
                if await loop.run_in_executor(self._asking, self._may_have_changed):
                    self.changed()
                if self.state == "ready" and self._keeper is not None:
                    await asyncio.wait([self._keeper], timeout=UPDATE_S)
                index = self._index
                if index is None or self.state != "ready":
                    return None
                asked = key, self._version
                if self._last is None or self._last[0] != asked:
                    self._last = asked, await loop.run_in_executor(self._asking, question, index)
                return cast("Result", self._last[1])
        except TimeoutError:
            log.warning("the index did not answer in time")
        except Exception as error:
            log.warning("the index can't be asked (%s)", type(error).__name__, exc_info=True)
        return None

    def _may_have_changed(self) -> bool:
        """Whether git says so, or nobody would tell."""
        is_old = time.monotonic() - self._looked_at > FRESH_S
        if is_old and (not self.watched or self.state == "failed"):
            return True
        return self._index is not None and git_state(self.root) != self._git

    async def _keep(self) -> None:
        """Brings the index up to date, until nothing has changed meanwhile."""
        while self._listing or self._changed:
            if self._index is not None:
                await asyncio.sleep(min(max(GATHER_S, REST * self._took_s), MOST_REST_S))
            self._version += 1
            listing, changed = self._listing, self._changed
            self._listing, self._changed = False, set()
            try:
                await asyncio.get_running_loop().run_in_executor(
                    self._keeping, self._bring_up_to_date, listing, changed
                )
            except UnindexableError as error:  # a home folder: nothing is wrong
                self.state, self.reason = "failed", str(error)
            except Exception as error:  # whatever is wrong with a folder, prompts are planned
                self.state, self.reason = "failed", str(error) or type(error).__name__
                log.warning("a folder can't be indexed (%s)", type(error).__name__, exc_info=True)
            else:
                self._version += 1
                self.state, self.reason = "ready", ""

    def _bring_up_to_date(self, listing: bool, changed: set[str]) -> None:
        """Works in the thread that keeps the index."""
        self._looked_at = time.monotonic()
        if self._index is None:
            from anchorline.ground.propose import open_index  # noqa: PLC0415  (NumPy: 0.1 s, and not for the start)

            self._index = open_index(self.root)
        index = self._index
        if not listing and len(changed) <= MOST_UPDATES and changed <= set(index.paths):
            for path in changed:
                index.update(path)
        else:  # of a new file git has to say whether it is ignored
            self._git = git_state(self.root)
            self.files = index.refresh(self._stop.is_set).files
            self._took_s = time.monotonic() - self._looked_at

    def close(self) -> None:
        """Stops what goes on and closes the index."""
        self._stop.set()
        if self._keeper is not None:
            self._keeper.cancel()
        index = self._index
        if index is not None:
            self._keeping.submit(index.close)
        self._asking.shutdown(wait=False, cancel_futures=True)
        self._keeping.shutdown(wait=False)


def git_state(root: Path) -> bytes:
    """Returns what is another whenever git has changed files: the branch, and when its index was written."""
    for folder in (root, *root.parents):
        git = folder / ".git"
        try:
            if git.is_file():  # a linked work tree
                git = folder / git.read_text("utf-8").removeprefix("gitdir:").strip()
            return b"%b %d" % ((git / "HEAD").read_bytes()[:1000], (git / "index").stat().st_mtime_ns)
        except (OSError, ValueError):
            continue
    return b""
