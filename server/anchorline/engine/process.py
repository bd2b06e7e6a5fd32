"""One worker process: sends it messages, receives its answers, and says how it ended."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from anchorline import files, isolated
from anchorline.engine.wire import LENGTH, LONGEST, FromWorker, ToWorker, frame, from_worker

COMMAND = isolated.python("anchorline.engine.worker")
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",  # nothing is downloaded but by `anchorline model pull`
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
}
if sys.platform == "win32":
    KILL = signal.SIGTERM  # every signal ends a process at once there
else:
    KILL = signal.SIGKILL
LAST_WORDS = 2_000
"""Bytes of standard error that are kept, for the reason of an abort."""


class Process:
    """A running worker. `received` is called with each message, `ended` once with the reason, on the event loop."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        received: Callable[[FromWorker], None],
        ended: "Callable[[Process, str], None]",
    ) -> None:
        self._process = process
        self._received = received
        self._ended = ended
        self._last_words = b""
        self._following = asyncio.ensure_future(self._follow())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def send(self, message: ToWorker) -> None:
        """Sends a message; without waiting, and without effect on a process that has ended."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(frame(message))

    def kill(self) -> None:
        """Ends the process at once, stopped or not."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, KILL)  # asyncio's own may lose the exit code

    async def gone(self) -> None:
        """Waits until it has ended and everything it said is taken in."""
        await asyncio.shield(self._following)

    async def _follow(self) -> None:
        listening = asyncio.ensure_future(self._listen())
        with suppress(OSError, asyncio.IncompleteReadError, msgspec.MsgspecError):
            await self._receive()
        self.kill()  # it says nothing any more
        await listening
        code = await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._ended(self, self._reason(code))

    async def _receive(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101  (made with a pipe)
        while True:
            (size,) = LENGTH.unpack(await stream.readexactly(LENGTH.size))
            if size > LONGEST:
                return
            self._received(from_worker.decode(await stream.readexactly(size)))

    async def _listen(self) -> None:
        stream = self._process.stderr
        assert stream is not None  # noqa: S101
        while chunk := await stream.read(1 << 16):
            self._last_words = (self._last_words + chunk)[-LAST_WORDS:]

    def _reason(self, code: int) -> str:
        if code < 0:
            try:
                how = f"the worker was ended by {signal.Signals(-code).name}"
            except ValueError:
                how = f"the worker was ended by signal {-code}"
        else:
            how = f"the worker ended with code {code}"
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return f"{how}: {lines[-1][:200]}" if lines and code not in (-KILL, 0) else how


async def start(
    folder: Path, received: Callable[[FromWorker], None], ended: Callable[[Process, str], None]
) -> Process:
    """Starts a worker for the models in `folder`. Raises OSError."""
    own = folder / ".worker"  # MLX puts programs that it compiles here, where nobody else may put any
    files.make_folder(own)
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=own,
        env=os.environ | ENVIRONMENT | {"TMPDIR": str(own)},
        start_new_session=True,
    )
    return Process(process, received, ended)
