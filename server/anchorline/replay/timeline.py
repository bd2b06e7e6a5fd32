"""The requests to one model as columns, conversation by conversation: what every policy's simulation shares.

A request's prompt is a stack of blocks: those it has in common with the request before it, and one with all that is
new. So a block is known by the request that brought it, and what lies below it never changes.
"""

from collections.abc import Sequence
from functools import cached_property
from math import inf

import numpy as np

from anchorline.cache.rules import Provider
from anchorline.replay.arrays import Flags, Floats, Integers
from anchorline.replay.history import ReplayedRequest


class Timeline:
    """Requests to one model: all of a conversation's in order, one conversation after the other.

    `conversation` numbers them, `index` numbers its requests. `at` is seconds, `gap` those since the request before
    (inf for the first one) and `wait` those until the next one (inf after the last). `shared` is at most `tokens`, and
    0 for a first request. `sent` is the number of each request in what the timeline was made of.

    Blocks are numbered as the requests that brought them, and after these come the heads (tools and system prompt),
    one for each size: conversations with a head of one size share it. `end` are the tokens up to a block's end, `depth`
    counts the blocks below it (a head is at 0), `below` is the next lower one, -1 where there is none. `top` is a
    request's last block, `kept` the last one that it has in common with the request before it (of a first one, with
    other conversations), `head` the head that it stands on; -1 where there is none.
    """

    def __init__(self, model: str, provider: Provider, requests: Sequence[ReplayedRequest]) -> None:
        self.model = model
        self.provider = provider
        numbers: dict[tuple[str, str, int], int] = {}
        conversation = np.array(
            [
                numbers.setdefault((request.session, request.chain, request.branch), len(numbers))
                for request in requests
            ],
            np.int64,
        )
        self.sent: Integers = np.argsort(conversation, kind="stable")
        self.requests = [requests[number] for number in self.sent.tolist()]
        self.conversation: Integers = conversation[self.sent]
        first = np.ones(len(requests), bool)
        first[1:] = self.conversation[1:] != self.conversation[:-1]
        self.first: Flags = first
        starts = np.flatnonzero(first)
        self.start: Integers = np.repeat(starts, np.diff(np.append(starts, len(requests))))
        self.index: Integers = np.arange(len(requests)) - self.start
        self.at: Floats = np.array([request.at for request in self.requests], float)
        self.tokens: Integers = np.array([request.tokens for request in self.requests], np.int64)
        given = np.array([request.shared for request in self.requests], np.int64)
        self.shared: Integers = np.where(first, 0, np.minimum(given, self.tokens))
        self.gap: Floats = np.full(len(requests), inf)
        self.gap[1:] = np.where(first[1:], inf, self.at[1:] - self.at[:-1])
        self.wait: Floats = np.append(self.gap[1:], [inf] * bool(len(requests)))
        self._stack(given)

    def _stack(self, heads: Integers) -> None:
        """Stacks the blocks."""
        count = len(self.requests)
        end, depth, below = self.tokens.tolist(), [0] * count, [-1] * count
        top, kept, head = list(range(count)), [-1] * count, [-1] * count
        by_size: dict[int, int] = {}
        sizes = heads.tolist()
        block = root = -1
        for request, (first, tokens, shared) in enumerate(
            zip(self.first.tolist(), self.tokens.tolist(), self.shared.tolist(), strict=True)
        ):
            if first:
                block = -1
                if 0 < sizes[request] < tokens:
                    block = by_size.setdefault(sizes[request], count + len(by_size))
                    if block == len(end):
                        end.append(sizes[request])
                        depth.append(0)
                        below.append(-1)
                root = block
            else:
                while block >= 0 and end[block] > shared:
                    block = below[block]
                if block < 0:
                    root = -1
            kept[request] = block
            head[request] = root
            if block < 0 or end[block] < tokens:
                below[request] = block
                depth[request] = depth[block] + 1 if block >= 0 else 1
                block = request
            top[request] = block
        self.end, self.depth, self.below = end, depth, below
        self.top, self.kept, self.head = top, kept, head

    def __len__(self) -> int:
        return len(self.requests)

    @cached_property
    def order(self) -> Integers:
        """All requests in the order of their starts; of those at one moment, as the conversations are numbered."""
        return np.lexsort((self.index, self.conversation, self.at))

    @cached_property
    def steps(self) -> tuple[list[float], list[int], list[float], list[int]]:
        """The columns `at`, `conversation`, `wait` and `tokens` as lists, for one request after the other."""
        return self.at.tolist(), self.conversation.tolist(), self.wait.tolist(), self.tokens.tolist()

    @cached_property
    def standing(self) -> "HeadOrder":
        """All requests that stand on a head, by head and start."""
        return HeadOrder(self)

    @cached_property
    def grows(self) -> Flags:
        """Says which requests bring something new and share all of the request before them."""
        grows = np.zeros(len(self), bool)
        before = self.tokens[:-1]
        grows[1:] = ~self.first[1:] & (self.shared[1:] >= before) & (self.tokens[1:] > before)
        return grows


class HeadOrder:
    """The requests of a timeline that stand on a head, by head and start.

    `rank` is where a request of the timeline is in that order (behind all where it stands on none), `begins` where its
    head's first one is. `heads` and `at` are those of each.
    """

    def __init__(self, timeline: Timeline) -> None:
        heads = np.asarray(timeline.head, np.int64)
        order = np.lexsort((timeline.at, heads))
        self.order: Integers = order[np.count_nonzero(heads < 0) :]
        ordered = heads[self.order]
        self.begins: Integers = np.searchsorted(ordered, ordered)
        rank = np.full(len(timeline), len(self.order))
        rank[self.order] = np.arange(len(self.order))
        self.rank: list[int] = rank.tolist()
        self.heads: list[int] = ordered.tolist()
        self.times: Floats = timeline.at[self.order]
        self.at: list[float] = self.times.tolist()
