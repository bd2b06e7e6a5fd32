"""The planner: makes a plan from a prompt, its surroundings and a policy.

Everything decided here is a pure function of the prompt, the surroundings, the ledger, the settings and the moment:
the same input gives the same plan (but for its id and its timings). Nothing is stored, sent or changed.
"""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from itertools import accumulate
from operator import attrgetter, mul

import msgspec

from anchorline.cache import predict
from anchorline.cache.gaps import GapModel, Gaps, HazardGaps, Moment, observed
from anchorline.cache.hits import HitModel, TableHits
from anchorline.cache.ledger import Entry, Held, Ledger, with_entry
from anchorline.cache.quote import OUTPUT_TOKENS, Quote, Terms
from anchorline.cache.rules import Provider
from anchorline.config import Config
from anchorline.instructions import findings as instructions
from anchorline.instructions.warm_files import InstructionEdit, WarmFile
from anchorline.lint.cache import Share, unknown_share
from anchorline.lint.check import check
from anchorline.lint.finding import Finding
from anchorline.plan import Anchor, CachePlan, Cost, Plan, Policy, Refinement, Route, Tokens
from anchorline.prompt.model import Prompt
from anchorline.refine.propose import propose
from anchorline.route.choose import Course, Situation, choose
from anchorline.route.quality import HeuristicQuality, QualityModel
from anchorline.route.target import Target, Targets
from anchorline.route.target import load as load_targets
from anchorline.surroundings import NOTHING, Surroundings
from anchorline.trim.results import Shortened
from anchorline.trim.trims import trims

_TOKENS, _SPREAD = attrgetter("tokens"), attrgetter("spread")

_log = logging.getLogger(__name__)


class Decider(msgspec.Struct, frozen=True):
    """A policy with the models that it decides by. The heuristic, where nothing else is said."""

    policy: Policy = Policy()
    gaps: GapModel = msgspec.field(default_factory=HazardGaps)
    quality: QualityModel = msgspec.field(default_factory=HeuristicQuality)
    hits: HitModel = msgspec.field(default_factory=TableHits)


