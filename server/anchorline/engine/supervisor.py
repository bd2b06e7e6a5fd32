"""Starts the worker when it is needed, watches it at work, restarts it when it breaks, and unloads it."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from anchorline import config
from anchorline.engine import installed, manifest, process, requirements
from anchorline.engine.process import Process
from anchorline.engine.wire import (
    Cancel,
    Counted,
    Failed,
    Finished,
    FromWorker,
    Load,
    Ready,
    Scores,
    ToWorker,
    Vectors,
)
from anchorline.generation import State, Status, Unavailable

log = logging.getLogger(__name__)


class Patience(msgspec.Struct, frozen=True):
    """How long to wait for what, in seconds.

    `stall`: without a sign of life (a token, a part of the prompt) a busy worker counts as hung. `start`: loading a
    model. `again`: the pauses before a broken worker is started again; after the last one it has failed. `cool`:
    after that, a request makes a failed engine try again.
    """

    stall: float = 20.0
    start: float = 120.0
    again: tuple[float, ...] = (0.2, 2.0, 8.0)
    cool: float = 30.0


class Supervisor:
    """Keeps a worker and says where it stands. `deliver` takes what the worker answers, on the event loop."""

    def __init__(
        self,
        settings: config.Engine,
        patience: Patience,
        deliver: Callable[[FromWorker], None],
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._deliver = deliver
        self._observers: list[Callable[[Status], None]] = []
        self._process: Process | None = None
        self._hello: asyncio.Future[Ready] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._breaks = 0
        self._failed: tuple[float, str] | None = None
        self._reason = ""
        self.ready: Ready | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.status = Status("idle", model=settings.model or manifest.default())
        if missing := self._missing():
            self._set("absent", missing)

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._process.pid if self._process is not None else None

    def observe(self, observer: Callable[[Status], None]) -> Callable[[], None]:
        """Has `observer` called with each new status; the returned function ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    async def running(self) -> None:
        """Waits until a worker is ready, starting one where there is none. Raises Unavailable."""
        if self._process is not None and self.ready is not None:
            return
        if missing := self._missing():
            self._set("absent", missing)
            raise Unavailable(missing, self.status)
        if self._failed is not None and not self._worth_a_try(*self._failed):
            raise Unavailable(self.status.reason, self.status)
        if self._starting is None or self._starting.done():
            self._breaks = 0
            self._set("starting")
            self._starting = asyncio.ensure_future(self._start())
        await asyncio.shield(self._starting)
        if self.ready is None:
            raise Unavailable(self.status.reason, self.status)

    def begin(self, message: ToWorker) -> None:
        """Gives a ready worker something to do; `free` is set when it is done. Raises Unavailable."""
        assert self._process is not None  # noqa: S101  (running() was awaited)
        try:
            self._process.send(message)
        except UnicodeEncodeError:
            raise Unavailable("the text is not valid Unicode", self.status) from None
        self.free.clear()
        self._set("busy")
        self._heard = self._now()
        self._after(self._patience.stall, self._watch)

    def cancel(self, number: int) -> None:
        """Has the worker stop a request at its next token."""
        if self._process is not None:
            self._process.send(Cancel(number))

    async def close(self) -> None:
        """Ends the worker."""
        if self._starting is not None:
            self._starting.cancel()
        ending, self._process = self._process, None
        self._after(None)
        self._set("idle", "closed")
        if ending is not None:
            ending.kill()
            await ending.gone()

    # Status

    def _set(self, state: State, reason: str = "") -> None:
        device = self.ready.device if self.ready is not None else ""
        status = Status(state, reason, self.status.model, device)
        if status != self.status:
            self.status = status
            log.info("engine: %s %s", state, reason)
            for observer in tuple(self._observers):
                observer(status)

    def _missing(self) -> str:
        """Says what is missing for an engine at all."""
        if not self._settings.enabled:
            return "the local model is switched off (engine.enabled)"
        receipt = installed.receipt(self._folder)
        if lacks := requirements.missing(None if receipt is None else receipt.format):
            return lacks
        if receipt is None:
            name = self.status.model
            return f"the model {name} is not installed: run `anchorline model pull {name}`"
        return ""

    @property
    def _folder(self) -> Path:
        return installed.folder(self.status.model)

    def _stamp(self) -> str:
        receipt = installed.receipt(self._folder)
        return f"{receipt.stamp} {(self._folder / installed.RECEIPT).stat().st_mtime_ns}" if receipt else ""

    def _worth_a_try(self, since: float, stamp: str) -> bool:
        return self._now() - since >= self._patience.cool or self._stamp() != stamp

    # How it starts and how it ends

    async def _start(self, pause: float = 0.0) -> None:
        """Starts a worker and wait until it is ready. What goes wrong ends in a status, not in an exception."""
        self._failed = None
        self._reason = ""
        await asyncio.sleep(pause)
        self._hello = asyncio.get_running_loop().create_future()
        try:
            self._process = await process.start(installed.root(), self._received, self._ended)
            self._process.send(Load(str(self._folder), self._settings.conversation_megabytes << 20))
            async with asyncio.timeout(self._patience.start):
                self.ready = await self._hello
        except OSError as error:
            self._give_up(f"the worker can't be started: {error}")
        except TimeoutError:
            self._reason = f"the model was not loaded within {self._patience.start:g} s"
            self._kill()
        except Unavailable:
            pass  # _ended has said why
        else:
            self._set("ready")
            self._rest()

    def _received(self, message: FromWorker) -> None:
        self._heard = self._now()
        if isinstance(message, Ready):
            if self._hello is not None and not self._hello.done():
                self._hello.set_result(message)
            return
        if isinstance(message, Failed):
            self._reason = message.reason
        self._deliver(message)
        if isinstance(message, Finished | Scores | Vectors | Counted | Failed) and not _is_fatal(message):
            if not isinstance(message, Failed):
                self._breaks = 0
            self.free.set()
            self._set("ready")
            self._rest()

    def _ended(self, ended: Process, reason: str) -> None:
        if ended is not self._process:
            return  # it was ended on purpose
        loading = self.ready is None
        given = self._reason
        reason = given or reason
        self._process = self.ready = None
        self._after(None)
        pauses = self._patience.again
        if (loading and given) or self._breaks >= len(pauses):
            self._give_up(reason)  # a model that says why it can't be loaded says so again
        else:
            self._set("restarting", reason)
            self._starting = asyncio.ensure_future(self._start(pauses[self._breaks]))
            self._breaks += 1
        if self._hello is not None and not self._hello.done():
            self._hello.set_exception(Unavailable(reason, self.status))
        self._deliver(Failed(0, reason, fatal=True))
        self.free.set()

    def _give_up(self, reason: str) -> None:
        self._failed = self._now(), self._stamp()
        self._set("failed", reason)

    # Time

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _after(self, seconds: float | None, then: Callable[[], None] = lambda: None) -> None:
        """Does the one thing that waits for a time: watch a busy worker, or unload an idle one."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, then)

    def _rest(self) -> None:
        self._after(self._settings.idle_seconds or None, self._unload)

    def _watch(self) -> None:
        silent = self._now() - self._heard
        if silent < self._patience.stall:
            self._after(self._patience.stall - silent, self._watch)
        else:
            self._reason = f"the worker hung: no token for {self._patience.stall:g} s"
            self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _unload(self) -> None:
        unloaded, self._process = self._process, None
        self.ready = None
        self._set("idle", f"unloaded after {self._settings.idle_seconds} s without a request")
        if unloaded is not None:
            unloaded.kill()


def _is_fatal(message: FromWorker) -> bool:
    return isinstance(message, Failed) and message.fatal
