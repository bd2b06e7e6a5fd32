"""The servers that `gateway` measures against. No bench: run by it, each as a process.

uvicorn gateway_servers:upstream      answers at once, whole or streamed, without looking at the body
UPSTREAM=URL uvicorn gateway_servers:plain      passes requests on with httpx and starlette, and does nothing else
"""

import json
import os
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

USAGE = {
    "input_tokens": 12,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "output_tokens": 9,
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-5",
    "content": [{"type": "text", "text": "Done, and it is tested."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": USAGE,
}
WHOLE = json.dumps(MESSAGE).encode()
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Done "}}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    *[DELTA] * 40,
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]
STREAM = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS]


async def upstream(scope: dict, receive: Any, send: Any) -> None:
    """Answer."""
    if scope["type"] != "http":
        return
    parts = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    if b'"stream":true' in parts[-1][-100:] or b'"stream": true' in parts[0][:2000]:
        await send(_start(b"text/event-stream"))
        for event in STREAM:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await send(_start(b"application/json", (b"content-length", str(len(WHOLE)).encode())))
    await send({"type": "http.response.body", "body": WHOLE})


def _start(kind: bytes, *more: tuple[bytes, bytes]) -> dict:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind), *more]}


_clients: list[httpx.AsyncClient] = []
_RENEWED = ("host", "content-length", "connection", "transfer-encoding")


async def _pass(request: Request) -> StreamingResponse:
    if not _clients:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=256)
        _clients.append(httpx.AsyncClient(base_url=os.environ["UPSTREAM"], timeout=None, limits=limits))
    headers = [(name, value) for name, value in request.headers.raw if name.decode() not in _RENEWED]
    sent = _clients[0].build_request(
        request.method, request.url.path, headers=headers, content=await request.body()
    )
    answer = await _clients[0].send(sent, stream=True)
    kept = {name: value for name, value in answer.headers.items() if name not in _RENEWED[2:]}
    return StreamingResponse(answer.aiter_raw(), answer.status_code, kept)


plain = Starlette(routes=[Route("/{path:path}", _pass, methods=["GET", "POST"])])
