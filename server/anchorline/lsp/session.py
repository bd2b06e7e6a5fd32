"""What one client's session knows: its documents, settings and plans, and the planner that serves them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from anchorline import config
from anchorline.cache.ledger import Entry
from anchorline.live.journal import Journal
from anchorline.live.plans import Remembered
from anchorline.live.recording import NotRecordedError
from anchorline.lsp.analysis import Analyses, Analysis, Pending, Snapshot
from anchorline.lsp.documents import Document, Documents, to_path
from anchorline.lsp.gateway import Gateway
from anchorline.lsp.prompt_files import Serving, format_of, serving
from anchorline.lsp.proposals import Observed
from anchorline.outcome import Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt, PromptError
from anchorline.surroundings import Surroundings

if TYPE_CHECKING:
    from anchorline.engine.client import Engine
    from anchorline.generation import LanguageModel
    from anchorline.instructions.warm_files import WarmFile, WarmFiles
    from anchorline.planner import Planner
    from anchorline.prompt.formats import Memory
    from anchorline.trim.results import Shortened
    from anchorline.workspace.files import Files
    from anchorline.workspace.look import Place, Sources

SHOWN_PROBLEMS = 3
"""Settings of one file that are shown one by one where they do not fit."""
EXPIRY_S = 5.0
"""How often the consequences of expiries are shown, at most: a conversation's prefixes expire one by one."""
Made = TypeVar("Made")
log = logging.getLogger(__name__)


