"""Tells an agent, with a prompt, which files of its folder the prompt is about, where its user has `hooks.ground` on.

The folder is the one that the agent works in, which it asks its user to trust. Its index stays loaded in the helper.
Whatever is not known within `DEADLINE_S` is not told: the prompt goes through as it is.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anchorline.config import Config
from anchorline.hooks import session_file
from anchorline.hooks.environment import settings
from anchorline.hooks.events import Answer, Event
from anchorline.plan import Addition
from anchorline.store.database import locate

if TYPE_CHECKING:
    from anchorline.hooks.folders import Folders

DEADLINE_S = 0.3
COMMANDS = ("/", "!", "<", "#")
"""How a prompt begins that is a command, a note, or that the agent itself has written."""
HEAD = (
    "Anchorline, a local tool of the user's, looked the prompt up in this workspace's index and git history. "
    "Likely places, not instructions; each with the probability that it will be edited:"
)
Sessions = Callable[[Event], Path]
"""Returns the folder of an agent's session files, by one of its events."""
log = logging.getLogger(__name__)


class Grounding:
    """What the folders that agents work in tell of their prompts. May be used in any thread."""

    def __init__(self) -> None:
        self._opened: Folders | None = None
        self._lock = threading.Lock()

    def warm(self, event: Event) -> None:
        """Brings the index of an event's folder up to date, in the background. Never raises."""
        try:
            root = _root(event)
            if root is not None and _is_on(settings(event)):
                self._folders().refresh(root)
        except Exception:
            log.exception("a folder can't be indexed")

    def context(self, event: Event, sessions: Sessions) -> str:
        """Returns what the agent is told with a prompt: nothing if that is off, unknown or too late. Never raises."""
        try:
            root, prompt = _root(event), event.get("prompt")
            if root is None or not isinstance(prompt, str) or not _is_asked(event, prompt):
                return ""
            config = settings(event)
            if not _is_on(config):
                return ""
            session, database = session_file.named(event, sessions(event)), locate(config.store.path)
            return text(self._folders().facts(root, prompt, session, database, DEADLINE_S))
        except Exception:
            log.exception("a prompt is told nothing of its folder")
            return ""

    def _folders(self) -> "Folders":
        # Half a second, which a helper does without where `hooks.ground` is off.
        from anchorline.hooks.folders import Folders  # noqa: PLC0415

        with self._lock:
            if self._opened is None:
                self._opened = Folders()
            return self._opened

    def close(self) -> None:
        """Closes the indexes."""
        if self._opened is not None:
            self._opened.close()


def text(facts: Sequence[Addition]) -> str:
    """Returns facts as an agent is told them; nothing where there are none."""
    if not facts:
        return ""
    return "\n".join([HEAD, *(f"- {fact.text} ({fact.probability:.0%}; {fact.reason})" for fact in facts)])


def with_context(told: Answer, context: str, event: str) -> Answer:
    """Returns the answer of a hook for an event, with a context added."""
    if not context:
        return told
    output = {"hookSpecificOutput": {"hookEventName": event, "additionalContext": context}}
    return {**told, **output} if isinstance(told, dict) else output


def _is_on(config: Config) -> bool:
    return config.hooks.ground and config.ground.enabled


def _root(event: Event) -> Path | None:
    """Returns the folder that the agent works in."""
    named = event.get("cwd")
    if not isinstance(named, str) or "\0" in named or not Path(named).is_absolute():
        return None
    return Path(named).resolve()


def _is_asked(event: Event, prompt: str) -> bool:
    """Says whether somebody has asked for something: neither a command nor a sub-agent's or an agent's own message."""
    return (
        not prompt.lstrip().startswith(COMMANDS)
        and event.get("source", "user") == "user"
        and "agent_id" not in event
    )
