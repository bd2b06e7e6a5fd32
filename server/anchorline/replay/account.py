"""The exact replay: what a rule for anchors, lifetimes and pings would have cost one account, by the providers' rules.

All conversations of the account run through one simulated cache, in the order of their starts: minimum sizes, shared
heads and reads that come too early count, which the ideal replay (`chain.py`) leaves out.
docs/how-to/replay.md says what a record can't tell.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import count

import msgspec

from anchorline.cache.lifetime import Action, ping_every
from anchorline.cache.rules import Provider
from anchorline.replay.chain import Chain, ChainPolicy, ChainPosition, gap
from anchorline.replay.provider_cache import ProviderCache
from anchorline.replay.request import Breakpoint, SimulatedBlock, SimulatedRequest
from anchorline.route.pricing import Bill


class RecordedConversation(msgspec.Struct, frozen=True):
    """A conversation's requests to one model, or a sub-agent's, with the lifetimes that its client asked for.

    `session` is what it belongs to, `name` is its own. `head` are the tokens of tools and system prompt (0: not known):
    conversations with a head of the same size share it. `prices` are the USD of an uncached token, request by request.
    """

    session: str
    name: str
    model: str
    steps: Chain
    ttls: Sequence[str] = ()
    head: int = 0
    prices: Sequence[float] = ()


class CachingRule(msgspec.Struct, frozen=True):
    """How a client caches. `policy` gives the choice of lifetime and pings for a conversation under a provider.

    An anchor stands at the end of the head, with the lifetime `head` (None, or none of the provider's: with the chosen
    one), and, unless `tail` is false, at the end of the request.
    """

    policy: Callable[[RecordedConversation, Provider], ChainPolicy]
    head: str | None = None
    tail: bool = True


class Paid(msgspec.Struct, frozen=True):
    """What one request of conversation number `conversation` was charged for.

    Tokens read, written and neither; `bill` is their cost and `pings` that of the pings after it, in tokens at the base
    input price; `sent` counts the pings.
    """

    conversation: int
    at: float
    read: int
    written: int
    uncached: int
    bill: Bill
    pings: float = 0.0
    sent: int = 0

    @property
    def charge(self) -> float:
        """What the request cost, without its pings."""
        return self.bill.prompt


def run(
    conversations: Sequence[RecordedConversation], rule: CachingRule, rules: Callable[[str], Provider]
) -> Iterator[Paid]:
    """Yields what each request is charged under `rule`, a conversation's in order; `rules` gives a model's provider."""
    account = _Account(conversations, rule, rules)
    numbers = count()
    waiting = [
        (conversation.steps[0].at, next(numbers), number, 0, 0)
        for number, conversation in enumerate(conversations)
        if conversation.steps
    ]
    heapify(waiting)
    while waiting:
        at, _, number, index, ping = heappop(waiting)
        if ping:
            account.ping(number, at)
        else:
            yield from account.send(number, index)
            steps = conversations[number].steps
            if index + 1 < len(steps):
                heappush(waiting, (steps[index + 1].at, next(numbers), number, index + 1, 0))
        following = account.next_ping(number, index, ping)
        if following is not None:
            heappush(waiting, (following, next(numbers), number, index, ping + 1))
    yield from account.rest()


class _Open:
    """A conversation on its way: its blocks, and its last request with what that was charged."""

    def __init__(self, choose: ChainPolicy) -> None:
        self.choose = choose
        self.blocks: list[SimulatedBlock] = []
        self.action = Action()
        self.request: SimulatedRequest | None = None
        self.paid: Paid | None = None


class _Account:
    def __init__(
        self,
        conversations: Sequence[RecordedConversation],
        rule: CachingRule,
        rules: Callable[[str], Provider],
    ) -> None:
        self._recorded = conversations
        self._rule = rule
        self._rules = rules
        self._open = [
            _Open(rule.policy(conversation, rules(conversation.model))) for conversation in conversations
        ]
        self._caches: dict[str, ProviderCache] = {}

    def _cache(self, model: str) -> ProviderCache:
        if model not in self._caches:
            self._caches[model] = ProviderCache(self._rules(model), model)
        return self._caches[model]

    def send(self, number: int, index: int) -> Iterator[Paid]:
        """Sends a request; yields what the one before was charged, now that its pings are over."""
        recorded, state = self._recorded[number], self._open[number]
        step = recorded.steps[index]
        if state.paid is not None:
            yield state.paid
        kept = min(step.shared, step.tokens)
        hit = kept if index and gap(recorded.steps, index - 1) <= state.action.alive else 0
        state.action = state.choose(ChainPosition(recorded.steps, index, hit))
        state.blocks, warm = _blocks(state.blocks, recorded, index)
        cache = self._cache(recorded.model)
        marks = _marks(state.blocks, warm if hit else 0, state.action, self._rule, cache.provider)
        state.request = SimulatedRequest(step.at, state.blocks, marks)
        billed, _ = cache.send(state.request)
        written = sum(billed.written.values())
        state.paid = Paid(number, step.at, billed.read, written, billed.uncached, cache.bill(billed))

    def ping(self, number: int, at: float) -> None:
        """Sends a conversation's last request again, without output."""
        state = self._open[number]
        if state.request is None or state.paid is None:
            return
        cache = self._cache(self._recorded[number].model)
        billed, _ = cache.send(msgspec.structs.replace(state.request, at=at))
        pings = state.paid.pings + cache.charge(billed)
        state.paid = msgspec.structs.replace(state.paid, pings=pings, sent=state.paid.sent + 1)

    def next_ping(self, number: int, index: int, sent: int) -> float | None:
        """Returns when a request's next ping is due; None where the next request comes first, or no more may be."""
        action = self._open[number].action
        steps = self._recorded[number].steps
        if action.lifetime is None or sent >= action.paid(gap(steps, index)):
            return None
        return steps[index].at + (sent + 1) * ping_every(action.lifetime)

    def rest(self) -> Iterator[Paid]:
        """Yields what the last request of each conversation was charged."""
        for state in self._open:
            if state.paid is not None:
                yield state.paid


