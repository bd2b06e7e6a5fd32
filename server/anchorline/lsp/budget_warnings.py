"""Warns the developer once when a budget is nearly used up, and once when it is, however many editors there are."""

import json
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from anchorline import files
from anchorline.billed import budgets
from anchorline.billed.budgets import BudgetUse
from anchorline.config import Config
from anchorline.route.target import Targets
from anchorline.sessions import facts
from anchorline.store import database, tags
from anchorline.store.database import StoreError

FILE = "budget-warnings.json"
"""In the data folder: the level of each budget that was warned of, so that no other editor does it again."""
PAUSE_S = 60.0
"""The least time between two looks: each reads a week of requests."""
WAIT_S = 5.0
"""How long one editor waits for another one's look."""
log = logging.getLogger(__name__)


class BudgetWarnings:
    """The warnings of one editor. Used on the event loop: `warn` shows a message, `in_thread` runs work beside it."""

    def __init__(
        self,
        warn: Callable[[str], None],
        in_thread: Callable[[Callable[[], list[str]]], Awaitable[list[str]]],
    ) -> None:
        self._warn = warn
        self._in_thread = in_thread
        self._looked_at = float("-inf")

    def due(self, config: Config) -> bool:
        """Returns whether there is a budget, and it was not looked at just now."""
        return config.budget.is_set and not 0 <= time.monotonic() - self._looked_at < PAUSE_S

    def renew(self) -> None:
        """Has the next look not wait: the settings are other ones."""
        self._looked_at = float("-inf")

    async def look(self, config: Config, targets: Callable[[], Targets], root: Path | None) -> None:
        """Warns of the budgets that have reached another level. `targets` is called beside the event loop."""
        self._looked_at = time.monotonic()
        try:
            for message in await self._in_thread(lambda: _news(config, targets(), root, time.time())):
                self._warn(message)
        except (StoreError, OSError) as error:
            log.warning("budgets are not watched: %s", error)


def _news(config: Config, targets: Targets, root: Path | None, now: float) -> list[str]:
    """Returns the warnings that nobody has shown, and notes that they are."""
    spent = budgets.spending(database.locate(config.store.path), targets, now)
    project = facts.project(str(root)) if root is not None else ""
    return unseen(files.data_folder() / FILE, budgets.uses(config.budget, spent, now, project))


def unseen(path: Path, uses: tuple[BudgetUse, ...]) -> list[str]:
    """Returns a warning for each budget at a level that the file at `path` does not have, and adds it there.

    Raises OSError, TimeoutError among it, where another editor holds the file.
    """
    files.make_folder(path.parent)
    with files.lock(path.with_name(f"{path.name}-lock"), WAIT_S):
        return _unseen(path, uses)


def _unseen(path: Path, uses: tuple[BudgetUse, ...]) -> list[str]:
    try:
        before = json.loads(path.read_text("utf-8"))
        shown = {key: level for key, level in before.items() if isinstance(level, int)}
    except (OSError, ValueError, AttributeError):
        shown = {}
    messages = []
    levels: dict[str, int] = {}
    for use in uses:
        key = f"{use.key} {use.begins} {tags.tag(use.project) if use.project else ''}".strip()
        levels[key] = max(use.level, shown.get(key, 0))
        if use.level > shown.get(key, 0):
            what = "Budget used up" if use.level >= budgets.LEVELS[-1] else "Budget nearly used up"
            messages.append(f"{what}: {use}.")
    others = {key: level for key, level in shown.items() if "budget.project" in key and key not in levels}
    if messages:
        try:
            files.write(path, json.dumps(levels | others))
        except OSError as error:
            log.warning("%s: %s", path, error.strerror or error)
    return messages
