"""A provider for real clients: it answers in the four forms, has files read, and refuses what the APIs refuse.

What it bills is the conformance upstream's. Its script: each turn (a user's message with `TASK` in it) it calls `steps` tools, the
first ones as `calls` says and then whatever the client has for reading a file, and ends with a sentence. The files come
again after a while, as agents read them again.
Every answer has its own id and its own number of output tokens, by which what the gateway records of it is found.
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from anchorline.route import catalog
from support import gemini_wire
from support.upstream import RefusedError, Upstream

TASK = "MAIN-TASK"
FILES = 4
"""So many files are read in turn, so a conversation of more steps reads some again."""
READERS = ("Read", "read", "read_file", "readFile", "read_files", "view")
SHELLS = ("Bash", "bash", "shell", "exec_command", "run_shell_command", "execute_command", "run_commands")
FIRST_OUTPUT = 1000
"""Output tokens of the first answer; each further one has one more."""


class Bill(NamedTuple):
    """What one request was billed: tokens, USD, and what names it in the books."""

    number: int
    model: str
    input: int
    read: int
    write: int
    write_1h: int
    output: int
    input_usd: float
    output_usd: float
    main: bool

    @property
    def usd(self) -> float:
        """Return what the request costs."""
        return self.input_usd + self.output_usd


class Call(NamedTuple):
    """A tool to be called; `namespace` is Codex's."""

    name: str
    arguments: Any
    namespace: str | None = None


