"""What is known about each document's present version, found out beside the event loop and once.

A plan takes a millisecond, but the refinement of a very long draft a hundred. So documents are analysed in a
thread: one analysis a document at a time, of the newest version only, shared by all who ask for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any

import msgspec
from pygls.exceptions import JsonRpcContentModified

from anchorline.lsp.documents import Document
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt

if TYPE_CHECKING:
    from anchorline.lint.finding import Finding


class Analysis(msgspec.Struct, frozen=True):
    """What is known about one version of a document. Without a prompt it is none: a finding says why."""

    prompt: Prompt | None = None
    plan: Plan | None = None
    findings: "tuple[Finding, ...]" = ()


class Snapshot(msgspec.Struct, frozen=True):
    """A document as it stands now; `generation` counts what changes every analysis."""

    uri: str
    name: str
    version: int | None
    data: bytes
    generation: int


class Pending:
    """An analysis to be awaited, of the version that the document had when this was made.

    `newest` starts it, or returns the one that runs; it is asked again as long as it has another by then, because
    the settings or what is warm have changed: editors drop an answer that is refused, and don't ask again.
    `is_current` is asked when it is there; if the document has changed, JsonRpcContentModified is raised.
    """

    def __init__(
        self, newest: "Callable[[], asyncio.Task[Analysis | None]]", is_current: Callable[[], bool]
    ) -> None:
        self._newest = newest
        self._task = newest()
        self._is_current = is_current

    def __await__(self) -> Generator[Any, None, Analysis | None]:
        """Return the analysis; None for a document that is not served."""
        return self._wait().__await__()

    async def _wait(self) -> Analysis | None:
        task = self._task
        while True:
            # Shielded: whoever gives up waiting must not take it from the others.
            analysis = await asyncio.shield(task)
            if not self._is_current():
                raise JsonRpcContentModified("the document has changed")
            if (newest := self._newest()) is task:
                return analysis
            task = newest


class _Kept(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    task: "asyncio.Task[Analysis | None]"


class Analyses:
    """The newest analysis of each document. `analyse` makes one; it is awaited for one at a time a document."""

    def __init__(self, analyse: Callable[[Snapshot], Awaitable[Analysis | None]]) -> None:
        self._analyse = analyse
        self._kept: dict[str, _Kept] = {}

    def of(self, document: Document, generation: int) -> "asyncio.Task[Analysis | None]":
        """Return the analysis of a document as it stands now; its result is None if a newer version comes."""
        kept = self._kept.get(document.uri)
        if (
            kept is None
            or kept.snapshot.data is not document.data
            or kept.snapshot.version != document.version
            or kept.snapshot.generation != generation
        ):
            snapshot = Snapshot(document.uri, document.name, document.version, document.data, generation)
            before = kept.task if kept is not None else None
            kept = _Kept(snapshot, asyncio.ensure_future(self._run(snapshot, before)))
            self._kept[document.uri] = kept
        return kept.task

    async def _run(
        self, snapshot: Snapshot, before: "asyncio.Task[Analysis | None] | None"
    ) -> Analysis | None:
        if before is not None:
            await asyncio.wait([before])
        kept = self._kept.get(snapshot.uri)
        if kept is None or kept.snapshot is not snapshot:
            return None
        return await self._analyse(snapshot)

    def forget(self, uri: str) -> None:
        """Forget a document that was closed."""
        self._kept.pop(uri, None)
