"""Runs the gateway: one loopback socket, limits on what a connection may do, an orderly end."""

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from anchorline.config import Config
from anchorline.engine.client import Engine
from anchorline.gateway.access import Access
from anchorline.gateway.app import App
from anchorline.gateway.budget_watch import BudgetWatch
from anchorline.gateway.exchanges import Exchanges
from anchorline.gateway.incoming import Receive, Send
from anchorline.gateway.limit_watch import LimitWatch
from anchorline.gateway.listeners import Listeners
from anchorline.gateway.local import LocalTier
from anchorline.gateway.metrics import FinishedRequest
from anchorline.gateway.response_cache import ResponseCache
from anchorline.gateway.upstream import KeyMissingError, Upstream, Upstreams, upstreams
from anchorline.store import answers

if sys.platform != "win32":
    import resource

__all__ = ["HOST", "KeyMissingError", "run"]

HOST = "127.0.0.1"
BACKLOG = 1024
if sys.platform == "win32":
    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
else:
    ENDING = (signal.SIGINT, signal.SIGTERM)
HEAD_S = 10.0
"""How long a request's head may take, and how long a new connection may be silent."""
HEAD_BYTES = 64 * 1024
IDLE_S = 60
"""How long a connection is kept for the client's next request: longer than clients keep theirs, so that they close."""
GRACE_S = 5
NEVER = 1 << 30
TIDY_S = 20.0
"""How often all garbage is collected, where a moment without requests comes; at least every other time."""
TIDY_LOOKS = 1000


_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with a limit on the time and the size of a request's head, which it lacks.

    Offers of another protocol (an `Upgrade` header: HTTP/2 by Java's client, WebSockets by Codex) are declined by going
    on in HTTP/1.1 (RFC 9110, 7.8). The parser takes all that follows such a head for the other protocol, the body
    included, so the head is parsed once more without the offer, which the application still sees.
    """

    _head: TimerHandle | None = None
    _size = 0
    _offer: tuple[tuple[bytes, bytes], ...] = ()
    _offered = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of a head."""
        if self._head is not None:
            self._size += len(data)
            if self._size > HEAD_BYTES + len(data) or (self._size > HEAD_BYTES and b"\r\n\r\n" not in data):
                self.transport.write(_TOO_LARGE)
                self._late()
                return
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                method, end = self.parser.get_method(), stopped.args[0]
                if method != b"CONNECT":
                    data = self._declined(method) + data[end:]
                    continue
            except httptools.HttpParserError:
                pass
            else:
                return
            break
        self.send_400_response("Invalid HTTP request received.")

    def _declined(self, method: bytes) -> bytes:
        """Returns the head that was just parsed, without its offer."""
        self._offer = tuple(header for header in self.headers if header[0] == b"upgrade")
        lines = [b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"\r\n"))

    def on_message_begin(self) -> None:
        """Begins to wait for the next head, on a connection that is kept."""
        super().on_message_begin()
        self._offered = False
        if self._head is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Takes the head."""
        if self.parser.should_upgrade():
            self._offered = True
            return
        self._head_came()
        self.headers += self._offer
        self._offer = ()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Takes the end of a request."""
        if not self._offered:
            super().on_message_complete()

    def _await_head(self) -> None:
        self._size = 0
        self._head = self.loop.call_later(HEAD_S, self._late)

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _late(self) -> None:
        self._head_came()
        if not self.transport.is_closing():
            self.transport.close()


