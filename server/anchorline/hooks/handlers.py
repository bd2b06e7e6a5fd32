"""The handlers of events, by where an event comes from and its name: one table."""

import logging
from collections.abc import Callable

from anchorline.hooks import client, cold_warning, prompt_submit, session_events
from anchorline.hooks.environment import claude_sessions, codex_sessions, gemini_sessions, qwen_sessions
from anchorline.hooks.events import Answer, Event, Handler, Handlers, name
from anchorline.hooks.grounding import Grounding, Sessions, with_context
from anchorline.hooks.status_line import StatusLine

SESSION_EVENTS = ("SessionStart", "Stop", "SubagentStop", "PreCompact", "SessionEnd")
"""Events of Claude Code's and Qwen Code's after which its session file may have more than was imported."""
GEMINI_EVENTS = ("SessionStart", "AfterAgent", "SessionEnd")
"""Those of Gemini CLI's."""
Handle = Callable[[Event], Answer]
log = logging.getLogger(__name__)


def handlers(status_line: StatusLine, ground: Grounding) -> Handlers:
    """Returns the handlers of one helper process."""

    def prompt(check: Handle, sessions: Sessions) -> Handler:
        """Checks a prompt, and tells the agent what it is about."""

        def handle(event: Event) -> Answer:
            told = _checked(check, event)
            if isinstance(told, dict) and "decision" in told:  # it is held back
                return told
            return with_context(told, ground.context(event, sessions), name(event))

        return Handler(handle)

    def session(take: Handle) -> Handler:
        """Takes in what a session file has more, and keeps the index of its folder up to date."""

        def handle(event: Event) -> Answer:
            ground.warm(event)
            return take(event)

        return Handler(handle, is_awaited=False)

    return {
        ("claude-code", "UserPromptSubmit"): prompt(prompt_submit.claude_code, claude_sessions),
        **{("claude-code", event): session(session_events.claude_code) for event in SESSION_EVENTS},
        (client.STATUS_LINE, ""): Handler(status_line.line),
        ("gemini-cli", "BeforeAgent"): prompt(cold_warning.gemini_cli, gemini_sessions),
        **{("gemini-cli", event): session(session_events.gemini_cli) for event in GEMINI_EVENTS},
        ("qwen-code", "UserPromptSubmit"): prompt(lambda _event: "", qwen_sessions),
        **{("qwen-code", event): session(session_events.qwen_code) for event in SESSION_EVENTS},
        ("codex", "UserPromptSubmit"): prompt(prompt_submit.codex, codex_sessions),
        ("codex", "agent-turn-complete"): session(session_events.codex),
    }


def _checked(check: Handle, event: Event) -> Answer:
    """Returns what a check says of a prompt; nothing where it fails."""
    try:
        return check(event)
    except Exception:
        log.exception("%s failed", name(event))
        return ""
