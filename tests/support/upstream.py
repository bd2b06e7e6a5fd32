"""An upstream that keeps the providers' rules: caches as they bill them, streams, tools, images, errors.

    PYTHONPATH=tests python -m support.upstream PORT

It reads bodies with `json` alone, so that it shares no mistake with the gateway, and bills them by the simulator. An
answer depends on its request and on the cache only. The header `x-fault` asks for trouble, `x-encoding` for an encoding,
`x-now` tells the time (epoch seconds).
"""

import asyncio
import gzip
import hashlib
import json
import sys
import threading
import time
import zlib
from typing import Any, Self

import brotli
import uvicorn
import zstandard

from anchorline.cache.rules import load
from anchorline.replay.provider_cache import Simulator
from anchorline.replay.request import Breakpoint, RejectedError, SimulatedBlock, SimulatedRequest
from support import gemini_wire, published

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
WORDS = ["Of", " course", ": the", " naïve", " parser", " “drops”", " 🧭", " nothing", "."]
MARKS = {"cache_control", "prompt_cache_breakpoint"}


class Seen:
    """A request as it arrived."""

    def __init__(self, scope: dict, body: bytes) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"] + (
            b"?" + scope["query_string"] if scope["query_string"] else b""
        )
        self.headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        self.body = body


class RefusedError(Exception):
    """An error that the provider answers with."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


class Upstream:
    """The ASGI application. `seen` are the requests that arrived, `gone` counts clients that left an answer.

    `limits` are headers of each answer, errors' too, such as `plan_limits` makes.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self.seen: list[Seen] = []
        self.gone = 0
        self.left = threading.Event()
        self.keep = keep
        self.simulator = Simulator(load())
        self.usd = 0.0
        self.billed: list[Any] = []
        self.limits: dict[str, str] = {}

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        parts = []
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(parts)
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        if self.keep:
            self.seen.append(Seen(scope, body))
        fault = headers.get("x-fault", "")
        limits = [(name.encode(), value.encode()) for name, value in self.limits.items()]
        out = _Out(send, headers, limits)
        try:
            body = _undone(body, headers.get("content-encoding", ""))
            query = scope["query_string"].decode()
            await self._answer(scope["path"], query, headers, body, fault, out, receive)
        except RefusedError as refusal:
            if gemini_wire.asked(scope["path"]):
                await out.whole(refusal.status, gemini_wire.error(refusal.status, refusal.message))
                return
            kind = ERRORS.get(refusal.status, "api_error")
            error = {
                "type": "error",
                "error": {"type": kind, "message": refusal.message},
                "request_id": "req_1",
            }
            await out.whole(refusal.status, error, [(b"retry-after", b"7")] if refusal.status == 429 else [])

    async def _answer(
        self, path: str, query: str, headers: dict, body: bytes, fault: str, out: "_Out", receive: Any
    ) -> None:
        if headers.get("x-api-key") == "bad" or headers.get("authorization") == "Bearer bad":
            raise RefusedError(401, "invalid x-api-key")
        if gemini_wire.key(headers, query) == "bad":
            raise RefusedError(400, "API key not valid. Please pass a valid API key.")
        if fault.isdecimal():
            raise RefusedError(int(fault), "as was asked for")
        if path == "/v1/models":
            await out.whole(
                200, {"data": [{"id": "m", "type": "model", "object": "model"}], "has_more": False}
            )
            return
        if not body:
            await out.whole(404, {"error": {"type": "not_found_error", "message": "no such thing"}})
            return
        try:
            request = json.loads(body)
        except ValueError:
            raise RefusedError(400, "the body is no JSON") from None
        to_gemini = gemini_wire.asked(path)
        if to_gemini is not None:
            why = gemini_wire.refused(request)
            if why is not None:
                raise RefusedError(400, why)
            request = gemini_wire.plain(request, *to_gemini)
            if to_gemini[1] == "countTokens":
                await out.whole(200, {"totalTokens": sum(block.tokens for block in blocks(request)[0])})
                return
        if path == "/v1/messages/count_tokens":
            await out.whole(200, {"input_tokens": sum(block.tokens for block in blocks(request)[0])})
            return
        if fault == "refuse-pings" and request.get("max_tokens") == 0:
            raise RefusedError(400, "max_tokens: 0 is not allowed here")
        why = published.REFUSED.get(path, lambda _: None)(request)
        if why is not None:
            raise RefusedError(400, why)
        usage = self.bill(request, float(headers.get("x-now") or time.time()))
        whole, events = self.speak(path, request, usage)
        if not request.get("stream"):
            await out.whole(
                200,
                whole,
                [(b"x-odd-Header", b"kept; as=is"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
            )
            return
        kind = "text/event-stream; charset=utf-8"
        if to_gemini is not None:
            kind, events = gemini_wire.streamed(events, query)
        await out.begin(200, [(b"content-type", kind.encode())])
        for number, event in enumerate(events):
            if fault == "die" and number == 4:
                return
            if fault == "error" and number == 4:
                trouble = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                await out.piece(_sse("error", trouble))
                break
            if fault == "garbage" and number == 4:
                await out.piece(b'data: {"usage": \xff\xfe nonsense\n\n\0\0')
            if fault == "hang" and number == 4:
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.gone += 1
                self.left.set()
                return
            await out.piece(event)
        await out.end()

    def speak(self, path: str, request: dict, usage: dict[str, int]) -> tuple[dict, list[Any]]:
        """Return what is answered, whole and as a stream's pieces."""
        if gemini_wire.asked(path):
            return gemini(request, usage)
        speak = {"/v1/messages": messages, "/v1/chat/completions": chat, "/v1/responses": responses}.get(path)
        if speak is None:
            raise RefusedError(404, "no such endpoint")
        return speak(request, usage)

    def bill(self, request: dict, now: float) -> dict[str, int]:
        """Return what a request is billed: tokens read, written (both lifetimes), and neither."""
        if not isinstance(request.get("model"), str):
            raise RefusedError(400, "model: Input should be a valid string")
        sent, marks, settings, automatic = blocks(request)
        ttl = (request.get("cache_control") or {}).get("ttl") or "default"
        try:
            billed = self.simulator.send(
                SimulatedRequest(now, sent, marks, settings=settings, automatic=automatic, automatic_ttl=ttl),
                request["model"],
            )
        except RejectedError as error:
            raise RefusedError(400, str(error)) from None
        if self.keep:
            self.billed.append(billed)
        cache = self.simulator.cache(request["model"])
        self.usd += cache.charge(billed)
        written = billed.written
        return {
            "read": billed.read,
            "5m": written.get("5m", 0),
            "1h": written.get("1h", 0),
            "write": sum(written.values()),
            "input": billed.uncached,
            "total": billed.total,
        }


def plan_limits(
    five_hour: float,
    seven_day: float,
    *,
    now: float,
    resets: tuple[float, float] = (3 * 3600.0, 4 * 86_400.0),
) -> dict[str, str]:
    """Return the headers by which Anthropic's API tells a plan's limits: fractions used, seconds from `now` to resets.

    They are those that Claude Code 2.1.332 reads, as answers on a Max plan had them in September 2026.
    """
    name = "anthropic-ratelimit-unified"
    used, headers = max(five_hour, seven_day), {}
    for window, fraction, left in (("5h", five_hour, resets[0]), ("7d", seven_day, resets[1])):
        headers[f"{name}-{window}-status"] = _state(fraction)
        headers[f"{name}-{window}-utilization"] = f"{fraction:g}"
        headers[f"{name}-{window}-reset"] = f"{now + left:.0f}"
    first = five_hour >= seven_day
    return headers | {
        f"{name}-status": _state(used),
        f"{name}-reset": f"{now + resets[not first]:.0f}",
        f"{name}-representative-claim": "five_hour" if first else "seven_day",
        f"{name}-fallback-percentage": "0.5",
        f"{name}-overage-status": "rejected",
        f"{name}-overage-disabled-reason": "org_level_disabled",
    }


def _state(fraction: float) -> str:
    return "rejected" if fraction >= 1 else "allowed_warning" if fraction >= 0.9 else "allowed"


class _Out:
    """Sends an answer, encoded as the client asks."""

    def __init__(self, send: Any, headers: dict, limits: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._limits = limits
        self._encoding = headers.get("x-encoding", "")
        self._pack, self._flush = _packer(self._encoding)

    async def begin(self, status: int, headers: list) -> None:
        headers = [*headers, (b"date", b"Thu, 01 Jan 2026 00:00:00 GMT"), (b"request-id", b"req_1")]
        headers += self._limits
        if self._encoding:
            headers.append((b"content-encoding", self._encoding.encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": self._pack(data), "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": self._flush()})

    async def whole(self, status: int, value: Any, headers: list | None = None) -> None:
        body = self._pack(json.dumps(value).encode()) + self._flush()
        length = (b"content-length", str(len(body)).encode())
        await self.begin(status, [(b"content-type", b"application/json"), length, *(headers or [])])
        await self._send({"type": "http.response.body", "body": body})


def _undone(body: bytes, encoding: str) -> bytes:
    """Return a request's body without its encodings, as a careful server reads it."""
    for name in reversed(encoding.split(",")):
        try:
            match name.strip():
                case "gzip":
                    body = gzip.decompress(body)
                case "deflate":
                    body = zlib.decompress(body)
                case "br":
                    body = brotli.decompress(body)
                case "zstd":
                    reader = zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True)
                    body = reader.read()
        except (OSError, EOFError, zlib.error, brotli.error, zstandard.ZstdError):
            raise RefusedError(400, f"the body is not {name}") from None
    return body


def _packer(encoding: str) -> tuple[Any, Any]:
    if encoding == "gzip":
        made = zlib.compressobj(wbits=31)
        return lambda data: made.compress(data) + made.flush(zlib.Z_SYNC_FLUSH), made.flush
    if encoding == "br":
        made = brotli.Compressor()
        return lambda data: made.process(data) + made.flush(), made.finish
    if encoding == "zstd":
        made = zstandard.ZstdCompressor().compressobj()
        return lambda data: made.compress(data) + made.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK), made.flush
    return lambda data: data, lambda: b""


def blocks(request: dict) -> tuple[list[SimulatedBlock], list[Breakpoint], dict[str, str], bool | None]:
    """Return a body's blocks in render order, its breakpoints, the settings that count, and automatic caching."""
    found: list[SimulatedBlock] = []
    marks: list[Breakpoint] = []

    def add(value: Any, section: str, kind: str = "content", role: str = "") -> None:
        if isinstance(value, str):
            value = {"type": "text", "text": value}
        mark = (
            next((value[name] for name in MARKS if value.get(name)), None)
            if isinstance(value, dict)
            else None
        )
        plain = (
            {key: one for key, one in value.items() if key not in MARKS} if isinstance(value, dict) else value
        )
        plain = _unmarked(plain)
        text = json.dumps([role, plain, *_referred(plain, later)], sort_keys=True, ensure_ascii=False)
        found.append(
            SimulatedBlock(
                hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(),
                max(len(text) // 4, 1),
                section,
                kind,
            )
        )
        if mark is not None:
            marks.append(Breakpoint(len(found) - 1, mark.get("ttl", "default")))

    tools = request.get("tools") or ()
    later = {tool.get("name"): _unmarked(tool) for tool in tools if published.deferred(tool)}
    for tool in tools:
        if not published.deferred(tool):
            add(tool, "tools")
    system = request.get("system", request.get("instructions")) or ()
    for one in [system] if isinstance(system, str) else system:
        text = one if isinstance(one, str) else one.get("text", "")
        if not text.startswith("x-anthropic-billing-header:"):  # it is no part of the cache key
            add(one, "system")
        elif (rest := text.partition("\n")[2]) != "":
            add(rest.lstrip("\n") if isinstance(one, str) else {**one, "text": rest.lstrip("\n")}, "system")
    items = _since_compaction(request.get("messages", request.get("input")) or ())
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        content, role = item.get("content"), item.get("role", "")
        if not isinstance(content, str | list) or role == "tool":
            add(
                item,
                "messages",
                "assistant" if role == "assistant" or "call" in item.get("type", "") else "content",
            )
            continue
        for part in [content] if isinstance(content, str) else content:
            kind = part.get("type", "") if isinstance(part, dict) else "text"
            person = role == "user" and kind in ("text", "input_text")
            what = (
                "thinking"
                if "thinking" in kind
                else "user"
                if person
                else "assistant"
                if role == "assistant"
                else "content"
            )
            inner = part.get("content") if kind == "tool_result" else None
            if isinstance(inner, list) and inner:  # a marker within it is one in its own place
                for one in inner[:-1]:
                    add({**one, "of": part["tool_use_id"]}, "messages", what, role)
                mark = part.get("cache_control") or inner[-1].get("cache_control")
                short = len(inner) == 1 and set(_unmarked(inner[0])) == {"type", "text"}  # for a string
                content = inner[0]["text"] if short else inner[-1:]
                part = {**part, "content": content, "cache_control": mark}  # noqa: PLW2901
            add(part, "messages", what, role)
    settings = {}
    if request.get("thinking"):
        settings["thinking_or_effort"] = json.dumps(request["thinking"], sort_keys=True)
    return found, marks, settings, True if request.get("cache_control") else None


def _unmarked(value: Any) -> Any:
    """Return a block without the markers within it."""
    if not isinstance(value, dict):
        return value
    made = {key: one for key, one in value.items() if key not in MARKS}
    for key in published.INNER:
        inner = made.get(key)
        if isinstance(inner, list):
            made[key] = [_unmarked(one) for one in inner]
        elif isinstance(inner, dict):
            made[key] = _unmarked(inner)
    return made


def _referred(block: Any, later: dict) -> list[dict]:
    """Return the definitions of the deferred tools that a block refers to, which are rendered in its place."""
    names = [
        one.get("tool_name") for _, one in published.within(block, "") if one.get("type") == "tool_reference"
    ]
    return [later[name] for name in names if name in later]


def _since_compaction(items: Any) -> Any:
    """Return the messages from the last compaction block on: what stands before is not sent."""
    for number in range(len(items) - 1, -1, -1):
        content = items[number].get("content") if isinstance(items, list) else None
        for index in range(len(content) - 1, -1, -1) if isinstance(content, list) else ():
            part = content[index]
            if isinstance(part, dict) and part.get("type") == "compaction" and part.get("content"):
                return [{**items[number], "content": content[index:]}, *items[number + 1 :]]
    return items


def _text(request: dict) -> str:
    digest = hashlib.blake2b(
        json.dumps(request.get("messages", request.get("input"))).encode(), digest_size=2
    )
    return "".join(WORDS) + f" ({digest.hexdigest()})"


def _sse(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


def messages(request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
    """Anthropic Messages."""
    if "max_tokens" not in request:
        raise RefusedError(400, "max_tokens: Field required")
    ahead = request["max_tokens"] == 0
    if ahead and (request.get("stream") or "budget_tokens" in (request.get("thinking") or {})):
        raise RefusedError(400, "max_tokens: 0 takes neither stream nor a thinking budget")
    counts = {
        "input_tokens": usage["input"],
        "cache_read_input_tokens": usage["read"],
        "cache_creation_input_tokens": usage["write"],
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage["5m"],
            "ephemeral_1h_input_tokens": usage["1h"],
        },
    }
    last = request["messages"][-1].get("content") if request.get("messages") else None
    returned = isinstance(last, list) and any(part.get("type") == "tool_result" for part in last)
    tool = bool(request.get("tools")) and not returned
    content: list[dict] = [{"type": "text", "text": _text(request)}]
    if tool:
        content.append(
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": request["tools"][0]["name"],
                "input": {"path": "a.py"},
            }
        )
    base = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "stop_sequence": None,
    }
    stop = "tool_use" if tool else "end_turn"
    asked = request.get("diagnostics")
    if asked is not None:  # as the beta `cache-diagnosis` has it; here every miss is because of the tools
        missed = {"type": "tools_changed", "cache_missed_input_tokens": usage["input"] + usage["write"]}
        known = usage["read"] or asked.get("previous_message_id") is None
        base["diagnostics"] = {"cache_miss_reason": None if known else missed}
    whole = {**base, "content": content, "stop_reason": stop, "usage": {**counts, "output_tokens": 9}}
    if ahead:
        whole |= {"content": [], "stop_reason": "max_tokens", "usage": {**counts, "output_tokens": 0}}
    events = [
        _sse(
            "message_start",
            {
                "type": "message_start",
                "message": {
                    **base,
                    "content": [],
                    "stop_reason": None,
                    "usage": {**counts, "output_tokens": 1},
                },
            },
        ),
        _sse("ping", {"type": "ping"}),
        _sse(
            "content_block_start",
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        ),
    ]
    events += [
        _sse(
            "content_block_delta",
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}},
        )
        for word in [*WORDS, _text(request)[len("".join(WORDS)) :]]
    ]
    events.append(_sse("content_block_stop", {"type": "content_block_stop", "index": 0}))
    if tool:
        start = {**content[1], "input": {}}
        events += [
            _sse("content_block_start", {"type": "content_block_start", "index": 1, "content_block": start}),
            _sse(
                "content_block_delta",
                {
                    "type": "content_block_delta",
                    "index": 1,
                    "delta": {"type": "input_json_delta", "partial_json": '{"path": "a.py"}'},
                },
            ),
            _sse("content_block_stop", {"type": "content_block_stop", "index": 1}),
        ]
    events += [
        _sse(
            "message_delta",
            {
                "type": "message_delta",
                "delta": {"stop_reason": stop, "stop_sequence": None},
                "usage": {"output_tokens": 9},
            },
        ),
        _sse("message_stop", {"type": "message_stop"}),
    ]
    return whole, events


def chat(request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
    """OpenAI chat completions."""
    counts = {
        "prompt_tokens": usage["total"],
        "completion_tokens": 9,
        "total_tokens": usage["total"] + 9,
        "prompt_tokens_details": {"cached_tokens": usage["read"], "cache_write_tokens": usage["write"]},
    }
    base = {"id": "chatcmpl-1", "created": 1, "model": request["model"]}
    message: dict[str, Any] = {"role": "assistant", "content": _text(request)}
    calls = [{"id": "call_1", "type": "function", "function": {"name": "read", "arguments": "{}"}}]
    if request.get("tools"):
        message["tool_calls"] = calls
    stop = "tool_calls" if request.get("tools") else "stop"
    whole = {
        **base,
        "object": "chat.completion",
        "usage": counts,
        "choices": [{"index": 0, "message": message, "finish_reason": stop, "logprobs": None}],
    }

    def chunk(delta: dict, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return (
            b"data: "
            + json.dumps({**base, "object": "chat.completion.chunk", "choices": [choice]}).encode()
            + b"\n\n"
        )

    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": word}) for word in WORDS)]
    if request.get("tools"):
        events.append(chunk({"tool_calls": [{"index": 0, **calls[0]}]}))
    events.append(chunk({}, stop))
    if (request.get("stream_options") or {}).get("include_usage"):
        last = {**base, "object": "chat.completion.chunk", "choices": [], "usage": counts}
        events.append(b"data: " + json.dumps(last).encode() + b"\n\n")
    return whole, [*events, b"data: [DONE]\n\n"]


def responses(request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
    """OpenAI Responses."""
    counts = {
        "input_tokens": usage["total"],
        "output_tokens": 9,
        "total_tokens": usage["total"] + 9,
        "input_tokens_details": {"cached_tokens": usage["read"], "cache_write_tokens": usage["write"]},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    text = {"type": "output_text", "text": _text(request), "annotations": []}
    output = [
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    ]
    base = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": request["model"],
        "tools": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
    }
    whole = {**base, "status": "completed", "output": output, "usage": counts}
    events = [
        _sse(
            "response.created",
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**base, "status": "in_progress", "output": [], "usage": None},
            },
        )
    ]
    events += [
        _sse(
            "response.output_text.delta",
            {
                "type": "response.output_text.delta",
                "sequence_number": number,
                "item_id": "msg_1",
                "output_index": 0,
                "content_index": 0,
                "delta": word,
                "logprobs": [],
            },
        )
        for number, word in enumerate(WORDS, 1)
    ]
    events.append(
        _sse("response.completed", {"type": "response.completed", "sequence_number": 99, "response": whole})
    )
    return whole, events


def gemini(request: dict, usage: dict[str, int]) -> tuple[dict, list[dict]]:
    """Gemini's generateContent."""
    parts: list[dict] = [{"text": "Let me see.", "thought": True}, *({"text": word} for word in WORDS)]
    parts.append({"text": _text(request)[len("".join(WORDS)) :]})
    returned = any(part["type"] == "tool_result" for part in request["messages"][-1]["content"])
    if request["tools"] and not returned:
        parts.append({"functionCall": {"name": request["tools"][0]["name"], "args": {"path": "a.py"}}})
    return gemini_wire.answer(request["model"], "resp-1", parts, usage, 9)


class Running:
    """A server in a thread of its own: an upstream, or a gateway that shares the test's process."""

    def __init__(self, app: Any, port: int = 0, **settings: Any) -> None:
        self.app = app
        self._config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            **settings,
        )
        self._server = uvicorn.Server(self._config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> Self:
        self._config.load()
        socket = self._config.bind_socket()
        socket.listen(1024)
        self.port: int = socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=asyncio.run, args=(self._server.serve([socket]),), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


if __name__ == "__main__":
    uvicorn.run(
        Upstream(keep=False),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        lifespan="off",
        ws="none",
    )
