"""`UserPromptSubmit`: holds a prompt back once, with the figures, that its expired cache makes expensive."""

import time

from anchorline.hooks import codex_request, held_back, session_file
from anchorline.hooks.cold_send import cold_send, message
from anchorline.hooks.environment import claude_sessions, codex_sessions, settings, targets, variable
from anchorline.hooks.events import Answer, Event
from anchorline.hooks.last_request import LastRequest, last_request
from anchorline.limits import shares
from anchorline.limits.state import limits
from anchorline.store.database import locate
from anchorline.store.reader import Reader

SAME = 0.5
"""A warm prefix of at least so much of the conversation is the conversation's own, not what all begin with."""
_LESS = "begins without them; /compact pays for them once and goes on with less."
AGAIN = f"Press Enter again to send it. /clear {_LESS}"
CODEX_AGAIN = f"Press Up and Enter to send it. /new {_LESS}"
"""Codex (0.171.0) empties the input, where Claude Code puts the prompt back."""
COMMANDS = ("/", "!", "<")
"""How a prompt begins that is a command, or that the client has written: `<task-notification>` and its like."""


def claude_code(event: Event) -> Answer:
    """Returns a block for the first prompt of a conversation that went cold; nothing for all others.

    Raises OSError, PromptError and StoreError: then the prompt goes through.
    """
    if not is_typed(event):
        return ""
    file = session_file.named(event, claude_sessions(event))
    request = last_request(file) if file is not None else None
    if request is None or request.working or (request.scheduled and "source" not in event):
        return ""
    return _once(event, request, AGAIN)


def codex(event: Event) -> Answer:
    """Returns the same for Codex, whose file says whether a person types. Raises as `claude_code`."""
    prompt, model = event.get("prompt"), event.get("model")
    if not isinstance(prompt, str) or prompt.lstrip().startswith(COMMANDS) or not isinstance(model, str):
        return ""
    file = session_file.named(event, codex_sessions(event))
    if file is None or not codex_request.is_in_a_terminal(file):
        return ""
    request = codex_request.last_request(file, model)
    return "" if request is None else _once(event, request, CODEX_AGAIN)


def _once(event: Event, request: LastRequest, again: str) -> Answer:
    config, session = settings(event), event.get("session_id")
    if not config.hooks.block_usd or not isinstance(session, str):
        return ""
    now = time.time()
    models, database = targets(config), locate(config.store.path)
    send = cold_send(request, models, now)
    if send is None or send.usd < config.hooks.block_usd:
        return ""
    held = Reader(database).held(session, now)  # the gateway may have kept it warm
    if any(entry.tokens >= send.tokens * SAME for entry in held):
        return ""
    share = shares.of_write(
        limits(database, models, now, learns=False), request.model, send.tokens, request.ttl
    )
    if not held_back.note(session, request.sent_at):
        return ""
    return {"decision": "block", "reason": f"{message(send, share)}\n{again}"}


def is_typed(event: Event) -> bool:
    """Says whether a person has just typed the prompt, and can press Enter again.

    Claude Code tells its hooks so by variables: `cli` is its own terminal (`sdk-cli` is `claude -p`), and a session is
    attended by a person or not. `source` comes with later versions (its schema in 2.1.332 has it).
    """
    prompt = event.get("prompt")
    return (
        isinstance(prompt, str)
        and not prompt.lstrip().startswith(COMMANDS)
        and event.get("source", "user") == "user"
        and "agent_id" not in event
        and variable(event, "CLAUDE_CODE_ENTRYPOINT") == "cli"
        and variable(event, "CLAUDE_CODE_SESSION_ATTENDED") != "0"
    )
