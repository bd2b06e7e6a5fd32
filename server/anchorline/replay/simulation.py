"""The exact replay in a small part of the time: the same charges as the cache itself gives (`account.py`).

Two facts save the time. A request that comes before anything can expire, and shares all of the one before it, reads
just that and writes the rest: whatever the policy, as long as it sets an anchor at the end (`_easy`). All of these are
charged at once. And of the blocks below a request's anchor, those that live were last read at the same moment, so one
time stands for all of them (`_Simulation`), and blocks have numbers for names (`timeline.py`).

It takes a cache as Anthropic's: entries that a look-back finds, that a read keeps alive, and that keep alive all that
they are built on. Whatever else a provider can have goes through the cache itself.
"""

from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from math import inf

import numpy as np

from anchorline.cache.lifetime import Action, ping_every
from anchorline.cache.rules import Provider
from anchorline.replay import account
from anchorline.replay.arrays import Flags
from anchorline.replay.request import RejectedError
from anchorline.replay.rule import CachingRule, Charges, Choices
from anchorline.replay.timeline import Timeline


def simulate(timeline: Timeline, rule: CachingRule, only: Flags | None = None) -> Charges:
    """Returns what each request is charged under `rule`. Raises RejectedError where the provider would refuse one.

    Where just the charges of some are asked for, `only` says which: those of whole stretches (`stretches.py`).
    """
    if not _usual(timeline.provider):
        return account.simulate(timeline, rule)
    return _Simulation(timeline, rule).run(only)


def _usual(provider: Provider) -> bool:
    return (
        provider.mode == "explicit"
        and not provider.implicit
        and bool(provider.lifetimes)
        and bool(provider.lookback)
        and provider.refresh_on_read
        and provider.longer_tail_covers_prefix
        and provider.increment == 1
        and provider.max_breakpoints >= 2
        and "content" not in provider.unmarkable
    )


class _Marks:
    """An action as a simulation needs it: seconds that anchors live, and what writing there costs.

    `head` and `tail` are 0 where there is no anchor. `reads`: one stands where the warm part ends. `refused`: the
    provider takes no request that has both.
    """

    def __init__(self, action: Action, rule: CachingRule, provider: Provider) -> None:
        head, tail = rule.head_lifetime(provider, action), action.lifetime if rule.tail else None
        self.reads = action.lifetime is None and rule.tail and rule.head is None
        if self.reads:
            tail = provider.lifetimes[0]
        self.head = head.seconds if head is not None else 0
        self.head_write = head.write if head is not None else 0.0
        self.tail = tail.seconds if tail is not None else 0
        self.tail_write = tail.write if tail is not None else 0.0
        self.alive = action.alive
        self.every = ping_every(action.lifetime) if action.lifetime is not None and action.pings else inf
        self.paid = action.paid
        self.refused = provider.longer_first and 0 < self.head < self.tail