class Planner:
    """Plans prompts under one set of settings. Thread-safe: it holds nothing that changes but the ledger.

    `deciders` says who decides about a conversation: without it the heuristic, by other `gaps` and `quality` if given.
    `shortened` makes tool results shorter as the gateway's mode ``trim`` does; without it a plan trims none.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        targets: Targets | None = None,
        gaps: GapModel | None = None,
        quality: QualityModel | None = None,
        deciders: Callable[[str | None], Decider] | None = None,
        shortened: Shortened | None = None,
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.targets = targets or load_targets(config.files)
        self.heuristic = own = Decider(gaps=gaps or HazardGaps(), quality=quality or HeuristicQuality())
        self._shortened = shortened
        self._deciders = deciders or (lambda _conversation: own)

    def plan(
        self,
        prompt: Prompt,
        surroundings: Surroundings = NOTHING,
        *,
        target: str | None = None,
        now: float | None = None,
        decider: Decider | None = None,
        course: Course | None = None,
        warm_files: Sequence[WarmFile] = (),
    ) -> Plan:
        """Decides. `target` names the model that the caller is set to use; `now` is in epoch seconds.

        `decider` decides in the place of the one whose turn it is; `course` says how a conversation goes on that is
        routed by itself. `warm_files` are an instruction file as it stands in warm prefixes. Never raises: where a
        network fails the heuristic decides and the policy's `reason` says so; whatever else fails, the plan changes
        nothing and `failure` says why.
        """
        moment = now if now is not None else prompt.now if prompt.now is not None else time.time()
        policy = Policy()
        try:
            chosen = decider or self._deciders(prompt.conversation)
            policy = chosen.policy
            if prompt.is_instructions:
                return self._priced(prompt, target, moment, warm_files)
            if policy.name != self.heuristic.policy.name:
                try:
                    return self._decide(prompt, surroundings, target, moment, chosen, course)
                except Exception as error:  # noqa: BLE001  (the heuristic can do without it)
                    _log.warning("policy %s failed: %s", policy.version, type(error).__name__)
                    chosen = self._instead(policy, f"{policy.version} failed ({type(error).__name__})")
            return self._decide(prompt, surroundings, target, moment, chosen, course)
        except Exception as error:  # noqa: BLE001  (fail open: the prompt must go through whatever breaks here)
            _log.warning("planning failed: %s", type(error).__name__)
            reason = f"Planning failed ({type(error).__name__})."
            return self._unchanged(prompt, target, moment, reason, policy)

    def _instead(self, policy: Policy, reason: str) -> Decider:
        """Returns the heuristic for where another policy should have decided, on that one's side of an experiment."""
        own = self.heuristic.policy
        named = msgspec.structs.replace(policy, name=own.name, version=own.version, reason=reason)
        return msgspec.structs.replace(self.heuristic, policy=named)

    def gaps(self, prompt: Prompt, moment: Moment) -> Gaps:
        """Returns the gap distribution predicted by the conversation's policy."""
        try:
            return self._deciders(prompt.conversation).gaps.after(moment)
        except Exception as error:  # noqa: BLE001  (the heuristic can do without a network)
            _log.warning("a gap model failed: %s", type(error).__name__)
            return self.heuristic.gaps.after(moment)

    def warm(self, prompt: Prompt, name: str, now: float) -> int:
        """Returns the last segment up to which a prompt is believed to be held for a model, or -1."""
        totals, _ = predict.counted(prompt, now)
        return self._warmth(prompt, self.targets.find(name), now, totals).last

    def sent(self, prompt: Prompt, name: str, anchors: tuple[Anchor, ...], now: float) -> CachePlan:
        """Returns what is to be expected of the cache where a prompt is sent to a model with these anchors.

        A plan says what would be best; this is of what is really done, which may be nothing at all. Where a network
        fails the heuristic foretells.
        """
        try:
            return self._sent(prompt, name, anchors, now, self._deciders(prompt.conversation))
        except Exception as error:  # noqa: BLE001  (the heuristic can do without it)
            _log.warning("what is sent can't be foretold: %s", type(error).__name__)
            return self._sent(prompt, name, anchors, now, self.heuristic)

    def _sent(
        self, prompt: Prompt, name: str, anchors: tuple[Anchor, ...], now: float, decider: Decider
    ) -> CachePlan:
        target = self.targets.find(name)
        totals, _ = predict.counted(prompt, now)
        moment = observed(prompt, totals[-1] if totals else 0, now)
        judge = predict.Judge(decider.hits, moment)
        warmth = self._warmth(prompt, target, now, totals, judge)
        gaps = decider.gaps.after(moment)
        return self._quote(prompt, target, warmth, gaps, totals, now, judge).sent(anchors)

    def lint(
        self,
        prompt: Prompt,
        plan: Plan,
        edits: Sequence[InstructionEdit] = (),
        share: Share = unknown_share,
    ) -> tuple[Finding, ...]:
        """Returns what the rules find in a prompt. `edits` are those of an instruction file in warm prefixes.

        `share` tells what a write takes of a plan's window.
        """
        # The rules speak of the request as it stands, so of the model that it is set to use.
        findings = check(prompt, plan, self.targets.find(self.model(prompt)), share)
        if not edits:
            return findings
        return (*instructions.edit_findings(edits, self.targets, plan.created_at), *findings)

    def _decide(
        self,
        prompt: Prompt,
        surroundings: Surroundings,
        target: str | None,
        now: float,
        decider: Decider,
        course: Course | None,
    ) -> Plan:
        clock = time.perf_counter
        timing = {}
        start = clock()
        refinement = self._refine(prompt, surroundings)
        mark = clock()
        timing["refine"] = mark - start

        current = self.targets.find(self.model(prompt, target))
        totals, measured = predict.counted(prompt, now)
        total = totals[-1] if totals else 0
        seen = observed(prompt, total, now)
        judge = predict.Judge(decider.hits, seen)
        warmth = self._warmth(prompt, current, now, totals, judge)
        lap = clock()
        timing["warm"], mark = lap - mark, lap

        planned_trims = trims(prompt, self._shortened, warmth.last).planned
        lap = clock()
        timing["trim"], mark = lap - mark, lap

        elsewhere = self._elsewhere(prompt, current, now, totals, judge) if self.config.route.enabled else {}
        unclear = bool(refinement.questions)
        route = self._route(
            prompt, current.name, warmth, elsewhere, total, decider.quality, now, course, unclear=unclear
        )
        lap = clock()
        timing["route"], mark = lap - mark, lap

        gaps = decider.gaps.after(seen)
        as_is = self._quote(prompt, current, warmth, gaps, totals, now, judge)
        quote, routed, own = as_is, current, None
        if route.target not in (current.name, current.id):
            routed = self.targets.find(route.target)
            there = self._warmth(prompt, routed, now, totals, judge)
            # What expired at the model that the request is set to use is why a switch is free, so it stays said.
            lost = tuple(miss for miss in warmth.misses if miss.code == "expired")
            there = msgspec.structs.replace(there, misses=(*lost, *there.misses))
            quote = self._quote(prompt, routed, there, gaps, totals, now, judge)
            own = as_is.planned(self.config.cache.anchors, self.config.cache.ttl)[1]
        cache, terms = quote.planned(self.config.cache.anchors, self.config.cache.ttl)
        tokens = _interval(prompt, totals, measured)
        without = as_is.terms(as_is.usual_anchors()) if current.model is not None else None
        own = (own or terms) if current.model is not None else None
        cost = _cost(terms if routed.model is not None else None, own, without, tokens)
        timing["cache"] = clock() - mark
        timing["total"] = clock() - start
        draft = prompt.draft
        return Plan(
            id=_new_id(now),
            created_at=now,
            format=prompt.format,
            draft_hash=_hash(draft.text) if draft is not None else None,
            prompt_hash=prompt.hash,
            session=prompt.conversation,
            policy=decider.policy,
            refinement=refinement,
            trims=planned_trims,
            cache=cache,
            route=route,
            tokens=tokens,
            cost=cost,
            timing={stage: round(seconds * 1000, 4) for stage, seconds in timing.items()},
        )

    def _refine(self, prompt: Prompt, surroundings: Surroundings) -> Refinement:
        if not self.config.refine.enabled:
            return Refinement("unavailable", "Refinement is switched off (refine.enabled).")
        if prompt.draft is None:
            return Refinement("unchanged", "this file has no request in it")
        return propose(
            prompt.draft.text,
            surroundings,
            max_hints=self.config.refine.max_hints,
            follow_up=_answered(prompt),
        )

    def model(self, prompt: Prompt, target: str | None = None) -> str:
        """Returns the model that the request is set to use.

        A document may name several as its editor calls them: the first one that the catalogue knows, else the first.
        """
        if target:
            return target
        models = (self.targets.catalog.named(label) for label in prompt.models)
        first = next((model for model in models if model is not None), None)
        return first.id if first is not None else prompt.model or self.config.route.model

    def _warmth(
        self,
        prompt: Prompt,
        target: Target,
        now: float,
        totals: list[int],
        judge: predict.Judge = predict.TABLE,
        reach: predict.Reach | None = None,
    ) -> predict.Warmth:
        held = self._held(prompt, target.provider, now)
        return predict.assess(prompt, held, target.id, target.provider, now, totals, judge, reach)

    def _elsewhere(
        self, prompt: Prompt, current: Target, now: float, totals: list[int], judge: predict.Judge
    ) -> dict[str, int]:
        """Returns how many tokens are expected to be read from the other models that the conversation was sent to."""
        sent = map(self.targets.find, {sent.model for sent in prompt.sent if sent.at < now})
        elsewhere = {}
        for identity in {target.id for target in sent if target.model is not None} - {current.id}:
            warmth = self._warmth(prompt, self.targets.find(identity), now, totals, judge)
            elsewhere[identity] = round(warmth.p_hit * warmth.tokens)
        return elsewhere

    def _held(self, prompt: Prompt, provider: Provider, now: float) -> Held:
        """Returns what the ledger knows, and what a transcript itself shows was sent."""
        held = self.ledger.held(provider.name, self.config.cache.account)
        if not prompt.sent:
            return held
        merged = dict(held)
        for sent in prompt.sent:
            if sent.at >= now:  # the request that is planned here
                continue
            lifetime = provider.lifetime(sent.ttl or "default") or provider.lifetime("default")
            if lifetime is None:
                continue
            tokens = sent.input + (sent.read or 0) + (sent.write or 0)
            by_itself = provider.mode != "explicit" or provider.implicit
            if tokens < provider.minimum(sent.model) or not (by_itself or sent.read != 0 or sent.write != 0):
                continue  # nothing of it was cached
            entry = Entry(
                provider.name,
                self.config.cache.account,
                self.targets.find(sent.model).id,
                sent.prefix,
                tokens,
                lifetime.name,
                sent.at,
                sent.at + lifetime.seconds,
                "transcript",
            )
            merged[sent.prefix] = with_entry(merged.get(sent.prefix, ()), entry)
        return merged

    def _quote(
        self,
        prompt: Prompt,
        target: Target,
        warmth: predict.Warmth,
        gaps: Gaps,
        totals: list[int],
        now: float,
        judge: predict.Judge,
    ) -> Quote:
        price, output_price = target.prices(totals[-1] if totals else 0, now)

        def within(reach: predict.Reach) -> predict.Warmth:
            return self._warmth(prompt, target, now, totals, judge, reach)

        provider = target.provider
        return Quote(prompt, provider, target.name, price, output_price, warmth, totals, gaps, within)

    def _route(
        self,
        prompt: Prompt,
        name: str,
        warmth: predict.Warmth,
        elsewhere: dict[str, int],
        total: int,
        quality: QualityModel,
        now: float,
        course: Course | None,
        *,
        unclear: bool,
    ) -> Route:
        return choose(
            Situation(
                current=name,
                prompt_tokens=total,
                warm_tokens=round(warmth.p_hit * warmth.tokens),
                output_tokens=OUTPUT_TOKENS,
                in_session=warmth.last >= 0 or _answered(prompt),
                cold=warmth.last < 0,
                draft=prompt.draft.text if prompt.draft is not None else "",
                elsewhere=elsewhere,
                at=now,
                course=course,
                unclear=unclear,
            ),
            self.targets,
            quality,
            self.config.route,
        )

    def _priced(self, prompt: Prompt, name: str | None, now: float, warm_files: Sequence[WarmFile]) -> Plan:
        """Returns what an instruction file costs. There is nothing to decide: whoever sends it chose the model."""
        start = time.perf_counter()
        target = self.targets.find(self.model(prompt, name))
        tokens = _interval(prompt, list(accumulate(map(_TOKENS, prompt.segments))), 0)
        cost = instructions.cost(tokens.estimate, target, warm_files, self.targets, now)
        reason = "no model is chosen for an instruction file: it is sent with other requests"
        tier = target.model.tier if target.model is not None else "unknown"
        return Plan(
            id=_new_id(now),
            created_at=now,
            format=prompt.format,
            draft_hash=None,
            prompt_hash=prompt.hash,
            session=prompt.session,
            policy=self.heuristic.policy,
            refinement=Refinement("unchanged", "this file has no request in it"),
            trims=(),
            cache=CachePlan(
                target.provider.name, "none", (), 0.0, 0, None, 0, 0, reason="the client sets the breakpoints"
            ),
            route=Route(target.name, tier, (), sticky=True, reason=reason),
            tokens=tokens,
            cost=Cost(None, None, None, None, None),
            timing={"total": round((time.perf_counter() - start) * 1000, 4)},
            instructions=cost,
        )

    def _unchanged(self, prompt: Prompt, target: str | None, now: float, reason: str, policy: Policy) -> Plan:
        name = target or prompt.model or self.config.route.model
        return Plan(
            id=_new_id(now),
            created_at=now,
            format=prompt.format,
            draft_hash=None,
            prompt_hash=prompt.hash,
            session=prompt.session,
            policy=policy,
            refinement=Refinement("unavailable", reason),
            trims=(),
            cache=CachePlan("unknown", "none", (), 0.0, 0, None, 0, 0, reason=reason),
            route=Route(name, "unknown", (), sticky=True, reason=reason),
            tokens=Tokens(prompt.tokens, prompt.tokens // 2, prompt.tokens * 2),
            cost=Cost(None, None, None, None, None),
            timing={},
            failure=reason,
        )


def _new_id(now: float) -> str:
    return f"{int(now * 1000):x}-{secrets.token_hex(6)}"


def _answered(prompt: Prompt) -> bool:
    """Says whether the conversation has answers already: "fix it" then means what was said before."""
    return any(segment.role == "assistant" for segment in prompt.segments)


def _interval(prompt: Prompt, totals: list[int], measured: int) -> Tokens:
    """Returns the 90 % interval: the errors of segments of one prompt go together, so they add up.

    The first `measured` segments have none.
    """
    if not totals:
        return Tokens(0, 0, 0)
    segments = prompt.segments[measured:]
    half = 1.645 * sum(map(mul, map(_TOKENS, segments), map(_SPREAD, segments)))
    total = totals[-1]
    return Tokens(total, max(round(total - half), 0), round(total + half))


def _cost(plan: Terms | None, own: Terms | None, without: Terms | None, tokens: Tokens) -> Cost:
    """Returns the costs of the plan, of one for the request's `own` model, and of none; None without a price."""
    without_usd = None if without is None else round(without.usd, 8)
    if plan is None:
        return Cost(None, without_usd, None, None, None)
    scale = plan.usd / tokens.estimate if tokens.estimate else 0.0
    return Cost(
        usd=round(plan.usd, 8),
        without_plan_usd=without_usd,
        request_usd=round(plan.request_usd, 8),
        low_usd=round(scale * tokens.low, 8),
        high_usd=round(scale * tokens.high, 8),
        model_usd=None if own is None else round(plan.usd - own.usd, 8),
    )


def _hash(text: str) -> str:
    return "b2:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
