"""The local tier: requests that name the model ``local``, or are routed to one, are answered on this machine.

Its answer looks to the gateway as a provider's does, so all that follows (the client's stream, the usage, the outcome)
is the same. It reads and writes text: tools are left out, what they were called with and returned is read as text,
images are refused. Answers are greedy, whatever temperature is asked for.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, Protocol

import msgspec

from anchorline.engine.client import Engine
from anchorline.gateway import local_responses
from anchorline.gateway.local_responses import Ended
from anchorline.generation import Chunk, Request, Turn, Unavailable
from anchorline.prompt import half_pairs
from anchorline.prompt.model import Format

NAME = "local"
"""The model that a client names for it."""
TIER = "local"
ANSWER_S = 600.0
"""How long an answer may take, loading the model included."""
MAX_TOKENS = 1024
"""For requests that set no limit."""
_TEXT = ("text", "input_text", "output_text", "refusal")
_SILENT = ("thinking", "redacted_thinking", "reasoning", "item_reference")
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "assistant": "assistant",
}


class _Named(msgspec.Struct):
    model: Any = None


class _Options(msgspec.Struct):
    include_usage: bool = False


class _Body(msgspec.Struct):
    """What is read of a body, whichever of the three it is."""

    model: str = NAME
    messages: list[dict[str, Any]] = []
    input: str | list[dict[str, Any]] = ""
    system: Any = None
    instructions: Any = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    stop: str | list[str] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = False
    stream_options: _Options | None = None


_named = msgspec.json.Decoder(_Named).decode
_body = msgspec.json.Decoder(_Body).decode


class RefusedError(Exception):
    """A request that a local model can't answer. The message says why."""


def named(body: bytes) -> bool:
    """Returns whether a request names the local model."""
    try:
        return bool(half_pairs.decoded(_named, body).model == NAME)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class Content(Protocol):
    """An answer's bytes."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Yields them as they come."""
        ...


class LocalAnswer:
    """An answer as aiohttp has a provider's: `status`, `raw_headers`, and bytes by `content.iter_any()`."""

    def __init__(self, status: int, kind: str, pieces: Callable[[], AsyncIterator[bytes]]) -> None:
        self.status = status
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", kind.encode()),)
        self.content: Content = self
        self._pieces = pieces

    def iter_any(self) -> AsyncIterator[bytes]:
        """Yields the bytes as they come."""
        return self._pieces()

    def close(self) -> None:
        """There is no connection."""


class LocalTier:
    """The local model as a provider."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def has(self, model: str) -> bool:
        """Returns whether it is this model: others of the tier may be an upstream's."""
        return model == self._engine.status.model

    @asynccontextmanager
    async def request(
        self, body_format: Format, body: bytes, model: str = NAME
    ) -> AsyncIterator[LocalAnswer]:
        """Holds the answer to a request, begun; `model` is the name that it is said to be of."""
        try:
            fields, request = _read(body)
        except RefusedError as error:
            yield _refused(400, "invalid_request_error", str(error))
            return
        options = fields.stream_options or _Options()
        spoken = local_responses.of(body_format, model, include_usage=options.include_usage)
        async with aclosing(self._engine.generate(request)) as chunks:
            try:
                first = await anext(chunks)
            except Unavailable as unavailable:
                yield _unavailable(unavailable)
                return
            if fields.stream:
                yield LocalAnswer(
                    200, "text/event-stream; charset=utf-8", lambda: self._streamed(spoken, first, chunks)
                )
            else:
                yield LocalAnswer(200, "application/json", lambda: self._whole(spoken, first, chunks))

    async def count(self, body_format: Format, body: bytes) -> LocalAnswer:
        """Returns the answer to how many tokens a request has: as its own usage will tell it."""
        try:
            _, request = _read(body)
            tokens = await self._engine.count(request.turns, deadline_s=ANSWER_S)
        except RefusedError as error:
            return _refused(400, "invalid_request_error", str(error))
        except Unavailable as unavailable:
            return _unavailable(unavailable)
        kind = {} if body_format == "anthropic" else {"object": "response.input_tokens"}
        return _whole(200, kind | {"input_tokens": tokens})

    async def _streamed(
        self, spoken: local_responses.Speech, first: Chunk, chunks: AsyncIterator[Chunk]
    ) -> AsyncIterator[bytes]:
        read = self._engine.read
        yield spoken.begin(read.prompt - read.cached if read else 0, read.cached if read else 0)
        try:
            async for chunk in _all(first, chunks):
                if chunk.text:
                    yield spoken.piece(chunk.text)
                if chunk.finish:
                    yield spoken.end(self._ended(chunk.finish))
        except Unavailable as unavailable:
            yield spoken.error(f"Anchorline: the local model: {unavailable}")

    async def _whole(
        self, spoken: local_responses.Speech, first: Chunk, chunks: AsyncIterator[Chunk]
    ) -> AsyncIterator[bytes]:
        finish: Literal["stop", "length"] = "length"  # of an answer that breaks off, what there is
        try:
            async for chunk in _all(first, chunks):
                spoken.piece(chunk.text)
                finish = chunk.finish or finish
        except Unavailable:
            pass
        yield spoken.whole(self._ended(finish))

    def _ended(self, finish: Literal["stop", "length"]) -> Ended:
        last = self._engine.last
        if last is None:
            return Ended(finish)
        return Ended(finish, last.prompt - last.cached, last.cached, last.generated)