class _Simulation:
    """One policy on its way over a timeline.

    Of each block that is held, `life` is the time that it is held for (0: not at all), and `last` when that began.
    `last` does not count for a conversation's blocks up to the depth `level`, which began anew together, at `since`;
    those up to the depth `dead` are no longer held. A head is no part of this: other conversations share it.
    """

    def __init__(self, timeline: Timeline, rule: CachingRule) -> None:
        provider = timeline.provider
        choices = rule.choose(timeline)
        self.timeline = timeline
        self.charges = Charges(provider, len(timeline))
        self.marks = [_Marks(action, rule, provider) for action in choices.actions]
        easy = self._easy(choices)
        self.cold, self.warm = choices.cold.tolist(), choices.warm.tolist()
        self.chosen = self.warm.copy()
        self.minimum = provider.minimum(timeline.model)
        self.lookback = provider.lookback or 0
        seconds = [lifetime.seconds for lifetime in provider.lifetimes]
        self.shortest_s, self.longest_s = min(seconds), max(seconds)
        self._charge_easy(easy, choices)
        lives = np.array([mark.tail for mark in self.marks], float)
        heads = len(timeline.end) - len(timeline)
        self.life: list[float] = [*np.where(easy, lives[choices.warm], 0.0).tolist(), *[0.0] * heads]
        self.last = [-inf] * len(timeline.end)
        conversations = int(timeline.conversation[-1]) + 1 if len(timeline) else 0
        self.level, self.dead = [0] * conversations, [0] * conversations
        self.since = [-inf] * conversations
        self.newest = [-1] * conversations
        self.touches = _HeadTouches(timeline, easy)
        self.easy: list[bool] = easy.tolist()

    def _easy(self, choices: Choices) -> Flags:
        """Says which requests read all of the one before them, and write the rest."""
        timeline, provider, marks = self.timeline, self.timeline.provider, self.marks
        anchored = np.array([bool(mark.tail) and not (mark.reads or mark.refused) for mark in marks], bool)
        every = min(ping_every(lifetime) for lifetime in provider.lifetimes)
        easy: Flags = timeline.grows & (timeline.gap < every) & anchored[choices.warm]
        before = anchored[choices.warm] & anchored[choices.cold]
        before &= timeline.tokens >= provider.minimum(timeline.model)
        easy[1:] &= before[:-1]
        pings = np.array([action.pings for action in choices.actions], np.int64)
        return easy & ~((pings[choices.warm] > 0) & (timeline.wait >= every))

    def _charge_easy(self, easy: Flags, choices: Choices) -> None:
        charges, tokens = self.charges, self.timeline.tokens
        before = np.zeros(len(tokens), np.int64)
        before[1:] = tokens[:-1]
        prices = np.array([mark.tail_write for mark in self.marks])
        charges.read[easy] = before[easy]
        charges.written[easy] = (tokens - before)[easy]
        charges.write += prices[choices.warm] * charges.written

    def run(self, only: Flags | None = None) -> Charges:
        """Sends all other requests (`only` some of them), and all pings, in the order of their starts."""
        timeline, charges = self.timeline, self.charges
        easy, order = self.easy, timeline.order
        hard = ~np.array(easy, bool) if only is None else only & ~np.array(easy, bool)
        pings: list[tuple[float, int, int]] = []
        at, conversation, wait, tokens = timeline.steps
        for request in order[hard[order]].tolist():
            now, number = at[request], conversation[request]
            while pings and pings[0] < (now, number, request):
                self._ping(*heappop(pings))
            choice, warm = self._choose(request, number)
            marks = self.marks[choice]
            latest = self.touches.before(request)
            read, written, write = self._send(request, number, now, marks, latest, warm=warm)
            charges.read[request] = read
            charges.written[request] = written
            charges.uncached[request] = tokens[request] - read - written
            charges.write[request] = write
            if wait[request] >= marks.every:
                for ping in range(marks.paid(wait[request])):
                    heappush(pings, (now + (ping + 1) * marks.every, number, request))
            elif request + 1 < len(easy) and easy[request + 1]:
                self._expire(number, timeline.top[request], at[request + 1])
        while pings:
            self._ping(*heappop(pings))
        return charges

    def _choose(self, request: int, number: int) -> tuple[int, bool]:
        """Returns the choice for a conversation's next request, and whether its prefix is warm."""
        timeline = self.timeline
        level, warm = self.level, False
        before = self.newest[number]
        self.newest[number] = request
        if before >= 0:
            if before != request - 1:  # easy ones came between: they began all that they stand on anew
                before = request - 1
                level[number] = timeline.depth[timeline.top[before]]
                self.since[number] = float(timeline.at[before])
            alive = self.marks[self.chosen[before]].alive
            warm = bool(timeline.shared[request]) and bool(timeline.gap[request] <= alive)
        choice = self.chosen[request] = (self.warm if warm else self.cold)[request]
        kept = timeline.kept[request]
        depth = timeline.depth[kept] if kept >= 0 else 0
        level[number] = min(level[number], depth)
        self.dead[number] = min(self.dead[number], depth)
        return choice, warm

    def _ping(self, at: float, number: int, request: int) -> None:
        """Sends a conversation's last request again, without output."""
        timeline, charges = self.timeline, self.charges
        latest = self.touches.until(timeline.head[request], at)
        marks = self.marks[self.chosen[request]]
        read, written, write = self._send(request, number, at, marks, latest, warm=False)
        uncached = int(timeline.tokens[request]) - read - written
        charges.ping[request] += timeline.provider.read * read + write + uncached
        charges.pings[request] += 1

    def _send(
        self, request: int, number: int, now: float, marks: _Marks, latest: float, *, warm: bool
    ) -> tuple[int, int, float]:
        """Returns the tokens that are read and written, and what the written ones cost.

        `latest` is when an easy request last stood on the same head.
        """
        timeline, life, last = self.timeline, self.life, self.last
        end, depth = timeline.end, timeline.depth
        head = timeline.head[request]
        tail = -1
        if marks.reads:
            tail = timeline.kept[request] if warm else -1
        elif marks.tail:
            tail = timeline.top[request]
        if marks.refused and tail >= 0 and head >= 0 and head != tail:
            raise RejectedError("a longer lifetime must stand before a shorter one")
        if tail >= 0 and end[tail] < self.minimum:
            tail = -1
        front = head if marks.head and head != tail and head >= 0 and end[head] >= self.minimum else -1
        if tail < 0 and front < 0:
            return 0, 0, 0.0
        if head >= 0:
            last[head] = max(last[head], latest)
        longest = front if front >= 0 and self._held(front, now) else -1
        if tail >= 0:
            deeper = self._find(number, tail, head, 0 if longest >= 0 else -1, now)
            longest = deeper if deeper >= 0 else longest
        if longest >= 0:
            self._refresh(number, longest, now)
            if head >= 0 and head != longest:
                if front >= 0 and not self._held(head, now):
                    life[head], last[head] = life[longest], now
                elif self._held(head, now):
                    last[head] = now
        read = start = end[longest] if longest >= 0 else 0
        write = 0.0
        if front >= 0 and longest < 0:
            life[front], last[front] = marks.head, now
            start = end[front]
            write = marks.head_write * start
        if tail >= 0 and (longest < 0 or depth[tail] > depth[longest]):
            write += marks.tail_write * (end[tail] - start)
            start = end[tail]
            self._hold(number, tail, marks.tail, now)
        return read, start - read, write

    def _held(self, head: int, now: float) -> bool:
        return bool(self.life[head]) and self.last[head] + self.life[head] >= now

    def _find(self, number: int, tail: int, head: int, above: int, now: float) -> int:
        """Returns the deepest block that is held, within the look-back from `tail` and deeper than `above`, or -1."""
        depth, below, life = self.timeline.depth, self.timeline.below, self.life
        level, since, dead = self.level[number], self.since[number], self.dead[number]
        if since + self.longest_s < now:
            dead = max(dead, level)
        lowest = max(depth[tail] - self.lookback, above + 1)
        block = tail
        while block >= 0 and depth[block] >= lowest:
            at = depth[block]
            if at == 0:
                return block if self._held(block, now) else -1
            if at <= dead:
                block = head
                continue
            if life[block] and (since if at <= level else self.last[block]) + life[block] >= now:
                return block
            block = below[block]
        return -1

    def _refresh(self, number: int, longest: int, now: float) -> None:
        """Begins anew the life of all blocks up to `longest`. What lies above it within the look-back is not held."""
        depth = self.timeline.depth[longest]
        if depth == 0:
            self.last[longest] = now
            return
        self._expire(number, longest, now)
        self.level[number], self.since[number] = depth, now

    def _expire(self, number: int, top: int, now: float) -> None:
        """Forgets the blocks up to `top` that are no longer held."""
        depth, below, life, last = self.timeline.depth, self.timeline.below, self.life, self.last
        level, since, dead = self.level[number], self.since[number], self.dead[number]
        block = top
        while block >= 0 and depth[block] > max(level, dead):
            if last[block] + life[block] < now:
                life[block] = 0.0
            block = below[block]
        if since + self.longest_s < now:
            self.dead[number] = max(dead, min(level, depth[top]))
        elif since + self.shortest_s < now:
            while block >= 0 and depth[block] > dead:
                if since + life[block] < now:
                    life[block] = 0.0
                block = below[block]

    def _hold(self, number: int, block: int, seconds: float, now: float) -> None:
        """Holds a block from now on."""
        self.life[block], self.last[block] = seconds, now
        depth = self.timeline.depth[block]
        if depth == 0:
            return
        self.dead[number] = min(self.dead[number], depth - 1)
        self.level[number] = min(self.level[number], depth - 1)
        if self.level[number] == depth - 1 and self.since[number] == now:
            self.level[number] = depth


class _HeadTouches:
    """When easy requests stood on each head: they begin its life anew, and never find it gone."""

    def __init__(self, timeline: Timeline, easy: Flags) -> None:
        standing = self._standing = timeline.standing
        numbers = np.arange(len(standing.order))
        latest = np.maximum.accumulate(np.where(easy[standing.order], numbers, -1))
        times = np.where(latest >= standing.begins, standing.times[latest], -inf)
        self._times: list[float] = [*times.tolist(), -inf]

    def before(self, request: int) -> float:
        """Returns the time of the last one before a request, on its head; -inf where there is none."""
        return self._times[self._standing.rank[request]]

    def until(self, head: int, now: float) -> float:
        """Returns the time of the last one on a head, up to a moment; -inf where there is none."""
        if head < 0:
            return -inf
        heads, at = self._standing.heads, self._standing.at
        low, high = bisect_left(heads, head), bisect_right(heads, head)
        rank = bisect_right(at, now, low, high) - 1
        return self._times[rank] if rank >= low else -inf
