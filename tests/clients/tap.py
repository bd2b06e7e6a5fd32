"""What stands between a client and the gateway and keeps both directions, so that bytes can be compared."""

import hashlib
import logging
from typing import Any, NamedTuple

import aiohttp

logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # Codex asks for a WebSocket, which is warned of
CONNECTION = (b"connection", b"keep-alive", b"transfer-encoding")
HOP = (*CONNECTION, b"host", b"content-length")
AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Passed(NamedTuple):
    """A request and its answer; bodies as digests. `changed`: the gateway had a plan, and no reason not to follow it."""

    method: str
    path: str
    body: str
    status: int
    answer: str
    changed: bool


def digest(body: bytes) -> str:
    """Return what a body is compared by."""
    return hashlib.sha256(body).hexdigest()


class Tap:
    """The ASGI application; `target` is the gateway's address without the token. It changes the header Host alone."""

    def __init__(self) -> None:
        self.target = ""
        self.passed: list[Passed] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        path = scope["raw_path"].decode()
        if scope["query_string"]:
            path += "?" + scope["query_string"].decode()
        headers = [
            (name.decode(), value.decode("latin-1")) for name, value in scope["headers"] if name not in HOP
        ]
        if b"upgrade" in dict(scope["headers"]):
            headers.append(("connection", "upgrade"))
        answer = b""
        async with (
            aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=AUTOMATIC) as session,
            session.request(
                scope["method"], self.target + path, data=body or None, headers=headers, allow_redirects=False
            ) as reply,
        ):
            told = [(name, value) for name, value in reply.raw_headers if name.lower() not in CONNECTION]
            await send({"type": "http.response.start", "status": reply.status, "headers": told})
            async for chunk in reply.content.iter_any():
                answer += chunk
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            changed = "anchorline-plan" in reply.headers and "anchorline-unchanged" not in reply.headers
        self.passed.append(Passed(scope["method"], path, digest(body), reply.status, digest(answer), changed))
