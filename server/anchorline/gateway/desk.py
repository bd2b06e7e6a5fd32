"""The gateway's desk: what becomes of a request beside its way to the provider and back.

A request is planned beside the event loop. Where it may be changed its plan is waited for, but never for long;
otherwise it is made while the provider works. The answer's usage becomes the outcome of the plan. What a request holds
warm is told by the breakpoints that it was really sent with.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

import msgspec

from anchorline.cache.reuse import observed
from anchorline.config import Config, Mode
from anchorline.gateway import local
from anchorline.gateway.conversations import Conversations, whole
from anchorline.gateway.exchange import Exchange, Planned
from anchorline.gateway.keepalive import Keepalive, Kept
from anchorline.gateway.splice import Changed, as_sent, planned, prewarming, routed
from anchorline.gateway.tally import Passed, State, Tally, billed, hit
from anchorline.gateway.usage import Meter
from anchorline.lint.cache import expired
from anchorline.live.books import Books
from anchorline.live.plans import entries
from anchorline.live.recording import NotRecordedError
from anchorline.outcome import Outcome
from anchorline.plan import Anchor, Plan, Trim
from anchorline.planner import Decider, Planner
from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Format, Prompt, PromptError, Sent
from anchorline.store.answers import Answer
from anchorline.trim.results import Shortened, Trimmed

WAITING = 64
"""Requests that may wait for their plan; further ones go without, which is counted."""
DEADLINE_S = 1.0
"""How long a request may wait for its plan, on a busy machine. One that goes on without may cost a cached prefix."""
REFUSALS = 3
"""Planned requests that providers may refuse before none is changed any more."""
ZERO = "max_tokens: 0"
"""How a provider says (`prewarm` of its rules) that a request without output fills its cache."""
OK = 200
END_S = 10.0
"""How long the end waits for what is being written."""
_FIRST = b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":"Hello"}]}'
log = logging.getLogger(__name__)


class Desk(Books):
    """Plans and records what passes. Used on the event loop only.

    `report` tells the developer of a problem, once; `warn` of a large prompt that goes into an expired cache.
    """

    def __init__(
        self,
        config: Config,
        report: Callable[[str], None],
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(report)
        # The draft is sent already, and in all modes but one the model is the client's choice.
        refine = msgspec.structs.replace(config.refine, enabled=False)
        enabled = config.route.enabled and config.gateway.mode == "route"
        route = msgspec.structs.replace(config.route, enabled=enabled)
        self.config = msgspec.structs.replace(config, refine=refine, route=route)
        self.planner = Planner(self.config, self.ledger, deciders=self._decider)
        self.mode: Mode = config.gateway.mode
        self.tally = Tally()
        self._report = report
        self._warn = warn
        self._memory = Memory()
        self._conversations = Conversations()
        self._shortened: Shortened | None = None
        self._keepalive = Keepalive(config.gateway.keepalive_usd, self._pinged, self._all_read, report)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="plan")
        self._planning: dict[Exchange, asyncio.Future[Planned | None]] = {}
        self._settling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open the store as the settings say, and read what a plan needs, before the first request waits for it."""
        self.begin(self.config)
        await self.recording.opened()
        await self.policies.loaded()
        first = formats.read(_FIRST, format="anthropic")
        await asyncio.get_running_loop().run_in_executor(self._pool, self.planner.plan, first)
        if self.mode in ("trim", "route"):  # what was sent shorter before this process began is so again
            self._shortened = Shortened(await self.recording.known_replays())

    @property
    def idle(self) -> bool:
        """Whether no request waits for its plan, or to be recorded."""
        return not self._planning

    def _write(self, work: Coroutine[None, None, None]) -> None:
        """Have something done that nobody waits for, but the end."""
        task = asyncio.ensure_future(work)
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    def _decider(self, conversation: str | None) -> Decider:
        """Return who decides. A plan that changes nothing shows nothing of a policy, so it is in no A/B."""
        return self.policies.of(conversation if self.mode != "observe" else None)

    def open(self, format_: Format, body: bytes, at: float, session: str | None = None) -> Exchange:
        """Return the exchange of a request with a prompt; `session` is what its headers name."""
        return Exchange(self, format_, body, at, session)

    def plan(self, exchange: Exchange) -> "asyncio.Future[Planned | None] | None":
        """Have a request planned beside the event loop; None where too many wait for that."""
        planning = self._planning.get(exchange)
        if planning is None:
            if len(self._planning) >= WAITING:
                self.tally.counts.unplanned += 1
                return None
            planning = self._planning[exchange] = asyncio.ensure_future(self._plan(exchange))
        return planning

    async def prepare(self, exchange: Exchange) -> tuple[Planned | None, str]:
        """Return the plan that a request is sent by, or why there is none. Never later than `DEADLINE_S`."""
        planning = self.plan(exchange)
        if planning is None:
            return None, "too many requests wait for a plan"
        await asyncio.wait({planning}, timeout=DEADLINE_S)
        if not planning.done():
            return None, "planning takes too long"
        planned = None if planning.exception() is not None else planning.result()
        if planned is None:
            return None, "the request can't be planned"
        self.tally.counts.changed += bool(planned.changed.splices)
        if planned.trims and self._shortened is not None:
            made = self._shortened.keep(planned.prompt, planned.trims)
            if made:
                self._write(self.recording.replays(made))
        return planned, planned.changed.reason

    def refused(self) -> None:
        """Note that a provider did not take a changed request. It is changed no more where that goes on."""
        self.tally.counts.refused += 1
        log.warning("the provider refused a planned request; the original was sent")
        if self.tally.counts.refused == REFUSALS:
            self.mode = "observe"
            self._report("the provider has refused planned requests, so requests are no longer changed")

    async def _plan(self, exchange: Exchange) -> Planned | None:
        loop = asyncio.get_running_loop()
        earlier = takewhile(lambda one: one is not exchange, self._planning)
        over = [self._planning[one] for one in earlier if one.seconds]
        if over:  # what was asked before and is answered counts: its outcome first
            await asyncio.wait(over)
        try:
            planned = await loop.run_in_executor(self._pool, self._read, exchange)
        except PromptError:
            self.tally.counts.unread += 1
            return None
        self._keepalive.seen(planned.prompt)
        if planned.warning:
            self._warn(planned.warning)
        return planned

    def _read(self, exchange: Exchange) -> Planned:
        """Read, plan and change a request, in the thread of the planner."""
        body = exchange.body
        prompt = formats.read(body, format=exchange.format, memory=self._memory)
        if exchange.session is not None:
            prompt = msgspec.structs.replace(prompt, session=exchange.session)
        prompt = self._conversations.recall(prompt)
        # A conversation goes on with the model that it was routed to, unless another one is better by now.
        current = prompt.sent[-1].model if self.mode == "route" and prompt.sent else None
        plan = self.planner.plan(prompt, target=current, now=exchange.at)
        name = current or prompt.model or plan.route.target
        rules, model = self.planner.rules.for_model(name), self.planner.catalog.find(name)
        warning = next((found.message for found in expired(prompt, plan, rules, model)), "")
        if warning:
            log.warning("%s", warning)
        if self.mode == "observe":
            return Planned(prompt, plan, Changed(body, (), as_sent(prompt), ""), (), warning)
        trims: list[Trimmed] = []
        if self.mode in ("trim", "route") and self._shortened is not None:
            trims = self._shortened.shorten(prompt, self.planner.warm(prompt, plan.route.target, exchange.at))
            plan = msgspec.structs.replace(plan, trims=tuple(_trim(prompt, trim) for trim in trims))
        route = []
        if self.mode == "route" and plan.failure is None and plan.route.target != prompt.model != local.NAME:
            route = routed(body, plan.route.target)
        here = bool(route) and plan.route.tier == local.TIER
        changed = planned(body, prompt, plan, self.planner.rules, trims, route)
        return Planned(prompt, plan, changed, tuple(trims), warning, plan.route.target if route else "", here)

    def settle(self, exchange: Exchange) -> None:
        """Have the outcome of a finished exchange recorded, once its plan is there."""
        planning = self._planning.get(exchange)
        if planning is not None:
            self._write(self._settle(exchange, planning))

    async def _settle(self, exchange: Exchange, planning: "asyncio.Future[Planned | None]") -> None:
        try:
            planned = await planning
            if planned is None:
                return
            sent = exchange.planned.changed.anchors if exchange.planned else as_sent(planned.prompt)
            prompt, plan = planned.prompt, planned.plan
            own = exchange.route or prompt.model or plan.route.target
            self.record(self.plans.add(plan, prompt, self.planner, own, sent))
            if exchange.meter is not None:
                outcome = _outcome(plan, exchange, exchange.meter)
                self._converse(prompt, own, sent, outcome)
                self.tally.add(self._passed(exchange, plan, own, outcome))
                if self.config.gateway.keepalive_usd > 0:
                    self._keep_warm(exchange, planned, own, sent, outcome)
                # What waits for the disk from here on holds no bodies, and no place in the queue of plans.
                exchange.release()
                del planned, prompt, self._planning[exchange]
                await self.outcome(outcome)
        except NotRecordedError:
            pass  # the developer was told when recording stopped
        except Exception:
            log.exception("a request was not recorded")
        finally:
            self._planning.pop(exchange, None)

    def _passed(self, exchange: Exchange, plan: Plan, model: str, outcome: Outcome) -> Passed:
        usage, known = outcome.usage, self.planner.catalog.find(model)
        ttl = plan.cache.anchors[-1].ttl if plan.cache.anchors else "default"
        paid = billed(usage, ttl, self.planner.rules.for_model(model), known) if usage is not None else None
        return Passed(
            at=exchange.at,
            model=known.id if known is not None else model,
            status=exchange.status,
            seconds=exchange.seconds,
            first_byte=exchange.first_byte_s,
            usage=usage,
            p_hit=plan.cache.p_hit,
            hit=hit(usage, plan),
            miss=exchange.meter.billed.miss if exchange.meter is not None else "",
            usd=paid[0] if paid else None,
            saved_usd=paid[1] if paid else None,
            changes=len(exchange.planned.changed.splices) if exchange.planned else 0,
        )

    def _keep_warm(
        self, exchange: Exchange, planned: Planned, own: str, sent: tuple[Anchor, ...], outcome: Outcome
    ) -> None:
        """Have the prefix of an answered request kept warm, where its provider has a way to."""
        prompt, usage, meter, send = planned.prompt, outcome.usage, exchange.meter, exchange.send
        rules, model = self.planner.rules.for_model(own), self.planner.catalog.find(own)
        if usage is None or meter is None or send is None or model is None or exchange.status != OK:
            return
        by_itself = bool(prompt.automatic_ttl)
        lifetime = rules.lifetime(prompt.automatic_ttl or (sent[-1].ttl if sent else ""))
        usable = rules.prewarm == ZERO and exchange.format == "anthropic"
        if not usable or lifetime is None or not whole(prompt, sent, by_itself=by_itself):
            return
        ping = prewarming(exchange.body if exchange.planned is None else exchange.planned.changed.body)
        if ping is None:
            return
        tokens = usage.prompt
        now = observed(prompt, tokens, exchange.at)
        moment = msgspec.structs.replace(now, stop=meter.stop, output=usage.output)
        kept = Kept(
            prefix=prompt.segments[-1].prefix,
            plan=planned.plan.id,
            model=own,
            tokens=tokens,
            started=exchange.at,
            gaps=self.planner.gaps(prompt, moment),
            provider=rules,
            lifetime=lifetime,
            price=model.prices(tokens)[0],
            body=ping,
            send=send,
        )
        self._keepalive.begin(kept)

    async def _pinged(self, kept: Kept, outcome: Outcome, usd: float) -> None:
        """Record a ping: an outcome of its own, by which the prefix is warm for longer."""
        self.tally.pinged(usd)
        remembered = self.plans.get(kept.plan)
        warm = list(entries(remembered, outcome)) if remembered is not None else []
        self.take(warm)
        try:
            if self.recording.enabled:
                await self.recording.outcome(outcome)
                await self.recording.ledger(warm, ())
        except NotRecordedError:
            pass  # the developer was told when recording stopped

    async def _all_read(self) -> None:
        if self._planning:
            await asyncio.wait(list(self._planning.values()), timeout=DEADLINE_S)

    def given_again(self, answer: Answer) -> None:
        """Count a request that was answered from the response cache."""
        paid, name = None, answer.model or ""
        if answer.usage is not None:
            rules, known = self.planner.rules.for_model(name), self.planner.catalog.find(name)
            paid = billed(answer.usage, "default", rules, known)
        self.tally.reused(paid[0] if paid else 0.0)

    def state(self) -> State:
        """Return what went through so far."""
        kept = len(self._keepalive)
        return self.tally.state(time.time(), self.mode, self.warm, kept, self.recording.problem)

    def _converse(self, prompt: Prompt, model: str, sent: tuple[Anchor, ...], outcome: Outcome) -> None:
        """Remember when a request was sent and what it was billed, for the next one of its conversation."""
        usage, at = outcome.usage, outcome.sent_at
        provider = self.planner.rules.for_model(model)
        by_itself = provider.mode == "automatic" or provider.implicit or prompt.automatic_ttl is not None
        if usage is None or at is None or not whole(prompt, sent, by_itself=by_itself):
            return
        ttl = prompt.automatic_ttl if by_itself else sent[-1].ttl
        last = usage.messages[-1]
        told = Sent(
            at,
            model,
            prompt.segments[-1].prefix,
            len(prompt.segments),
            last.input,
            last.read,
            last.write,
            ttl,
        )
        self._conversations.note(prompt, told)

    async def end(self) -> None:
        """Write what is known and close."""
        await self._keepalive.close()
        if self._settling:
            await asyncio.wait(self._settling, timeout=END_S)
        self._pool.shutdown(wait=False, cancel_futures=True)
        await super().end()


