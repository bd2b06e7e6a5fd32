"""The requests of a history that caching decides about, with all that a replay has to know of them.

What is in a prompt is not recorded, only how large it was and what was read of it. So what a request has in common with
the one before is told from the bill: all of it where it was read, or where its lifetime had passed; what was read where
less was; the head (tools and system prompt) after a compaction. docs/how-to/replay.md says how far that carries.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import msgspec

from anchorline.cache.hits import is_hit
from anchorline.cache.rules import Provider, Rules
from anchorline.outcome import Usage
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest, Trigger
from anchorline.store import billing, database


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
    def conversation(self) -> tuple[str, str, int, str]:
        """What tells its conversation from others."""
        return self.session, self.chain, self.branch, self.model


class LeftOut(msgspec.Struct, frozen=True):
    """Requests that no policy decides about: to providers that cache by themselves, or without a known price."""

    automatic: int = 0
    unpriced: int = 0


class History(msgspec.Struct, frozen=True):
    """The requests in the order of their starts. `billed_usd` is what the input of their recorded usage comes to."""

    requests: tuple[ReplayedRequest, ...]
    billed_usd: float
    left_out: LeftOut


class BilledRequest(NamedTuple):
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
    def first_read(self) -> int:
        """The tokens that its first inference read: the one that came to the cache as the request before left it."""
        return self.read if self.usage is None else self.usage.first.read

    @property
    def tokens(self) -> int:
        """The tokens of its prompt, as the model last read it."""
        if self.usage is not None:
            return self.usage.prompt
        return self.input + self.read + self.write_5m + self.write_1h


def load(path: Path, targets: Targets, since: float = 0.0) -> History:
    """Returns what can be replayed of the requests in the database at `path` from `since` on. Raises StoreError."""
    if not path.exists():
        return read((), targets)
    with database.reading(path) as connection:
        connection.row_factory = None
        if "imported" not in database.tables(connection):
            return read((), targets)
        details = "billing" if database.knows_answers(connection) else "NULL"
        rows = connection.execute(
            "SELECT id, session, chain, branch, model, sent_at, trigger, coalesce(input_tokens, 0), "  # noqa: S608
            "coalesce(read_tokens, 0), coalesce(write_5m_tokens, 0), coalesce(write_1h_tokens, 0), "
            f"coalesce(output_tokens, 0), {details} FROM imported WHERE sent_at >= ? ORDER BY sent_at",
            [since],
        )
        return read(map(_stored, rows), targets)


def _stored(row: tuple[Any, ...]) -> BilledRequest:
    request = BilledRequest._make(row)
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


def billed(request: RecordedRequest) -> BilledRequest:
    """Returns a request of a session file."""
    counts = (request.input, request.read, request.write_5m, request.write_1h, request.output)
    names = (request.id, request.session, request.chain, request.branch, request.model)
    return BilledRequest(*names, request.sent_at, request.trigger, *counts, request.usage)


def read(requests: Iterable[BilledRequest], targets: Targets) -> History:
    """Returns what can be replayed of requests: what anchors decide about, and has a price."""
    pricing = Pricing(targets)
    kept: list[BilledRequest] = []
    factors: list[float] = []
    usd = 0.0
    automatic = unpriced = 0
    chosen: dict[str, bool] = {}
    for request in sorted(requests, key=attrgetter("at")):
        model = request.model
        if model not in chosen:
            provider = targets.rules.for_model(model)
            chosen[model] = provider.mode == "explicit" and not provider.implicit
        if not chosen[model]:
            automatic += 1
            continue
        prices = pricing.prices(model)
        usage, tokens, times = request.usage, request.tokens, 1.0
        if isinstance(prices, Unpriced):
            unpriced += 1
            continue
        if usage is None:
            counts = (request.input, request.read, request.write_5m + request.write_1h, request.write_1h, 0)
            bill: Bill | Unpriced = prices.rates(request.at, tokens).bill(*counts)
        else:
            bill = pricing.bill(usage, model, request.at)
            # What multiplies the bill (a batch, fast mode) would have multiplied any policy's.
            multiplied = prices.times(usage)
            times = 1.0 if isinstance(multiplied, Unpriced) else multiplied
        if isinstance(bill, Unpriced):
            unpriced += 1
        elif tokens:
            kept.append(request)
            factors.append(times)
            usd += bill.prompt
    sent = tuple(
        request if times == 1.0 else msgspec.structs.replace(request, times=times)
        for request, times in zip(replayed(kept, targets.rules), factors, strict=True)
    )
    return History(sent, usd, LeftOut(automatic, unpriced))


def input_price(request: ReplayedRequest, pricing: Pricing) -> float:
    """Returns what an uncached token of a request costs, in USD; 0 where that is not known."""
    prices = pricing.prices(request.model)
    if isinstance(prices, Unpriced):
        return 0.0
    return prices.rates(request.at, request.tokens).input * request.times


def answer_usd(request: ReplayedRequest, pricing: Pricing) -> float:
    """Returns what the answer to a request costs, in USD; 0 where that is not known."""
    prices = pricing.prices(request.model)
    if isinstance(prices, Unpriced):
        return 0.0
    return prices.rates(request.at, request.tokens).output * request.output * request.times


Branch = tuple[str, str, int, str]


def replayed(requests: Sequence[BilledRequest], rules: Rules) -> list[ReplayedRequest]:
    """Returns how requests, in the order of their starts, are sent in a replay: what each shares, and its lifetime."""
    heads = _heads(requests)
    lifetimes: dict[str, dict[str, float]] = {}
    last: dict[Branch, tuple[float, int, str]] = {}
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


def _heads(requests: Iterable[BilledRequest]) -> dict[Branch, int]:
    """Returns the head of each conversation: what its first request read, else what such first requests usually read.

    These are the first ones to a model in main conversations, or in sub-agents.
    """
    first: dict[Branch, int] = {}
    smallest: dict[Branch, int] = {}
    for request in requests:
        key = (request.session, request.chain, request.branch, request.model)
        tokens = request.tokens
        if key not in first:
            first[key], smallest[key] = request.read, tokens
        elif tokens < smallest[key]:
            smallest[key] = tokens
    sizes: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for (_, chain, branch, model), size in first.items():
        if size and not branch:
            sizes[model, chain == "main"].append(size)
    usual = {key: round(median(values)) for key, values in sizes.items()}
    return {
        key: size or max(min(usual.get((key[3], key[1] == "main"), 0), smallest[key] - 1), 0)
        for key, size in first.items()
    }
