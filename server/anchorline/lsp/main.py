"""`anchorline lsp`: runs the server over standard input and output until the editor is done or gone."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from lsprotocol import types

from anchorline.live import logs
from anchorline.lsp.server import Handlers, Server
from anchorline.lsp.wire.stdio import MessageReader, MessageWriter

EXIT_S = 3.0
log = logging.getLogger(__name__)


def create(log_level: str | None = None) -> Server:
    """Returns a server with all its features."""
    return Server(_load, log_level)


def _load(server: Server, params: types.InitializeParams) -> Handlers:
    # Planner, engine, store and reports take a quarter of the whole start, which the editor need not wait for.
    from anchorline.lsp import setup  # noqa: PLC0415

    return setup.load(server, params)


def run(server: Server) -> int:
    """Serves standard input and output; returns the exit code.

    Whatever prints to standard output by mistake lands on standard error instead of in the protocol.
    """
    logs.configure(server.log_level or "warning")
    descriptor = os.dup(0)
    stream = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    try:
        asyncio.run(_serve(server, descriptor, stream))
    except KeyboardInterrupt:
        return 130
    return _exit_code(server)


async def _serve(server: Server, descriptor: int, stream: BinaryIO) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def on_loop(call: Callable[..., Any], *arguments: object) -> None:
        try:
            loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            log.debug("the event loop has ended")

    def gone() -> None:
        _exit_within(EXIT_S, server)
        on_loop(server.protocol.in_turn, stopped.set)

    server.editor_gone = gone
    server.protocol.on_exit = stopped.set
    server.protocol.outbox = MessageWriter(stream, gone)
    reader = MessageReader(
        descriptor,
        receive=partial(on_loop, server.protocol.receive),
        fault=partial(on_loop, server.protocol.fault),
        ended=gone,
    )
    reader.start()
    await stopped.wait()
    _exit_within(EXIT_S, server)
    tasks = server.protocol.abandon()
    if tasks:
        await asyncio.wait(tasks, timeout=0.5)
    await server.end()
    server.protocol.outbox.close()


def _exit_within(seconds: float, server: Server) -> None:
    """Makes sure that the process ends, even if a thread or the event loop hangs."""
    timer = threading.Timer(seconds, lambda: os._exit(_exit_code(server)))
    timer.daemon = True
    timer.start()


def _exit_code(server: Server) -> int:
    return 0 if server.protocol.was_shut_down else 1


def main(log_level: str | None = None) -> None:
    """Runs the server and ends the process."""
    sys.exit(run(create(log_level)))
