"""The handlers of events, by where an event comes from and its name: one table."""

from anchorline.hooks import client, cold_warning, prompt_submit, session_events
from anchorline.hooks.events import Handler, Handlers
from anchorline.hooks.status_line import StatusLine

SESSION_EVENTS = ("SessionStart", "Stop", "SubagentStop", "PreCompact", "SessionEnd")
"""Events of Claude Code's and Qwen Code's after which its session file may have more than was imported."""
GEMINI_EVENTS = ("SessionStart", "AfterAgent", "SessionEnd")
"""Those of Gemini CLI's."""


def handlers(status_line: StatusLine) -> Handlers:
    """Returns the handlers of one helper process."""
    session_event = Handler(session_events.claude_code, is_awaited=False)
    return {
        ("claude-code", "UserPromptSubmit"): Handler(prompt_submit.claude_code),
        **{("claude-code", name): session_event for name in SESSION_EVENTS},
        (client.STATUS_LINE, ""): Handler(status_line.line),
        ("gemini-cli", "BeforeAgent"): Handler(cold_warning.gemini_cli),
        **{
            ("gemini-cli", name): Handler(session_events.gemini_cli, is_awaited=False)
            for name in GEMINI_EVENTS
        },
        **{
            ("qwen-code", name): Handler(session_events.qwen_code, is_awaited=False)
            for name in SESSION_EVENTS
        },
        ("codex", "UserPromptSubmit"): Handler(prompt_submit.codex),
        ("codex", "agent-turn-complete"): Handler(session_events.codex, is_awaited=False),
    }
