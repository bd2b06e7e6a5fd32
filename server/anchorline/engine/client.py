"""The engine's client: sends one request at a time to the worker process, streamed and cancellable."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from anchorline import config
from anchorline.engine.supervisor import Patience, Supervisor
from anchorline.engine.wire import (
    Count,
    Counted,
    Embed,
    Failed,
    Finished,
    FromWorker,
    Generate,
    Read,
    Ready,
    Score,
    Scores,
    Token,
    ToWorker,
    Vectors,
)
from anchorline.generation import Chunk, Request, Status, Turn, Unavailable

Awaited = TypeVar("Awaited")
Next = Callable[[], Awaitable[FromWorker]]


class Engine:
    """A local language model (`anchorline.generation.LanguageModel`). Made and used on one event loop.

    Nothing is started before the first request, or `start`.
    """

    def __init__(
        self,
        settings: config.Engine = config.Engine(),  # noqa: B008  (frozen)
        *,
        patience: Patience = Patience(),  # noqa: B008
    ) -> None:
        self._settings = settings
        self._supervisor = Supervisor(settings, patience, self._take)
        self._turn = asyncio.Lock()
        self._number = 0
        self._answers: asyncio.Queue[FromWorker] = asyncio.Queue()
        self.read: Read | None = None
        self.last: Finished | None = None

    @property
    def status(self) -> Status:
        """Where it stands now."""
        return self._supervisor.status

    @property
    def ready(self) -> Ready | None:
        """What the loaded model runs on; None while none is loaded."""
        return self._supervisor.ready

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._supervisor.pid

    def observe(self, observer: Callable[[Status], None]) -> Callable[[], None]:
        """Has `observer` called with each new status, on the event loop; the returned function ends that."""
        return self._supervisor.observe(observer)

    async def start(self) -> None:
        """Loads the model now, so that the first request need not wait for it. Raises Unavailable."""
        await self._supervisor.running()

    async def close(self) -> None:
        """Ends the worker."""
        await self._supervisor.close()

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """Yields the answer as it is generated; see `LanguageModel`."""
        async with self._ask(lambda number: Generate(number, request), request.deadline_s) as answer:
            while True:
                message = await answer()
                if isinstance(message, Token) and message.text:
                    yield Chunk(message.text)
                elif isinstance(message, Read):
                    self.read = message
                elif isinstance(message, Finished):
                    self.last = message
                    yield Chunk("", "stop" if message.finish == "stop" else "length")
                    return

    async def score(
        self, text: str, labels: Sequence[str], *, instruction: str = "", chat: bool = True
    ) -> list[float]:
        """Returns the log-probability of each label after `text`; see `LanguageModel`."""
        request = partial(Score, text=text, labels=tuple(labels), instruction=instruction, chat=chat)
        async with self._ask(request) as answer:
            while not isinstance(message := await answer(), Scores):
                pass
            return list(message.values)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Returns a vector of length 1 for each text; see `LanguageModel`."""
        async with self._ask(partial(Embed, texts=tuple(texts))) as answer:
            while not isinstance(message := await answer(), Vectors):
                pass
            return [list(vector) for vector in message.values]

    async def count(self, turns: Sequence[Turn], *, deadline_s: float | None = None) -> int:
        """Returns how many tokens a conversation has, in the model's chat template. Raises Unavailable."""
        async with self._ask(partial(Count, turns=tuple(turns)), deadline_s) as answer:
            while not isinstance(message := await answer(), Counted):
                pass
            return message.tokens

    @asynccontextmanager
    async def _ask(
        self, message: Callable[[int], ToWorker], deadline_s: float | None = None
    ) -> AsyncIterator[Next]:
        """Has the worker do one thing; gives what waits for its next message.

        Left before the end, it tells the worker to stop and does not wait until it has.
        """
        limit_s = self._settings.deadline_seconds if deadline_s is None else deadline_s
        deadline = asyncio.get_running_loop().time() + limit_s

        async def in_time(awaited: Awaitable[Awaited]) -> Awaited:
            try:
                async with asyncio.timeout_at(deadline):
                    return await awaited
            except TimeoutError:
                raise Unavailable(f"no answer within {limit_s:g} s", self.status) from None

        async def answer() -> FromWorker:
            received = await in_time(self._answers.get())
            if isinstance(received, Failed):
                raise Unavailable(received.reason, self.status)
            return received

        await in_time(self._turn.acquire())
        try:
            await in_time(self._ready_and_free())
            self._number += 1
            self._answers = asyncio.Queue()
            self._supervisor.begin(message(self._number))
            try:
                yield answer
            finally:
                if not self._supervisor.free.is_set():
                    self._supervisor.cancel(self._number)
        finally:
            self._turn.release()

    async def _ready_and_free(self) -> None:
        """Waits until a worker is ready and has ended what was cancelled before."""
        await self._supervisor.free.wait()
        await self._supervisor.running()

    def _take(self, message: FromWorker) -> None:
        if message.id in (0, self._number):
            self._answers.put_nowait(message)
