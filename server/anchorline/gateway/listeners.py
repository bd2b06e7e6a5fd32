"""Sends warnings to the programs that listen to the gateway: each holds one request open.

They are language servers and runs of `anchorline run`. `/TOKEN/events` (`/TOKEN/events/RUN`) answers with server-sent
events until one side goes. A gateway that one of them has started ends with the last of them; one that somebody has
started by hand does not.
"""

import asyncio
from collections.abc import Callable

import msgspec

from anchorline.gateway.incoming import Receive, Send

FIRST_S = 30.0
"""How long the first may take to come."""
LAST_S = 3.0
"""How long another one may take to come when the last has gone: an editor that is started again."""
WAITING = 32
"""Warnings that wait for a server that does not read; further ones are dropped."""


class WarningEvent(msgspec.Struct, frozen=True):
    """What a listener hears."""

    warning: str


class Listeners:
    """The programs that listen. `ended` is called when the gateway is to end with them; None: it goes on.

    Used on the event loop.
    """

    def __init__(self, ended: Callable[[], None] | None) -> None:
        self._ended = ended
        self._there: dict[asyncio.Queue[WarningEvent | None], str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Waits for the first."""
        self._wait(FIRST_S)

    def tell(self, warning: str) -> None:
        """Tells all of them."""
        for queue in self._there:
            if queue.qsize() < WAITING:  # the place left is for the end
                queue.put_nowait(WarningEvent(warning))

    def close(self) -> None:
        """Lets all go."""
        self._ended = None
        for queue in self._there:
            if not queue.full():  # else its end is in it
                queue.put_nowait(None)

    def holds(self, run: str) -> bool:
        """Returns whether a run listens."""
        return run in self._there.values()

    async def listen(self, receive: Receive, send: Send, run: str = "") -> None:
        """Serves one until it goes; `run` is the id of the run that it is, empty for a language server."""
        queue: asyncio.Queue[WarningEvent | None] = asyncio.Queue(WAITING + 1)
        self._there[queue] = run
        leaving = asyncio.ensure_future(_left(receive))
        leaving.add_done_callback(lambda _: queue.put_nowait(None) if not queue.full() else None)
        try:
            headers = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
            while (warning := await queue.get()) is not None:
                event = b"data: " + msgspec.json.encode(warning) + b"\n\n"
                await send({"type": "http.response.body", "body": event, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            del self._there[queue]
            if not self._there:
                self._wait(LAST_S)

    def _wait(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._ended is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._end_alone)

    def _end_alone(self) -> None:
        if self._ended is not None and not self._there:
            self._ended()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
