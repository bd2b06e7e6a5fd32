"""Plans a gateway request: reads its body, decides, and makes what is sent in its place."""

import logging
from collections.abc import Mapping

import msgspec

from anchorline.config import Config
from anchorline.gateway import local
from anchorline.gateway.conversations import ConversationRoute, Conversations, Routes, whole
from anchorline.gateway.credential import PLANS
from anchorline.gateway.exchange import Exchange, PlannedRequest
from anchorline.gateway.refusals import NAMES, Change, Refusals
from anchorline.gateway.splice import ChangedBody, as_sent, planned, routed
from anchorline.lint.cache import Share, expired, unknown_share
from anchorline.live.journal import Journal
from anchorline.outcome import Outcome
from anchorline.plan import Anchor
from anchorline.planner import Decider, Planner
from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Prompt, Sent
from anchorline.prompt.session import chosen
from anchorline.route.choose import Course, hardest
from anchorline.trim.results import Shortened, Trimmed
from anchorline.trim.trims import trims

_FIRST = b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":"Hello"}]}'
log = logging.getLogger(__name__)


class RequestPlanner:
    """Plans requests, with what is known of their conversations.

    `plan` and `warm_up` are called in the planner's thread, everything else on the event loop. `share` returns what
    writing tokens takes of a plan's window.
    """

    def __init__(self, config: Config, journal: Journal, refusals: Refusals) -> None:
        self.share: Share = unknown_share
        # The draft is sent already, and in all modes but one the model is the client's choice.
        refine = msgspec.structs.replace(config.refine, enabled=False)
        enabled = config.route.enabled and config.gateway.mode == "route"
        route = msgspec.structs.replace(config.route, enabled=enabled)
        config = msgspec.structs.replace(config, refine=refine, route=route)
        self.planner = Planner(config, journal.ledger, deciders=self._decider)
        same_model = msgspec.structs.replace(route, enabled=False)
        self._unrouted = Planner(
            msgspec.structs.replace(config, route=same_model),
            journal.ledger,
            targets=self.planner.targets,
            deciders=self._decider,
        )
        self._observes = config.gateway.mode == "observe"
        self._policies = journal.policies
        self._refusals = refusals
        self._memory = Memory()
        self._conversations = Conversations()
        self._routes = Routes()
        self._shortened: Shortened | None = None

    def warm_up(self) -> None:
        """Loads what a plan needs, which the first request need not wait for then."""
        self.planner.plan(formats.read(_FIRST, format="anthropic"))

    def replay(self, forms: Mapping[bytes, bytes]) -> None:
        """Trims tool results from now on; `forms` are those in which earlier processes have sent them."""
        self._shortened = Shortened(dict(forms))

    def _decider(self, conversation: str | None) -> Decider:
        """Returns who decides. A plan that changes nothing shows nothing of a policy, so it is in no A/B."""
        return self._policies.of(None if self._observes else conversation)

    def plan(self, exchange: Exchange) -> PlannedRequest:
        """Returns the plan of a request, and what is to be expected of the cache. Raises PromptError."""
        return self._with_forecast(self._plan(exchange), exchange.at)

    def _plan(self, exchange: Exchange) -> PlannedRequest:
        body = exchange.body
        prompt = formats.read(body, format=exchange.format, memory=self._memory, model=exchange.sender.model)
        prompt = msgspec.structs.replace(prompt, session=chosen(exchange.sender.session, prompt.session))
        prompt = self._conversations.recall(prompt)
        may = self._refusals.allowed(exchange.conversation(prompt), exchange.may, exchange.at)
        routes = "route" in may
        planner = self.planner if routes else self._unrouted
        # A plan that changes nothing shows nothing of a policy, so it is in no A/B.
        decider = self._policies.of(prompt.conversation if may else None)
        current, course = self._course(prompt, decider) if routes else (None, None)
        plan = planner.plan(prompt, target=current, now=exchange.at, decider=decider, course=course)
        name = current or prompt.model or plan.route.target
        share = self.share if exchange.sender.credential in PLANS else unknown_share
        findings = expired(prompt, plan, planner.targets.find(name), share)
        warning = next((finding.message for finding in findings), "")
        if warning:
            log.warning("%s", warning)
        if not may:
            unchanged = ChangedBody(body, (), as_sent(prompt), _why_left_out(exchange.may))
            return PlannedRequest(prompt, plan, unchanged, (), warning)
        results: tuple[Trimmed, ...] = ()
        if "trims" in may and self._shortened is not None:
            made = trims(prompt, self._shortened, planner.warm(prompt, plan.route.target, exchange.at))
            results = made.results
            plan = msgspec.structs.replace(plan, trims=made.planned)
        route = []
        if routes and plan.failure is None and plan.route.target != prompt.model != local.NAME:
            route = routed(body, plan.route.target)
        here = bool(route) and plan.route.tier == local.TIER
        changed = planned(body, prompt, plan, planner.targets, results, route, marked="anchors" in may)
        if not changed.reason and not changed.splices:
            changed = msgspec.structs.replace(changed, reason=_why_left_out(exchange.may - may))
        target = plan.route.target if route else ""
        return PlannedRequest(prompt, plan, changed, results, warning, target, here, course=course)

    def _course(self, prompt: Prompt, decider: Decider) -> tuple[str | None, Course]:
        """Returns the model that a conversation was routed to, and how it goes on.

        It stays there, unless another one is better after a new instruction.
        """
        last = self._routes.recall(prompt)
        draft = prompt.draft.text if prompt.draft is not None else ""
        begun = any(segment.role == "assistant" for segment in prompt.segments)
        asked = hardest(decider.quality, last.asked if last else "", draft) if last or not begun else ""
        own = prompt.model or ""
        side = not any(segment.section == "tools" for segment in prompt.segments)
        within = last is not None and not draft
        return last.model if last else None, Course(own, asked, side, within)

    def _with_forecast(self, planned: PlannedRequest, at: float) -> PlannedRequest:
        """Adds what is to be expected of the cache by what is sent, and should the original be.

        A plan foretells what would become of it; in many cases nothing is done by it.
        """
        prompt, plan, changed = planned.prompt, planned.plan, planned.changed
        own, original = prompt.model or plan.route.target, as_sent(prompt)
        target = planned.route or own
        untouched = cache = plan.cache
        if original != plan.cache.anchors or own != plan.route.target:
            untouched = self.planner.sent(prompt, own, original, at)
        if (changed.anchors, target) == (original, own):
            cache = untouched
        elif changed.anchors != plan.cache.anchors or target != plan.route.target:
            cache = self.planner.sent(prompt, target, changed.anchors, at)
        return msgspec.structs.replace(planned, cache=cache, untouched=untouched)

    def keep_trims(self, planned: PlannedRequest) -> Mapping[bytes, bytes]:
        """Has the trims of a request that is sent made again in the next ones; returns those that are new."""
        if not planned.trims or self._shortened is None:
            return {}
        return self._shortened.keep(planned.prompt, planned.trims)

    def note_route(self, prompt: Prompt, model: str, course: Course) -> None:
        """Remembers where a request of a conversation was sent."""
        self._routes.note(prompt, ConversationRoute(model, course.asked))

    def note_usage(self, prompt: Prompt, model: str, sent: tuple[Anchor, ...], outcome: Outcome) -> None:
        """Remembers when a request was sent and what it was billed, for the next one of its conversation."""
        usage, at = outcome.usage, outcome.sent_at
        provider = self.planner.targets.find(model).provider
        by_itself = provider.mode == "automatic" or provider.implicit or prompt.automatic_ttl is not None
        if usage is None or at is None or not whole(prompt, sent, by_itself=by_itself):
            return
        ttl = prompt.automatic_ttl if by_itself else sent[-1].ttl
        last = usage.messages[-1]
        request = Sent(
            at,
            model,
            prompt.segments[-1].prefix,
            len(prompt.segments),
            last.input,
            last.read,
            last.write,
            ttl,
        )
        self._conversations.note(prompt, request)


def _why_left_out(kinds: frozenset[Change]) -> str:
    """Returns why kinds of change are not made."""
    what = " and ".join(NAMES[kind] for kind in sorted(kinds))
    return f"the provider has refused {what} in this conversation, which is tried again later" if what else ""
