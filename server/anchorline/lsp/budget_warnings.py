"""Warns the developer once when a budget or a plan's window is nearly used up, and once when it is, in one editor."""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from anchorline import files
from anchorline.billed import budgets
from anchorline.billed.budgets import BudgetUse
from anchorline.config import Config
from anchorline.limits import wording
from anchorline.limits.budgets import WindowBudget, reset_time, window_budgets
from anchorline.limits.model import WindowState
from anchorline.limits.state import Limits, limits
from anchorline.route.target import Targets
from anchorline.sessions import facts
from anchorline.store import database, tags
from anchorline.store.database import StoreError

PAUSE_S = 60.0
"""The least time between two looks: each reads a week of requests."""
KEPT = 100
"""Levels that the file keeps, of other editors' budgets and of earlier days among them."""
WAIT_S = 5.0
"""How long one editor waits for another one's look."""
_NEARNESS = {"": 0, "near": budgets.LEVELS[0], "full": budgets.LEVELS[-1]}
log = logging.getLogger(__name__)


class Notice(msgspec.Struct, frozen=True):
    """What may be warned of: a `message` that is due once `level` is higher than it was for the same `key`."""

    key: str
    level: int
    message: str


class Look(msgspec.Struct, frozen=True):
    """What a look has shown: the warnings that nobody has shown yet, and a plan's windows."""

    messages: list[str]
    limits: Limits


class BudgetWarnings:
    """The warnings of one editor. Used on the event loop: `warn` shows a message, `in_thread` runs work beside it.

    `limits` are a plan's windows as they were at the last look.
    """

    def __init__(
        self,
        warn: Callable[[str], None],
        in_thread: Callable[[Callable[[], Look]], Awaitable[Look]],
    ) -> None:
        self._warn = warn
        self._in_thread = in_thread
        self._looked_at = float("-inf")
        self.limits: Limits | None = None

    @property
    def due(self) -> bool:
        """Whether the last look is long ago."""
        return not 0 <= time.monotonic() - self._looked_at < PAUSE_S

    def renew(self) -> None:
        """Has the next look not wait: the settings are other ones."""
        self._looked_at = float("-inf")

    async def look(self, config: Config, targets: Callable[[], Targets], root: Path | None) -> None:
        """Warns of what has reached another level. `targets` is called beside the event loop."""
        self._looked_at = time.monotonic()
        try:
            seen = await self._in_thread(lambda: _look(config, targets(), root, time.time()))
        except (StoreError, OSError) as error:
            log.warning("budgets are not watched: %s", error)
            return
        self.limits = seen.limits
        for message in seen.messages:
            self._warn(message)


def _look(config: Config, targets: Targets, root: Path | None, now: float) -> Look:
    """Looks at budgets and windows, and notes which warnings are shown now."""
    path = database.locate(config.store.path)
    known = limits(path, targets, now)
    notices = [
        *of_windows(known.windows, now),
        *of_budgets(window_budgets(config.budget, known.windows)),
    ]
    if config.budget.in_usd:
        spent = budgets.spending(path, targets, now)
        project = facts.project(str(root)) if root is not None else ""
        notices += of_budgets(budgets.uses(config.budget, spent, now, project))
    due = any(notice.level for notice in notices)
    return Look(unseen(database.budget_warnings_file(), notices) if due else [], known)


def of_budgets(uses: Iterable[BudgetUse | WindowBudget]) -> Iterator[Notice]:
    """Yields what may be warned of budgets."""
    for use in uses:
        key = f"{use.key} {use.begins} {tags.tag(use.project) if use.project else ''}".strip()
        what = "Budget used up" if use.level >= budgets.LEVELS[-1] else "Budget nearly used up"
        yield Notice(key, use.level, f"{what}: {use}.")


def of_windows(windows: tuple[WindowState, ...], now: float) -> Iterator[Notice]:
    """Yields what may be warned of a plan's windows."""
    for window, name in zip(windows, wording.names(windows), strict=True):
        parts = ("limits", window.window, reset_time(window.resets_at), window.provider, window.account)
        key = " ".join(filter(None, parts))
        text = wording.warning(window, name, now)
        yield Notice(key, _NEARNESS[wording.nearness(window)], f"{text[:1].upper()}{text[1:]}.")


def unseen(path: Path, notices: Iterable[Notice]) -> list[str]:
    """Returns the messages of those whose level is higher than what the file at `path` has, and adds them there.

    Raises OSError, TimeoutError among it, where another editor holds the file.
    """
    files.make_folder(path.parent)
    with files.lock(path.with_name(f"{path.name}-lock"), WAIT_S):
        return _unseen(path, notices)


def _unseen(path: Path, notices: Iterable[Notice]) -> list[str]:
    try:
        before = json.loads(path.read_text("utf-8"))
        shown = {key: level for key, level in before.items() if isinstance(level, int)}
    except (OSError, ValueError, AttributeError):
        shown = {}
    messages = []
    levels: dict[str, int] = {}
    for notice in notices:
        levels[notice.key] = max(notice.level, shown.get(notice.key, 0))
        if notice.level > shown.get(notice.key, 0):
            messages.append(notice.message)
    others = {key: level for key, level in shown.items() if key not in levels}
    if messages:
        try:
            files.write(path, json.dumps(dict([*others.items(), *levels.items()][-KEPT:])))
        except OSError as error:
            log.warning("%s: %s", path, error.strerror or error)
    return messages
