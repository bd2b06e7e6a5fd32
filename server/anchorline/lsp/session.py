"""What one client's session knows: its documents, settings and plans, and the planner that serves them."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from anchorline import config
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.lsp.documents import Document, Documents, to_path
from anchorline.lsp.plans import Plans, Remembered, entries
from anchorline.lsp.recording import Recording
from anchorline.lsp.served import Serving, format_of, serving
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt, PromptError
from anchorline.surroundings import Surroundings

if TYPE_CHECKING:
    from anchorline.lint.finding import Finding
    from anchorline.planner import Planner
    from anchorline.prompt.formats import Memory

EXPIRED_KEPT_S = 7 * 86_400
"""Expired entries explain a miss for a week."""
WRITING_S = 0.5
Made = TypeVar("Made")
log = logging.getLogger(__name__)


class Analysis(msgspec.Struct, frozen=True):
    """What is known about one version of a document. Without a prompt it is none: a finding says why."""

    version: int | None
    prompt: Prompt | None = None
    plan: Plan | None = None
    findings: "tuple[Finding, ...]" = ()


class Session:
    """The state of a session. Used on the event loop only, except where a method says otherwise.

    `report` shows a message to the developer; each problem is reported once. `generation` counts what changes
    every analysis, `ready` tells that the settings are read. Of the diagnostics, `pending` are to be pushed,
    `published` are shown (both by URI).
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self.documents = Documents()
        self.root: Path | None = None
        self.loaded = config.Loaded()
        self.ledger = MemoryLedger()
        self.plans = Plans()
        self.recording = Recording(report, self.take)
        self.warm: list[Entry] = []
        self.generation = 0
        self.ready = False
        self.pending: set[str] = set()
        self.published: set[str] = set()
        self._report = report
        self._reported: set[str] = set()
        self._editor_settings: dict[str, Any] = {}
        self._planner: Planner | None = None
        self._analyses: dict[str, tuple[int, Analysis]] = {}
        self._memories: dict[str, Memory] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="plan")

    @property
    def config(self) -> config.Config:
        """The settings in force."""
        return self.loaded.config

    @property
    def planner(self) -> "Planner":
        """The planner for the settings in force, made when it is first needed: its import is not light."""
        if self._planner is None:
            from anchorline.planner import Planner  # noqa: PLC0415  (after `initialize` is answered)

            self._planner = Planner(self.config, self.ledger)
        return self._planner

    def read_settings(self, editor: dict[str, Any] | None = None) -> None:
        """Read the settings of the files, and over them the editor's (where None: those that it has sent)."""
        if editor is not None:
            self._editor_settings = editor
        self.loaded = config.load(self.root, self._editor_settings)
        self._planner = None
        self.changed()

    def configure(self) -> None:
        """Put the settings in force: open the store as they say, and report each problem once."""
        self.ready = True
        self.recording.apply(self.config.store)
        for problem in self.loaded.problems:
            if str(problem) not in self._reported:
                self._reported.add(str(problem))
                self._report(f"Anchorline settings: {problem}")

    def changed(self) -> None:
        """Forget all analyses: the settings or what is warm have changed."""
        self.generation += 1
        self._analyses.clear()

    # Documents

    def serving(self, document: Document) -> Serving | None:
        """Say as what a document is served; None when it is not."""
        return serving(document, chat=self.config.editor.chat)

    def close(self, uri: str) -> None:
        """Forget a document."""
        document = self.documents.remove(uri)
        if document is not None:
            self._analyses.pop(document.uri, None)
            self._memories.pop(document.uri, None)

    def analysis(self, document: Document) -> Analysis | None:
        """Plan a served document as it stands now; None for one that is not served. Kept per version."""
        if self.serving(document) not in ("prompt", "body"):
            return None
        kept = self._analyses.get(document.uri)
        if kept is not None and kept[0] == self.generation and kept[1].version == document.version:
            return kept[1]
        analysis = self._analyse(document)
        self._analyses[document.uri] = (self.generation, analysis)
        return analysis

    def _analyse(self, document: Document) -> Analysis:
        try:
            prompt = self.read(document)
        except PromptError as error:
            from anchorline.lint.check import unreadable  # noqa: PLC0415  (as above)

            return Analysis(document.version, findings=(unreadable(error, len(document.data)),))
        plan = self.planner.plan(prompt, self.surroundings(document))
        return Analysis(document.version, prompt, plan, self.planner.lint(prompt, plan))

    def read(self, document: Document) -> Prompt:
        """Read a document as a prompt. Raises PromptError."""
        from anchorline.prompt import formats  # noqa: PLC0415  (after `initialize` is answered)

        memory = None
        if self.serving(document) == "body":
            memory = self._memories.get(document.uri)
            if memory is None:
                memory = self._memories[document.uri] = formats.Memory()
        return formats.read(document.data, name=document.name, format=format_of(document), memory=memory)

    def surroundings(self, active: Document | None) -> Surroundings:
        """Return what the open documents tell."""
        return Surroundings(
            active_file=self.relative(active.uri) if active is not None else None,
            open_files=tuple(self.relative(document.uri) for document in self.documents)[:100],
            workspace_root=str(self.root) if self.root is not None else None,
        )

    def relative(self, uri: str) -> str:
        """Return a URI as a workspace-relative path with forward slashes; other paths stay as they are."""
        path = to_path(uri) if "://" in uri else Path(uri)
        if path is None:
            return uri
        if self.root is not None and path.is_relative_to(self.root):
            path = path.relative_to(self.root)
        return path.as_posix()

    # Plans and outcomes

    async def in_thread(self, work: Callable[[], Made]) -> Made:
        """Run `work` beside the event loop, in the planner's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def remember(self, plan: Plan, prompt: Prompt, target: str | None = None) -> Remembered:
        """Keep a plan that is shown, so that its outcome can be taken in."""
        return self.plans.add(plan, prompt, self.planner, target)

    def record(self, remembered: Remembered) -> None:
        """Have a plan written to the store, once. Nobody waits for that."""
        if remembered.recorded or remembered.prompt is None or not self.config.store.enabled:
            return
        remembered.recorded = True
        writing = asyncio.ensure_future(self.recording.plan(remembered.plan, remembered.prompt))
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: "asyncio.Task[None]") -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.error("a plan was not recorded", exc_info=error)

    async def outcome(self, outcome: Outcome) -> bool:
        """Take in an outcome: return once it is on disk, or False where recording is off.

        Raises NotRecordedError. What it tells about the cache holds from the next plan on, recorded or not.
        """
        remembered = self.plans.get(outcome.plan_id)
        warm: list[Entry] = []
        if remembered is not None:
            remembered.outcome = outcome
            warm = list(entries(remembered, outcome))
            self.take(warm)
        if not self.config.store.enabled:
            return False
        if remembered is not None:
            self.record(remembered)
        await self.recording.outcome(outcome)
        await self.recording.ledger(warm)
        return True

    async def feedback(self, feedback: Feedback) -> bool:
        """Return once feedback is on disk, or False where recording is off. Raises NotRecordedError."""
        if not self.config.store.enabled:
            return False
        remembered = self.plans.get(feedback.plan_id)
        if remembered is not None:
            self.record(remembered)
        await self.recording.feedback(feedback)
        return True

    def take(self, found: Iterable[Entry]) -> None:
        """Take entries into the ledger."""
        entries_ = list(found)
        for entry in entries_:
            self.ledger.put(entry)
        if entries_:
            now = time.time()
            self.ledger.forget_before(now - EXPIRED_KEPT_S)
            self.warm = [entry for entry in [*self.warm, *entries_] if entry.expires_at > now]
            self.changed()

    async def end(self) -> None:
        """Close what is open."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._writing:
            await asyncio.wait(self._writing, timeout=WRITING_S)
        await self.recording.close()
