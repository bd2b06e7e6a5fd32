"""The requests that count for a plan, each with its tokens by kind and what they would have cost at list prices."""

import sqlite3
from collections import defaultdict

import msgspec

from anchorline.billed.request import BilledTokens, ModelFacts, PricedModels
from anchorline.billed.requests import billed_requests
from anchorline.limits.model import TokenCounts
from anchorline.route.pricing import Unpriced

Dollars = tuple[float, float, float, float, float]
"""USD by kind of token."""


class Work(msgspec.Struct, frozen=True, gc=False):
    """A request that was sent at `at`. `usd` is what its tokens cost at list prices, by kind; None without a price.

    A plan bills none of it: the prices are the scale on which kinds of tokens and models compare.
    """

    at: float
    model: str
    usd: Dollars | None


def plan_provider(name: str) -> str:
    """Returns whose plan requests are on, by the name of their provider's rules (OpenAI has two sets of them)."""
    return "openai" if name.startswith("openai") else name


def all_work(connection: sqlite3.Connection, models: PricedModels, since: float) -> dict[str, list[Work]]:
    """Returns what was sent from `since` on, in order, by whose plan it is on."""
    work: defaultdict[str, list[Work]] = defaultdict(list)
    for request in billed_requests(connection, models, since):
        facts, tokens = request.facts, request.tokens
        usd = None if tokens is None else dollars(facts, _counts(tokens), request.at, tokens)
        work[plan_provider(facts.provider.name)].append(Work(request.at, facts.shown, usd))
    for requests in work.values():
        requests.sort(key=lambda request: request.at)
    return dict(work)


def _counts(tokens: BilledTokens) -> TokenCounts:
    return TokenCounts(
        tokens.prompt - tokens.read - tokens.written,
        tokens.read,
        tokens.written - tokens.long,
        tokens.long,
        tokens.output,
    )


def dollars(
    facts: ModelFacts, counts: TokenCounts, at: float, billed: BilledTokens | None = None
) -> Dollars | None:
    """Returns what tokens cost at the list prices of a model then, by kind; None where a price is not known."""
    prices = facts.prices
    if isinstance(prices, Unpriced):
        return None
    times = 1.0
    if billed is not None and billed.usage is not None:
        multiplied = prices.times(billed.usage)
        if isinstance(multiplied, Unpriced):
            return None
        times = multiplied
    written = counts.write_5m + counts.write_1h
    rates = prices.rates(at, counts.input + counts.read + written)
    return (
        times * rates.input * counts.input,
        times * (rates.marked if written else rates.read) * counts.read,
        times * rates.write * counts.write_5m,
        times * rates.write_1h * counts.write_1h,
        times * rates.output * counts.output,
    )
