"""The gateway's desk: what becomes of a request beside its way to the provider and back.

A request is planned beside the event loop. Where it may be changed its plan is waited for, but never for long;
otherwise it is made while the provider works. The answer's usage becomes the outcome of the plan. What a request holds
warm is told by the breakpoints that it was really sent with.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator

import msgspec

from anchorline.cache.gaps import observed
from anchorline.config import Config, Mode
from anchorline.gateway import local
from anchorline.gateway.conversations import Conversations, Routed, Routes, whole
from anchorline.gateway.credential import PLANS, Credential
from anchorline.gateway.exchange import Exchange, Planned, Sender
from anchorline.gateway.keepalive import Keepalive, Kept
from anchorline.gateway.metrics import Held, Passed, State, Tally, hit
from anchorline.gateway.plan_queue import DEADLINE_S, FullError, PlanQueue
from anchorline.gateway.refusals import Change, Conversation, Refusal, Refusals
from anchorline.gateway.splice import Changed, as_sent, planned, prewarming, routed
from anchorline.gateway.usage import Meter
from anchorline.lint.cache import expired
from anchorline.live.journal import Journal
from anchorline.live.plans import entries
from anchorline.live.recording import NotRecordedError
from anchorline.outcome import Outcome, Usage
from anchorline.plan import Anchor, CachePlan, Plan
from anchorline.planner import Decider, Planner
from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Format, Prompt, PromptError, Sent
from anchorline.prompt.session import chosen
from anchorline.route.choose import Course, hardest
from anchorline.route.pricing import BROKEN_OFF, UNTOLD, Bill, Pricing, Unpriced
from anchorline.store.answers import Answer
from anchorline.trim.results import Shortened, Trimmed, described

CHANGES: dict[Mode, frozenset[Change]] = {
    "observe": frozenset(),
    "anchors": frozenset({"anchors"}),
    "trim": frozenset({"anchors", "trims"}),
    "route": frozenset({"anchors", "trims", "route"}),
}
"""What each mode may change."""
NAMES: dict[Change, str] = {
    "anchors": "the breakpoints",
    "trims": "shorter tool results",
    "route": "another model",
}
WHY_HELD = (
    "its terms keep it for the provider's own clients, and a changed request may be refused or billed as extra usage "
    "(gateway.plans)"
)
ZERO = "max_tokens: 0"
"""How a provider says (`prewarm` of its rules) that a request without output fills its cache."""
OK = 200
END_S = 10.0
"""How long the end waits for what is being written."""
_FIRST = b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":"Hello"}]}'
log = logging.getLogger(__name__)


class Desk:
    """Plans and records what passes. Used on the event loop only.

    `report` tells the developer of a problem, once; `warn` of a large prompt that goes into an expired cache.
    """

    def __init__(
        self,
        config: Config,
        report: Callable[[str], None],
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.journal = Journal(report)
        # The draft is sent already, and in all modes but one the model is the client's choice.
        refine = msgspec.structs.replace(config.refine, enabled=False)
        enabled = config.route.enabled and config.gateway.mode == "route"
        route = msgspec.structs.replace(config.route, enabled=enabled)
        self.config = msgspec.structs.replace(config, refine=refine, route=route)
        self.planner = Planner(self.config, self.journal.ledger, deciders=self._decider)
        kept = msgspec.structs.replace(route, enabled=False)
        self._staying = Planner(  # with the model that the client asks for
            msgspec.structs.replace(self.config, route=kept),
            self.journal.ledger,
            rules=self.planner.rules,
            catalog=self.planner.catalog,
            deciders=self._decider,
        )
        self.pricing = Pricing(self.planner.rules, self.planner.catalog)
        self.mode: Mode = config.gateway.mode
        self._refusals = Refusals()
        self.tally = Tally()
        self._report = report
        self._warn = warn
        self._memory = Memory()
        self._conversations = Conversations()
        self._routes = Routes()
        self._shortened: Shortened | None = None
        self._keepalive = Keepalive(
            config.gateway.keepalive_usd, self._pinged, self._all_read, self.pricing.bill, report
        )
        self._queue = PlanQueue[Exchange, Planned](self._made)
        self._planning: dict[Exchange, asyncio.Future[Planned]] = {}

    async def start(self) -> None:
        """Open the store as the settings say, and read what a plan needs, before the first request waits for it."""
        self.journal.begin(self.config)
        await self.journal.recording.opened()
        await self.journal.policies.loaded()
        first = formats.read(_FIRST, format="anthropic")
        await self._queue.run(lambda: self.planner.plan(first))
        if self.mode in ("trim", "route"):  # what was sent shorter before this process began is so again
            self._shortened = Shortened(await self.journal.recording.known_replays())

    @property
    def idle(self) -> bool:
        """Whether no request waits for its plan, or to be recorded."""
        return not self._planning

    def _decider(self, conversation: str | None) -> Decider:
        """Return who decides. A plan that changes nothing shows nothing of a policy, so it is in no A/B."""
        return self.journal.policies.of(conversation if self.mode != "observe" else None)

    def held(self, credential: Credential) -> bool:
        """Tell whether requests with a kind of credential are only observed, whatever the mode is."""
        return credential in PLANS and self.config.gateway.plans == "observe"

    def open(self, format_: Format, body: bytes, at: float, sender: Sender) -> Exchange:
        """Return the exchange of a request with a prompt."""
        kind = sender.credential
        self.tally.credentials[kind] += 1
        if not self.held(kind):
            return Exchange(self, format_, body, at, sender, CHANGES[self.mode])
        if self.tally.credentials[kind] == 1:
            tell = self._report if self._acts else log.info
            tell(f"requests on a {kind} go on unchanged: {WHY_HELD}")
        return Exchange(
            self, format_, body, at, sender, held=f"it is on a {kind}: {WHY_HELD}" if self._acts else ""
        )

    def plan(self, exchange: Exchange) -> "asyncio.Future[Planned] | None":
        """Have a request planned beside the event loop; None where too many wait for that."""
        planning = self._planning.get(exchange)
        if planning is None:
            planning = self._queue.put(exchange, len(exchange.body), held=bool(exchange.may))
            if planning is None:
                self.tally.counts.unplanned += 1
                return None
            planning.add_done_callback(self._planned)
            self._planning[exchange] = planning
        return planning

    async def prepare(self, exchange: Exchange) -> tuple[Planned | None, str]:
        """Return the plan that a request is sent by, or why there is none. Never later than `DEADLINE_S`."""
        planning = self.plan(exchange)
        if planning is None:
            return None, "too many requests wait for a plan"
        await asyncio.wait({planning}, timeout=DEADLINE_S)
        if not planning.done():
            self.tally.counts.late += 1
            return None, "planning takes too long"
        if planning.exception() is not None:
            return None, "the request can't be planned"
        planned = planning.result()
        self.tally.counts.changed += bool(planned.changed.splices)
        if planned.trims and self._shortened is not None:
            made = self._shortened.keep(planned.prompt, planned.trims)
            if made:
                self.journal.background(self.journal.recording.replays(made))
        return planned, planned.changed.reason

    def refused(self, exchange: Exchange, planned: Planned, refusal: Refusal) -> str:
        """Note that the provider took the original in the place of what was planned; return that as a reason."""
        self.tally.counts.refused += 1
        conversation = _conversation(exchange, planned.prompt)
        kinds, model = planned.changed.kinds, planned.route
        left_out = self._refusals.refused(conversation, kinds, refusal, model, exchange.at)
        what = " and ".join(NAMES[kind] for kind in left_out)
        minutes = round((max(stop.until for stop in left_out.values()) - exchange.at) / 60)
        reason = (
            f"the provider refused {what} (status {refusal.status}), so the original was sent; "
            f"left out of this conversation for {minutes} minutes"
        )
        log.warning("%s (%s)", reason, planned.prompt.model)
        return reason

    def accepted(self, exchange: Exchange) -> None:
        """Note that the provider took a request as it was changed."""
        if exchange.planned is not None and exchange.planned.changed.kinds:
            conversation = _conversation(exchange, exchange.planned.prompt)
            self._refusals.accepted(conversation, exchange.planned.changed.kinds)

    def _planned(self, planning: "asyncio.Future[Planned]") -> None:
        error = planning.exception()
        if error is None:
            planned = planning.result()
            self._keepalive.seen(planned.prompt)
            if planned.warning:
                self._warn(planned.warning)
        elif isinstance(error, PromptError):
            self.tally.counts.unread += 1
        elif isinstance(error, FullError):
            self.tally.counts.unplanned += 1

    def _made(self, exchange: Exchange) -> Planned:
        """Plan a request and what is to be expected of the cache, in the thread of the planner."""
        return self._foretold(self._read(exchange), exchange.at)

    def _read(self, exchange: Exchange) -> Planned:
        """Read, plan and change a request, in the thread of the planner."""
        body = exchange.body
        prompt = formats.read(body, format=exchange.format, memory=self._memory)
        prompt = msgspec.structs.replace(prompt, session=chosen(exchange.sender.session, prompt.session))
        prompt = self._conversations.recall(prompt)
        may = self._refusals.allowed(_conversation(exchange, prompt), exchange.may, exchange.at)
        routes = "route" in may
        planner = self.planner if routes else self._staying
        # A plan that changes nothing shows nothing of a policy, so it is in no A/B.
        decider = self.journal.policies.of(prompt.conversation if may else None)
        current, course = self._course(prompt, decider) if routes else (None, None)
        plan = planner.plan(prompt, target=current, now=exchange.at, decider=decider, course=course)
        name = current or prompt.model or plan.route.target
        rules, model = planner.rules.for_model(name), planner.catalog.find(name)
        warning = next((found.message for found in expired(prompt, plan, rules, model)), "")
        if warning:
            log.warning("%s", warning)
        if not may:
            reason = _stopped(exchange.may)
            return Planned(prompt, plan, Changed(body, (), as_sent(prompt), reason), (), warning)
        trims: list[Trimmed] = []
        if "trims" in may and self._shortened is not None:
            trims = self._shortened.shorten(prompt, planner.warm(prompt, plan.route.target, exchange.at))
            plan = msgspec.structs.replace(plan, trims=described(prompt, trims))
        route = []
        if routes and plan.failure is None and plan.route.target != prompt.model != local.NAME:
            route = routed(body, plan.route.target)
        here = bool(route) and plan.route.tier == local.TIER
        changed = planned(body, prompt, plan, planner.rules, trims, route, marked="anchors" in may)
        if not changed.reason and not changed.splices:
            changed = msgspec.structs.replace(changed, reason=_stopped(exchange.may - may))
        target = plan.route.target if route else ""
        return Planned(prompt, plan, changed, tuple(trims), warning, target, here, course=course)

    def _course(self, prompt: Prompt, decider: Decider) -> tuple[str | None, Course]:
        """Return the model that a conversation was routed to, and how it goes on.

        It stays there, unless another one is better after a new instruction.
        """
        known = self._routes.recall(prompt)
        draft = prompt.draft.text if prompt.draft is not None else ""
        begun = any(segment.role == "assistant" for segment in prompt.segments)
        asked = hardest(decider.quality, known.asked if known else "", draft) if known or not begun else ""
        own = prompt.model or ""
        side = not any(segment.section == "tools" for segment in prompt.segments)
        within = known is not None and not draft
        return known.model if known else None, Course(own, asked, side, within)

    def _foretold(self, planned: Planned, at: float) -> Planned:
        """Add what is to be expected of the cache by what is sent, and should the original be, in the planner's thread.

        A plan foretells what would become of it; in many cases nothing is done by it.
        """
        prompt, plan, changed = planned.prompt, planned.plan, planned.changed
        own, original = prompt.model or plan.route.target, as_sent(prompt)
        named = planned.route or own
        untouched = cache = plan.cache
        if original != plan.cache.anchors or own != plan.route.target:
            untouched = self.planner.sent(prompt, own, original, at)
        if (changed.anchors, named) == (original, own):
            cache = untouched
        elif changed.anchors != plan.cache.anchors or named != plan.route.target:
            cache = self.planner.sent(prompt, named, changed.anchors, at)
        return msgspec.structs.replace(planned, cache=cache, untouched=untouched)

    def settle(self, exchange: Exchange) -> None:
        """Have the outcome of a finished exchange recorded, once its plan is there."""
        planning = self._planning.get(exchange)
        if planning is not None:
            self.journal.background(self._settle(exchange, planning))

    async def _settle(self, exchange: Exchange, planning: "asyncio.Future[Planned]") -> None:
        try:
            planned = await planning
            sent = exchange.planned.changed.anchors if exchange.planned else as_sent(planned.prompt)
            prompt, plan = planned.prompt, planned.plan
            own = exchange.route or prompt.model or plan.route.target
            cache = (planned.cache if exchange.planned else planned.untouched) or plan.cache
            self.journal.record(self.journal.plans.add(plan, prompt, self.planner, own, sent, cache))
            if exchange.meter is not None:
                outcome = _outcome(plan, exchange, exchange.meter)
                self._converse(prompt, own, sent, outcome)
                if planned.course is not None and exchange.planned is not None:
                    self._routes.note(prompt, Routed(own, planned.course.asked))
                self.tally.add(self._passed(exchange, plan, cache, own, outcome))
                if self.config.gateway.keepalive_usd > 0 and not self.held(exchange.sender.credential):
                    self._keep_warm(exchange, planned, own, sent, outcome)
                # What waits for the disk from here on holds no bodies, and no place in the queue of plans.
                exchange.release()
                del planned, prompt, self._planning[exchange]
                await self.journal.outcome(outcome)
        except (PromptError, FullError):
            pass  # it is counted
        except NotRecordedError:
            pass  # the developer was told when recording stopped
        except Exception:
            log.exception("a request was not recorded")
        finally:
            self._planning.pop(exchange, None)

    def _passed(
        self, exchange: Exchange, plan: Plan, cache: CachePlan, model: str, outcome: Outcome
    ) -> Passed:
        usage, known = outcome.usage, self.planner.catalog.find(model)
        paid = self._billed(usage, model, outcome, exchange)
        return Passed(
            at=exchange.at,
            model=known.id if known is not None else model,
            status=exchange.status,
            seconds=exchange.seconds,
            first_byte=exchange.first_byte_s,
            usage=usage,
            p_hit=cache.p_hit,
            hit=hit(usage, cache, plan.tokens.estimate),
            miss=exchange.meter.billed.miss if exchange.meter is not None else "",
            usd=paid.usd if isinstance(paid, Bill) else None,
            saved_usd=paid.saved if isinstance(paid, Bill) else None,
            changes=len(exchange.planned.changed.splices) if exchange.planned else 0,
            unpriced=str(paid) if isinstance(paid, Unpriced) else "",
        )

    def _billed(
        self, usage: Usage | None, model: str, outcome: Outcome, exchange: Exchange
    ) -> Bill | Unpriced | None:
        """Return what a request was billed by the model that answered; None where it was not."""
        if usage is None:
            if exchange.status != OK or exchange.meter is None:
                return None
            return BROKEN_OFF if exchange.meter.broken_off else UNTOLD
        return self.pricing.bill(usage, outcome.target or model, exchange.at)

    def _keep_warm(
        self, exchange: Exchange, planned: Planned, own: str, sent: tuple[Anchor, ...], outcome: Outcome
    ) -> None:
        """Have the prefix of an answered request kept warm, where its provider has a way to."""
        prompt, usage, meter, send = planned.prompt, outcome.usage, exchange.meter, exchange.send
        rules = self.planner.rules.for_model(own)
        if usage is None or meter is None or send is None or exchange.status != OK:
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
        prices = self.pricing.prices(own)
        times = prices if isinstance(prices, Unpriced) else prices.times(usage)
        if isinstance(prices, Unpriced) or isinstance(times, Unpriced):
            return
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
            usd=prices.rates(exchange.at, tokens).read * tokens * times,
            body=ping,
            send=send,
        )
        self._keepalive.begin(kept)

    async def _pinged(self, kept: Kept, outcome: Outcome, usd: float | None) -> None:
        """Record a ping: an outcome of its own, by which the prefix is warm for longer."""
        self.tally.pinged(usd)
        remembered = self.journal.plans.get(kept.plan)
        warm = list(entries(remembered, outcome)) if remembered is not None else []
        self.journal.add(warm)
        try:
            if self.journal.recording.enabled:
                await self.journal.recording.outcome(outcome)
                await self.journal.recording.ledger(warm, ())
        except NotRecordedError:
            pass  # the developer was told when recording stopped

    async def _all_read(self) -> None:
        if self._planning:
            await asyncio.wait(list(self._planning.values()), timeout=DEADLINE_S)

    def given_again(self, answer: Answer, at: float) -> None:
        """Count a request that was answered from the response cache; the provider gave the answer at `at`."""
        paid = self.pricing.bill(answer.usage, answer.model or "", at) if answer.usage is not None else None
        self.tally.reused(paid.usd if isinstance(paid, Bill) else None)

    def state(self) -> State:
        """Return what went through so far."""
        kept = len(self._keepalive)
        now, plans = time.time(), self.config.gateway.plans
        return self.tally.state(
            now,
            self.mode,
            self.journal.warm,
            kept,
            self.journal.recording.problem,
            plans,
            self._unchanged(now),
        )

    def _unchanged(self, now: float) -> Iterator[Held]:
        """Yield what goes on as it comes: requests on a plan, and what was refused."""
        for kind, requests in self.tally.credentials.items():
            if self.held(kind):
                yield Held(f"requests on a {kind}", WHY_HELD, requests)
        for conversation, change, stop in self._refusals.stops(now):
            what = f"{NAMES[change]} in a conversation with {conversation.model or 'its model'}"
            yield Held(what, "the provider refused them, and accepted the original", stop.refused, stop.until)

    @property
    def _acts(self) -> bool:
        """Whether more than watching was asked for."""
        settings = self.config
        return bool(CHANGES[self.mode] or settings.gateway.keepalive_usd or settings.answers.reuse != "off")

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
        await self.journal.end(END_S)
        self._queue.close()


def _conversation(exchange: Exchange, prompt: Prompt) -> Conversation:
    return Conversation(exchange.sender.client, prompt.conversation, prompt.model)


def _stopped(kinds: frozenset[Change]) -> str:
    """Return why kinds of change are not made."""
    what = " and ".join(NAMES[kind] for kind in sorted(kinds))
    return f"the provider has refused {what} in this conversation, which is tried again later" if what else ""


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