class Provider(Upstream):
    """The ASGI application. `bills` are the answered prompts, `refusals` those that were refused, with the reason.

    `ahead_s` is by how much its clock is ahead.
    """

    def __init__(self, files: Path, *, steps: int = 3, calls: tuple[Call, ...] = (), end: str = "") -> None:
        super().__init__()
        self.files = files
        self.steps = steps
        self.calls = calls
        self.end = end
        self.bills: list[Bill] = []
        self.refusals: list[str] = []
        self.ahead_s = 0.0
        self._catalog = catalog.load()
        self._signed: dict[str, str] = {}
        self._lock = threading.Lock()

    def speak(self, path: str, request: dict, usage: dict[str, int]) -> tuple[dict, list[Any]]:
        """Answer a prompt, whole and as a stream."""
        if gemini_wire.asked(path):
            return self._gemini(request, usage)
        speak = {
            "/v1/messages": self._messages,
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._responses,
        }.get(path)
        if speak is None:
            raise RefusedError(404, f"no such endpoint {path}")
        return speak(request, usage)

    def bill(self, request: dict, now: float) -> dict[str, int]:
        """Return what a request is billed, as the upstream does, and keep it."""
        try:
            if "messages" in request and "max_tokens" in request:
                self._strict(request)
            before = self.usd
            usage = super().bill(request, now + self.ahead_s)
        except RefusedError as refusal:
            self.refusals.append(refusal.message)
            raise
        model = self._catalog.find(request["model"])
        if model is None:
            raise RefusedError(404, f"model: {request['model']}")
        price, output = model.prices(usage["total"], now)
        with self._lock:
            number = len(self.bills)
            tokens = 0 if request.get("max_tokens") == 0 else FIRST_OUTPUT + number
            texts = " ".join(_texts(request))
            self.bills.append(
                Bill(
                    number,
                    request["model"],
                    usage["input"],
                    usage["read"],
                    usage["write"],
                    usage["1h"],
                    tokens,
                    (self.usd - before) * price,
                    tokens * output,
                    TASK in texts and bool(_tools(request)),
                )
            )
        return usage | {"output": tokens}

    def _strict(self, request: dict) -> None:
        """Refuse a history that the Messages API refuses."""
        wanted: set[str] = set()
        for number, message in enumerate(request["messages"]):
            parts = _parts(message)
            where = f"messages.{number}"
            given = {part.get("tool_use_id") for part in parts if part.get("type") == "tool_result"}
            if message.get("role") != "system":
                if wanted - given:
                    raise RefusedError(
                        400, f"{where}: `tool_use` ids without `tool_result`: {wanted - given}"
                    )
                used = [part["id"] for part in parts if part.get("type") == "tool_use"]
                wanted = set(used) if message.get("role") == "assistant" else set()
            for part in parts:
                if part.get("type") == "text" and not part.get("text"):
                    raise RefusedError(400, f"{where}: text content blocks must be non-empty")
                signed = self._signed.get(part.get("signature", ""))
                if part.get("type") == "thinking" and signed != part.get("thinking"):
                    raise RefusedError(400, f"{where}: Invalid `signature` in `thinking` block")

    def _next(self, request: dict) -> tuple[str, Call | None]:
        """Return what is said to a prompt, and which tool is called."""
        tools = _tools(request)
        texts, results = _texts(request), _results(request)
        if not tools:
            return "A short title", None
        turns = max(1, sum(TASK in text for text in texts))
        if results >= self.steps * turns:
            if self.end and results == self.steps * turns:
                return "Done.", self._shell(tools, self.end)
            return f"Done after {results} tool results: the parser drops nothing.", None
        if results < len(self.calls) and self.calls[results].name in tools:
            return "I use a tool.", self.calls[results]
        return f"I look at file {results}.", self._read(tools, self.files / f"file{results % FILES}.py")

    def _read(self, tools: dict[str, dict], file: Path) -> Call | None:
        for name in READERS:
            if name in tools:
                return Call(name, _filled(tools[name], file))
        return self._shell(tools, f"cat {file}")

    @staticmethod
    def _shell(tools: dict[str, dict], command: str) -> Call | None:
        program = tools.get("exec", {})
        if program.get("type") == "custom":  # Codex's own tool takes a program that calls the others
            run = f"const r = await tools.exec_command({{cmd: {json.dumps(command)}}});\ntext(r);"
            return Call("exec", run, program.get("namespace"))
        for name in SHELLS:
            if name in tools:
                return Call(name, _filled(tools[name], None, command), tools[name].get("namespace"))
        return None

    def _messages(self, request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
        said, call = self._next(request)
        ahead = request["max_tokens"] == 0
        content: list[dict] = []
        if (request.get("thinking") or {}).get("type") in ("enabled", "adaptive") and not ahead:
            thought = f"I should look at the next file ({usage['output']}). " * 6
            signature = hashlib.sha256(thought.encode()).hexdigest() * 4
            self._signed[signature] = thought
            content.append({"type": "thinking", "thinking": thought, "signature": signature})
        if not ahead:
            content.append({"type": "text", "text": said})
        if call is not None and not ahead:
            content.append(
                {"type": "tool_use", "id": _id("toolu_01"), "name": call.name, "input": call.arguments}
            )
        stop = "max_tokens" if ahead else "tool_use" if call else "end_turn"
        counts = {
            "input_tokens": usage["input"],
            "cache_creation_input_tokens": usage["write"],
            "cache_read_input_tokens": usage["read"],
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage["5m"],
                "ephemeral_1h_input_tokens": usage["1h"],
            },
            "service_tier": "standard",
        }
        base = {"model": request["model"], "id": _id("msg_01"), "type": "message", "role": "assistant"}
        final = {"stop_reason": stop, "stop_sequence": None}
        whole = base | final | {"content": content, "usage": counts | {"output_tokens": usage["output"]}}
        begun = {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": counts | {"output_tokens": 3},
        }
        events = [_event({"type": "message_start", "message": base | begun})]
        for index, block in enumerate(content):
            empty, deltas = _pieces(block)
            events.append(_event({"type": "content_block_start", "index": index, "content_block": empty}))
            events += [
                _event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas
            ]
            events.append(_event({"type": "content_block_stop", "index": index}))
        told = {
            name: counts[name]
            for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        }
        events.append(
            _event(
                {"type": "message_delta", "delta": final, "usage": told | {"output_tokens": usage["output"]}}
            )
        )
        events.append(_event({"type": "message_stop"}))
        return whole, events

    def _chat(self, request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
        said, call = self._next(request)
        counts = {
            "prompt_tokens": usage["total"],
            "completion_tokens": usage["output"],
            "total_tokens": usage["total"] + usage["output"],
            "prompt_tokens_details": {"cached_tokens": usage["read"], "cache_write_tokens": usage["write"]},
        }
        base = {"id": _id("chatcmpl-"), "created": 1, "model": request["model"]}
        message: dict[str, Any] = {"role": "assistant", "content": said, "refusal": None}
        made = []
        if call is not None:
            function = {"name": call.name, "arguments": json.dumps(call.arguments)}
            made = [{"id": _id("call_"), "type": "function", "function": function}]
            message["tool_calls"] = made
        stop = "tool_calls" if made else "stop"
        choice = {"index": 0, "message": message, "finish_reason": stop, "logprobs": None}
        whole = base | {"object": "chat.completion", "choices": [choice], "usage": counts}

        def chunk(delta: dict | None, reason: str | None = None, **more: Any) -> bytes:
            choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
            value = base | {"object": "chat.completion.chunk", "choices": choices} | more
            return b"data: " + json.dumps(value).encode() + b"\n\n"

        events = [chunk({"role": "assistant", "content": ""})]
        events += [chunk({"content": piece}) for piece in _cut(said)]
        for one in made:
            first = one | {"index": 0, "function": one["function"] | {"arguments": ""}}
            events.append(chunk({"tool_calls": [first]}))
            events += [
                chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
                for piece in _cut(one["function"]["arguments"])
            ]
        events.append(chunk({}, stop))
        if (request.get("stream_options") or {}).get("include_usage"):
            events.append(chunk(None, usage=counts))
        return whole, [*events, b"data: [DONE]\n\n"]

    def _responses(self, request: dict, usage: dict[str, int]) -> tuple[dict, list[bytes]]:
        said, call = self._next(request)
        counts = {
            "input_tokens": usage["total"],
            "input_tokens_details": {"cached_tokens": usage["read"], "cache_write_tokens": usage["write"]},
            "output_tokens": usage["output"],
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage["total"] + usage["output"],
        }
        base = {"id": _id("resp_"), "object": "response", "created_at": 1, "model": request["model"]}
        base |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None}
        text = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
        output: list[dict] = [
            {
                "type": "message",
                "id": _id("msg_"),
                "role": "assistant",
                "status": "completed",
                "content": [text],
            }
        ]
        if call is not None:
            program = isinstance(call.arguments, str)
            given = {"input": call.arguments} if program else {"arguments": json.dumps(call.arguments)}
            kind = {"type": "custom_tool_call" if program else "function_call", "id": _id("fc_")}
            named = {"call_id": _id("call_"), "name": call.name, "status": "completed"}
            space = {"namespace": call.namespace} if call.namespace else {}
            output.append(kind | named | given | space)
        whole = base | {"status": "completed", "output": output, "usage": counts}
        events: list[bytes] = []

        def add(kind: str, **rest: Any) -> None:
            events.append(_event({"type": kind, "sequence_number": len(events), **rest}))

        add("response.created", response=base | {"status": "in_progress", "output": [], "usage": None})
        for index, item in enumerate(output):
            place = {"item_id": item["id"], "output_index": index}
            if item["type"] == "message":
                add("response.output_item.added", output_index=index, item=item | {"content": []})
                add("response.content_part.added", **place, content_index=0, part=text | {"text": ""})
                for piece in _cut(said):
                    add("response.output_text.delta", **place, content_index=0, delta=piece, logprobs=[])
                add("response.output_text.done", **place, content_index=0, text=said, logprobs=[])
                add("response.content_part.done", **place, content_index=0, part=text)
            else:
                name = "input" if item["type"] == "custom_tool_call" else "arguments"
                kind = "custom_tool_call_input" if name == "input" else "function_call_arguments"
                add("response.output_item.added", output_index=index, item=item | {name: ""})
                for piece in _cut(item[name]):
                    add(f"response.{kind}.delta", **place, delta=piece)
                add(f"response.{kind}.done", **place, **{name: item[name]})
            add("response.output_item.done", output_index=index, item=item)
        add("response.completed", response=whole)
        return whole, events

    def _gemini(self, request: dict, usage: dict[str, int]) -> tuple[dict, list[dict]]:
        said, call = self._next(request)
        thought = f"I should look at the next file ({usage['output']}). " * 6
        parts: list[dict] = [{"text": thought, "thought": True}, *({"text": piece} for piece in _cut(said))]
        if call is not None:
            signature = hashlib.sha256(thought.encode()).hexdigest() * 2
            named = {"name": call.name, "args": call.arguments}
            parts.append({"functionCall": named, "thoughtSignature": signature})
        return gemini_wire.answer(request["model"], _id("resp-"), parts, usage, usage["output"])


