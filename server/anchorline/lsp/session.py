"""One client's session: its documents, settings and journal, and the planner that serves them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from anchorline import config
from anchorline.cache.ledger import Entry
from anchorline.generation import LanguageModel
from anchorline.instructions import in_requests
from anchorline.instructions.warm_files import WarmFile, WarmFiles
from anchorline.limits import shares
from anchorline.limits.model import WindowState
from anchorline.live.gateway_client import GatewayClient
from anchorline.live.journal import Journal
from anchorline.live.plans import Remembered
from anchorline.live.recording import NotRecordedError
from anchorline.lsp.analysis import Analyses, DocumentAnalysis, PendingAnalysis, Snapshot, analyse
from anchorline.lsp.budget_warnings import BudgetWarnings
from anchorline.lsp.documents import Document, Documents, to_path
from anchorline.lsp.expiry import Expiry
from anchorline.lsp.grounding import Grounding
from anchorline.lsp.local_model import LocalModel
from anchorline.lsp.prompt_files import Serving, format_of, name_of, serving
from anchorline.lsp.proposals import Proposals
from anchorline.lsp.settings import EditorSettings
from anchorline.lsp.workspace import WorkspaceFolders
from anchorline.outcome import Outcome
from anchorline.plaintext import plain
from anchorline.plan import Plan
from anchorline.planner import Planner
from anchorline.prompt.formats import Memory
from anchorline.prompt.formats.markdown import is_instructions
from anchorline.prompt.model import Prompt
from anchorline.surroundings import Surroundings
from anchorline.trim.results import Shortened
from anchorline.workspace.look import Sources

Result = TypeVar("Result")
log = logging.getLogger(__name__)


class EditorSession:
    """The state of a session. Used on the event loop only, except where a method says otherwise.

    `warn` shows a message to the developer; each is shown once. `refresh` shows everything anew, where what is warm has
    changed by itself. `generation` counts what changes every analysis, `ready` tells that the settings are in force. Of
    the diagnostics, `pushing` are on their way, `published` are shown (both by URI). `requests` keeps the conversations
    whose requests were planned last: of each one's next request only what is new is read. `warm_files` are the
    instruction files in what providers hold.
    """

    def __init__(self, warn: Callable[[str], None], refresh: Callable[[], None]) -> None:
        self.settings = EditorSettings()
        self.workspace = WorkspaceFolders()
        self.documents = Documents()
        self.proposals = Proposals(self._record_decision)
        self.grounding = Grounding()
        self.journal = Journal(
            warn,
            warmed=self._warmed,
            policy_changed=self._show_changes,
            received=self._received,
            files=self._instruction_files,
        )
        self.gateway = GatewayClient(warn)
        self._budget_warnings = BudgetWarnings(warn, self.in_thread)
        self.requests = Memory()
        self.generation = 0
        self.ready = False
        self.pushing: dict[str, asyncio.Task[None]] = {}
        self.published: set[str] = set()
        self._warn = warn
        self._refresh = refresh
        self._reported: set[str] = set()
        self._expiry = Expiry(self._expired)
        self.warm_files = WarmFiles()
        self._shortened = Shortened()
        self._planner: Planner | None = None
        self._making_planner = threading.Lock()
        self._analyses = Analyses(self._analyse)
        self._memories: dict[str, Memory] = {}
        self._model = LocalModel()
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="plan")

    @property
    def config(self) -> config.Config:
        """The settings in force."""
        return self.settings.config

    @property
    def planner(self) -> Planner:
        """The planner for the settings in force, made when it is first needed. May be used in any thread."""
        with self._making_planner:
            if self._planner is None:
                self._planner = Planner(
                    self.config,
                    self.journal.ledger,
                    deciders=self.journal.policies.of,
                    shortened=self._shortened,
                )
            return self._planner

    @property
    def model(self) -> LanguageModel | None:
        """The local language model for the settings in force; None where it is switched off."""
        return self._model.of(self.config.engine)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Runs `work` beside the event loop, in the planner's own threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def plain(self, markdown: str) -> str:
        """Returns the text of a Markdown document without its markup."""
        return await self.in_thread(lambda: plain(markdown))

    # Settings

    def read_settings(self, editor: dict[str, Any] | None = None) -> None:
        """Reads the settings of the files, and over them the editor's (where None: those that it has sent)."""
        self.settings.read(self.workspace.root, editor)
        self._planner = None
        self.changed()

    def configure(self) -> None:
        """Puts the settings in force: opens the store as they say, and reports each problem once."""
        self.ready = True
        self.journal.begin(self.config)
        self.follow_folders()
        self.gateway.apply(self.settings.user_config)  # it is there for all projects
        self._budget_warnings.renew()
        self._look_at_budgets()
        for problem in self.settings.problems():
            self.report(problem)

    def follow_folders(self) -> None:
        """Has the workspace's folders indexed, as the settings say; none of a workspace that is not trusted."""
        is_on = self.config.ground.enabled and self.settings.trusted
        self.grounding.follow(self.workspace.roots if is_on else ())

    def report(self, message: str) -> None:
        """Shows a warning to the developer, once."""
        if message not in self._reported:
            self._reported.add(message)
            self._warn(message)

    def changed(self) -> None:
        """Has everything analysed anew: the settings or what is warm have changed."""
        self.generation += 1

    def _show_changes(self) -> None:
        self.changed()
        self._refresh()

    # Documents

    def serving(self, document: Document) -> Serving | None:
        """Returns as what a document is served; None when it is not."""
        return serving(document, chat=self.config.editor.chat)

    def is_planned(self, document: Document) -> bool:
        """Whether a document is planned as it is written."""
        return self.serving(document) in ("prompt", "body")

    def is_current(self, document: Document, version: int | None) -> bool:
        """Whether a document is still open and in this version."""
        return self.documents.get(document.uri) is document and document.version == version

    def close(self, uri: str) -> None:
        """Forgets a document."""
        document = self.documents.remove(uri)
        if document is not None:
            self.proposals.close(document)
            self._analyses.forget(document.uri)
            self._memories.pop(document.uri, None)

    def sources(self) -> Sources:
        """Returns where the text of source files comes from, with the open documents as they stand now."""
        return self.workspace.sources(self.documents)

    def surroundings(self, active: Document | None) -> Surroundings:
        """Returns what the open documents tell."""
        return self.workspace.surroundings(self.documents, active)

    def analysis(self, document: Document) -> PendingAnalysis:
        """Returns the analysis of a document as it stands now; to be awaited.

        That gives None for a document that is not served, and raises JsonRpcContentModified if the document
        changes meanwhile.
        """
        version = document.version
        return PendingAnalysis(
            lambda: self._analyses.of(document, self.generation), lambda: self.is_current(document, version)
        )

    async def _analyse(self, snapshot: Snapshot) -> DocumentAnalysis | None:
        document = self.documents.get(snapshot.uri)
        if document is None or not self.is_planned(document):
            return None
        is_body = self.serving(document) == "body"
        memory = self._memories.setdefault(snapshot.uri, Memory()) if is_body else None
        surroundings, sources, kind = self.surroundings(document), self.sources(), format_of(document)
        warm_files = self.warm_files
        return await self.in_thread(
            lambda: analyse(
                snapshot, self.planner, surroundings, sources, kind, memory, warm_files, self._share_of_write
            )
        )

    # Plans and what is recorded of them

    def remember(self, plan: Plan, prompt: Prompt, target: str | None = None) -> Remembered:
        """Keeps a plan that is shown, so that its outcome can be taken in."""
        return self.journal.plans.add(plan, prompt, self.planner, target)

    def _record_decision(self, outcome: Outcome) -> None:
        """Records what became of a proposal. Nobody waits for that."""

        async def record() -> None:
            try:
                await self.journal.outcome(outcome)
            except NotRecordedError as error:
                log.warning("an observed outcome was not recorded: %s", error)

        self.journal.background(record())

    async def _instruction_files(self, remembered: Remembered, warm: Sequence[Entry]) -> tuple[WarmFile, ...]:
        """Returns the instruction files in the longest warm prefix of a plan's prompt, and keeps them."""
        prompt, root = remembered.prompt, self.workspace.root
        if prompt is None or not warm:
            return ()
        entry = max(warm, key=lambda entry: entry.tokens)
        opened = [
            (path, document.data)
            for document in self.documents
            if is_instructions(name_of(document)) and (path := to_path(document.uri)) is not None
        ]
        if not self.warm_files.key:  # the database is new
            self.warm_files = await self.journal.recording.instructions()
        warm_files = self.warm_files

        files = await self.in_thread(
            lambda: tuple(
                in_requests.files_in_request(
                    prompt, entry, in_requests.candidates(root, opened), warm_files.key
                )
            )
        )
        for file in files:
            warm_files.put(file)
        self.changed()
        return files

    # What changes by itself

    @property
    def windows(self) -> tuple[WindowState, ...]:
        """The windows of the developer's plan, as they were at the last look."""
        known = self._budget_warnings.limits
        return known.windows if known is not None else ()

    def share(self, plan: Plan) -> str:
        """Returns what a plan's request takes of a window of the developer's plan; nothing where that is not known."""
        known = self._budget_warnings.limits
        return shares.of_plan(known, plan) if known is not None else ""

    def _share_of_write(self, model: str, tokens: int, ttl: str) -> str:
        known = self._budget_warnings.limits
        return shares.of_write(known, model, tokens, ttl) if known is not None else ""

    def _look_at_budgets(self) -> None:
        """Warns where what was recorded has brought a budget or a plan's window to another level."""
        if self._budget_warnings.due:
            root = self.workspace.root
            work = self._budget_warnings.look(self.config, lambda: self.planner.targets, root)
            self.journal.background(work)

    def _warmed(self) -> None:
        self.changed()
        self._expiry.wait_for(self.journal.warm)
        self._look_at_budgets()

    def _received(self, entries: list[Entry], warm_files: WarmFiles) -> None:
        """Shows what other programs have recorded, and what was recorded before the start."""
        before, self.warm_files = self.warm_files, warm_files
        self._look_at_budgets()
        if entries:
            self.journal.background(self._learn_shortened())
        if warm_files.files != before.files:
            self.changed()
        elif not entries:
            return
        self._refresh()

    async def _learn_shortened(self) -> None:
        """Learns in which form a gateway has sent the tool results of what is warm."""
        if self._shortened.learn(await self.journal.recording.known_replays()):
            self._show_changes()

    def _expired(self) -> None:
        self.journal.expire(time.time())
        self._expiry.wait_for(self.journal.warm)
        self.changed()
        if any(self.is_planned(document) for document in self.documents):
            self._refresh()

    async def end(self) -> None:
        """Closes what is open."""
        self._expiry.cancel()
        self.grounding.close()
        for document in self.documents:
            self.proposals.settle(document)
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.gather(
            self.journal.end(), self.gateway.end(), self._model.close(), return_exceptions=True
        )
