"""The worker: the process that holds a model and its engine. Started by `Engine`, which it talks to over its pipes.

One thread owns the model and does one request at a time; another reads what comes in, so that a request can be
cancelled between two tokens, and ends the process when the other side is gone.
"""

import os
import queue
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from anchorline.engine import blas, installed
from anchorline.engine.backend import Backend, StoppedError
from anchorline.engine.errors import DamagedModelError, UnservableError
from anchorline.engine.inference import Inference
from anchorline.engine.wire import (
    LENGTH,
    LONGEST,
    Cancel,
    Count,
    Embed,
    Failed,
    Finished,
    FromWorker,
    Generate,
    Load,
    Ready,
    Score,
    ToWorker,
    frame,
    to_worker,
)
from anchorline.generation import Request

FIRST = Request("a", max_tokens=1)
"""A model is ready when it has generated one token."""


class Pipes:
    """The two pipes to the other side. What libraries print goes to standard error instead."""

    def __init__(self) -> None:
        self._source: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._target: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)

    def send(self, message: FromWorker) -> None:
        """Writes a message. Without a reader the process ends."""
        try:
            self._target.write(frame(message))
        except OSError:
            os._exit(0)

    def received(self) -> Iterator[ToWorker]:
        """Yields what comes in, until the other side is gone."""
        while len(header := self._source.read(LENGTH.size)) == LENGTH.size:
            (size,) = LENGTH.unpack(header)
            if size > LONGEST or len(body := self._source.read(size)) < size:
                return
            yield to_worker.decode(body)


class Inbox:
    """What is to be done, and which of it no longer."""

    def __init__(self, pipes: Pipes) -> None:
        self._pipes = pipes
        self._waiting: queue.SimpleQueue[ToWorker] = queue.SimpleQueue()
        self._working = 0
        self._cancelled = -1
        threading.Thread(target=self._receive, name="inbox", daemon=True).start()

    def _receive(self) -> None:
        with suppress(Exception):  # a broken stream is the same as its end
            for message in self._pipes.received():
                if isinstance(message, Cancel):
                    self._cancelled = max(self._cancelled, message.id)
                else:
                    self._waiting.put(message)
        os._exit(0)

    def next(self) -> ToWorker:
        """Waits for the next message."""
        message = self._waiting.get()
        if not isinstance(message, Load):
            self._working = message.id
        return message

    def is_cancelled(self) -> bool:
        """Tells whether the last message's request was cancelled. They come in order, so the latest number tells."""
        return self._working <= self._cancelled


def main() -> None:
    """Loads the model that the first message names, then does what the others ask for."""
    os.umask(0o077)
    _go_first()
    pipes = Pipes()
    inbox = Inbox(pipes)
    first = inbox.next()
    if not isinstance(first, Load):
        return
    try:
        inference, ready = _load(first, inbox)
    except DamagedModelError as error:
        pipes.send(Failed(0, str(error), fatal=True))
        return
    except Exception as error:  # noqa: BLE001  (whatever it is, the other side must know)
        pipes.send(Failed(0, _reason(error, f"loading the model in {first.folder} failed"), fatal=True))
        return
    pipes.send(ready)
    while True:
        message = inbox.next()
        if not isinstance(message, Generate | Score | Embed | Count):
            continue
        try:
            _serve(inference, message, pipes, inbox)
        except Exception as error:  # noqa: BLE001
            fatal = _is_memory(error)
            pipes.send(Failed(message.id, _reason(error, "the model failed"), fatal=fatal))
            if fatal:
                return


def _go_first() -> None:
    """Makes Linux end this process and not the editor where memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("800")


def _load(message: Load, inbox: Inbox) -> tuple[Inference, Ready]:
    """Loads the model with the engine that its format asks for. What an engine imports, only its own models need."""
    started = time.perf_counter()
    folder = Path(message.folder)
    with ThreadPoolExecutor(1) as beside:  # hashing takes as long as importing
        verifying = beside.submit(installed.verify, folder)
        receipt = installed.receipt(folder) or verifying.result()

        def stamp() -> str:
            return verifying.result().stamp

        backend: Backend
        if receipt.format == "gguf":
            from anchorline.engine.llama import backend as llama  # noqa: PLC0415
            from anchorline.engine.llama import library  # noqa: PLC0415

            threads = blas.threads()
            backend = llama.load(
                folder,
                installed.GGUF,
                stamp,
                inbox.is_cancelled,
                threads=threads,
                conversation_bytes=message.conversation_bytes,
            )
            computing = f"llama.cpp ({library.version()})"
        else:
            fast = blas.load()
            from anchorline.engine.mlx import backend as mlx  # noqa: PLC0415  (which must find the BLAS loaded)

            backend = mlx.load(folder, stamp, inbox.is_cancelled, message.conversation_bytes)
            computing, threads = f"MLX, {fast.library}", fast.threads
        inference = Inference(backend, receipt.model.template)
    for _ in inference.generate(Generate(0, FIRST)):
        pass
    inference.rest()
    return inference, Ready(inference.device, computing, threads, time.perf_counter() - started)


def _serve(
    inference: Inference, message: Generate | Score | Embed | Count, pipes: Pipes, inbox: Inbox
) -> None:
    answers: Generator[FromWorker, None, None]
    if isinstance(message, Generate):
        answers = inference.generate(message)
    elif isinstance(message, Score):
        answers = inference.score(message)
    elif isinstance(message, Embed):
        answers = inference.embed(message)
    else:
        answers = inference.count(message)
    try:
        for answer in answers:
            if inbox.is_cancelled():
                raise StoppedError  # noqa: TRY301  (as a layer of the model does)
            pipes.send(answer)
    except StoppedError:
        answers.close()
        inference.stopped()
        pipes.send(Finished(message.id, "cancelled"))
    inference.rest()


def _is_memory(error: Exception) -> bool:
    message = str(error).lower()
    return isinstance(error, MemoryError) or "alloc" in message or "out of memory" in message


def _reason(error: Exception, what: str) -> str:
    """Says what happened; not in the exception's words, which may quote a prompt, unless they are about files."""
    if isinstance(error, UnservableError):
        return str(error)
    if _is_memory(error):
        return f"{what}: there is not enough memory"
    detail = f": {error}" if isinstance(error, OSError | ImportError) else ""
    return f"{what} ({type(error).__name__}{detail})"


if __name__ == "__main__":
    main()