def _blocks(
    before: list[SimulatedBlock], recorded: RecordedConversation, index: int
) -> tuple[list[SimulatedBlock], int]:
    """Returns a request's blocks, and how many of them are those of the one before, as far as it shares them."""
    step = recorded.steps[index]
    kept: list[SimulatedBlock] = []
    tokens = 0
    if not index and 0 < recorded.head < step.tokens:
        digest = f"head {recorded.head}".encode()
        kept, tokens = [SimulatedBlock(digest, recorded.head, "system")], recorded.head
    for block in before if step.shared else ():
        if tokens + block.tokens > min(step.shared, step.tokens):
            break
        kept.append(block)
        tokens += block.tokens
    same = len(kept)
    if tokens < step.tokens:
        kept.append(SimulatedBlock(f"{recorded.name} {index}".encode(), step.tokens - tokens))
    return kept, same


def _marks(
    blocks: Sequence[SimulatedBlock], warm: int, action: Action, rule: CachingRule, provider: Provider
) -> list[Breakpoint]:
    """Returns the breakpoints. Where nothing is to be written, one at the end of the `warm` blocks reads these."""
    if action.lifetime is None and rule.tail and rule.head is None:
        return [Breakpoint(warm - 1)] if warm else []
    chosen = action.lifetime.name if action.lifetime is not None else None
    head = rule.head if rule.head and provider.lifetime(rule.head) else chosen
    marks = {}
    if head is not None and blocks and blocks[0].section == "system":
        marks[0] = head
    if rule.tail and chosen is not None and blocks:
        marks[len(blocks) - 1] = chosen
    return [Breakpoint(block, ttl) for block, ttl in sorted(marks.items())]
