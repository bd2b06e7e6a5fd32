"""The client's side of an exchange: its body, read as far as it is looked at, and whether it is still there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE_S = 30.0
"""How long the next piece of a body may take."""
BODY_S = 300.0
"""How long a body may take that is looked at before it is sent on."""


class LeftError(Exception):
    """The client went away before its request was complete."""


class SlowError(Exception):
    """The client sends its body too slowly."""


class Incoming:
    """One request's body."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._more = True
        self._complete = asyncio.Event()

    async def read(self, limit: int) -> bytes:
        """Returns the body, or as much of it as goes just beyond `limit` bytes. Raises LeftError and SlowError."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_S):
                while self._more and size <= limit:
                    parts.append(await self._piece())
                    size += len(parts[-1])
        except TimeoutError:
            raise SlowError from None
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def complete(self) -> bool:
        """Whether the body was read to its end."""
        return not self._more

    async def rest(self, begun: bytes) -> AsyncIterator[bytes]:
        """Yields what was read, and then the pieces that follow, as they come."""
        yield begun
        while self._more:
            yield await self._piece()

    async def left(self) -> None:
        """Returns when the client has gone away, or everything was sent to it."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _piece(self) -> bytes:
        try:
            async with asyncio.timeout(PIECE_S):
                message = await self._receive()
        except TimeoutError:
            raise SlowError from None
        if message["type"] == "http.disconnect":
            raise LeftError
        self._more = message.get("more_body", False)
        if not self._more:
            self._complete.set()
        body: bytes = message.get("body", b"")
        return body