def _trim(prompt: Prompt, trim: Trimmed) -> Trim:
    segment = prompt.segments[trim.segment]
    saved = round(segment.tokens * trim.saved / max(segment.size, 1))
    reason = "lines that stand in an earlier result, are repeated, or only move a progress bar"
    return Trim(trim.segment, prompt.pointer(trim.segment), "shorten", trim.segment, saved, reason)


def _outcome(plan: Plan, exchange: Exchange, meter: Meter) -> Outcome:
    billed = meter.billed
    signals: dict[str, bool | int | float] = {"status": exchange.status}
    if exchange.planned is not None:
        signals["changes"] = len(exchange.planned.changed.splices)
    if billed.miss:
        signals |= {f"miss_{billed.miss}": True, "missed_tokens": billed.missed}
    if meter.broken_off and exchange.status == OK:
        signals["broken_off"] = True
    if exchange.first_byte_s is not None:
        signals["first_byte_ms"] = round(exchange.first_byte_s * 1000, 3)
    return Outcome(
        plan_id=plan.id,
        target=billed.model or None,
        usage=billed.usage,
        latency_ms=round(exchange.seconds * 1000, 3),
        signals=signals,
        sent_at=exchange.at,
        answer_id=billed.id or None,
        request_id=exchange.request_id or None,
    )
