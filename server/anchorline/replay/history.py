"""The requests of a history that caching decides about, with all that a replay has to know of them.

What is in a prompt is not recorded, only how large it was and what was read of it. So what a request has in common with
the one before is told from the bill: all of it where it was read, or where its lifetime had passed; what was read where
less was; the head (tools and system prompt) after a compaction. docs/how-to/replay.md says how far that carries.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import groupby, pairwise
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_128_digest

from anchorline.cache.hits import is_hit
from anchorline.cache.rules import Provider, Rules
from anchorline.outcome import Usage
from anchorline.replay import stretches
from anchorline.replay.arrays import Flags, Integers
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.request import Trigger
from anchorline.store import billing, database

Conversation = tuple[str, str, int, str]
"""What tells a conversation from others: session, chain, branch and model."""


class ReplayedRequest(msgspec.Struct, frozen=True, gc=False):
    """A request as a replay sends it: at the epoch second `at`, with `tokens` of input and `output` tokens of answer.

    `shared` are the tokens that it has in common with the request before it in its conversation (session, chain, branch
    and model); of the first one, those of its head, which other conversations share. `ttl` is the lifetime that its
    client asked for, `times` what speed, tier and region multiply its price by, `stop` why its answer ended (empty: not
    known).
    """

    id: str
    session: str
    chain: str
    branch: int
    model: str
    at: float
    tokens: int
    shared: int
    output: int
    trigger: Trigger
    ttl: str
    times: float = 1.0
    stop: str = ""

    @property
    def conversation(self) -> Conversation:
        """Its conversation."""
        return self.session, self.chain, self.branch, self.model


class LeftOut(msgspec.Struct, frozen=True):
    """Requests that no policy decides about: to providers that cache by themselves, or without a known price."""

    automatic: int = 0
    unpriced: int = 0


class RecordedUsage(NamedTuple):
    """A recorded request with what was billed for it, as far as a replay depends on it.

    `usage` is what was billed where that is more than the counts beside it.
    """

    id: str
    session: str
    chain: str
    branch: int
    model: str
    at: float
    trigger: Trigger
    input: int
    read: int
    write_5m: int
    write_1h: int
    output: int
    usage: Usage | None = None

    @property
    def conversation(self) -> Conversation:
        """Its conversation."""
        return self.session, self.chain, self.branch, self.model

    @property
    def first_read(self) -> int:
        """The tokens that its first inference read: the one that came to the cache as the request before left it."""
        return self.read if self.usage is None else self.usage.first.read

    @property
    def tokens(self) -> int:
        """The tokens of its prompt, as the model last read it."""
        if self.usage is not None:
            return self.usage.prompt
        return self.input + self.read + self.write_5m + self.write_1h


class History:
    """What can be replayed of a history: requests that anchors decide about, and that have a price.

    `at` are their starts, in order, and `stretch` numbers the stretches that they are in (`stretches.py`). `billed_usd`
    is what the input of their recorded usage comes to.
    """

    def __init__(self, requests: Iterable[RecordedUsage], targets: Targets) -> None:
        self._rules = targets.rules
        self._recorded: list[RecordedUsage] = []
        self._times: list[float] = []
        self.billed_usd = 0.0
        automatic = unpriced = 0
        pricing = Pricing(targets)
        chosen: dict[str, bool] = {}
        for request in sorted(requests, key=attrgetter("at")):
            model = request.model
            if model not in chosen:
                provider = targets.rules.for_model(model)
                chosen[model] = provider.mode == "explicit" and not provider.implicit
            if not chosen[model]:
                automatic += 1
                continue
            bill, times = _bill(request, pricing)
            if isinstance(bill, Unpriced):
                unpriced += 1
            elif request.tokens:
                self._recorded.append(request)
                self._times.append(times)
                self.billed_usd += bill.prompt
        self.left_out = LeftOut(automatic, unpriced)
        self.models = sorted({request.model for request in self._recorded})
        self.at = [request.at for request in self._recorded]
        self.stretch = stretches.numbered(self.at, stretches.quiet_s(self.models, targets.rules))

    def __len__(self) -> int:
        return len(self._recorded)

    @property
    def stretches(self) -> int:
        """The number of stretches."""
        return int(self.stretch[-1]) + 1 if len(self) else 0

    @cached_property
    def _heads(self) -> "_Heads":
        return _Heads(self._recorded, self.stretch.tolist())

    @cached_property
    def requests(self) -> tuple[ReplayedRequest, ...]:
        """The requests as a replay sends them, in the order of their starts."""
        return tuple(self._replayed(range(len(self))))

    def of_stretches(self, stretch_numbers: Collection[int]) -> tuple[list[ReplayedRequest], Flags]:
        """Returns the requests of some stretches, with all that was sent before in their conversations.

        The flags say which are of these stretches.
        """
        wanted = np.isin(self.stretch, list(stretch_numbers))
        conversations = {self._recorded[number].conversation for number in np.flatnonzero(wanted).tolist()}
        numbers = [
            number
            for number, (request, own) in enumerate(zip(self._recorded, wanted.tolist(), strict=True))
            if own or request.conversation in conversations
        ]
        return self._replayed(numbers), wanted[numbers]

    def digests(self) -> list[bytes]:
        """Returns a digest for each stretch: of its requests, and of what its conversations were before."""
        return self._heads.digests(self._recorded, self._times, self.stretch)

    def _replayed(self, numbers: Sequence[int]) -> list[ReplayedRequest]:
        heads = self._heads.of
        sent = replayed([self._recorded[number] for number in numbers], heads, self._rules)
        return [
            request
            if (times := self._times[number]) == 1.0
            else msgspec.structs.replace(request, times=times)
            for number, request in zip(numbers, sent, strict=True)
        ]


def load(path: Path, targets: Targets, since: float = 0.0) -> History:
    """Returns what can be replayed of the requests in the database at `path` from `since` on. Raises StoreError."""
    if not path.exists():
        return History((), targets)
    with database.reading(path) as connection:
        connection.row_factory = None
        if "imported" not in database.tables(connection):
            return History((), targets)
        details = "billing" if database.knows_answers(connection) else "NULL"
        rows = connection.execute(
            "SELECT id, session, chain, branch, model, sent_at, trigger, coalesce(input_tokens, 0), "  # noqa: S608
            "coalesce(read_tokens, 0), coalesce(write_5m_tokens, 0), coalesce(write_1h_tokens, 0), "
            f"coalesce(output_tokens, 0), {details} FROM imported WHERE sent_at >= ? ORDER BY sent_at, id",
            [since],
        )
        return History(map(_stored, rows), targets)


def _stored(row: tuple[Any, ...]) -> RecordedUsage:
    request = RecordedUsage._make(row)
    if row[-1] is None:
        return request
    counts = (
        request.input,
        request.read,
        request.write_5m + request.write_1h,
        request.write_1h,
        request.output,
    )
    return request._replace(usage=billing.usage(*counts, row[-1]))


def _bill(request: RecordedUsage, pricing: Pricing) -> tuple[Bill | Unpriced, float]:
    """Returns what a request was billed, and what multiplies its price: it would multiply any policy's."""
    prices = pricing.prices(request.model)
    if isinstance(prices, Unpriced):
        return prices, 1.0
    if request.usage is not None:
        times = prices.times(request.usage)
        bill = pricing.bill(request.usage, request.model, request.at)
        return bill, 1.0 if isinstance(times, Unpriced) else times
    written = request.write_5m + request.write_1h
    rates = prices.rates(request.at, request.tokens)
    return rates.bill(request.input, request.read, written, request.write_1h, request.output), 1.0


