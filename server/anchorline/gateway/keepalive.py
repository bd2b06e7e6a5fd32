"""Keep-alive: a request without output, sent just before a warm prefix expires, where that is worth more than it costs.

After each answer a conversation's prefix waits for the next request. Shortly before it expires the gap model says how
likely that is still to come (`action.prolonging`); a ping is sent where reading the prefix once more costs less than it
is expected to save, within the dollars of an hour. The next request ends it, and so does all that looks wrong: a
refusal, a prefix that is no longer warm. Off unless `gateway.keepalive_usd` allows it.
"""

import asyncio
import logging
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from anchorline.cache.gaps import Gaps, observed
from anchorline.cache.lifetime import ping_every, prolonging
from anchorline.cache.rules import Lifetime, Provider
from anchorline.gateway.conversations import whole
from anchorline.gateway.exchange import OK, Exchange, PlannedRequest, Send
from anchorline.gateway.refusals import REFUSING
from anchorline.gateway.splice import prewarming
from anchorline.gateway.usage import Meter, header
from anchorline.outcome import Outcome, Usage
from anchorline.plan import Anchor
from anchorline.planner import Planner
from anchorline.prompt.model import Prompt
from anchorline.route.pricing import Bill, Pricing, Unpriced

CONVERSATIONS = 16
"""Conversations that are kept warm at once: their last requests are held in memory."""
BODY_BYTES = 4 << 20
PINGS = 24
"""How many pings ahead are thought of."""
ANSWER_S = 60.0
HOUR_S = 3600.0
WARM = 0.5
"""Share of the prefix that a ping has to read, else it was not warm any more."""
ZERO = "max_tokens: 0"
"""How a provider says (`prewarm` of its rules) that a request without output fills its cache."""
REFUSALS = 3
"""Pings for a model that its provider may refuse one after the other before no more are sent for that."""
log = logging.getLogger(__name__)


class KeptPrefix(msgspec.Struct, frozen=True, eq=False):
    """A conversation's prefix: `prefix` is its hash, `tokens` its size, `started` when its last request was sent.

    `body` is the ping, `send` sends it where the request went, `usd` is what a ping costs that finds
    the prefix warm, `plan` the request's plan.
    """

    prefix: bytes
    plan: str
    model: str
    tokens: int
    started: float
    gaps: Gaps
    provider: Provider
    lifetime: Lifetime
    usd: float
    body: bytes
    send: Send


def prefix_to_keep(
    exchange: Exchange,
    planned: PlannedRequest,
    model: str,
    sent: tuple[Anchor, ...],
    outcome: Outcome,
    planner: Planner,
    pricing: Pricing,
) -> KeptPrefix | None:
    """Returns the prefix that an answered request holds warm; None where its provider has no way to keep it so.

    The request was sent to `model` with the breakpoints `sent`.
    """
    prompt, usage, meter, send = planned.prompt, outcome.usage, exchange.meter, exchange.send
    rules = planner.targets.find(model).provider
    if usage is None or meter is None or send is None or not exchange.ok:
        return None
    by_itself = bool(prompt.automatic_ttl)
    lifetime = rules.lifetime(prompt.automatic_ttl or (sent[-1].ttl if sent else ""))
    usable = rules.prewarm == ZERO and exchange.format == "anthropic"
    if not usable or lifetime is None or not whole(prompt, sent, by_itself=by_itself):
        return None
    ping = prewarming(exchange.body if exchange.planned is None else exchange.planned.changed.body)
    if ping is None:
        return None
    tokens = usage.prompt
    whole_read = Usage(0, tokens, 0, speed=usage.speed, tier=usage.tier, geo=usage.geo)
    bill = pricing.bill(whole_read, model, exchange.at)
    if isinstance(bill, Unpriced):
        return None
    now = observed(prompt, tokens, exchange.at)
    moment = msgspec.structs.replace(now, stop=meter.stop, output=usage.output)
    return KeptPrefix(
        prefix=prompt.segments[-1].prefix,
        plan=planned.plan.id,
        model=model,
        tokens=tokens,
        started=exchange.at,
        gaps=planner.gaps(prompt, moment),
        provider=rules,
        lifetime=lifetime,
        usd=bill.usd,
        body=ping,
        send=send,
    )


class _Spent(msgspec.Struct):
    """What a ping cost, or will as long as it is under way."""

    at: float
    usd: float


