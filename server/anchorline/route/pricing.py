"""The bill of a request, in USD, from its usage: only here are tokens turned into money.

    bill = price · (input + read·R + write·W + write₁ₕ·W₁ₕ) + output price · output + searches

by the prices of the model's catalogue on the day of the request (for a long prompt: its long ones), R what the
provider takes for a cached token and W for writing one, by lifetime. A tier, a speed or a region multiplies all of it
but the searches. Of several inferences each is billed at its own size and its own model. What is not known of a price
makes the whole bill unknown; it is never taken for 0.
"""

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, time
from math import inf

import msgspec

from anchorline.cache.rules import Provider
from anchorline.outcome import Usage
from anchorline.route.catalog import Earlier, Model
from anchorline.route.target import Targets

MOST = 1000
"""Names of models that are remembered."""


class Bill(msgspec.Struct, frozen=True, gc=False):
    """USD, by what they were paid for. `uncached` is what the same tokens would have cost without a cache."""

    input: float = 0.0
    read: float = 0.0
    write: float = 0.0
    output: float = 0.0
    searches: float = 0.0
    uncached: float = 0.0

    @property
    def prompt(self) -> float:
        """The cost of the prompt."""
        return self.input + self.read + self.write

    @property
    def usd(self) -> float:
        """The cost of everything."""
        return self.input + self.read + self.write + self.output + self.searches

    @property
    def saved(self) -> float:
        """The saving by the cache, less what writing to it cost."""
        return self.uncached - self.usd

    def times(self, factor: float) -> "Bill":
        """Returns this bill so many times."""
        return Bill().plus(self, factor)

    def plus(self, other: "Bill", times: float = 1.0) -> "Bill":
        """Returns the sum of this bill and so many `times` another one."""
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Bill(*(a + times * b for a, b in zip(mine, others, strict=True)))


def in_base_tokens(provider: Provider, uncached: int, read: int, written: Mapping[str, int]) -> Bill:
    """Returns the bill of a prompt in tokens at the base input price, what was `written` by lifetime.

    A simulated cache knows each token's lifetime, and no price; `Bill.times` makes USD of it.
    """
    write = sum(tokens * provider.write_price(ttl) for ttl, tokens in written.items())
    whole = uncached + read + sum(written.values())
    return Bill(float(uncached), provider.read * read, write, uncached=float(whole))


class Unpriced(msgspec.Struct, frozen=True):
    """Why a request has no bill: `what` is not known, such as ``price of somebody/unknown``."""

    what: str

    def __str__(self) -> str:
        return f"{self.what} not known"


BROKEN_OFF = Unpriced("usage of an answer that broke off")
UNTOLD = Unpriced("usage, which the answer does not tell, is")


class Rates(msgspec.Struct, frozen=True, gc=False):
    """What a token costs, in USD.

    `marked` is what reading one costs in a request that writes by its own markers, where that is another price.
    `search` is a web search, None where its price is not known.
    """

    input: float
    read: float
    marked: float
    write: float
    write_1h: float
    output: float
    search: float | None

    def bill(self, input_tokens: int, read: int, write: int, write_1h: int, output: int) -> Bill:
        """Returns the bill of an inference; `write_1h` is a part of `write`."""
        answer = self.output * output
        return Bill(
            self.input * input_tokens,
            (self.marked if write else self.read) * read,
            self.write * (write - write_1h) + self.write_1h * write_1h,
            answer,
            0.0,
            self.input * (input_tokens + read + write) + answer,
        )


class ModelPrices:
    """What one model costs, by the day and the size of the prompt. Rates are made once and kept."""

    def __init__(self, model: Model, provider: Provider) -> None:
        self.model = model
        self._provider = provider
        self._ends = [datetime.combine(period.until, time(), UTC).timestamp() for period in model.earlier]
        self._rates: dict[tuple[int, int], Rates] = {}
        self._always = not self._ends and model.off_peak is None
        self._above = min((step.above for step in model.long), default=inf)
        self._ordinary = self._made(inf, 0)

    def rates(self, at: float, prompt: int) -> Rates:
        """Returns what a token of a prompt of that size cost then, at the list price."""
        if self._always and prompt <= self._above:
            return self._ordinary
        period = 2 * bisect_right(self._ends, at) + self.model.peak(at)
        key = (period, self.model.dated(at).step(prompt))
        rates = self._rates.get(key)
        if rates is None:
            rates = self._rates[key] = self._made(at, prompt)
        return rates

    def _made(self, at: float, prompt: int) -> Rates:
        model, provider = self.model, self._provider
        price, output = model.prices(prompt, at)
        dated = model.dated(at)
        read = dated.read if isinstance(dated, Earlier) and dated.read is not None else provider.read
        marked = read
        # A usage tells what was written for an hour; all else was for the ordinary lifetime.
        write, hour = provider.write_price(), provider.lifetime("1h")
        if provider.marked is not None:
            write = provider.marked.write
            marked = read if provider.marked.read is None else provider.marked.read
        long = write if hour is None else hour.write
        search = None if model.web_search is None else model.web_search / 1000
        return Rates(price, price * read, price * marked, price * write, price * long, output, search)

    def times(self, usage: Usage) -> float | Unpriced:
        """Returns what a usage's speed, tier and region multiply the list price by."""
        times = 1.0
        for template, name in (("{} mode", usage.speed), ("tier {}", usage.tier), ("region {}", usage.geo)):
            if name and name not in self.model.rates:
                return Unpriced(f"price of {template.format(name)} ({self.model.id})")
            times *= self.model.rates[name] if name else 1.0
        return times


class Pricing:
    """Prices requests, whatever name they give their model."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._prices: dict[str, ModelPrices | Unpriced] = {}

    def bill(self, usage: Usage, model: str, at: float) -> Bill | Unpriced:
        """Returns what a usage was billed by `model` at the epoch second `at`."""
        whole = Bill()
        for inference in usage.iterations or usage.messages:
            prices = self.prices(inference.model or model)
            if isinstance(prices, Unpriced):
                return prices
            # An advisor is asked in the ordinary way, whatever the speed of who asks it.
            own = inference.model is None or self._same(inference.model, model)
            times = prices.times(usage) if own else 1.0
            if isinstance(times, Unpriced):
                return times
            rates = prices.rates(at, inference.prompt)
            whole = whole.plus(
                rates.bill(
                    inference.input, inference.read, inference.write, inference.write_1h, inference.output
                ),
                times,
            )
        if not usage.web_searches:
            return whole
        prices = self.prices(model)
        search = None if isinstance(prices, Unpriced) else prices.rates(at, 0).search
        if search is None:
            return Unpriced(f"price of web searches ({model})")
        return whole.plus(Bill(searches=search, uncached=search), usage.web_searches)

    def prices(self, model: str) -> ModelPrices | Unpriced:
        """Returns the prices of the model that requests call by that name."""
        prices = self._prices.get(model)
        if prices is None:
            if len(self._prices) > MOST:  # names come from outside
                self._prices.clear()
            target = self._targets.find(model)
            if target.model is None:
                prices = Unpriced(f"price of {model}" if model else "model, so its price is")
            else:
                prices = ModelPrices(target.model, target.provider)
            self._prices[model] = prices
        return prices

    def _same(self, model: str, other: str) -> bool:
        a, b = self.prices(model), self.prices(other)
        return model == other or (
            isinstance(a, ModelPrices) and isinstance(b, ModelPrices) and a.model is b.model
        )
