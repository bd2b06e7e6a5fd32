"""What one client's session knows: its documents, settings and plans, and the planner that serves them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from anchorline import config
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.lsp.analyses import Analyses, Analysis, Pending, Snapshot
from anchorline.lsp.documents import Document, Documents, to_path
from anchorline.lsp.plans import Plans, Remembered, entries
from anchorline.lsp.recording import Recording
from anchorline.lsp.served import Serving, format_of, serving
from anchorline.outcome import Feedback, Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt, PromptError
from anchorline.surroundings import Surroundings

if TYPE_CHECKING:
    from anchorline.cache.instructions import Instructions, Known
    from anchorline.planner import Planner
    from anchorline.prompt.formats import Memory
    from anchorline.workspace.files import Files
    from anchorline.workspace.look import Place, Sources

EXPIRED_KEPT_S = 7 * 86_400
"""Expired entries explain a miss for a week."""
EXPIRY_S = 2.0
"""How soon after an expiry its consequences are shown, at most: a conversation's prefixes expire one by one."""
WRITING_S = 0.5
Made = TypeVar("Made")
log = logging.getLogger(__name__)


class Session:
    """The state of a session. Used on the event loop only, except where a method says otherwise.

    `report` shows a message to the developer; each problem is reported once. `generation` counts what changes
    every analysis, `ready` tells that the settings are read. Of the diagnostics, `pushing` are on
    their way, `published` are shown (both by URI). `refresh` shows them anew, where what is warm has changed by itself.
    """

    def __init__(self, report: Callable[[str], None], refresh: Callable[[], None]) -> None:
        self.documents = Documents()
        self.roots: tuple[Path, ...] = ()
        self.loaded = config.Loaded()
        self.ledger = MemoryLedger()
        self.plans = Plans()
        self.instructions: Instructions | None = None
        self.recording = Recording(report, self._found)
        self.warm: list[Entry] = []
        self.generation = 0
        self.ready = False
        self.pushing: dict[str, asyncio.Task[None]] = {}
        self.published: set[str] = set()
        self._report = report
        self._refresh = refresh
        self._expiry: asyncio.TimerHandle | None = None
        self._reported: set[str] = set()
        self._editor_settings: dict[str, Any] = {}
        self._planner: Planner | None = None
        self._making_planner = threading.Lock()
        self._analyses = Analyses(self._analyse)
        self._memories: dict[str, Memory] = {}
        self._writing: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="plan")

    @property
    def root(self) -> Path | None:
        """The first of the workspace's folders: the one whose `anchorline.toml` counts."""
        return self.roots[0] if self.roots else None

    def follow(self, roots: Iterable[Path]) -> None:
        """Take other folders for the workspace's."""
        self.roots = tuple(roots)
        self.__dict__.pop("files", None)

    @property
    def config(self) -> config.Config:
        """The settings in force."""
        return self.loaded.config

    @property
    def planner(self) -> "Planner":
        """The planner for the settings in force, made when it is first needed. May be used in any thread."""
        with self._making_planner:
            if self._planner is None:
                from anchorline.planner import Planner  # noqa: PLC0415  (its import is not light)

                self._planner = Planner(self.config, self.ledger)
            return self._planner

    @cached_property
    def requests(self) -> "Memory":
        """The conversations whose requests were planned last: of each one's next request only what is new is read."""
        from anchorline.prompt.formats import Memory  # noqa: PLC0415  (with the planner)

        return Memory()

    @cached_property
    def files(self) -> "Files":
        """The files of the workspace's folders."""
        from anchorline.workspace.files import Files  # noqa: PLC0415  (with the planner)

        return Files(self.roots)

    def sources(self) -> "Sources":
        """Return where the text of source files comes from, with the open documents as they stand now."""
        from anchorline.workspace.look import Sources  # noqa: PLC0415  (with the planner)

        return Sources(
            self.files, {self.relative(document.uri): document.data for document in self.documents}
        )

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
        """Have everything analysed anew: the settings or what is warm have changed."""
        self.generation += 1

    # Documents

    def serving(self, document: Document) -> Serving | None:
        """Say as what a document is served; None when it is not."""
        return serving(document, chat=self.config.editor.chat)

    def close(self, uri: str) -> None:
        """Forget a document."""
        document = self.documents.remove(uri)
        if document is not None:
            self._analyses.forget(document.uri)
            self._memories.pop(document.uri, None)

    def analysis(self, document: Document) -> Pending:
        """Return what is known about a document as it stands now; to be awaited.

        That gives None for a document that is not served, and raises JsonRpcContentModified if the document
        changes meanwhile.
        """
        version = document.version
        return Pending(
            lambda: self._analyses.of(document, self.generation), lambda: self.is_current(document, version)
        )

    async def _analyse(self, snapshot: Snapshot) -> Analysis | None:
        document = self.documents.get(snapshot.uri)
        if document is None or self.serving(document) not in ("prompt", "body"):
            return None
        body = self.serving(document) == "body"
        around, kind, sources = self.surroundings(document), format_of(document), self.sources()
        known, path = self.instructions, to_path(document.uri)

        def work() -> Analysis:
            from anchorline.lint.check import unreadable  # noqa: PLC0415  (after `initialize` is answered)
            from anchorline.prompt import formats  # noqa: PLC0415

            memory = self._memories.setdefault(snapshot.uri, formats.Memory()) if body else None
            planner = self.planner
            try:
                prompt = formats.read(snapshot.data, name=snapshot.name, format=kind, memory=memory)
            except PromptError as error:
                return Analysis(findings=(unreadable(error, len(snapshot.data)),))
            plan = planner.plan(prompt, looked(prompt, around, sources, search=False))
            edits = (
                known.edits(path.resolve(), snapshot.data, time.time())
                if known is not None and path is not None
                else ()
            )
            return Analysis(prompt, plan, planner.lint(prompt, plan, edits))

        return await self.in_thread(work)

    def is_current(self, document: Document, version: int | None) -> bool:
        """Say whether a document is still open and in this version."""
        return self.documents.get(document.uri) is document and document.version == version

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
        for root in self.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
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
        files: tuple[Known, ...] = ()
        if remembered is not None and remembered.prompt is not None and warm:
            files = await self._files(remembered.prompt, max(warm, key=lambda one: one.tokens))
        await self.recording.ledger(warm, files)
        return True

    async def _files(self, prompt: Prompt, entry: Entry) -> "tuple[Known, ...]":
        """Return which instruction files are part of a prefix, and know them from now on."""
        from anchorline.lsp import instructions  # noqa: PLC0415  (after `initialize` is answered)
        from anchorline.prompt.formats.markdown import is_instructions  # noqa: PLC0415

        opened = [
            (path, document.data)
            for document in self.documents
            if is_instructions(document.name) and (path := to_path(document.uri)) is not None
        ]
        if self.instructions is None or not self.instructions.key:  # the database is new
            self.instructions = await self.recording.instructions()
        known, root = self.instructions, self.root

        found = await self.in_thread(
            lambda: tuple(instructions.known(prompt, entry, instructions.candidates(root, opened), known.key))
        )
        for one in found:
            self.instructions.put(one)
        self.changed()
        return found

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
            self._wait_for_expiry()

    def _found(self, entries_: list[Entry], known: "Instructions") -> None:
        """Take in what other programs have recorded, and what was recorded before the start."""
        before, self.instructions = self.instructions, known
        self.take(entries_)
        if known.files != (before.files if before is not None else {}):
            self.changed()
        elif not entries_:
            return
        self._refresh()

    def _wait_for_expiry(self) -> None:
        """Show anew what depends on a warm prefix when the next one has expired."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self.warm:
            left = min(entry.expires_at for entry in self.warm) - time.time()
            self._expiry = asyncio.get_running_loop().call_later(max(left, EXPIRY_S), self._expired)

    def _expired(self) -> None:
        now = time.time()
        self.warm = [entry for entry in self.warm if entry.expires_at > now]
        self._wait_for_expiry()
        self.changed()
        self._refresh()

    async def end(self) -> None:
        """Close what is open."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._writing:
            await asyncio.wait(self._writing, timeout=WRITING_S)
        await self.recording.close()


def looked(
    prompt: Prompt, around: Surroundings, sources: "Sources", *, search: bool, at: "Place | None" = None
) -> Surroundings:
    """Return the surroundings with what the workspace tells about the draft; as they are if that fails."""
    from anchorline.workspace.look import look  # noqa: PLC0415  (with the planner)

    if prompt.draft is None:
        return around
    try:
        return look(prompt.draft.text, around, sources, search=search, at=at)
    except Exception as error:  # noqa: BLE001  (fail open: a strange file must not cost the plan)
        log.warning("the workspace can't be looked at (%s)", type(error).__name__)
        return around
