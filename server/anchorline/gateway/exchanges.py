"""Plans each gateway request in a worker thread and records its outcome.

Where a request may be changed its plan is waited for, but never for long; otherwise it is made while the provider
works. The answer's usage becomes the outcome of the plan. What a request holds warm follows from the breakpoints that
it was really sent with.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.config import Config, Mode
from anchorline.gateway.credential import PLANS, Credential
from anchorline.gateway.exchange import Exchange, PlannedRequest, Sender
from anchorline.gateway.keepalive import Keepalive, prefix_to_keep
from anchorline.gateway.metrics import FinishedRequest, GatewayState, Metrics, Unchanged
from anchorline.gateway.outcomes import finished, outcome_of
from anchorline.gateway.plan_queue import DEADLINE_S, FullError, PlanQueue
from anchorline.gateway.refusals import ACCEPTED, NAMES, Change, Refusal, Refusals
from anchorline.gateway.request_planner import RequestPlanner
from anchorline.gateway.splice import as_sent
from anchorline.gateway.usage import Meter
from anchorline.limits.model import TokenCounts, WindowCost
from anchorline.lint.cache import Share
from anchorline.live.journal import Journal
from anchorline.live.recording import NotRecordedError
from anchorline.outcome import Outcome
from anchorline.prompt.model import Format, PromptError
from anchorline.route.pricing import Bill, Pricing
from anchorline.store.answers import KeptAnswer

CHANGES: dict[Mode, frozenset[Change]] = {
    "observe": frozenset(),
    "anchors": frozenset({"anchors"}),
    "trim": frozenset({"anchors", "trims"}),
    "route": frozenset({"anchors", "trims", "route"}),
}
"""What each mode may change."""
OBSERVED: dict[Format, str] = {"gemini": "requests in Gemini's format are only observed"}
"""The formats that are read and not changed, and what is said of that."""
WHY_HELD = (
    "its terms keep it for the provider's own clients, and a changed request may be refused or billed as extra usage "
    "(gateway.plans)"
)
RUNS = 64
"""Runs whose figures are kept, those with the newest requests."""
SETTLING_S = 3.0
"""How long the figures of a run wait for its last requests."""
END_S = 10.0
"""How long the end waits for what is being written."""
log = logging.getLogger(__name__)


class Exchanges:
    """Plans and records the requests with a prompt. Used on the event loop only.

    `report` tells the developer of a problem, once; `warn` of a large prompt that goes into an expired cache; `show` of
    each request that is over.
    """

    def __init__(
        self,
        config: Config,
        report: Callable[[str], None],
        warn: Callable[[str], None] = lambda _: None,
        show: Callable[[FinishedRequest], None] = lambda _: None,
    ) -> None:
        self.mode: Mode = config.gateway.mode
        self.metrics = Metrics()
        self._runs: dict[str, Metrics] = {}
        self.journal = Journal(report)
        self._config = config
        self._report = report
        self._warn = warn
        self._show = show
        self._billed: Callable[[float], None] = lambda _: None
        self._refusals = Refusals()
        self._requests = RequestPlanner(config, self.journal, self._refusals)
        self.planner = self._requests.planner
        self._pricing = Pricing(self.planner.targets)
        self._keepalive = Keepalive(
            config.gateway.keepalive_usd, self._pinged, self._all_read, self._pricing.bill, report
        )
        self._queue = PlanQueue[Exchange, PlannedRequest](self._requests.plan)
        self._planning: dict[Exchange, asyncio.Future[PlannedRequest]] = {}
        self._recorded = asyncio.Event()

    async def start(self) -> None:
        """Opens the store as the settings say, and reads what a plan needs, before the first request waits for it."""
        self.journal.begin(self._config)
        await self.journal.recording.opened()
        await self.journal.policies.loaded()
        await self._queue.run(self._requests.warm_up)
        if "trims" in CHANGES[self.mode]:  # what was sent shorter before this process began is so again
            self._requests.replay(await self.journal.recording.known_replays())

    @property
    def idle(self) -> bool:
        """Whether no request waits for its plan, or to be recorded."""
        return not self._planning

    def held(self, credential: Credential) -> bool:
        """Returns whether requests with a kind of credential are only observed, whatever the mode is."""
        return credential in PLANS and self._config.gateway.plans == "observe"

    def price_in_windows(self, share: Share) -> None:
        """Has warnings say what a cold send takes of a plan's window. `share` is called in the planner's thread."""
        self._requests.share = share

    def tell_bills(self, billed: Callable[[float], None]) -> None:
        """Has `billed` called with the dollars of each request, once its outcome is on disk."""
        self._billed = billed

    @property
    def _acts(self) -> bool:
        """Whether more than watching was asked for."""
        settings = self._config
        return bool(CHANGES[self.mode] or settings.gateway.keepalive_usd or settings.answers.reuse != "off")

    # A request's way, from its coming to the end of its answer

    def open(self, body_format: Format, body: bytes, at: float, sender: Sender) -> Exchange:
        """Returns the exchange of a request that came at the epoch second `at`."""
        kind = sender.credential
        for metrics in self._metrics_of(sender.run):
            metrics.credentials[kind] += 1
        if not self.held(kind):
            observed = OBSERVED.get(body_format, "")
            may = CHANGES[self.mode] if not observed else frozenset[Change]()
            return Exchange(body_format, body, at, sender, may, observed if CHANGES[self.mode] else "")
        if self.metrics.credentials[kind] == 1:
            tell = self._report if self._acts else log.info
            tell(f"requests on a {kind} go on unchanged: {WHY_HELD}")
        return Exchange(
            body_format, body, at, sender, held=f"it is on a {kind}: {WHY_HELD}" if self._acts else ""
        )

    async def prepare(self, exchange: Exchange) -> bytes:
        """Returns the body to send: the client's own, or what the plan makes of it. Never later than `DEADLINE_S`."""
        if exchange.may:
            exchange.planned, exchange.reason = await self._plan_in_time(exchange)
        return exchange.sent_body

    def answered(
        self, exchange: Exchange, status: int, meter: Meter, request_id: str = ""
    ) -> list[tuple[bytes, bytes]]:
        """Notes that the answer begins; returns the headers that say what was done with the request."""
        exchange.begin_answer(status, meter, request_id)
        self._judge(exchange)
        self._plan(exchange)
        return exchange.headers()

    def close(self, exchange: Exchange) -> None:
        """Records the outcome of an exchange that is over, complete or not, once its plan is there."""
        exchange.end_answer()
        planning = self._planning.get(exchange)
        if planning is not None:
            self.journal.background(self._record(exchange, planning))

    # Planning

    def _plan(self, exchange: Exchange) -> "asyncio.Future[PlannedRequest] | None":
        """Has a request planned beside the event loop; None where too many wait for that."""
        planning = self._planning.get(exchange)
        if planning is None:
            planning = self._queue.put(exchange, len(exchange.body), held=bool(exchange.may))
            if planning is None:
                for metrics in self._metrics_of(exchange.sender.run):
                    metrics.counts.unplanned += 1
                return None
            planning.add_done_callback(partial(self._planned, exchange.sender.run))
            self._planning[exchange] = planning
        return planning

    async def _plan_in_time(self, exchange: Exchange) -> tuple[PlannedRequest | None, str]:
        """Returns the plan that a request is sent by, or why there is none."""
        planning = self._plan(exchange)
        if planning is None:
            return None, "too many requests wait for a plan"
        await asyncio.wait({planning}, timeout=DEADLINE_S)
        if not planning.done():
            for metrics in self._metrics_of(exchange.sender.run):
                metrics.counts.late += 1
            return None, "planning takes too long"
        if planning.exception() is not None:
            return None, "the request can't be planned"
        planned = planning.result()
        for metrics in self._metrics_of(exchange.sender.run):
            metrics.counts.changed += bool(planned.changed.splices)
        trims = self._requests.keep_trims(planned)
        if trims:
            self.journal.background(self.journal.recording.replays(trims))
        return planned, planned.changed.reason

    def _planned(self, run: str, planning: "asyncio.Future[PlannedRequest]") -> None:
        error = planning.exception()
        if error is None:
            planned = planning.result()
            self._keepalive.seen(planned.prompt)
            if planned.warning:
                self._warn(planned.warning)
        else:
            for metrics in self._metrics_of(run):
                metrics.counts.unread += isinstance(error, PromptError)
                metrics.counts.unplanned += isinstance(error, FullError)

    async def _all_read(self) -> None:
        if self._planning:
            await asyncio.wait(list(self._planning.values()), timeout=DEADLINE_S)

    # What the provider refuses

    def _judge(self, exchange: Exchange) -> None:
        """Sees whose fault a refusal was, by the status of the answer to the original."""
        if exchange.status < ACCEPTED and exchange.refusal is not None:
            exchange.reason = self._refused(exchange, *exchange.refusal)
        elif exchange.status < ACCEPTED and exchange.planned is not None and exchange.planned.changed.kinds:
            conversation = exchange.conversation(exchange.planned.prompt)
            self._refusals.accepted(conversation, exchange.planned.changed.kinds)
        exchange.refusal = None

    def _refused(self, exchange: Exchange, planned: PlannedRequest, refusal: Refusal) -> str:
        """Notes that the provider took the original in the place of what was planned; returns that as a reason."""
        for metrics in self._metrics_of(exchange.sender.run):
            metrics.counts.refused += 1
        conversation = exchange.conversation(planned.prompt)
        left_out = self._refusals.refused(
            conversation, planned.changed.kinds, refusal, planned.route, exchange.at
        )
        what = " and ".join(NAMES[kind] for kind in left_out)
        minutes = round((max(pause.until for pause in left_out.values()) - exchange.at) / 60)
        reason = (
            f"the provider refused {what} (status {refusal.status}), so the original was sent; "
            f"left out of this conversation for {minutes} minutes"
        )
        log.warning("%s (%s)", reason, planned.prompt.model)
        return reason

    # Recording

    async def _record(self, exchange: Exchange, planning: "asyncio.Future[PlannedRequest]") -> None:
        try:
            await asyncio.wait({planning})  # `_planned` has run by then: it ends what `_settle` begins
            settled = self._settle(exchange, planning.result())
            # What waits for the disk from here on holds no bodies, and no place in the queue of plans.
            exchange.release()
            del planning, self._planning[exchange]
            if settled is not None:
                outcome, usd = settled
                if await self.journal.outcome(outcome) and usd is not None:
                    self._billed(usd)
        except (PromptError, FullError):
            pass  # it is counted
        except NotRecordedError:
            pass  # the developer was told when recording stopped
        except Exception:
            log.exception("a request was not recorded")
        finally:
            self._planning.pop(exchange, None)
            self._recorded.set()

    def _settle(self, exchange: Exchange, planned: PlannedRequest) -> tuple[Outcome, float | None] | None:
        """Takes in how an exchange ended; returns its outcome and its dollars, None where no answer began."""
        sent = exchange.planned.changed.anchors if exchange.planned else as_sent(planned.prompt)
        prompt, plan = planned.prompt, planned.plan
        model = exchange.route or prompt.model or plan.route.target
        cache = (planned.cache if exchange.planned else planned.untouched) or plan.cache
        self.journal.record(self.journal.plans.add(plan, prompt, self.planner, model, sent, cache))
        if exchange.meter is None:
            return None
        outcome = outcome_of(plan, exchange, exchange.meter)
        self._requests.note_usage(prompt, model, sent, outcome)
        if planned.course is not None and exchange.planned is not None:
            self._requests.note_route(prompt, model, planned.course)
        over = finished(exchange, prompt, plan, cache, model, outcome, self._pricing, self.planner.targets)
        for metrics in self._metrics_of(exchange.sender.run):
            metrics.add(over)
            if exchange.sender.credential in PLANS and outcome.usage is not None:
                metrics.add_on_plan(outcome.target or model, outcome.usage)
        self._show(over)
        if self._config.gateway.keepalive_usd > 0 and not self.held(exchange.sender.credential):
            kept = prefix_to_keep(exchange, planned, model, sent, outcome, self.planner, self._pricing)
            if kept is not None:
                self._keepalive.begin(kept)
        return outcome, over.usd

    async def _pinged(self, outcome: Outcome, usd: float | None) -> None:
        """Records a ping: an outcome of its own, by which the prefix is warm for longer."""
        self.metrics.pinged(usd)
        with suppress(NotRecordedError):  # the developer was told when recording stopped
            await self.journal.outcome(outcome)

    def reused(self, answer: KeptAnswer, at: float, run: str) -> None:
        """Counts a request of a run that was answered from the response cache; the provider gave the answer at `at`."""
        bill = self._pricing.bill(answer.usage, answer.model or "", at) if answer.usage is not None else None
        for metrics in self._metrics_of(run):
            metrics.reused(bill.usd if isinstance(bill, Bill) else None)

    # What is shown of it

    def state(self) -> GatewayState:
        """Returns what went through so far."""
        now = time.time()
        unchanged = [*self._held(self.metrics), *self._refused_changes(now)]
        return self._state(self.metrics, now, self.journal.warm, len(self._keepalive), unchanged)

    async def state_of(
        self, run: str, spent: Callable[[Mapping[str, TokenCounts]], tuple[WindowCost, ...]]
    ) -> GatewayState:
        """Returns what went through of a run, once its requests are added up whose answers have ended.

        `spent` returns what tokens of a plan, by model, took of its windows.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLING_S):
                while any(exchange.sender.run == run for exchange in self._planning):
                    self._recorded.clear()
                    await self._recorded.wait()
        metrics = self._runs.get(run, Metrics())
        state = self._state(metrics, time.time(), (), 0, list(self._held(metrics)))
        return msgspec.structs.replace(state, spent=spent(metrics.on_plans))

    def _state(
        self, metrics: Metrics, now: float, warm: Iterable[Entry], kept_warm: int, unchanged: list[Unchanged]
    ) -> GatewayState:
        problem = self.journal.recording.problem
        plans = self._config.gateway.plans
        return metrics.state(now, self.mode, warm, kept_warm, problem, plans, unchanged)

    def _metrics_of(self, run: str) -> tuple[Metrics, ...]:
        """Returns the metrics that a request counts in: of all, and of its run where it is of one."""
        if not run:
            return (self.metrics,)
        metrics = self._runs.pop(run, None) or Metrics()
        self._runs[run] = metrics  # the one used last is the last
        if len(self._runs) > RUNS:
            del self._runs[next(iter(self._runs))]
        return self.metrics, metrics

    def _held(self, metrics: Metrics) -> Iterator[Unchanged]:
        """Yields the requests on a plan, which go on as they come."""
        for kind, requests in metrics.credentials.items():
            if self.held(kind):
                yield Unchanged(f"requests on a {kind}", WHY_HELD, requests)

    def _refused_changes(self, now: float) -> Iterator[Unchanged]:
        """Yields what is left out since a provider has refused it."""
        for conversation, change, pause in self._refusals.pauses(now):
            what = f"{NAMES[change]} in a conversation with {conversation.model or 'its model'}"
            yield Unchanged(
                what, "the provider refused them, and accepted the original", pause.refused, pause.until
            )

    async def end(self) -> None:
        """Writes what is known and closes."""
        await self._keepalive.close()
        await self.journal.end(END_S)
        self._queue.close()
