"""Live outcomes without a gateway: the session file that a hook names is imported on, as `anchorline import` does it.

So a request counts once, whoever has seen it: imports, hooks and the gateway write the same rows.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from anchorline.config import Config
from anchorline.hooks import session_file
from anchorline.hooks.environment import (
    claude_sessions,
    codex_sessions,
    gemini_sessions,
    qwen_sessions,
    settings,
    targets,
)
from anchorline.hooks.events import Event
from anchorline.store.database import StoreError
from anchorline.store.session_import import import_sessions

SETTLE_S = 0.4
"""How long an agent may take to write down what it has just told: Claude Code writes some 100 ms later."""
log = logging.getLogger(__name__)


def claude_code(event: Event) -> str:
    """Imports the session that an event of Claude Code's is of, with its sub-agents."""
    folder = claude_sessions(event)
    file = session_file.named(event, folder)
    if file is not None:
        time.sleep(SETTLE_S)
        _import("claude-code", session_file.with_agents(file, folder), settings(event))
    return ""


def codex(event: Event) -> str:
    """Imports the session that Codex's `agent-turn-complete` is of."""
    thread = event.get("thread-id")
    if isinstance(thread, str):
        time.sleep(SETTLE_S)
        _import("codex", session_file.of_thread(thread, codex_sessions(event)), settings(event))
    return ""


def gemini_cli(event: Event) -> str:
    """Imports the session that an event of Gemini CLI's is of, with its sub-agents."""
    folder = gemini_sessions(event)
    file = session_file.named(event, folder)
    if file is not None:
        time.sleep(SETTLE_S)
        _import(
            "gemini-cli", session_file.with_own_folder(file, event.get("session_id"), folder), settings(event)
        )
    return ""


def qwen_code(event: Event) -> str:
    """Imports the session that an event of Qwen Code's is of: its file tells of sub-agents too."""
    file = session_file.named(event, qwen_sessions(event))
    if file is not None:
        time.sleep(SETTLE_S)
        _import("qwen-code", [file], settings(event))
    return ""


def _import(agent: str, files: Sequence[Path], config: Config) -> None:
    if not config.store.enabled or not files:
        return
    try:
        summary = import_sessions(agent, files, config, targets(config), lambda: None)
    except StoreError as error:
        log.warning("%s: a session is not recorded yet: %s", agent, error)
        return
    if summary.notice is not None:
        log.warning("%s", summary.notice)
    if summary.problems:
        log.warning("%s: %d lines of a session can't be read", agent, len(summary.problems))
