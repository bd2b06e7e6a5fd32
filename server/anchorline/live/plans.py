"""The newest plans, each with what its outcome will need."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Sequence

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.outcome import Outcome
from anchorline.plan import Anchor, CachePlan, Plan
from anchorline.planner import Planner
from anchorline.prompt.model import Prompt
from anchorline.store import privacy

CAPACITY = 256
PROMPTS = 16


class AnchoredPrefix(msgspec.Struct, frozen=True):
    """A prefix that the provider holds once a request was sent: its hash, its tokens and its lifetime."""

    prefix: bytes
    tokens: int
    ttl: str
    seconds: int


class Remembered(msgspec.Struct):
    """A plan with what its outcome will need. `prompt` is kept for the newest plans only (it holds text).

    `own` is the model that the request was set to, `routed` the one that the plan proposes. `planner` made it, for
    `target` where the client named a model. `cache` is what is to be expected of the cache as the request is
    sent, where that is known to be another thing than the plan's. `recording` is done once the plan is queued for the
    store.
    """

    plan: Plan
    own: str
    routed: str
    account: str
    held: tuple[AnchoredPrefix, ...]
    prompt: Prompt | None
    planner: Planner
    target: str | None
    recording: asyncio.Task[None] | None = None
    outcome: Outcome | None = None
    cache: CachePlan | None = None


class Plans:
    """The newest plans by id."""

    def __init__(self, capacity: int = CAPACITY, prompts: int = PROMPTS) -> None:
        self._plans: OrderedDict[str, Remembered] = OrderedDict()
        self._capacity = capacity
        self._prompts = prompts

    def add(
        self,
        plan: Plan,
        prompt: Prompt,
        planner: Planner,
        target: str | None = None,
        sent: Sequence[Anchor] | None = None,
        cache: CachePlan | None = None,
    ) -> Remembered:
        """Remembers a plan that was shown; `planner` made it, for `target` where the client named a model.

        `sent` are the anchors that the request is really sent with, to `target`, where that is known, and `cache` is
        what is then to be expected.
        """
        remembered = self._plans.get(plan.id)
        if remembered is not None:
            self._plans.move_to_end(plan.id)
            if plan.refinement.additions and remembered.recording is None:  # which come after the rest
                remembered.plan = plan
            return remembered
        own = planner.model(prompt, target)
        added = Remembered(
            plan,
            planner.targets.find(own).id,
            planner.targets.find(plan.route.target).id,
            planner.config.cache.account,
            tuple(_held(plan, prompt, planner, own, sent)),
            prompt,
            planner,
            target,
            cache=cache,
        )
        self._plans[plan.id] = added
        if len(self._plans) > self._prompts:
            older = list(self._plans.values())[-self._prompts - 1]
            older.prompt = None
        if len(self._plans) > self._capacity:
            self._plans.popitem(last=False)
        return added

    def get(self, plan_id: str) -> Remembered | None:
        """Returns a plan by its id."""
        return self._plans.get(plan_id)

    @property
    def last(self) -> Remembered | None:
        """The plan that was shown last."""
        return next(reversed(self._plans.values()), None)

    def outcome_of(self, plan: Plan) -> Outcome | None:
        """Returns the newest outcome of a plan for the same prompt or draft."""
        for remembered in reversed(self._plans.values()):
            same = remembered.plan.prompt_hash == plan.prompt_hash or (
                plan.draft_hash is not None and remembered.plan.draft_hash == plan.draft_hash
            )
            if same and remembered.outcome is not None:
                return remembered.outcome
        return None


def _held(
    plan: Plan, prompt: Prompt, planner: Planner, own: str, sent: Sequence[Anchor] | None
) -> Iterator[AnchoredPrefix]:
    """Yields the anchored prefixes, and the whole prompt where the provider anchors its end by itself."""
    provider = planner.targets.find(plan.route.target if sent is None else own).provider
    for anchor in plan.cache.anchors if sent is None else sent:
        lifetime = provider.lifetime(anchor.ttl)
        if lifetime is not None:
            prefix = prompt.segments[anchor.segment].prefix
            yield AnchoredPrefix(prefix, anchor.prefix_tokens, lifetime.name, lifetime.seconds)
    lifetime = provider.lifetime(prompt.automatic_ttl or "default")
    by_itself = provider.mode == "automatic" or provider.implicit or prompt.automatic_ttl is not None
    if by_itself and lifetime is not None and prompt.segments:
        yield AnchoredPrefix(
            prompt.segments[-1].prefix, plan.tokens.estimate, lifetime.name, lifetime.seconds
        )


def entries(remembered: Remembered, outcome: Outcome) -> Iterator[Entry]:
    """Yields what the provider holds after the request.

    Nothing when it reported neither a read nor a write. The clock runs from the start of the request. The
    model is the one that the outcome names; where it names none, the proposed one if the developer took the plan,
    else the request's own.
    """
    usage = outcome.usage
    if usage is None or not (usage.read or usage.write):
        return
    plan = remembered.plan
    taken = remembered.routed if outcome.decision in ("accepted", "modified") else remembered.own
    model = outcome.target or taken
    start = outcome.sent_at if outcome.sent_at is not None else plan.created_at
    # The errors of one prompt's estimates go the same way.
    scale = usage.prompt / max(plan.tokens.estimate, 1)
    if not 0.5 <= scale <= 2.0:  # another prompt than the one that was planned
        scale = 1.0
    for held in remembered.held:
        yield Entry(
            provider=plan.cache.provider,
            account=remembered.account,
            model=model,
            prefix=held.prefix,
            tokens=round(held.tokens * scale),
            ttl=held.ttl,
            written_at=start,
            expires_at=start + held.seconds,
            conversation=privacy.session(plan.session) if plan.session is not None else "",
        )
