"""The helper: one process for each user and data folder that answers hooks and status lines, and ends when it is idle.

The first client that finds none starts it (`client.py`), ten at once start one: whoever has the lock listens. It
listens on a Unix socket in the data folder that only its owner may open (0600), and speaks to processes of that user
alone. Where there are no Unix sockets (Windows, some shared folders) it listens on a loopback port whose token stands
in a file (0600), and proves to know it before a client says anything.
"""

import asyncio
import gc
import hmac
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from anchorline import files
from anchorline.hooks import client, client_aside, events, handlers
from anchorline.hooks.events import Display, Handler
from anchorline.hooks.grounding import Grounding
from anchorline.hooks.status_line import StatusLine
from anchorline.live import logs

LOCK = "hooks.lock"
LOCK_S = 5.0
"""How long the end of a helper is waited for that is replaced."""
IDLE_S = 1800.0
LOOK_S = 30.0
"""How often a helper asks itself whether it is still wanted."""
READ_S = 5.0
CLOSE_S = 3.0
CONNECTIONS = 64
WAITING = 256
"""Events of which the agent does not wait for the end; further ones are dropped, and said in the log."""
THREADS = 4
HEADER_BYTES = 200
log = logging.getLogger("anchorline.hooks.server")  # `__name__` is `__main__` here


class Request(msgspec.Struct, frozen=True):
    """What a client asks: `client.header`, `client.environment` and the event's bytes."""

    source: str
    stamp: int
    display: Display
    environment: dict[str, str]
    event: bytes

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Reads a request. Raises ValueError."""
        line, _, rest = raw.partition(b"\n")
        variables, separator, event = rest.partition(b"\n")
        if not separator or len(line) > HEADER_BYTES:
            raise ValueError("a request begins with two lines")
        given = [variable.partition("=") for variable in os.fsdecode(variables).split("\t") if variable]
        environment = {name: value for name, _, value in given}
        source, stamp, columns, style = line.decode("ascii").split(" ")
        return cls(source, int(stamp), Display(int(columns), style == "color"), environment, event)


class Entrance(msgspec.Struct, frozen=True):
    """Where clients come in: a Unix socket and its file as it was made; else a loopback port and its token."""

    listening: socket.socket
    file: os.stat_result | None = None
    port: int = 0
    token: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether no client finds it any more."""
        return self.file is not None and not _is_same(self.file)


