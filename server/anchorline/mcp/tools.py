"""The tools `plan`, `ground`, `warm` and `cost`: each reads and answers, and none records or sends anything."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UnsetType

from anchorline import ages, config, explain, figures
from anchorline.billed import budgets
from anchorline.config import Config
from anchorline.ground.propose import open_index, propose
from anchorline.ground.recent import recent, written
from anchorline.ground.threshold import KEPT_S
from anchorline.index.folder import UnindexableError
from anchorline.index.workspace_index import WorkspaceIndex
from anchorline.limits import shares, wording
from anchorline.limits.budgets import window_budgets
from anchorline.limits.state import Limits, limits
from anchorline.live import policies
from anchorline.live.recorded import recorded
from anchorline.mcp.answers import (
    MOST_ROWS,
    CostAnswer,
    CostArguments,
    Facts,
    GroundArguments,
    PlanArguments,
    WarmAnswer,
    WarmArguments,
    WarmConversation,
    bounded,
)
from anchorline.mcp.roots import OutsideError, Roots
from anchorline.plan import Plan
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt, PromptError
from anchorline.report.groups import grouped
from anchorline.report.warm import WarmPrefix, warm
from anchorline.route.target import load as load_targets
from anchorline.store.database import StoreError, locate
from anchorline.store.experiments import registry
from anchorline.store.reader import Reader
from anchorline.surroundings import NOTHING, Surroundings
from anchorline.trim.results import Shortened
from anchorline.workspace.files import WorkspaceFiles
from anchorline.workspace.look import Sources, look


class CallError(Exception):
    """A call that can't be answered; the message says what is wrong, for the agent to read."""


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a tool answers: a value by its schema, and the same in short for clients that show text."""

    value: msgspec.Struct
    text: str


class Tool(msgspec.Struct, frozen=True):
    """A tool by its name, with the types of what it takes and answers. `run` raises CallError."""

    name: str
    title: str
    description: str
    arguments: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    run: Callable[[Any], ToolAnswer]

    def call(self, arguments: dict[str, Any]) -> ToolAnswer:
        """Answers a call. Raises CallError."""
        try:
            given = msgspec.convert(
                {name: value for name, value in arguments.items() if value is not None}, self.arguments
            )
        except msgspec.ValidationError as error:
            raise CallError(str(error)) from error
        try:
            return self.run(given)
        except StoreError as error:
            raise CallError(str(error)) from error


class Tools:
    """The tools of a server that may read files below `roots`. They may be called in any thread."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._files = WorkspaceFiles(roots.folders)
        self._index: WorkspaceIndex | None = None
        self._opening = threading.Lock()
        self.by_name = {
            tool.name: tool
            for tool in (
                Tool(
                    "plan",
                    "Plan a prompt",
                    "Estimate a prompt before it is sent: tokens, cost, P(cache hit), breakpoints, trims, model, and a "
                    "clearer wording. Give one of text, file or body. Nothing is sent or recorded.",
                    PlanArguments,
                    Plan,
                    self._plan,
                ),
                Tool(
                    "ground",
                    "Find where a task is",
                    "Find the files and symbols of the workspace that a task is likely about, with probabilities and "
                    "reasons, and the command that runs their tests. Nothing where nothing is likely enough.",
                    GroundArguments,
                    Facts,
                    self._ground,
                ),
                Tool(
                    "warm",
                    "Warm conversations",
                    "List the conversations that are in providers' prompt caches now: until when, and what their loss "
                    "would cost.",
                    WarmArguments,
                    WarmAnswer,
                    self._warm,
                ),
                Tool(
                    "cost",
                    "Cost of agents",
                    "Say what coding agents on this machine were billed, by project, branch, model, tool, day, …, and "
                    "what is used of budgets and plan limits.",
                    CostArguments,
                    CostAnswer,
                    self._cost,
                ),
            )
        }

    def _settings(self) -> Config:
        """Returns the user's settings, and those of the first folder, which can only ask for less."""
        return config.load(next(iter(self._roots.folders), None)).config

    def _plan(self, given: PlanArguments) -> ToolAnswer:
        settings, now = self._settings(), time.time()
        target = given.model or None
        prompt, path = self._prompt(given, target or settings.route.model)
        if not prompt.segments:
            raise CallError(explain.nothing(prompt))
        stored = recorded(settings.store, now)
        in_force = policies.read(registry())
        planner = Planner(settings, stored.ledger, deciders=in_force.of, shortened=Shortened(stored.replays))
        files = stored.warm_files.warm(path, now) if path is not None else ()
        plan = planner.plan(prompt, self._surroundings(prompt), target=target, now=now, warm_files=files)
        answer, left_out = bounded(plan)
        notes = [explain.line(plan)]
        if plan.refinement.hints:
            notes.append(" ".join(hint.message for hint in plan.refinement.hints))
        if window := self._of_window(settings, planner, plan, now):
            notes.append(f"It takes {window}.")
        if plan.trims:
            saved = figures.count(sum(trim.tokens_saved for trim in plan.trims))
            notes.append(f"Trims save {saved} tokens.")
        if stored.problem is not None:
            notes.append(f"What is warm is not known: {stored.problem}")
        if left_out:
            notes.append(f"Left out: {', '.join(left_out)}.")
        return ToolAnswer(answer, "\n".join(notes))

    def _prompt(self, given: PlanArguments, model: str) -> tuple[Prompt, Path | None]:
        sources = (given.text, given.file, given.body)
        if sum(not isinstance(source, UnsetType) for source in sources) != 1:
            raise CallError("give one of `text`, `file` and `body`")
        try:
            if isinstance(given.file, str):
                path, data = self._roots.read(given.file)
                return formats.read(data, name=str(path), model=model), path
            if isinstance(given.text, str):
                return formats.read(_encoded(given.text), format="markdown", model=model), None
            return formats.read(msgspec.json.encode(given.body), name="body.json", model=model), None
        except OutsideError as error:
            raise CallError(str(error)) from error
        except PromptError as error:
            raise CallError(f"no prompt that can be planned: {error}") from error

    def _of_window(self, settings: Config, planner: Planner, plan: Plan, now: float) -> str:
        """Returns what the request takes of a plan's window; nothing where that can't be read or is not known."""
        try:
            return shares.of_plan(limits(locate(settings.store.path), planner.targets, now), plan)
        except StoreError:
            return ""

    def _surroundings(self, prompt: Prompt) -> Surroundings:
        """Returns which files the draft names that the workspace does not have; nothing if looking fails."""
        if prompt.draft is None or not self._roots.folders:
            return NOTHING
        try:
            return look(prompt.draft.text, NOTHING, Sources(self._files, {}), search=False)
        except Exception:  # noqa: BLE001  (fail open: a strange file must not cost the plan)
            return NOTHING

    def _ground(self, given: GroundArguments) -> ToolAnswer:
        settings, now = self._settings(), time.time()
        if not self._roots.folders:
            raise CallError("no folder is open to this server: start it in a project, or with --root FOLDER")
        if not settings.ground.enabled:
            raise CallError("grounding is off (ground.enabled)")
        root = self._roots.folders[0]
        try:
            with self._opening:
                index = self._index = self._index or open_index(root)
            index.refresh()
            lately = written(root, index.paths, now)
            worked_on = recent(lately=lately, history=index.history)
            decisions = Reader(locate(settings.store.path)).addition_decisions(now - KEPT_S)
            facts = propose(index, given.text, worked_on, decisions, now=now)
        except UnindexableError as error:
            raise CallError(str(error)) from error
        except OSError as error:
            raise CallError(f"{root}: {error.strerror or error}") from error
        lines = [f"{fact.text} ({fact.probability:.0%}; {fact.reason})" for fact in facts]
        return ToolAnswer(Facts(str(root), facts), "\n".join(lines) or "Nothing is likely enough.")

    def _warm(self, _: WarmArguments) -> ToolAnswer:
        settings, now = self._settings(), time.time()
        path, targets = locate(settings.store.path), load_targets(settings.files)
        held, plan_limits = warm(path, targets, now), limits(path, targets, now)
        shown = tuple(_conversation(prefix, plan_limits, now) for prefix in held.warm[:MOST_ROWS])
        answer = WarmAnswer(shown, held.tokens, held.usd, len(held.warm) - len(shown))
        if not held.warm:
            return ToolAnswer(answer, "Nothing is warm.")
        lines = [
            f"{row.model}: {figures.count(row.tokens)} tokens, {figures.span(row.left_s)} left, "
            f"{figures.usd(row.usd)} at stake{f', {row.of_window}' if row.of_window else ''}"
            for row in shown
        ]
        more = f"{answer.others:,} others. " if answer.others else ""
        total = f"{more}All: {figures.count(held.tokens)} tokens, {figures.usd(held.usd)} at stake."
        return ToolAnswer(answer, "\n".join([*lines, total]))

    def _cost(self, given: CostArguments) -> ToolAnswer:
        settings, now = self._settings(), time.time()
        try:
            since = ages.since(given.since, now)
        except ValueError as error:
            raise CallError(f"since: {error}") from error
        path, targets = locate(settings.store.path), load_targets(settings.files)
        bill = grouped(path, targets, given.by, since, MOST_ROWS)
        uses: tuple[budgets.BudgetUse, ...] = ()
        if settings.budget.is_set:
            project = str(self._roots.folders[0]) if self._roots.folders else ""
            uses = budgets.uses(settings.budget, budgets.spending(path, targets, now), now, project)
        windows = limits(path, targets, now).windows[:MOST_ROWS]
        allowed = window_budgets(settings.budget, windows)
        answer = CostAnswer(_utc(since), bill, uses, windows, allowed)
        without = f"{figures.usd(bill.uncached_usd)} without a cache"
        lines = [
            f"{bill.requests:,} requests since {answer.since}: {figures.usd(bill.usd)} billed, {without}.",
            *(
                f"{row.name or (f'{row.others:,} others' if row.others else 'unknown')}: {figures.usd(row.usd)}"
                for row in bill.rows
            ),
            *map(str, uses),
            *(
                f"{name}: {wording.state(window, now)}"
                for name, window in zip(wording.names(windows), windows, strict=True)
            ),
            *map(str, allowed),
        ]
        return ToolAnswer(answer, "\n".join(lines))


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise CallError("text: half of a surrogate pair") from error


def _conversation(prefix: WarmPrefix, plan_limits: Limits, now: float) -> WarmConversation:
    return WarmConversation(
        prefix.model,
        prefix.provider,
        prefix.tokens,
        prefix.ttl,
        prefix.left_s,
        _utc(now + prefix.left_s),
        prefix.usd,
        shares.of_write(plan_limits, prefix.model, prefix.tokens, prefix.ttl),
    )


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
