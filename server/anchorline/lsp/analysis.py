"""Analyses of documents: the plan and the findings of each one's newest version.

A plan takes a millisecond, but the refinement of a very long draft a hundred. So documents are analysed in a
thread: one analysis a document at a time, of the newest version only, shared by all who ask for it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import msgspec
from pygls.exceptions import JsonRpcContentModified

from anchorline.instructions.warm_files import WarmFiles
from anchorline.lint.cache import Share
from anchorline.lint.check import unreadable
from anchorline.lint.finding import Finding
from anchorline.lsp.documents import Document, to_path
from anchorline.lsp.prompt_files import name_of
from anchorline.lsp.workspace import with_sources
from anchorline.plan import Plan
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.model import Format, Prompt, PromptError
from anchorline.surroundings import Surroundings
from anchorline.workspace.look import Sources


class DocumentAnalysis(msgspec.Struct, frozen=True):
    """The analysis of one version of a document. It has no plan where it is empty, or no prompt: a finding says why."""

    prompt: Prompt | None = None
    plan: Plan | None = None
    findings: tuple[Finding, ...] = ()


class Snapshot(msgspec.Struct, frozen=True):
    """A document as it stands now; `generation` counts what changes every analysis."""

    uri: str
    name: str
    version: int | None
    data: bytes
    generation: int


class PendingAnalysis:
    """An analysis to be awaited, of the version that the document had when this was made.

    `newest` starts it, or returns the one that runs; it is asked again as long as it has another by then, because
    the settings or what is warm have changed: editors drop an answer that is refused, and don't ask again.
    `is_current` is asked when it is there; if the document has changed, JsonRpcContentModified is raised.
    """

    def __init__(
        self, newest: "Callable[[], asyncio.Task[DocumentAnalysis | None]]", is_current: Callable[[], bool]
    ) -> None:
        self._newest = newest
        self._task = newest()
        self._is_current = is_current

    def __await__(self) -> Generator[Any, None, DocumentAnalysis | None]:
        """Returns the analysis; None for a document that is not served."""
        return self._wait().__await__()

    async def _wait(self) -> DocumentAnalysis | None:
        task = self._task
        while True:
            # Shielded: whoever gives up waiting must not take it from the others.
            analysis = await asyncio.shield(task)
            if not self._is_current():
                raise JsonRpcContentModified("the document has changed")
            if (newest := self._newest()) is task:
                return analysis
            task = newest


def analyse(
    snapshot: Snapshot,
    planner: Planner,
    surroundings: Surroundings,
    sources: Sources,
    kind: Format | None,
    memory: formats.Memory | None,
    warm_files: WarmFiles,
    share: Share,
) -> DocumentAnalysis:
    """Returns the analysis of a document. Reads files, so it is not for the event loop.

    `kind` is the format that the document has by its name, `memory` keeps its last version where it is a request body,
    `warm_files` are the instruction files in what a provider holds; `share` tells what a write takes of a plan.
    """
    try:
        model = planner.config.route.model
        prompt = formats.read(snapshot.data, name=snapshot.name, format=kind, memory=memory, model=model)
    except PromptError as error:
        return DocumentAnalysis(findings=(unreadable(error, len(snapshot.data)),))
    if not prompt.segments:
        return DocumentAnalysis()
    prompt = of_document(prompt, snapshot.uri)
    path, now = to_path(snapshot.uri), time.time()
    plan = planner.plan(
        prompt,
        with_sources(surroundings, prompt, sources, search=False),
        warm_files=warm_files.warm(path.resolve(), now) if path is not None else (),
    )
    edits = warm_files.edits(path.resolve(), snapshot.data, now) if path is not None else ()
    return DocumentAnalysis(prompt, plan, planner.lint(prompt, plan, edits, share))


def of_document(prompt: Prompt, uri: str | None) -> Prompt:
    """Returns a prompt that is a document with the document as its session: it is the same one after a change."""
    if uri is None or prompt.format != "markdown" or prompt.session is not None:
        return prompt
    return msgspec.structs.replace(prompt, session=uri)


class _Running(msgspec.Struct, frozen=True):
    snapshot: Snapshot
    task: "asyncio.Task[DocumentAnalysis | None]"


class Analyses:
    """The newest analysis of each document. `analyse` makes one; it is awaited for one at a time a document."""

    def __init__(self, analyse: Callable[[Snapshot], Awaitable[DocumentAnalysis | None]]) -> None:
        self._analyse = analyse
        self._newest: dict[str, _Running] = {}

    def of(self, document: Document, generation: int) -> "asyncio.Task[DocumentAnalysis | None]":
        """Returns the analysis of a document as it stands now; its result is None if a newer version comes."""
        newest = self._newest.get(document.uri)
        if (
            newest is None
            or newest.snapshot.data is not document.data
            or newest.snapshot.version != document.version
            or newest.snapshot.generation != generation
        ):
            snapshot = Snapshot(document.uri, name_of(document), document.version, document.data, generation)
            before = newest.task if newest is not None else None
            newest = _Running(snapshot, asyncio.ensure_future(self._run(snapshot, before)))
            self._newest[document.uri] = newest
        return newest.task

    async def _run(
        self, snapshot: Snapshot, before: "asyncio.Task[DocumentAnalysis | None] | None"
    ) -> DocumentAnalysis | None:
        if before is not None:
            await asyncio.wait([before])
        newest = self._newest.get(snapshot.uri)
        if newest is None or newest.snapshot is not snapshot:
            return None
        return await self._analyse(snapshot)

    def forget(self, uri: str) -> None:
        """Forgets a document that was closed."""
        self._newest.pop(uri, None)