class Helper:
    """Answers requests until it is idle or outdated. Used on the event loop."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._status_line = StatusLine()
        self._grounding = Grounding()
        self._handlers = handlers.handlers(self._status_line, self._grounding)
        self._stamp = client.stamp()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="hook")
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="queue")
        self._waiting: set[asyncio.Future[bytes]] = set()
        self._active: set[asyncio.Task[None] | None] = set()
        self._used_at = time.monotonic()
        self.ended = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether nobody has asked for long, and nothing is left to do."""
        return not self._active and not self._waiting and time.monotonic() - self._used_at > IDLE_S

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one connection; at a port, after both sides have shown that they know the token."""
        token = self._entrance.token
        self._used_at = time.monotonic()
        task = asyncio.current_task()
        self._active.add(task)
        try:
            if len(self._active) <= CONNECTIONS and (token or _is_own(writer)):
                async with asyncio.timeout(READ_S):
                    if token:
                        await _admit(reader, writer, token, self._entrance.port)
                    raw = await _read(reader)
                writer.write(await self._answered(Request.read(raw)))
                async with asyncio.timeout(READ_S):
                    await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            log.warning("a client was not answered: %s", type(error).__name__)
        finally:
            self._active.discard(task)
            writer.close()

    async def _answered(self, request: Request) -> bytes:
        if request.stamp > self._stamp or _stamp() != self._stamp:
            self.ended.set()  # the installed files are newer than what runs here
            return client.OUTDATED
        if request.source == client.END:
            self.ended.set()
            return client.ANSWERED
        try:
            event = events.read(request.event)
            event[events.ENVIRONMENT] = request.environment
            event[events.DISPLAY] = request.display
        except (msgspec.DecodeError, RecursionError):
            log.warning("%s: an event that can't be read", request.source)
            return client.ANSWERED
        handler = self._handlers.get((request.source, events.name(event)))
        if handler is None:
            return client.ANSWERED
        loop = asyncio.get_running_loop()
        if handler.is_awaited:
            return client.ANSWERED + await loop.run_in_executor(self._pool, _handled, handler, event)
        if len(self._waiting) < WAITING:
            future = loop.run_in_executor(self._queue, _handled, handler, event)
            self._waiting.add(future)
            future.add_done_callback(self._waiting.discard)
        else:
            log.warning("%s: too many events wait; one is dropped", request.source)
        return client.ANSWERED

    async def watch(self) -> None:
        """Returns when the helper is to end: idle, outdated, told to, or its socket is not in its place any more."""
        while not self.ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.ended.wait()
            if self.is_idle or self._entrance.is_gone:
                self.ended.set()

    async def close(self) -> None:
        """Finishes what was begun, within `CLOSE_S`."""
        unfinished: list[asyncio.Future[Any]] = [*self._waiting, *filter(None, self._active)]
        if unfinished:
            await asyncio.wait(unfinished, timeout=CLOSE_S)
        self._queue.shutdown(wait=False, cancel_futures=True)
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._grounding.close)
        await asyncio.to_thread(self._status_line.close)


def main() -> None:
    """Runs the helper of the data folder, where none runs yet."""
    folder = files.data_folder().absolute()
    files.make_folder(folder)
    os.chdir(folder)  # the opened folder is none of its business, and the socket's path gets short
    logs.configure("warning")
    logging.getLogger().handlers[:] = [_LogFile()]
    try:
        with files.lock(Path(LOCK), LOCK_S):
            entrance = _opened()
            asyncio.run(_run(entrance))
            if entrance.file is not None and not entrance.is_gone:
                Path(client.SOCKET).unlink(missing_ok=True)
    except TimeoutError:
        return  # another one runs
    if threading.active_count() > 1:
        os._exit(0)  # a handler that hangs


async def _run(entrance: Entrance) -> None:
    helper = Helper(entrance)
    with suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, helper.ended.set)
    server = await asyncio.start_server(helper.serve, sock=entrance.listening, limit=1 << 16)
    gc.collect()
    gc.freeze()  # what was imported stays: looking at it takes 20 ms each time
    await helper.watch()
    server.close()
    await helper.close()


def _opened() -> Entrance:
    """Opens the entrance, and says to those who wait for it that it is there."""
    entrance = _unix() or _loopback()
    if entrance.token:
        files.write(Path(client_aside.ADDRESS), f"{entrance.port} {entrance.token}\n")
    else:
        Path(client_aside.ADDRESS).unlink(missing_ok=True)
    Path(client_aside.STARTING).unlink(missing_ok=True)
    return entrance


def _unix() -> Entrance | None:
    if sys.platform == "win32":
        return None
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        Path(client.SOCKET).unlink(missing_ok=True)  # its owner has gone: we have the lock
        listening.bind(client.SOCKET)
        listening.listen(CONNECTIONS)
        return Entrance(listening, Path(client.SOCKET).stat())
    except OSError as error:
        listening.close()
        log.warning("no Unix socket can be made here (errno %s): a loopback port is used", error.errno)
        return None
    finally:
        os.umask(umask)


def _loopback() -> Entrance:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind((client_aside.HOST, 0))
    listening.listen(CONNECTIONS)
    return Entrance(
        listening, port=listening.getsockname()[1], token=secrets.token_urlsafe(client_aside.NONCE_BYTES)
    )


def _is_own(writer: asyncio.StreamWriter) -> bool:
    connection = writer.get_extra_info("socket")
    try:
        return client.is_own(connection)
    except OSError:
        return False


async def _admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str, port: int) -> None:
    """Proves to know the token, and reads it. Raises ValueError where the client does not know it."""
    nonce = (await reader.readline()).strip().decode("ascii")
    if len(nonce) != 2 * client_aside.NONCE_BYTES:
        raise ValueError("no challenge")
    writer.write(client_aside.proof(token, port, nonce).encode())
    if not hmac.compare_digest((await reader.readline()).strip(), token.encode()):
        raise ValueError("a wrong token")


async def _read(reader: asyncio.StreamReader) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > client.EVENT_BYTES + HEADER_BYTES:
            raise ValueError("too long")
    return b"".join(pieces)


def _handled(handler: Handler, event: events.Event) -> bytes:
    try:
        return events.written(handler.handle(event))
    except Exception:
        log.exception("%s failed", events.name(event))
        return b""


def _stamp() -> int:
    try:
        return client.stamp()
    except OSError:  # uninstalled, or just being replaced
        return 0


def _is_same(socket_file: os.stat_result) -> bool:
    try:
        now = Path(client.SOCKET).stat()
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (socket_file.st_dev, socket_file.st_ino)


class _LogFile(logging.Handler):
    """Appends to the clients' log."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.SafeFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record."""
        client_aside.append(self.format(record))


if __name__ == "__main__":
    main()
