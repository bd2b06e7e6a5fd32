"""The language server: what it offers, and the loop that runs it.

`create` is the only place that binds features; each of them is a file of `features/`.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from lsprotocol import converters, types
from pygls.lsp.server import LanguageServer

from anchorline import __version__
from anchorline.live import logs
from anchorline.lsp import protocol
from anchorline.lsp.features import (
    code_action,
    code_lens,
    configuration,
    diagnostics,
    explain,
    feedback,
    hover,
    initialize,
    inlay_hint,
    outcome,
    plan,
    preview,
    refine,
    report,
    status,
    sync,
)
from anchorline.lsp.session import Session
from anchorline.lsp.wire.editor_process import watch
from anchorline.lsp.wire.messages import Protocol
from anchorline.lsp.wire.stdio import Reader, Writer

EXIT_S = 3.0
log = logging.getLogger(__name__)


class Server(LanguageServer):
    """One client's server. `session` is its state."""

    protocol: Protocol

    def __init__(self) -> None:
        super().__init__(
            "anchorline",
            __version__,
            protocol_cls=Protocol,
            converter_factory=converters.get_converter,
        )
        self.session = Session(self.warn, partial(diagnostics.refresh_all, self))
        self.log_level: str | None = None
        self.editor_gone: Callable[[], None] = lambda: None

    def warn(self, message: str) -> None:
        """Show a warning to the developer."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, message))

    def inform(self, message: str) -> None:
        """Show a message to the developer."""
        self.window_show_message(types.ShowMessageParams(types.MessageType.Info, message))

    def watch_editor(self, process_id: int | None) -> None:
        """End when the editor's process has ended."""
        if process_id is not None and not watch(process_id, self.editor_gone):
            log.warning("the editor's process %d is not visible from here; only stdin is watched", process_id)

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:  # noqa: ARG002  (pygls' signature)
        """Log an error of pygls' own; it is never shown with its message."""
        log.error("pygls reports an error", exc_info=error)


FEATURES: tuple[tuple[str, Callable[..., Any], Any], ...] = (
    (types.INITIALIZE, initialize.initialize, None),
    (types.INITIALIZED, initialize.initialized, None),
    (types.WORKSPACE_DID_CHANGE_CONFIGURATION, configuration.did_change, None),
    (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, configuration.file_changed, None),
    (types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS, configuration.folders_changed, None),
    (types.TEXT_DOCUMENT_DID_OPEN, sync.did_open, None),
    (types.TEXT_DOCUMENT_DID_CHANGE, sync.did_change, None),
    (types.TEXT_DOCUMENT_DID_SAVE, sync.did_save, types.SaveOptions(include_text=False)),
    (types.TEXT_DOCUMENT_DID_CLOSE, sync.did_close, None),
    (types.TEXT_DOCUMENT_DIAGNOSTIC, diagnostics.pull, diagnostics.OPTIONS),
    (types.TEXT_DOCUMENT_CODE_ACTION, code_action.code_action, code_action.OPTIONS),
    (types.CODE_ACTION_RESOLVE, code_action.resolve, None),
    (types.TEXT_DOCUMENT_HOVER, hover.hover, None),
    (types.TEXT_DOCUMENT_INLAY_HINT, inlay_hint.inlay_hint, None),
    (types.TEXT_DOCUMENT_CODE_LENS, code_lens.code_lens, None),
    (protocol.PLAN, plan.plan, None),
    (protocol.REFINE, refine.refine, None),
    (protocol.PREVIEW, preview.preview, None),
    (types.WORKSPACE_TEXT_DOCUMENT_CONTENT, preview.content, None),
    (protocol.OUTCOME, outcome.outcome, None),
    (protocol.FEEDBACK, feedback.feedback, None),
    (protocol.EXPLAIN, explain.explain, None),
    (protocol.STATUS, status.status, None),
    (protocol.REPORT, report.report, None),
)

COMMANDS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("anchorline.plan", plan.command),
    ("anchorline.refine", refine.command),
    ("anchorline.preview", preview.command),
    ("anchorline.outcome", outcome.command),
    ("anchorline.feedback", feedback.command),
    ("anchorline.explain", explain.command),
    ("anchorline.status", status.command),
    ("anchorline.report", report.command),
)


def create() -> Server:
    """Return a server with all its features."""
    server = Server()
    for method, handler, options in FEATURES:
        server.feature(method, options)(partial(handler, server))
    for name, handler in COMMANDS:
        server.command(name)(partial(handler, server))
    return server


def run(server: Server, log_level: str | None = None) -> int:
    """Serve standard input and output until the editor is done or gone; return the exit code.

    Whatever prints to standard output by mistake lands on standard error instead of in the protocol.
    """
    logs.configure(log_level or "warning")
    server.log_level = log_level
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
        on_loop(stopped.set)

    server.editor_gone = gone
    server.protocol.stop = stopped.set
    server.protocol.outbox = Writer(stream, gone)
    reader = Reader(
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
    await server.session.end()
    server.protocol.outbox.close()


def _exit_within(seconds: float, server: Server) -> None:
    """Make sure that the process ends, even if a thread or the event loop hangs."""
    timer = threading.Timer(seconds, lambda: os._exit(_exit_code(server)))
    timer.daemon = True
    timer.start()


def _exit_code(server: Server) -> int:
    return 0 if server.protocol.was_shut_down else 1


def main(log_level: str | None = None) -> None:
    """Run the server and end the process."""
    sys.exit(run(create(), log_level))