def input_prices(requests: Sequence[ReplayedRequest], model: str, pricing: Pricing) -> list[float]:
    """Returns what an uncached token of each of some requests to a model costs, in USD; 0 where that is not known."""
    prices = pricing.prices(model)
    if isinstance(prices, Unpriced):
        return [0.0] * len(requests)
    rates = prices.rates
    return [rates(request.at, request.tokens).input * request.times for request in requests]


def answer_usd(request: ReplayedRequest, pricing: Pricing) -> float:
    """Returns what the answer to a request costs, in USD; 0 where that is not known."""
    prices = pricing.prices(request.model)
    if isinstance(prices, Unpriced):
        return 0.0
    return prices.rates(request.at, request.tokens).output * request.output * request.times


def replayed(
    requests: Iterable[RecordedUsage], heads: Mapping[Conversation, int], rules: Rules
) -> list[ReplayedRequest]:
    """Returns how requests are sent in a replay: what each shares, and its lifetime.

    They are in the order of their starts, with all that were sent before in their conversations. `heads` are tokens.
    """
    lifetimes: dict[str, dict[str, float]] = {}
    last: dict[Conversation, tuple[float, int, str]] = {}
    sent = []
    for request in requests:
        id_, session, chain, branch, model, at, trigger, _, read, write_5m, write_1h, output, _ = request
        key = (session, chain, branch, model)
        tokens = request.tokens
        before = last.get(key)
        if before is None:
            shared, ttl = heads[key], "default"
        else:
            was_at, was_tokens, ttl = before
            shared = whole = min(was_tokens, tokens)
            if not is_hit(request.first_read, whole):  # else it had all of it in common
                if model not in lifetimes:
                    lifetimes[model] = _seconds(rules.for_model(model))
                if trigger == "compact":
                    shared = min(read or heads[key], whole)
                elif at - was_at <= lifetimes[model].get(ttl, -1.0):
                    shared = min(read, whole)
        ttl = "1h" if write_1h else "5m" if write_5m else ttl
        last[key] = (at, tokens, ttl)
        sent.append(
            ReplayedRequest(id_, session, chain, branch, model, at, tokens, shared, output, trigger, ttl)
        )
    return sent