async def _all(first: Chunk, rest: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    yield first
    async for chunk in rest:
        yield chunk


def _unavailable(unavailable: Unavailable) -> LocalAnswer:
    able = unavailable.status.state in ("ready", "busy")  # so it is this request that it refused
    kind = "invalid_request_error" if able else "overloaded_error"
    return _refused(400 if able else 503, kind, f"the local model: {unavailable}")


def _refused(status: int, kind: str, reason: str) -> LocalAnswer:
    message = {"type": "error", "error": {"type": kind, "message": f"Anchorline: {reason}"}}
    return _whole(status, message)


def _whole(status: int, message: object) -> LocalAnswer:
    body = msgspec.json.encode(message)

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    return LocalAnswer(status, "application/json", pieces)


def _read(body: bytes) -> tuple[_Body, Request]:
    """Returns a request and what the engine is asked for. Raises RefusedError."""
    try:
        fields = _body(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(str(error)) from None
    return fields, asking(fields)


def asking(body: _Body) -> Request:
    """Returns what the engine is asked for. Raises RefusedError."""
    system_turns = [
        ("system", instruction) for instruction in (body.system, body.instructions) if instruction
    ]
    turns: list[Turn] = []
    for role, content in [*system_turns, *_items(body)]:
        text = _text(content)
        if not text.strip():
            continue
        turn_role = _ROLES.get(role, "user")
        if turns and turns[-1].role == turn_role:
            turns[-1] = Turn(turn_role, f"{turns[-1].text}\n\n{text}")
        else:
            turns.append(Turn(turn_role, text))
    if not turns:
        raise RefusedError("the request has no text to answer")
    limits = (body.max_tokens, body.max_completion_tokens, body.max_output_tokens)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or body.stop_sequences or []
    most = next((limit for limit in limits if limit is not None), MAX_TOKENS)
    return Request(turns=tuple(turns), max_tokens=max(most, 1), stop=tuple(stops), deadline_s=ANSWER_S)


def _items(body: _Body) -> list[tuple[str, Any]]:
    items = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    contents: list[tuple[str, Any]] = []
    for item in body.messages or items:
        kind = item.get("type")
        if kind in _SILENT:
            continue
        if kind == "function_call":
            contents.append(("assistant", _call(item)))
        elif kind == "function_call_output":
            contents.append(("user", item.get("output")))
        else:
            contents.append((str(item.get("role")), item.get("content")))
            calls = item.get("tool_calls")
            if isinstance(calls, list):
                contents += [("assistant", _call(call["function"])) for call in calls if _is_call(call)]
    return contents


def _is_call(value: Any) -> bool:  # noqa: ANN401  (whatever a client sends)
    return isinstance(value, dict) and isinstance(value.get("function"), dict)


def _call(call: dict[str, Any]) -> str:
    return f"{call.get('name')}({call.get('arguments') or call.get('input') or ''})"


def _text(content: Any) -> str:  # noqa: ANN401  (whatever a client sends)
    """Returns the text of a content. Raises RefusedError for what is none."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n\n".join(filter(None, map(_text, content)))
    kind = content.get("type") if isinstance(content, dict) else None
    if kind in _TEXT:
        return str(content.get("text") or content.get("refusal") or "")
    if kind in _SILENT:
        return ""
    if kind == "tool_use":
        return _call(content)
    if kind == "tool_result":
        return _text(content.get("content"))
    raise RefusedError(f"a local model reads text only, not {str(kind)[:32]!r}")
