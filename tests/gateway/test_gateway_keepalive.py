"""Keep-alive: pings are sent while they are worth it, within their dollars, until the next request comes."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from anchorline.cache.gaps import Gaps
from anchorline.cache.lifetime import ping_every, prolonging
from anchorline.cache.rules import load
from anchorline.gateway.keepalive import Keepalive, KeptPrefix
from anchorline.gateway.splice import prewarming
from anchorline.route.pricing import Pricing
from anchorline.route.target import load as load_targets
from support.gateways import Gateway, call, gateway
from support.upstream import Running, Upstream

RULES = "Keep to the style of the file, and say why. " * 800
RULES_FILE = """
[anthropic]
read = 0.002
lifetimes = [{ name = "5m", seconds = 6, write = 1.25 }, { name = "1h", seconds = 3600, write = 2.0 }]
"""
"""A provider that forgets in six seconds, so that a ping is due every second, and reads for next to nothing."""


def asking(*turns: str, **more: Any) -> bytes:
    messages: list[Any] = [
        {"role": "assistant" if n % 2 else "user", "content": [{"type": "text", "text": text}]}
        for n, text in enumerate(turns)
    ]
    messages[-1]["content"][0]["cache_control"] = {"type": "ephemeral"}
    system = [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}]
    value = {"model": "claude-sonnet-5", "max_tokens": 9, "stream": True, "system": system}
    return json.dumps(value | {"messages": messages} | more).encode()


def quick(home: Path, upstream: str, usd: float | str) -> Any:
    home.mkdir()
    (home / "rules.toml").write_text(RULES_FILE)
    settings = f'keepalive_usd = {usd}\n[files]\nproviders = "{home / "rules.toml"}"'
    return gateway(home, upstream, settings=settings)


def state(running: Gateway) -> dict:
    root = running.anthropic.removesuffix("/anthropic")
    return json.loads(call(f"{root}/status", "GET", b"")[2])


def until(running: Gateway, reached: Callable[[dict], bool]) -> dict:
    """Return the state once it is so."""
    for _ in range(600):
        if reached(found := state(running)):
            return found
        time.sleep(0.05)
    pytest.fail(f"it never came to it: {found}")


def pings(upstream: Upstream) -> list[dict]:
    bodies = [json.loads(seen.body) for seen in upstream.seen]
    return [body for body in bodies if body["max_tokens"] == 0]


def test_a_warm_prefix_is_kept_warm_until_the_next_request(tmp_path):
    with Running(Upstream()) as behind, quick(tmp_path / "g", behind.url, 1.0) as running:
        url = running.anthropic + "/v1/messages"
        call(url, body=asking("Go"), x_api_key="sk-own", anthropic_beta="some-feature")
        told = until(running, lambda one: one["counts"]["pings"] >= 2)
        assert told["kept_warm"] == 1
        assert told["requests"] == {"200": 1}
        ping = behind.app.seen[1]
        assert {(b"x-api-key", b"sk-own"), (b"anthropic-beta", b"some-feature")} <= set(ping.headers)
        sent = json.loads(ping.body)
        assert (sent.pop("max_tokens"), sent.pop("stream")) == (0, False)
        assert sent == {
            key: one for key, one in json.loads(asking("Go")).items() if key not in ("max_tokens", "stream")
        }
        read = [(one.read, sum(one.written.values())) for one in behind.app.billed]
        assert read[0][1] == read[1][0] == read[2][0] > 5000
        assert told["pings_usd"] == pytest.approx(
            told["counts"]["pings"] * 0.002 * read[0][1] * 3e-6, rel=0.5
        )
        assert told["warm"][0]["left"] > 4

        call(url, body=asking("Go", "Gone.", "On"), x_api_key="sk-own")
        until(running, lambda one: one["requests"]["200"] == 2 and one["kept_warm"] == 1)
        count = len(behind.app.seen)
        until(running, lambda one: len(behind.app.seen) > count)
        assert "On" in json.dumps(
            pings(behind.app)[-1]
        )  # the newest request's prefix, and no longer the first's
        running.stop()
    with sqlite3.connect(running.database) as database:
        rows = database.execute("SELECT plan, known, ping, read_tokens FROM outcomes").fetchall()
    database.close()
    assert [row[2] for row in rows][:3] == [None, 1, 2]
    assert rows[0][0] == rows[1][0]
    assert rows[1][1] == 1
    assert rows[1][3] == read[1][0]


def test_it_is_off_by_default_and_never_costs_more_than_it_may(tmp_path):
    with Running(Upstream()) as behind:
        for name, usd in (("off", 0.0), ("little", 1e-6)):
            with quick(tmp_path / name, behind.url, usd) as running:
                call(running.anthropic + "/v1/messages", body=asking(name))
                until(running, lambda one: one["requests"].get("200") == 1)
                told = until(running, lambda one: one["kept_warm"] == 0)
                assert told["counts"]["pings"] == 0
        assert not pings(behind.app)


@pytest.mark.parametrize("plans", ["observe", "change"])
def test_on_a_plan_nothing_is_pinged_unless_its_user_says_so(plans: str, tmp_path):
    with (
        Running(Upstream()) as behind,
        quick(tmp_path / "g", behind.url, f'1.0\nplans = "{plans}"') as running,
    ):
        url = running.anthropic + "/v1/messages"
        call(url, body=asking("On a plan"), authorization="Bearer sk-ant-oat01-a")
        call(url, body=asking("On a key"), x_api_key="sk-ant-api03-a")
        until(running, lambda one: one["counts"]["pings"] >= (4 if plans == "change" else 2))
        paid = [{b"x-api-key", b"authorization"} & dict(seen.headers).keys() for seen in behind.app.seen[2:]]
        assert (({b"authorization"}) in paid) == (plans == "change")


def test_a_provider_that_refuses_pings_gets_no_more_of_them(tmp_path):
    with Running(Upstream()) as behind, quick(tmp_path / "g", behind.url, 1.0) as running:
        url = running.anthropic + "/v1/messages"
        for number in range(3):
            call(url, body=asking(f"Number {number}"), x_fault="refuse-pings")
            until(running, lambda one, count=number + 1: len(pings(behind.app)) == count)
        call(url, body=asking("Number 3"))
        told = until(running, lambda one: one["requests"]["200"] == 4)
        assert told["kept_warm"] == 0
        call(url, body=asking("Number 4", model="claude-sonnet-4-5"))
        until(running, lambda one: one["counts"]["pings"] >= 4)  # which nobody has refused
        running.stop()
        assert running.log(tmp_path / "g").count("refuses keep-alive pings for claude-sonnet-5") == 1


def test_a_thinking_budget_takes_no_ping():
    assert prewarming(asking("Go", thinking={"type": "enabled", "budget_tokens": 2000})) is None
    assert b'"max_tokens": 0' in (prewarming(asking("Go", thinking={"type": "adaptive"})) or b"")


@pytest.mark.parametrize(
    ("within_5m", "within_1h", "worth"),
    [
        (0.5, 0.9, True),  # half of all pauses of five minutes end within the hour
        (0.5, 0.51, False),  # whoever is away for five minutes does not come back
        (0.99, 0.999, True),  # a pause that long is rare, but given it the next request is near
    ],
)
def test_a_ping_is_worth_it_where_the_next_request_is_likely(within_5m: float, within_1h: float, worth: bool):
    rules = load().for_model("claude-sonnet-5")
    lifetime = rules.lifetime("5m")
    assert lifetime is not None
    gaps = Gaps((60.0, 300.0, 3600.0, 10800.0), (0.6, 1 - within_5m, 1 - within_1h, 1 - within_1h))
    bet = prolonging(rules, "claude-sonnet-5", gaps, lifetime, 100_000, ping_every(lifetime), 24)
    assert bool(bet.action.pings) == worth
    assert (bet.gain > 0) == worth
    assert not prolonging(rules, "claude-sonnet-5", gaps, lifetime, 100_000, 12_000.0, 24).action.pings


LIKELY = Gaps((60.0, 300.0, 3600.0, 10800.0), (0.6, 0.5, 0.1, 0.1))
PRICING = Pricing(load_targets())


class Told(msgspec.Struct):
    """A ping's answer: one that was billed `read` tokens from the cache and `write` to it."""

    read_tokens: int
    write_tokens: int = 0
    status: int = 200
    raw_headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)

    async def read(self) -> bytes:
        usage = {"input_tokens": 0, "cache_read_input_tokens": self.read_tokens}
        return json.dumps({"usage": usage | {"cache_creation_input_tokens": self.write_tokens}}).encode()