class Keepalive:
    """The prefixes that are kept warm. Used on the event loop.

    `record` gets the outcome of each ping with its dollars, None where they are not known, and returns once it is on
    disk; `reading` returns once the requests that have come are known; `bill` prices a usage; `report` tells the
    developer of a problem.
    """

    def __init__(
        self,
        usd_per_hour: float,
        record: Callable[[Outcome, float | None], Awaitable[None]],
        reading: Callable[[], Awaitable[None]],
        bill: Callable[[Usage, str, float], Bill | Unpriced],
        report: Callable[[str], None],
    ) -> None:
        self._most = usd_per_hour
        self._record = record
        self._reading = reading
        self._bill = bill
        self._report = report
        self._kept: OrderedDict[bytes, tuple[asyncio.Event, asyncio.Task[None]]] = OrderedDict()
        self._spent: deque[_Spent] = deque()
        self._refused: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self, kept: KeptPrefix) -> None:
        """Keeps a prefix warm as long as that is worth it; its request is answered."""
        if not self._most or self._refused[kept.model] >= REFUSALS or len(kept.body) > BODY_BYTES:
            return
        self._stop(kept.prefix)
        over = asyncio.Event()
        self._kept[kept.prefix] = over, asyncio.create_task(self._keep(kept, over))
        if len(self._kept) > CONVERSATIONS:
            self._stop(next(iter(self._kept)))

    def seen(self, prompt: Prompt) -> None:
        """Stops for the conversation that a request goes on with."""
        for segment in prompt.segments if self._kept else ():
            self._stop(segment.prefix)

    async def close(self) -> None:
        """Stops for all, once the pings that are under way are answered and written down."""
        tasks = [task for _, task in self._kept.values()]
        for prefix in list(self._kept):
            self._stop(prefix)
        if tasks:
            await asyncio.wait(tasks, timeout=ANSWER_S)

    def _stop(self, prefix: bytes) -> None:
        keeping = self._kept.pop(prefix, None)
        if keeping is not None:
            keeping[0].set()  # a ping that is under way is billed, so it is not cancelled

    async def _keep(self, kept: KeptPrefix, over: asyncio.Event) -> None:
        every, number = ping_every(kept.lifetime), 0
        since = _since(kept.started)
        warm_until: float = kept.lifetime.seconds
        try:
            while not await _within(over, (number + 1) * every - since()):
                await self._reading()  # one of them may be the next of this conversation
                waited = since()
                # After a laptop's sleep the prefix has expired, and a ping would write all of it anew.
                if over.is_set() or waited >= warm_until or not self._worth(kept, waited):
                    return
                number += 1
                if not await self._ping(kept, number):
                    return
                warm_until = waited + kept.lifetime.seconds
        except Exception:
            log.exception("a prefix is not kept warm any longer")
        finally:
            if self._kept.get(kept.prefix, (None,))[0] is over:
                del self._kept[kept.prefix]

    def _worth(self, kept: KeptPrefix, waited: float) -> bool:
        bet = prolonging(kept.provider, kept.model, kept.gaps, kept.lifetime, kept.tokens, waited, PINGS)
        if not bet.action.pings:
            return False
        since = time.time() - HOUR_S
        while self._spent and self._spent[0].at < since:
            self._spent.popleft()
        if sum(ping.usd for ping in self._spent) + kept.usd > self._most:
            log.info("a prefix expires: pings may not cost more in this hour (gateway.keepalive_usd)")
            return False
        return True

    async def _ping(self, kept: KeptPrefix, number: int) -> bool:
        """Sends one; returns whether the prefix was warm, and is so again."""
        started = time.time()
        spent = _Spent(started, kept.usd)
        self._spent.append(spent)
        try:
            async with asyncio.timeout(ANSWER_S), kept.send(kept.body) as answer:
                content = await answer.read()
                meter = Meter(
                    header(answer.raw_headers, b"content-type"),
                    header(answer.raw_headers, b"content-encoding"),
                )
                meter.feed(content)
                meter.end()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("a keep-alive ping failed (%s)", type(error).__name__)
            return False
        usage = meter.billed.usage
        usd: float | None = 0.0
        if usage is not None:
            bill = self._bill(usage, kept.model, started)
            usd = bill.usd if isinstance(bill, Bill) else None
        spent.usd = kept.usd if usd is None else usd
        signals: dict[str, bool | int | float] = {"status": status}
        took = round((time.time() - started) * 1000, 3)
        outcome = Outcome(
            kept.plan,
            meter.billed.model or kept.model,
            usage=usage,
            latency_ms=took,
            signals=signals,
            sent_at=started,
            answer_id=meter.billed.id or None,
            ping=number,
        )
        await self._record(outcome, usd)
        if status == OK:
            del self._refused[kept.model]
            return usage is not None and usage.read >= WARM * kept.tokens
        log.warning("a keep-alive ping was answered with status %d", status)
        if status in REFUSING:  # others are of the moment, or of a key
            self._refused[kept.model] += 1
            if self._refused[kept.model] == REFUSALS:
                self._report(
                    f"the provider refuses keep-alive pings for {kept.model}, so no more are sent for it"
                )
        return False


def _since(started: float) -> Callable[[], float]:
    """Returns what tells the seconds since an epoch second: by the clock that can be set, and by the one that can't.

    The larger one counts: one may be set back, the other stands still while a laptop sleeps.
    """
    steady = asyncio.get_running_loop().time
    begun = steady() - (time.time() - started)
    return lambda: max(time.time() - started, steady() - begun)


async def _within(over: asyncio.Event, seconds: float) -> bool:
    """Returns whether the end comes within so many seconds."""
    try:
        async with asyncio.timeout(max(seconds, 0.0)):
            return await over.wait()
    except TimeoutError:
        return False
