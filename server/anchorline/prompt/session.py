"""The session of a request by the name its client gives it, which its session files have as well.

What the clients send, as seen on the wire (2026-11):

| client | where | a sub-agent |
|---|---|---|
| Claude Code 2.1 | header x-claude-code-session-id; metadata.user_id | header x-claude-code-agent-id |
| Codex 0.171 | headers thread-id and session-id; client_metadata in the body | a thread of its own |
| Codex before | headers conversation_id and session_id | a conversation of its own |
| OpenCode, pi | headers x-session-affinity, x-session-id, session_id | a session of its own |
| Cline, Roo Code | headers x-task-id, x-roo-task-id | a task of its own |
| others | prompt_cache_key, metadata | |

A session that several agents share is split: ``SESSION/AGENT``.
"""

import re
from collections.abc import Iterable

import msgspec

_NAMING = (
    b"x-claude-code-session-id",
    b"thread-id",
    b"conversation_id",
    b"x-session-affinity",
    b"x-session-id",
    b"session-id",
    b"session_id",
    b"x-task-id",
    b"x-roo-task-id",
)
"""Headers that name a conversation, the most exact first."""
_AGENT = b"x-claude-code-agent-id"
_NAME = re.compile(r"[\x21-\x7e]{1,200}\Z")
_USER_ID = re.compile(r"_session_([0-9A-Za-z-]{8,64})\Z")
_NUMBERED = re.compile(r"\d")


class _User(msgspec.Struct):
    session_id: str = ""


class Metadata(msgspec.Struct):
    """The members of a body's ``metadata`` or ``client_metadata`` that name a conversation."""

    user_id: str | None = None
    thread_id: str | None = None
    session_id: str | None = None
    session: str | None = msgspec.field(name="sessionId", default=None)


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Returns the name that a request's headers tell, None where they tell none."""
    fields = {name.lower(): value for name, value in headers}
    session = next((session_name for name in _NAMING if (session_name := _name(fields.get(name, b"")))), None)
    agent = _name(fields.get(_AGENT, b""))
    return f"{session}/{agent}" if session and agent else session


def chosen(headers: str | None, body: str | None) -> str | None:
    """Returns the name that counts: the headers', but where only the body tells of a sub-agent.

    Claude Code's attribution says that one asks (``SESSION/agent``), newer versions' headers which one it is.
    """
    return body if headers is None or (body or "").startswith(f"{headers}/") else headers


def of_metadata(metadata: msgspec.Raw | msgspec.UnsetType) -> str | None:
    """Returns the name that a body's metadata tells. It may be of any form, so what can't be read tells none.

    Claude Code's ``user_id`` ends with ``_session_ID``, or is JSON with a ``session_id``.
    """
    try:
        fields = msgspec.json.decode(metadata or b"{}", type=Metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    user = fields.user_id or ""
    if user.startswith("{"):
        try:
            return _checked(msgspec.json.decode(user, type=_User).session_id)
        except msgspec.MsgspecError:
            return None
    if (match := _USER_ID.search(user)) is not None:
        return match[1]
    return _checked(fields.thread_id) or _checked(fields.session_id) or _checked(fields.session)


def of_cache_key(key: str | None) -> str | None:
    """Returns the name that ``prompt_cache_key`` is; None where it has no number, as one for all of a program's."""
    return _checked(key) if key and _NUMBERED.search(key) else None


def _name(value: bytes) -> str | None:
    return _checked(value.decode("latin-1").strip())


def _checked(name: str | None) -> str | None:
    return name if name and _NAME.match(name) else None
