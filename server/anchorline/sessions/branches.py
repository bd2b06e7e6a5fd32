"""The branches of a session whose entries each name the one before: a person went back, and went on from there."""

from collections.abc import Iterator

import msgspec

from anchorline.sessions.conversation import Conversation, ConversationMark
from anchorline.sessions.request import RecordedRequest

MAX_BRANCHES = 200
"""Each branch copies what stands before it; no real session has so many."""


class _Node(msgspec.Struct, frozen=True, gc=False):
    parent: str | None
    run: int
    mark: ConversationMark


class Branches:
    """The entries of `talk`, and the requests that some of them are. `problem` says what was left out.

    >>> if branches.follow(entry.parent):
    ...     put_into(talk, entry)
    ...     branches.enter(entry.id, entry.parent)
    """

    def __init__(self, talk: Conversation) -> None:
        self.problem: str | None = None
        self._talk = talk
        self._nodes: dict[str, _Node] = {}
        self._start = talk.mark()
        self._passed: dict[str, str | None] = {}
        self._leaf: str | None = None
        self._run = 0
        self._requests: list[tuple[str | None, int, RecordedRequest]] = []

    def follow(self, parent: str | None) -> bool:
        """Goes back to an entry where it is not the newest one; returns False where that is one time too many."""
        parent = self._passed.get(parent or "", parent)
        if parent == self._leaf or not self._nodes:
            return True
        if self._run == MAX_BRANCHES:
            self.problem = f"more than {MAX_BRANCHES} branches: the requests of further ones are left out"
            return False
        node = self._nodes.get(parent or "")
        self._talk.go_back(self._start if node is None else node.mark)
        self._run += 1
        return True

    def enter(self, key: str, parent: str | None) -> None:
        """Notes an entry that was taken in."""
        parent = self._passed.get(parent or "", parent)
        self._nodes[key] = _Node(parent, self._run, self._talk.mark())
        self._leaf = key

    def skip(self, key: str, parent: str | None) -> None:
        """Notes an entry that holds nothing: whoever names it means the one before."""
        self._passed[key] = self._passed.get(parent or "", parent)

    def add(self, key: str | None, request: RecordedRequest) -> None:
        """Notes the request that the entry `key` is."""
        self._requests.append((key, self._run, request))

    def requests(self) -> Iterator[RecordedRequest]:
        """Yields all requests: those on the way to the newest entry as branch 0."""
        newest: set[str | None] = {None}
        key = self._leaf
        while key is not None and key not in newest:
            newest.add(key)
            node = self._nodes.get(key)
            key = None if node is None else node.parent
        left: dict[int, int] = {}
        for key, run, request in self._requests:
            branch = 0 if key in newest else left.setdefault(run, len(left) + 1)
            yield request if branch == 0 else msgspec.structs.replace(request, branch=branch)