def _tools(request: dict) -> dict[str, dict]:
    """Return the tools by name: of the body, and of Codex's items, which hold them in namespaces."""
    found = [tool.get("function") or tool for tool in request.get("tools") or ()]
    for item in request.get("input") or ():
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            for space in item["tools"]:
                found += [tool | {"namespace": space["name"]} for tool in space.get("tools") or ()]
    return {str(tool.get("name") or tool.get("type")): tool for tool in found}


def _items(request: dict) -> Iterator[dict]:
    items = request.get("messages", request.get("input")) or ()
    yield from [{"role": "user", "content": items}] if isinstance(items, str) else items


def _parts(item: dict) -> list[dict]:
    content = item.get("content") or ()
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _texts(request: dict) -> list[str]:
    """Return what the user says."""
    users = (item for item in _items(request) if item.get("role") == "user")
    return [part.get("text") or "" for item in users for part in _parts(item)]


def _results(request: dict) -> int:
    """Return how many tool results there are."""
    count = 0
    for item in _items(request):
        count += item.get("role") in ("tool", "function") or str(item.get("type", "")).endswith("call_output")
        count += sum(part.get("type") == "tool_result" for part in _parts(item))
    return count


def _filled(tool: dict, file: Path | None, command: str = "") -> dict:
    """Return arguments for what a tool requires: a file, a command, or anything of the right type."""
    schema = tool.get("input_schema") or tool.get("parameters") or {}
    properties = schema.get("properties") or {}
    command = command or f"cat {file}"
    made: dict[str, Any] = {}
    for name in schema.get("required") or list(properties):
        kind, low = properties.get(name, {}).get("type"), name.lower()
        if "command" in low or low in ("cmd", "script"):
            made[name] = [command] if kind == "array" else command
        elif low in ("path", "file_path", "filepath", "absolute_path", "file", "filename"):
            made[name] = str(file)
        elif low in ("paths", "files"):
            plain = (properties[name].get("items") or {}).get("type") == "string"
            made[name] = [str(file)] if plain else [{"path": str(file)}]
        elif "enum" in properties.get(name, {}):
            made[name] = properties[name]["enum"][0]
        else:
            other = {"boolean": False, "integer": 10_000, "number": 10_000, "array": [], "object": {}}
            made[name] = other.get(str(kind), "look at it")
    return made


def _pieces(block: dict) -> tuple[dict, list[dict]]:
    """Return how a block of content begins in a stream, and what follows."""
    if block["type"] == "thinking":
        parts = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"])]
        parts.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, parts
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [
            {"type": "text_delta", "text": one} for one in _cut(block["text"])
        ]
    pieces = ["", *_cut(json.dumps(block["input"]))]
    return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": one} for one in pieces]


def _cut(text: str, size: int = 12) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _event(value: dict) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def _id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex[:22]