def kept(name: bytes, send: Any, waited: float = 0.0) -> KeptPrefix:
    rules = load().for_model("claude-sonnet-5")
    lifetime = rules.lifetime("5m")
    assert lifetime is not None
    started = time.time() - waited
    return KeptPrefix(
        name, "p", "claude-sonnet-5", 100_000, started, LIKELY, rules, lifetime, 0.02, b"{}", send
    )


async def _told(*_: object) -> None: ...


async def turns() -> None:
    """Let the event loop do all that waits for nothing else."""
    for _ in range(100):
        await asyncio.sleep(0)


def test_a_prefix_that_expired_while_the_machine_slept_is_not_pinged():
    sent: list[bytes] = []

    def send(body: bytes) -> Any:
        sent.append(body)
        return nullcontext(Told(100_000))

    async def slept() -> None:
        keepalive = Keepalive(1000.0, _told, _told, PRICING.bill, lambda _: None)
        for seconds in (296.0, 301.0, 30_000.0):
            keepalive.begin(kept(b"%f" % seconds, send, seconds))
        await turns()
        await keepalive.close()

    asyncio.run(slept())
    assert len(sent) == 1


def test_pings_that_are_under_way_at_once_are_each_paid_for():
    begun: list[bytes] = []
    dear, cheap = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def first(body: bytes) -> AsyncIterator[Told]:
        begun.append(body)
        await dear.wait()
        yield Told(60_000, 40_000)

    @asynccontextmanager
    async def second(body: bytes) -> AsyncIterator[Told]:
        begun.append(body)
        await cheap.wait()
        yield Told(100_000)

    async def pinged() -> None:
        # A ping is expected to cost $0.02; the first one costs $0.112, so that a third may not be sent.
        keepalive = Keepalive(0.14, _told, _told, PRICING.bill, lambda _: None)
        keepalive.begin(kept(b"1", first, 296.0))
        keepalive.begin(kept(b"2", second, 296.0))
        await turns()
        for answered in (dear, cheap):
            answered.set()
            await turns()
        keepalive.begin(kept(b"3", second, 296.0))
        await turns()
        await keepalive.close()

    asyncio.run(pinged())
    assert len(begun) == 2