def run(
    config: Config,
    token: str,
    report: Callable[[str], None],
    ready: Callable[[], None],
    show: Callable[[FinishedRequest], None],
    *,
    attended: bool = False,
) -> None:
    """Serves until the process is asked to end (SIGINT, SIGTERM), or with `attended` until no language server is there.

    `ready` is called once requests are answered, `show` with each request that is over; neither may wait.

    Raises KeyMissingError and ValueError for settings that don't do, OSError where the port is taken.
    """
    providers = upstreams(config.gateway)
    _raise_file_limit()
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what it calls errors, the app has logged
    with _listening(config.gateway.port) as listening:
        settings = uvicorn.Config(
            _not_yet,
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner, suppress(KeyboardInterrupt):
            access = Access(token, config.gateway.port)
            runner.run(
                _serve(config, access, providers, settings, listening, report, ready, show, attended=attended)
            )


def _listening(port: int) -> socket.socket:
    """Returns the socket of the gateway. Raises OSError where the port is taken.

    On Windows nobody may share the port, as any program could otherwise, and read what clients send.
    """
    if sys.platform == "win32":
        listening = socket.socket()
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            listening.bind((HOST, port))
            listening.listen(BACKLOG)
        except BaseException:
            listening.close()
            raise
        return listening
    else:  # noqa: RET505  (mypy reads one branch by the platform)
        return socket.create_server((HOST, port), backlog=BACKLOG)


class _Server(uvicorn.Server):
    """uvicorn's server, which lets what it was asked to end for end in order: its own raises the signal once more."""

    listeners: Listeners

    def end(self) -> None:
        """Stops serving."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets the language servers go first: their requests never end by themselves."""
        self.listeners.close()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops serving at SIGINT and SIGTERM (Windows: also Ctrl+Break); at once when it is said twice."""
        before = {name: signal.signal(name, self.handle_exit) for name in ENDING}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


async def _not_yet(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    raise NotImplementedError


async def _serve(
    config: Config,
    access: Access,
    providers: dict[str, Upstream],
    settings: uvicorn.Config,
    listening: socket.socket,
    report: Callable[[str], None],
    ready: Callable[[], None],
    show: Callable[[FinishedRequest], None],
    *,
    attended: bool,
) -> None:
    server = _Server(settings)
    listeners = server.listeners = Listeners(server.end if attended else None)
    connections = Upstreams(providers)

    def warn(message: str) -> None:
        report(message)
        listeners.tell(f"Anchorline's gateway: {message}")

    exchanges = Exchanges(config, warn, listeners.tell, show)
    targets, recording = exchanges.planner.targets, exchanges.journal.recording
    limits = LimitWatch(config, targets, access.token.encode(), recording.limits, report)
    exchanges.price_in_windows(limits.share)
    await exchanges.start()
    limits.read()
    kept = None
    if config.answers.reuse != "off":
        kept = ResponseCache(config.answers, answers.locate(config.store.path), warn)
        await kept.start()
    engine = Engine(config.engine) if config.engine.enabled else None
    local = LocalTier(engine) if engine is not None else None
    watch = None
    if config.budget.is_set:
        watch = BudgetWatch(config, targets, report)
        exchanges.tell_bills(watch.add)
        watch.read()
    settings.app = App(
        access, connections, exchanges, time.time, kept, local, listeners, budgets=watch, limits=limits
    )
    gc.collect()
    gc.freeze()  # what is there now stays: later collections need not look at it
    gc.set_threshold(*gc.get_threshold()[:2], NEVER)
    tidying = asyncio.ensure_future(_tidy(exchanges))
    asyncio.get_running_loop().call_soon(ready)
    listeners.start()
    try:
        await server.serve(sockets=[listening])
    finally:
        tidying.cancel()
        await connections.close()
        await limits.end()
        await exchanges.end()
        if watch is not None:
            await watch.end()
        if kept is not None:
            await kept.end()
        if engine is not None:
            await engine.close()


async def _tidy(exchanges: Exchanges) -> None:
    """Has all garbage collected while no request waits for its plan: that takes ten milliseconds and more."""
    while True:
        await asyncio.sleep(TIDY_S)
        for _ in range(TIDY_LOOKS):
            if exchanges.idle:
                break
            await asyncio.sleep(TIDY_S / TIDY_LOOKS)
        gc.collect()


def _raise_file_limit() -> None:
    """Takes as many files as the system allows: every connection is one, and has one to its provider."""
    if sys.platform != "win32":
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
