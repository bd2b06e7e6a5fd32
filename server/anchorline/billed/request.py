"""The bill of a request, whoever recorded it: its tokens, its model's prices, and what it cost not to read a prefix."""

from typing import Literal

import msgspec

from anchorline.cache.miss_causes import Cause
from anchorline.cache.rules import Lifetime, Provider
from anchorline.outcome import Usage
from anchorline.route.pricing import Bill, ModelPrices, Pricing, Unpriced
from anchorline.route.target import Targets

Source = Literal["plans", "imported"]


class BilledTokens(msgspec.Struct, frozen=True, gc=False):
    """Tokens of a whole prompt, and of its answer, as they were billed.

    Of the prompt's, `read` were read from the cache, and `written` written to it, `long` of these for an hour. `usage`
    is what was billed where its price depends on more than that.
    """

    prompt: int
    read: int
    written: int
    long: int
    output: int
    usage: Usage | None = None

    @property
    def first(self) -> tuple[int, int]:
        """The prompt of the first inference, which is the one that came to the cache, and what it read."""
        if self.usage is None:
            return self.prompt, self.read
        return self.usage.first.prompt, self.usage.first.read


class ModelFacts(msgspec.Struct, frozen=True):
    """What is known of a model: its name in requests, its prices, its provider's rules, and what to call it."""

    name: str
    prices: ModelPrices | Unpriced
    provider: Provider
    lifetimes: dict[str, Lifetime]
    shown: str


class PrefixReturn(msgspec.Struct, frozen=True, gc=False):
    """A request that came back to a prefix of `believed` tokens, and the `cause` where that was not a hit.

    `p` is P(hit), None where none was said. `expired`: its lifetime was over, whatever else was the cause.
    """

    source: Source
    p: float | None
    believed: int
    cause: Cause | None
    expired: bool = False


class PromptRates(msgspec.Struct, frozen=True, gc=False):
    """What a token of a request's first inference cost, in USD: one that was `read`, and the mean of the others."""

    unread: float
    read: float


class PricedModels:
    """Models by the names that requests have for them, with the prices of what they were billed."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._pricing = Pricing(targets)
        self._models: dict[str, ModelFacts] = {}

    def find(self, name: str) -> ModelFacts:
        """Returns what is known of the model that requests call by that name."""
        facts = self._models.get(name)
        if facts is None:
            target = self._targets.find(name)
            provider = target.provider
            lifetimes = {lifetime.name: lifetime for lifetime in provider.lifetimes}
            if provider.lifetimes:
                lifetimes.setdefault("default", provider.lifetimes[0])
            facts = self._models[name] = ModelFacts(
                name, self._pricing.prices(name), provider, lifetimes, target.id
            )
        return facts

    def bill(self, at: float, facts: ModelFacts, tokens: BilledTokens) -> Bill | Unpriced:
        """Returns what a request that was sent then was billed."""
        prompt, read, written, prices = tokens.prompt, tokens.read, tokens.written, facts.prices
        if tokens.usage is not None:
            return self._pricing.bill(tokens.usage, facts.name, at)
        if isinstance(prices, Unpriced):
            return prices
        rates = prices.rates(at, prompt)
        return rates.bill(prompt - read - written, read, written, tokens.long, tokens.output)

    def rates(self, at: float, facts: ModelFacts, tokens: BilledTokens) -> PromptRates | None:
        """Returns what a token of the prompt cost; None where that is not known."""
        usage, prices = tokens.usage, facts.prices
        times = 1.0
        if usage is None:
            read, written, long = tokens.read, tokens.written, tokens.long
            uncached = tokens.prompt - read - written
        else:
            first = usage.first
            uncached, read, written, long = first.input, first.read, first.write, first.write_1h
            if first.model is not None and first.model != facts.name:
                prices = self._pricing.prices(first.model)
        if isinstance(prices, Unpriced):
            return None
        if usage is not None:
            multiplied = prices.times(usage)
            if isinstance(multiplied, Unpriced):
                return None
            times = multiplied
        rates = prices.rates(at, uncached + read + written)
        unread = uncached + written
        paid = rates.input * uncached + rates.write * (written - long) + rates.write_1h * long
        each = paid / unread if unread else rates.write
        return PromptRates(times * each, times * (rates.marked if written else rates.read))

    def unread_usd(self, at: float, facts: ModelFacts, tokens: BilledTokens, believed: int) -> float:
        """Returns what reading all of `believed` tokens would have saved; 0 where the price is not known.

        Never more than the request's prompt was billed: a prompt that got shorter has only its own tokens to read.
        """
        prompt, read = tokens.first
        lost = min(believed, prompt) - read
        if lost <= 0 or (rates := self.rates(at, facts, tokens)) is None:
            return 0.0
        return max(rates.unread - rates.read, 0.0) * lost