class Session:
    """The state of a session. Used on the event loop only, except where a method says otherwise.

    `report` shows a message to the developer; each problem is reported once. `generation` counts what changes
    every analysis, `ready` tells that the settings are read. Of the diagnostics, `pushing` are on
    their way, `published` are shown (both by URI). `refresh` shows them anew, where what is warm has changed by itself.
    """

    def __init__(self, report: Callable[[str], None], refresh: Callable[[], None]) -> None:
        self.journal = Journal(
            report,
            warmed=self._warmed,
            policy_changed=self._policy_changed,
            received=self._received,
            files=self._instruction_files,
        )
        self.documents = Documents()
        self.observed = Observed(self._observe)
        self.roots: tuple[Path, ...] = ()
        self.loaded = config.Loaded()
        self.instructions: WarmFiles | None = None
        self.generation = 0
        self.ready = False
        self.pushing: dict[str, asyncio.Task[None]] = {}
        self.published: set[str] = set()
        self.trusted = True
        self._report = report
        self._refresh = refresh
        self._expiry: asyncio.TimerHandle | None = None
        self._reported: set[str] = set()
        self._editor_settings: dict[str, Any] = {}
        self._planner: Planner | None = None
        self._making_planner = threading.Lock()
        self._analyses = Analyses(self._analyse)
        self._memories: dict[str, Memory] = {}
        self._model: Engine | None = None
        self._model_settings: config.Engine | None = None
        self._ending: list[asyncio.Future[None]] = []
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="plan")
        self.gateway = Gateway(report)

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

                self._planner = Planner(
                    self.config,
                    self.journal.ledger,
                    deciders=self.journal.policies.of,
                    shortened=self.shortened,
                )
            return self._planner

    @cached_property
    def shortened(self) -> "Shortened":
        """How the gateway makes tool results shorter, which plans show."""
        from anchorline.trim.results import Shortened  # noqa: PLC0415  (with the planner)

        return Shortened()

    @property
    def model(self) -> "LanguageModel | None":
        """The local language model for the settings in force; None where it is switched off."""
        settings = self.config.engine
        if settings != self._model_settings:
            self._model_settings = settings
            if self._model is not None:
                self._ending.append(asyncio.ensure_future(self._model.close()))
            from anchorline.engine.client import Engine  # noqa: PLC0415  (after `initialize` is answered)

            self._model = Engine(settings) if settings.enabled else None
        return self._model

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
        self.loaded = config.load(self.root if self.trusted else None, self._editor_settings)
        self._planner = None
        self.changed()

    def configure(self) -> None:
        """Put the settings in force: open the store as they say, and report each problem once."""
        self.ready = True
        self.journal.begin(self.config)
        self.gateway.apply(config.load(None, self._editor_settings).config)  # it is there for all projects
        for source, problems in groupby(self.loaded.problems, attrgetter("source")):
            named = list(problems)
            for problem in named[:SHOWN_PROBLEMS]:
                self.report(f"Anchorline settings: {problem}")
            if len(named) > SHOWN_PROBLEMS:
                further = len(named) - SHOWN_PROBLEMS
                self.report(
                    f"Anchorline settings: {source}: {further} more; `anchorline config check` names them"
                )

    def report(self, message: str) -> None:
        """Show a message to the developer, once."""
        if message not in self._reported:
            self._reported.add(message)
            self._report(message)

    def changed(self) -> None:
        """Have everything analysed anew: the settings or what is warm have changed."""
        self.generation += 1

    def _policy_changed(self) -> None:
        """Show what another policy decides."""
        self.changed()
        self._refresh()

    # Documents

    def serving(self, document: Document) -> Serving | None:
        """Say as what a document is served; None when it is not."""
        return serving(document, chat=self.config.editor.chat)

    def close(self, uri: str) -> None:
        """Forget a document."""
        document = self.documents.remove(uri)
        if document is not None:
            self.observed.settle(document)
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
            prompt = of_document(prompt, snapshot.uri)
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

    async def in_thread(self, work: Callable[[], Made]) -> Made:
        """Run `work` beside the event loop, in the planner's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def remember(self, plan: Plan, prompt: Prompt, target: str | None = None) -> Remembered:
        """Keep a plan that is shown, so that its outcome can be taken in."""
        return self.journal.plans.add(plan, prompt, self.planner, target)

    def _observe(self, outcome: Outcome) -> None:
        """Take in an outcome that nobody waits for."""

        async def taken() -> None:
            try:
                await self.journal.outcome(outcome)
            except NotRecordedError as error:
                log.warning("an observed outcome was not recorded: %s", error)

        self.journal.background(taken())

    async def _instruction_files(
        self, remembered: Remembered, warm: Sequence[Entry]
    ) -> "tuple[WarmFile, ...]":
        """Return which instruction files are part of the longest prefix, and know them from now on."""
        prompt = remembered.prompt
        if prompt is None or not warm:
            return ()
        from anchorline.instructions import in_requests  # noqa: PLC0415  (after `initialize` is answered)
        from anchorline.prompt.formats.markdown import is_instructions  # noqa: PLC0415

        entry = max(warm, key=lambda one: one.tokens)
        opened = [
            (path, document.data)
            for document in self.documents
            if is_instructions(document.name) and (path := to_path(document.uri)) is not None
        ]
        if self.instructions is None or not self.instructions.key:  # the database is new
            self.instructions = await self.journal.recording.instructions()
        known, root = self.instructions, self.root

        found = await self.in_thread(
            lambda: tuple(
                in_requests.files_in_request(prompt, entry, in_requests.candidates(root, opened), known.key)
            )
        )
        for one in found:
            self.instructions.put(one)
        self.changed()
        return found

    def _warmed(self) -> None:
        """Analyse anew, and wait for the first warm prefix to expire."""
        self.changed()
        self._wait_for_expiry()

    def _received(self, entries: list[Entry], known: "WarmFiles") -> None:
        """Show what other programs have recorded, and what was recorded before the start."""
        before, self.instructions = self.instructions, known
        if entries:
            self.journal.background(self._learn())
        if known.files != (before.files if before is not None else {}):
            self.changed()
        elif not entries:
            return
        self._refresh()

    async def _learn(self) -> None:
        """Learn in which form a gateway has sent the tool results of what is warm."""
        if self.shortened.learn(await self.journal.recording.known_replays()):
            self.changed()
            self._refresh()

    def _wait_for_expiry(self) -> None:
        """Show anew what depends on a warm prefix when the next one has expired."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self.journal.warm:
            left = min(entry.expires_at for entry in self.journal.warm) - time.time()
            self._expiry = asyncio.get_running_loop().call_later(max(left, EXPIRY_S), self._expired)

    def _expired(self) -> None:
        self.journal.expire(time.time())
        self._wait_for_expiry()
        self.changed()
        if any(self.serving(document) in ("prompt", "body") for document in self.documents):
            self._refresh()

    async def end(self) -> None:
        """Close what is open."""
        if self._expiry is not None:
            self._expiry.cancel()
        for document in self.documents:
            self.observed.settle(document)
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._model is not None:
            self._ending.append(asyncio.ensure_future(self._model.close()))
        await asyncio.gather(self.journal.end(), self.gateway.end(), *self._ending, return_exceptions=True)


def of_document(prompt: Prompt, uri: str | None) -> Prompt:
    """Return a prompt that is a document with the document as its session: it is the same one after a change."""
    if uri is None or prompt.format != "markdown" or prompt.session is not None:
        return prompt
    return msgspec.structs.replace(prompt, session=uri)


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
