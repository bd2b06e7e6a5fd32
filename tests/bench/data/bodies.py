"""The request bodies of a session file, as its client would have sent them. No bench: several benches use it.

    from bench.data.bodies import bodies, last_body

Anthropic Messages for Claude Code, OpenAI Responses for Codex, in compact JSON. What session files don't hold
(Claude Code's system prompt and tools, Codex's built-in tools) is left out, or made up with `preamble=True`.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from anchorline.prompt.formats import claude_code, codex
from anchorline.prompt.formats.history import History, Part
from anchorline.prompt.source import each, first_lines, read_bytes

LIMIT = 1 << 30
TOOLS = (
    "Task",
    "Bash",
    "Glob",
    "Grep",
    "Read",
    "Edit",
    "Write",
    "WebFetch",
    "WebSearch",
    "TodoWrite",
    "Skill",
)
PRIVATE = b',"internal_chat_message_metadata_passthrough":'


def bodies(path: Path, *, preamble: bool = False) -> Iterator[tuple[float, bytes]]:
    """Yield (time in epoch seconds, body) of every request of a session file, in order.

    Where the file ends with input, the request that would be sent next comes last.
    """
    source = read_bytes(path, LIMIT)
    for at, model, parts in _requests(path):
        yield at, _body(source, path, model, parts, preamble=preamble)


def last_body(path: Path, *, preamble: bool = False) -> tuple[float, bytes]:
    """Return (time, body) of the last request: the one that a plan of the session file is about."""
    at, model, parts = list(_requests(path))[-1]
    return at, _body(read_bytes(path, LIMIT), path, model, parts, preamble=preamble)


Request = tuple[float, str, tuple[Part, ...]]


def _requests(path: Path) -> Iterator[Request]:
    return _codex(path) if any(map(codex.sniff, first_lines(path))) else _claude_code(path)


def _claude_code(path: Path) -> Iterator[Request]:
    session = claude_code.Session()
    each(path, session.take)
    way, history = session.conversation(), History()
    model = "claude-opus-4-5"
    for request in session.requests(way, history):
        model = request.answer.model or model
        yield request.at, model, tuple(request.history.parts)
    if way and way[-1].role == "user":
        if claude_code.strips_thinking(model):
            history.strip_thinking()
        yield history.now or 0.0, model, tuple(history.parts)


class _Session(codex.Session):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def sending(self) -> None:
        super().sending()
        self.requests.append((self.history.now or 0.0, self.model or "gpt-5.5", tuple(self.history.parts)))


def _codex(path: Path) -> Iterator[Request]:
    session = _Session()
    each(path, session.take)
    yield from session.requests
    session.finish()
    newest = tuple(session.history.parts)
    if not session.requests or newest != session.requests[-1][2]:
        yield session.history.now or 0.0, session.model or "gpt-5.5", newest


def _body(source: bytes, path: Path, model: str, parts: tuple[Part, ...], *, preamble: bool) -> bytes:
    head = b'{"model":' + json.dumps(model).encode()
    if parts and (parts[0].section != "messages" or any(map(codex.sniff, first_lines(path)))):
        return head + _responses(source, parts, preamble=preamble)
    return head + _messages(source, parts, preamble=preamble)


def _messages(source: bytes, parts: tuple[Part, ...], *, preamble: bool) -> bytes:
    text = b',"max_tokens":32000'
    if preamble:
        tools = [{"name": name, "description": _prose(name, 40), "input_schema": _schema()} for name in TOOLS]
        system = [
            {"type": "text", "text": "You are a coding agent."},
            {"type": "text", "text": _prose("Rules", 150)},
        ]
        text += b',"system":' + _compact(system) + b',"tools":' + _compact(tools)
    messages = []
    for _, group in groupby(parts, lambda part: part.role):
        run = list(group)
        content = b",".join(_wrapped(source[part.block.start : part.block.end]) for part in run)
        messages.append(b'{"role":"%b","content":[%b]}' % (run[0].role.encode(), content))
    return text + b',"messages":[' + b",".join(messages) + b'],"stream":true}'


def _responses(source: bytes, parts: tuple[Part, ...], *, preamble: bool) -> bytes:
    instructions, tools, items = b'""', [], []
    for _, group in groupby(parts, lambda part: (part.section, part.message)):
        run = list(group)
        raws = [_public(source[part.block.start : part.block.end]) for part in run]
        if run[0].section == "tools":
            tools += raws
        elif run[0].section == "system":
            instructions = raws[0]
        elif run[0].block.kind in ("text", "system", "document", "image") and run[0].role != "tool":
            role = {"system": "developer"}.get(run[0].role, run[0].role)
            items.append(b'{"type":"message","role":"%b","content":[%b]}' % (role.encode(), b",".join(raws)))
        else:
            items += raws
    if preamble:
        tools += [
            _compact(
                {"type": "function", "name": name, "description": _prose(name, 40), "parameters": _schema()}
            )
            for name in TOOLS
        ]
    return b',"instructions":%b,"tools":[%b],"input":[%b],"store":false,"stream":true}' % (
        instructions,
        b",".join(tools),
        b",".join(items),
    )


def _wrapped(raw: bytes) -> bytes:
    return b'{"type":"text","text":' + raw + b"}" if raw[:1] == b'"' else raw


def _public(raw: bytes) -> bytes:
    cut = raw.rfind(PRIVATE)
    return raw[:cut] + b"}" if cut > 0 and raw.endswith(b"}}") else raw


def _prose(subject: str, sentences: int) -> str:
    return " ".join(
        f"{subject} rule {n}: read a file before it is edited, and keep to its style."
        for n in range(sentences)
    )


def _schema() -> dict:
    path = {"type": "string", "description": "The absolute path of the file"}
    return {"type": "object", "properties": {"path": path, "limit": {"type": "number"}}, "required": ["path"]}


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
