"""The plans of this session that somebody may still report an outcome on."""

from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from anchorline.cache.ledger import Entry
from anchorline.outcome import Outcome
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt

CAPACITY = 256
PROMPTS = 16
SUFFIX_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Held(msgspec.Struct, frozen=True):
    """A cached prefix that a plan asks the provider to hold: its hash, its tokens and its lifetime."""

    prefix: bytes
    tokens: int
    ttl: str


class Remembered(msgspec.Struct):
    """A plan with what its outcome will need. `prompt` is kept for the newest plans only (it holds text)."""

    plan: Plan
    held: tuple[Held, ...]
    account: str
    prompt: Prompt | None
    recorded: bool = False
    outcome: Outcome | None = None


class Plans:
    """The newest plans by id."""

    def __init__(self, capacity: int = CAPACITY, prompts: int = PROMPTS) -> None:
        self._plans: OrderedDict[str, Remembered] = OrderedDict()
        self._capacity = capacity
        self._prompts = prompts

    def add(self, plan: Plan, prompt: Prompt, account: str) -> Remembered:
        """Remember a plan that was shown."""
        known = self._plans.get(plan.id)
        if known is not None:
            self._plans.move_to_end(plan.id)
            return known
        held = tuple(
            Held(prompt.segments[anchor.segment].prefix, anchor.prefix_tokens, anchor.ttl)
            for anchor in plan.cache.anchors
        )
        added = Remembered(plan, held, account, prompt)
        self._plans[plan.id] = added
        if len(self._plans) > self._prompts:
            older = list(self._plans.values())[-self._prompts - 1]
            older.prompt = None
        if len(self._plans) > self._capacity:
            self._plans.popitem(last=False)
        return added

    def get(self, plan_id: str) -> Remembered | None:
        """Return a plan by its id."""
        return self._plans.get(plan_id)

    @property
    def last(self) -> Remembered | None:
        """The plan that was shown last."""
        return next(reversed(self._plans.values()), None)

    def outcome_of(self, plan: Plan) -> Outcome | None:
        """Return the newest outcome of a plan for the same prompt or draft."""
        for remembered in reversed(self._plans.values()):
            same = remembered.plan.prompt_hash == plan.prompt_hash or (
                plan.draft_hash is not None and remembered.plan.draft_hash == plan.draft_hash
            )
            if same and remembered.outcome is not None:
                return remembered.outcome
        return None


def entries(remembered: Remembered, outcome: Outcome) -> Iterator[Entry]:
    """Yield what the provider holds after the request, by the plan's anchors.

    Nothing when it reported neither a read nor a write. The clock runs from the start of the request.
    """
    usage = outcome.usage
    if usage is None or not (usage.read or usage.write):
        return
    plan = remembered.plan
    start = outcome.sent_at if outcome.sent_at is not None else plan.created_at
    for held in remembered.held:
        yield Entry(
            provider=plan.cache.provider,
            account=remembered.account,
            model=plan.route.target,
            prefix=held.prefix,
            tokens=held.tokens,
            ttl=held.ttl,
            written_at=start,
            expires_at=start + seconds(held.ttl),
        )


def seconds(ttl: str) -> int:
    """Return a lifetime such as ``5m`` or ``1h`` in seconds; 5 minutes for what has another form."""
    number, unit = ttl[:-1], ttl[-1:]
    if number.isascii() and number.isdigit() and unit in SUFFIX_SECONDS:
        return int(number) * SUFFIX_SECONDS[unit]
    return 300
