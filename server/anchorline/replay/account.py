"""The exact replay by the cache itself: what a rule would have cost, request by request through a `ProviderCache`.

All conversations of the account run through one simulated cache, in the order of their starts: minimum sizes, shared
heads and reads that come too early count. It knows all rules that a
provider can have; `simulation.py` gives the same for the usual ones, in a small part of the time.
"""

from heapq import heapify, heappop, heappush

import msgspec

from anchorline.cache.lifetime import Action, ping_every
from anchorline.replay.provider_cache import ProviderCache
from anchorline.replay.request import Breakpoint, Section, SimulatedBlock, SimulatedRequest
from anchorline.replay.rule import CachingRule, Charges
from anchorline.replay.timeline import Timeline


def simulate(timeline: Timeline, rule: CachingRule) -> Charges:
    """Returns what each request is charged under `rule`. Raises RejectedError where the provider would refuse one."""
    account = _Account(timeline, rule)
    conversation, at, first = timeline.conversation.tolist(), timeline.at.tolist(), timeline.first.tolist()
    waiting = [
        (at[request], conversation[request], request, 0) for request, opens in enumerate(first) if opens
    ]
    heapify(waiting)
    while waiting:
        now, number, request, ping = heappop(waiting)
        if ping:
            account.ping(request, now)
        else:
            account.send(request)
            following = request + 1
            if following < len(first) and not first[following]:
                heappush(waiting, (at[following], number, following, 0))
        due = account.next_ping(request, ping)
        if due is not None:
            heappush(waiting, (due, number, request, ping + 1))
    return account.charges


class _Account:
    """A timeline on its way: the cache, what was chosen for each request, and what it was charged."""

    def __init__(self, timeline: Timeline, rule: CachingRule) -> None:
        self.charges = Charges(timeline.provider, len(timeline))
        self._timeline = timeline
        self._rule = rule
        self._choices = rule.choose(timeline)
        self._cache = ProviderCache(timeline.provider, timeline.model)
        self._actions: dict[int, Action] = {}
        self._sent: dict[int, SimulatedRequest] = {}

    def send(self, request: int) -> None:
        """Sends a request."""
        timeline, choices, charges = self._timeline, self._choices, self.charges
        warm = bool(timeline.shared[request] and timeline.gap[request] <= self._actions[request - 1].alive)
        action = choices.actions[(choices.warm if warm else choices.cold)[request]]
        self._actions[request] = action
        blocks = self._blocks(timeline.top[request])
        kept = len(self._blocks(timeline.kept[request])) if warm else 0
        marks = self._marks(blocks, kept, action)
        sent = self._sent[request] = SimulatedRequest(float(timeline.at[request]), blocks, marks)
        billed, _ = self._cache.send(sent)
        charges.read[request] = billed.read
        charges.written[request] = sum(billed.written.values())
        charges.uncached[request] = billed.uncached
        charges.write[request] = self._cache.bill(billed).write

    def ping(self, request: int, at: float) -> None:
        """Sends a request again, without output."""
        billed, _ = self._cache.send(msgspec.structs.replace(self._sent[request], at=at))
        self.charges.ping[request] += self._cache.charge(billed)
        self.charges.pings[request] += 1

    def next_ping(self, request: int, sent: int) -> float | None:
        """Returns when a request's next ping is due; None where the next request comes first, or no more may be."""
        action = self._actions[request]
        if action.lifetime is None or sent >= action.paid(float(self._timeline.wait[request])):
            return None
        return float(self._timeline.at[request]) + (sent + 1) * ping_every(action.lifetime)

    def _blocks(self, top: int) -> list[SimulatedBlock]:
        """Returns the blocks up to number `top`."""
        timeline = self._timeline
        numbers = []
        while top >= 0:
            numbers.append(top)
            top = timeline.below[top]
        blocks, before = [], 0
        for number in reversed(numbers):
            tokens = timeline.end[number] - before
            section: Section = "messages" if timeline.depth[number] else "system"
            blocks.append(SimulatedBlock(b"%d" % number, tokens, section))
            before += tokens
        return blocks

    def _marks(self, blocks: list[SimulatedBlock], kept: int, action: Action) -> list[Breakpoint]:
        """Returns the breakpoints. Where nothing is to be written, one at the end of the `kept` blocks reads these."""
        rule = self._rule
        if action.lifetime is None and rule.tail and rule.head is None:
            return [Breakpoint(kept - 1)] if kept else []
        marks = {}
        head = rule.head_lifetime(self._cache.provider, action)
        if head is not None and blocks and blocks[0].section == "system":
            marks[0] = head.name
        if rule.tail and action.lifetime is not None and blocks:
            marks[len(blocks) - 1] = action.lifetime.name
        return [Breakpoint(block, ttl) for block, ttl in sorted(marks.items())]