def _seconds(provider: Provider) -> dict[str, float]:
    """Returns how long each lifetime lasts, by its name."""
    seconds = {lifetime.name: float(lifetime.seconds) for lifetime in provider.lifetimes}
    if provider.lifetimes:
        seconds.setdefault("default", float(provider.lifetimes[0].seconds))
    return seconds


class _Heads:
    """The head of each conversation (`of`): what its first request read, else what first requests usually read then.

    These are the first ones to a model in main conversations, or in sub-agents, of the same stretch, else of the last
    stretch before it that has some.
    """

    def __init__(self, requests: Sequence[RecordedUsage], stretch: Sequence[int]) -> None:
        self.of: dict[Conversation, int] = {}
        self._members: list[dict[Conversation, int]] = []
        last: dict[Conversation, int] = {}
        usual: dict[tuple[str, bool], int] = {}
        for _, indices in groupby(range(len(requests)), stretch.__getitem__):
            number = len(self._members)
            members: dict[Conversation, int] = {}
            cold: dict[Conversation, int] = {}
            sizes: dict[tuple[str, bool], list[int]] = defaultdict(list)
            for index in indices:
                request = requests[index]
                key = request.conversation
                if key not in members:
                    members[key] = last.get(key, -1)
                    last[key] = number
                    if members[key] < 0 and request.read:
                        self.of[key] = request.read
                        if not request.branch:
                            sizes[request.model, request.chain == "main"].append(request.read)
                    elif members[key] < 0:
                        cold[key] = request.tokens
                elif key in cold:
                    cold[key] = min(cold[key], request.tokens)
            usual.update((kind, round(median(read))) for kind, read in sizes.items())
            for key, smallest in cold.items():
                self.of[key] = max(min(usual.get((key[3], key[1] == "main"), 0), smallest - 1), 0)
            self._members.append(members)

    def digests(
        self, requests: Sequence[RecordedUsage], times: Sequence[float], stretch: Integers
    ) -> list[bytes]:
        """Returns a digest for each stretch, which holds those of all stretches that its conversations were in."""
        digests: list[bytes] = []
        encode = msgspec.msgpack.Encoder().encode
        bounds = np.searchsorted(stretch, np.arange(len(self._members) + 1)).tolist()
        for members, (begin, end) in zip(self._members, pairwise(bounds), strict=True):
            before = sorted({number for number in members.values() if number >= 0})
            heads = [self.of[key] for key, number in members.items() if number < 0]
            content = (requests[begin:end], times[begin:end], heads, [digests[number] for number in before])
            digests.append(xxh3_128_digest(encode(content)))
        return digests
