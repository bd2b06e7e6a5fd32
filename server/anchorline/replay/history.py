"""The requests of a history that caching decides about, with all that a replay has to know of them.

What is in a prompt is not recorded, only how large it was and what was read of it. So what a request has in common with
the one before is told from the bill: all of it where it was read, or where its lifetime had passed; what was read where
less was; the head (tools and system prompt) after a compaction. docs/how-to/replay.md says how far that carries.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from anchorline.cache.hits import is_hit
from anchorline.cache.rules import Provider, Rules
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import Targets
from anchorline.sessions.request import RecordedRequest, Trigger


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
    """The requests in the order of their starts. `billed` is what their recorded usage comes to, in USD."""

    requests: tuple[ReplayedRequest, ...]
    billed: Bill
    left_out: LeftOut


def read(requests: Iterable[RecordedRequest], targets: Targets, pricing: Pricing) -> History:
    """Returns what can be replayed of recorded requests: what anchors decide about, and has a price."""
    kept: list[RecordedRequest] = []
    factors: list[float] = []
    billed = Bill()
    automatic = unpriced = 0
    for request in sorted(requests, key=lambda request: request.sent_at):
        provider = targets.rules.for_model(request.model)
        prices = pricing.prices(request.model)
        bill = pricing.bill(request.bill, request.model, request.sent_at)
        if provider.mode != "explicit" or provider.implicit:
            automatic += 1
        elif isinstance(prices, Unpriced) or isinstance(bill, Unpriced):
            unpriced += 1
        elif request.tokens:
            # What multiplies the bill (a batch, fast mode) would have multiplied any policy's.
            times = prices.times(request.bill)
            kept.append(request)
            factors.append(1.0 if isinstance(times, Unpriced) else times)
            billed = billed.plus(bill)
    sent = tuple(
        request if times == 1.0 else msgspec.structs.replace(request, times=times)
        for request, times in zip(replayed(kept, targets.rules), factors, strict=True)
    )
    return History(sent, billed, LeftOut(automatic, unpriced))


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


def replayed(requests: Sequence[RecordedRequest], rules: Rules) -> list[ReplayedRequest]:
    """Returns how requests, in the order of their starts, are sent in a replay: what each shares, and its lifetime."""
    grouped: dict[tuple[str, str, int, str], list[int]] = defaultdict(list)
    for number, request in enumerate(requests):
        grouped[request.session, request.chain, request.branch, request.model].append(number)
    branches = {key: [requests[number] for number in numbers] for key, numbers in grouped.items()}
    usual = _heads(branches)
    shared, ttls = [0] * len(requests), ["default"] * len(requests)
    for key, branch in branches.items():
        _, chain, _, model = key
        provider = rules.for_model(model)
        smallest = min(request.tokens for request in branch) - 1
        head = max(branch[0].read or min(usual.get((model, chain == "main"), 0), smallest), 0)
        before: RecordedRequest | None = None
        ttl = "default"
        for number, request in zip(grouped[key], branch, strict=True):
            shared[number] = _shared(request, before, ttl, head, provider) if before is not None else head
            ttl = "1h" if request.write_1h else "5m" if request.write_5m else ttl
            ttls[number] = ttl
            before = request
    return [
        ReplayedRequest(
            request.id,
            request.session,
            request.chain,
            request.branch,
            request.model,
            request.sent_at,
            request.tokens,
            shared[number],
            request.output,
            request.trigger,
            ttls[number],
        )
        for number, request in enumerate(requests)
    ]


def _heads(
    grouped: dict[tuple[str, str, int, str], list[RecordedRequest]],
) -> dict[tuple[str, bool], int]:
    """Returns what first requests to a model usually read, in conversations and in sub-agents: their head."""
    read: dict[tuple[str, bool], list[int]] = {}
    for (_, chain, branch, model), requests in grouped.items():
        if not branch and requests[0].read:
            read.setdefault((model, chain == "main"), []).append(requests[0].read)
    return {key: round(median(sizes)) for key, sizes in read.items()}


def _shared(
    request: RecordedRequest, before: RecordedRequest, ttl: str, head: int, provider: Provider
) -> int:
    whole = min(before.tokens, request.tokens)
    if is_hit(request.bill.first.read, whole):  # so it had all of it in common
        return whole
    lifetime = provider.lifetime(ttl)
    expired = lifetime is None or request.sent_at - before.sent_at > lifetime.seconds
    if request.trigger == "compact":
        return min(request.read or head, whole)
    return whole if expired else min(request.read, whole)
