"""Messages over standard input and output, each in a thread of its own.

A thread that always reads means that an editor which writes while it does not read can never be dead-locked
against us, and that `$/cancelRequest` is seen while a request is answered. Neither thread shares a pool with
any other work.
"""

import json
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

import msgspec

from anchorline.lsp.protocol import JSON
from anchorline.lsp.wire.framing import Fault, Framer

CHUNK = 1 << 16
MOST_WAITING = 128 << 20
"""Bytes that may wait for a client to read them: the longest answers have some megabytes."""
log = logging.getLogger(__name__)


def decode(body: bytes) -> JSON:
    """Returns the JSON value of a message. Raises ValueError or RecursionError.

    `msgspec` is the fast path; the standard library reads the one thing that it refuses and editors send:
    an escaped lone surrogate.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def encode(message: dict[str, Any]) -> bytes:
    """Returns the frame of one message."""
    try:
        body = msgspec.json.encode(message)
    except UnicodeEncodeError:
        body = json.dumps(msgspec.to_builtins(message)).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class MessageReader:
    """Reads messages from a file descriptor until it ends, and hands each over.

    `receive` gets a decoded message, `fault` the reason why bytes were no message (its second argument says
    whether they were a frame at all), `ended` is called once at the end. All run in the reader's thread.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        receive: Callable[[JSON], None],
        fault: Callable[[str, bool], None],
        ended: Callable[[], None],
    ) -> None:
        self._descriptor = descriptor
        self._receive = receive
        self._fault = fault
        self._ended = ended
        self._framer = Framer()

    def start(self) -> None:
        """Starts reading in a daemon thread."""
        threading.Thread(target=self._run, name="stdin", daemon=True).start()

    def _run(self) -> None:
        try:
            while chunk := os.read(self._descriptor, CHUNK):
                self._take(chunk)
        except OSError as error:
            log.warning("standard input can't be read (errno %s)", error.errno)
        except RuntimeError:
            return  # the event loop is closed: the server has stopped already
        self._ended()

    def _take(self, chunk: bytes) -> None:
        for frame in self._framer.feed(chunk):
            if isinstance(frame, Fault):
                self._fault(frame.message, False)
                continue
            try:
                message = decode(frame.data)
            except (ValueError, RecursionError):
                self._framer.reject(frame.data)
                self._fault("the message is not valid JSON", True)
            else:
                self._receive(message)


class MessageWriter:
    """Writes frames to a binary stream in the order in which they were given, and never makes the caller wait.

    `broken` is called once, in any thread, when the other side has gone, or leaves `MOST_WAITING` bytes unread.
    """

    def __init__(self, stream: BinaryIO, broken: Callable[[], None]) -> None:
        self._stream = stream
        self._broken = broken
        self._frames: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._gave_up = False
        self._thread = threading.Thread(target=self._run, name="stdout", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        """Queues one frame."""
        with self._counting:
            self._waiting += len(data)
            late = self._waiting > MOST_WAITING
        if not late:
            self._frames.put(data)
        elif not self._gave_up:
            self._gave_up = True
            log.error("the client does not read what it is told: %s bytes wait", self._waiting)
            self._broken()

    def close(self, timeout: float = 1.0) -> None:
        """Writes what is queued, for at most `timeout` seconds."""
        self._frames.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while (frame := self._frames.get()) is not None:
                self._stream.write(frame)
                self._stream.flush()
                with self._counting:
                    self._waiting -= len(frame)
        except (OSError, ValueError):
            self._broken()
