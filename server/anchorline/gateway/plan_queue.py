"""Queues requests for planning, one at a time in a thread, first those whose sending waits for it.

What waits is bounded by its bytes, and how long a request is held back for its plan by time: one that is late makes
room for the next, and is planned for the record once no other is held back. So a burst is planned in full, and where
more comes than can be planned, as many requests as can be are changed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Plan = TypeVar("Plan")

DEADLINE_S = 1.0
"""How long a request may be held back for its plan. One that goes on without may cost a cached prefix."""
WAITING_BYTES = 128 << 20
"""Bodies that may wait, held back or for the record: more than a second's planning. One may always."""
ITEM_BYTES = 32 << 10
"""What a waiting request takes beside its body."""


class FullError(Exception):
    """Too much waits, so that no plan is made."""


class _Waiting(NamedTuple, Generic[Item, Plan]):
    deadline: float
    item: Item
    size: int
    made: "asyncio.Future[Plan]"


class _Line(Generic[Item, Plan]):
    """A line of bounded size."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting[Item, Plan]] = deque()
        self._bytes = 0

    def put(self, waiting: _Waiting[Item, Plan]) -> bool:
        """Appends, unless there is too much; returns whether that was done."""
        if self._waiting and self._bytes + waiting.size > WAITING_BYTES:
            return False
        self._waiting.append(waiting)
        self._bytes += waiting.size
        return True

    def next(self) -> _Waiting[Item, Plan] | None:
        """Takes out the first one."""
        if not self._waiting:
            return None
        waiting = self._waiting.popleft()
        self._bytes -= waiting.size
        return waiting


class PlanQueue(Generic[Item, Plan]):
    """Makes plans by `plan`, which is called in a thread of its own. Used on the event loop only."""

    def __init__(self, plan: Callable[[Item], Plan]) -> None:
        self._plan = plan
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="plan")
        self._held = _Line[Item, Plan]()
        self._others = _Line[Item, Plan]()
        self._working: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[], object]) -> None:
        """Does something in the thread of the plans."""
        await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def put(self, item: Item, size: int, *, held: bool) -> "asyncio.Future[Plan] | None":
        """Has a plan made; None where too much waits. `size` is the body's, in bytes.

        `held`: the request is held back for it, up to `DEADLINE_S`. The future fails as `plan` does, and by FullError.
        """
        loop = asyncio.get_running_loop()
        made: asyncio.Future[Plan] = loop.create_future()
        waiting = _Waiting(loop.time() + DEADLINE_S, item, size + ITEM_BYTES, made)
        if not (self._held if held else self._others).put(waiting):
            return None
        if self._working is None:
            self._working = asyncio.ensure_future(self._work())
        return made

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while (waiting := self._next(loop.time())) is not None:
            _, item, _, made = waiting
            try:
                plan = await loop.run_in_executor(self._pool, self._plan, item)
            except Exception as error:  # noqa: BLE001  (who waits for the plan handles it)
                made.set_exception(error)
            else:
                made.set_result(plan)
                del plan
            del item, made, waiting
            # A request that is answered already is settled first: the next plan knows of it.
            await asyncio.sleep(0)
        self._working = None

    def _next(self, now: float) -> _Waiting[Item, Plan] | None:
        while (waiting := self._held.next()) is not None:
            if now < waiting.deadline:
                return waiting
            if not self._others.put(waiting):
                waiting.made.set_exception(FullError())
        return self._others.next()

    def close(self) -> None:
        """Makes no more plans."""
        if self._working is not None:
            self._working.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)
