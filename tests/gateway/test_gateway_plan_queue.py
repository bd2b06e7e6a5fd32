"""How requests wait for their plan: a burst is planned in full, and what is late keeps nobody from being planned."""

import asyncio
import json
import threading
from contextlib import ExitStack

import aiohttp
import pytest

from anchorline.gateway import plan_queue
from anchorline.gateway.plan_queue import FullError, PlanQueue
from support.gateways import gateway, settled
from support.upstream import Running, Upstream

BODY = json.dumps(
    {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "stream": True,
        "system": "Keep to the style of the file, and say why. " * 800,
        "messages": [{"role": "user", "content": "Go"}],
    }
).encode()


def test_as_many_requests_as_come_at_once_are_planned(tmp_path):
    number = 300
    body = BODY.replace(b"Keep to the style of the file, and say why. ", b"")

    async def ask(session: aiohttp.ClientSession, url: str) -> int:
        async with session.post(url, data=body) as answer:
            await answer.read()
            return answer.status

    async def all_at_once(url: str) -> list[int]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await asyncio.gather(*(ask(session, url) for _ in range(number)))

    with Running(Upstream()) as behind, gateway(tmp_path, behind.url) as running:
        assert asyncio.run(all_at_once(running.anthropic + "/v1/messages")) == [200] * number
        state = settled(running, number)
        assert (state["counts"]["unplanned"], state["requests"]) == (0, {"200": number})


class _Begun(Upstream):
    """Begins each answer, and never ends it."""

    async def __call__(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b": begun\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass


def test_answers_under_way_take_no_place_in_the_queue(tmp_path):
    async def ask(url: str) -> list[bool]:
        answers = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            for _ in range(70):  # each is planned and its answer begun before the next is sent
                answers.append(await session.post(url, data=BODY))
                await answers[-1].content.readany()
            for answer in answers:
                answer.close()
        return ["anchorline-plan" in answer.headers for answer in answers]

    with Running(_Begun()) as behind, gateway(tmp_path, behind.url, settings='mode = "anchors"') as running:
        assert asyncio.run(ask(running.anthropic + "/v1/messages")) == [True] * 70


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Plans that take until they may go on, with no time to wait for them."""
    monkeypatch.setattr(plan_queue, "DEADLINE_S", 0.05)
    return threading.Event()


def test_who_is_late_goes_behind_those_that_still_wait(slow: threading.Event):
    made: list[str] = []

    def plan(name: str) -> str:
        if name == "first":
            slow.wait(10)
        made.append(name)
        return name

    async def run() -> None:
        queue = PlanQueue(plan)
        with ExitStack() as stack:
            stack.callback(queue.close)
            first = queue.put("first", 1, held=True)
            recorded = queue.put("recorded", 1, held=False)
            late = [queue.put(f"late {number}", 1, held=True) for number in range(3)]
            await asyncio.sleep(0.1)
            in_time = queue.put("in time", 1, held=True)
            slow.set()
            await asyncio.gather(*(one for one in (first, recorded, *late, in_time) if one is not None))

    asyncio.run(run())
    assert made[:2] == ["first", "in time"]
    assert sorted(made[2:]) == ["late 0", "late 1", "late 2", "recorded"]


def test_bodies_that_wait_are_bounded_by_their_bytes(slow: threading.Event, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plan_queue, "WAITING_BYTES", 4 << 20)

    def plan(name: str) -> str:
        slow.wait(10)
        return name

    async def run() -> None:
        queue = PlanQueue(plan)
        with ExitStack() as stack:
            stack.callback(queue.close)
            whole = queue.put("larger than all", 5 << 20, held=False)
            await asyncio.sleep(0)
            others = [queue.put("recorded", 1 << 20, held=False) for _ in range(6)]
            held = [queue.put("held", 1 << 20, held=True) for _ in range(6)]
            assert [one is not None for one in others] == [True] * 3 + [False] * 3
            assert [one is not None for one in held] == [True] * 3 + [False] * 3
            await asyncio.sleep(0.1)
            slow.set()
            assert whole is not None
            assert await whole == "larger than all"
            taken = [one for one in (*others, *held) if one is not None]
            results = await asyncio.gather(*taken, return_exceptions=True)
            assert results.count("recorded") == 3
            assert sum(isinstance(one, FullError) for one in results) == 3  # late, and no room for the record

    asyncio.run(run())


def test_a_plan_that_fails_is_no_other_s_trouble():
    def plan(number: int) -> float:
        return 1 / number

    async def run() -> list[object]:
        queue = PlanQueue(plan)
        made = [queue.put(number, 1, held=bool(number % 2)) for number in (1, 0, 2)]
        found = await asyncio.gather(*(one for one in made if one is not None), return_exceptions=True)
        again = queue.put(4, 1, held=True)
        assert again is not None
        found.append(await again)
        queue.close()
        return found

    one, error, two, again = asyncio.run(run())
    assert (one, two, again) == (1.0, 0.5, 0.25)
    assert isinstance(error, ZeroDivisionError)
