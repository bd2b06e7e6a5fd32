"""What a request cost, in USD, by what its usage tells: the one place where tokens are turned into money.

    bill = price · (input + read·R + write·W + write₁ₕ·W₁ₕ) + output price · output + searches

by the prices of the model's catalogue on the day of the request (for a long prompt: its long ones), R what the
provider takes for a cached token and W for writing one, by lifetime. A tier, a speed or a region multiplies all of it
but the searches. Of several inferences each is billed at its own size and its own model. What is not known of a price
makes the whole bill unknown; it is never taken for 0.
"""

from datetime import UTC, datetime, time

import msgspec

from anchorline.cache.rules import Provider, Rules
from anchorline.outcome import Iteration, Usage
from anchorline.route.catalog import Catalog, Earlier, Model

MOST = 1000
"""Names of models that are remembered."""
_SAID = {"speed": "{} mode", "tier": "tier {}", "region": "region {}"}


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
        """What the prompt cost."""
        return self.input + self.read + self.write

    @property
    def usd(self) -> float:
        """All of it."""
        return self.input + self.read + self.write + self.output + self.searches

    @property
    def saved(self) -> float:
        """What the cache saved, less what writing to it cost."""
        return self.uncached - self.usd

    def plus(self, other: "Bill") -> "Bill":
        """Return the sum of two."""
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Bill(*(a + b for a, b in zip(mine, others, strict=True)))


class Unpriced(msgspec.Struct, frozen=True):
    """Why a request has no bill: `what` is not known, such as ``price of somebody/unknown``."""

    what: str

    def __str__(self) -> str:
        return f"{self.what} not known"


class Rates(msgspec.Struct, frozen=True, gc=False):
    """What a token costs, in USD. `search` is a web search, None where its price is not known."""

    input: float
    read: float
    write: float
    write_1h: float
    output: float
    search: float | None

    def bill(
        self, input_: int, read: int, write: int, write_1h: int, output: int, searches: float = 0.0
    ) -> Bill:
        """Return the bill of an inference; `write_1h` is a part of `write`."""
        answer = self.output * output
        return Bill(
            self.input * input_,
            self.read * read,
            self.write * (write - write_1h) + self.write_1h * write_1h,
            answer,
            searches,
            self.input * (input_ + read + write) + answer + searches,
        )


class _Known(msgspec.Struct, frozen=True):
    model: Model
    provider: Provider
    bounds: tuple[float, ...]
    """Epoch seconds at which a price ended."""


class Pricing:
    """Prices requests. Rates are kept by model, days and terms: a report asks for them a hundred thousand times."""

    def __init__(self, rules: Rules, catalog: Catalog) -> None:
        self._rules = rules
        self._catalog = catalog
        self._known: dict[str, _Known | None] = {}
        self._rates: dict[tuple[str, int, bool, str], Rates | Unpriced] = {}

    def bill(self, usage: Usage, model: str, at: float) -> Bill | Unpriced:
        """Return what a usage was billed by `model` at the epoch second `at`."""
        terms = terms_of(usage)
        parts = usage.iterations or (
            Iteration("message", None, usage.input, usage.read, usage.write, usage.output, usage.write_1h),
        )
        whole = Bill()
        for one in parts:
            # An advisor is asked in the ordinary way, whatever the speed of who asks it.
            asks = one.model is not None and not self.same(one.model, model)
            rates = self.rates(one.model or model, at, one.prompt, "" if asks else terms)
            if isinstance(rates, Unpriced):
                return rates
            whole = whole.plus(rates.bill(one.input, one.read, one.write, one.write_1h, one.output))
        if not usage.web_searches:
            return whole
        rates = self.rates(model, at, 0, "")
        if isinstance(rates, Unpriced) or rates.search is None:
            return Unpriced(f"price of {model}'s web searches")
        searches = rates.search * usage.web_searches
        return whole.plus(Bill(searches=searches, uncached=searches))

    def rates(self, model: str, at: float, prompt: int, terms: str = "") -> Rates | Unpriced:
        """Return what a token of a prompt of that size costs; `terms` as `terms_of` has them."""
        known = self._find(model)
        if known is None:
            return Unpriced(f"price of {model}" if model else "the model, so its price is")
        long = known.model.dated(at).long if known.bounds else known.model.long
        period = sum(at >= bound for bound in known.bounds)
        if known.model.off_peak is not None:
            period = 2 * period + known.model.peak(at)
        key = (model, period, long is not None and prompt > long.above, terms)
        found = self._rates.get(key)
        if found is None:
            found = self._rates[key] = _rates(known, at, prompt, terms)
        return found

    def same(self, one: str, other: str) -> bool:
        """Tell whether two names are one model's."""
        a, b = self._find(one), self._find(other)
        return one == other or (a is not None and b is not None and a.model is b.model)

    def _find(self, name: str) -> _Known | None:
        if name not in self._known:
            if len(self._known) > MOST:  # names come from outside
                self._known.clear()
                self._rates.clear()
            model = self._catalog.find(name)
            self._known[name] = (
                None if model is None else _Known(model, self._rules.for_model(name), _ends(model))
            )
        return self._known[name]


def terms_of(usage: Usage) -> str:
    """Return what else than tokens a usage's price depends on, empty where it is the list price."""
    told = (("speed", usage.speed), ("tier", usage.tier), ("region", usage.geo))
    return ",".join(f"{kind} {name}" for kind, name in told if name)


def _ends(model: Model) -> tuple[float, ...]:
    return tuple(datetime.combine(one.until, time(), UTC).timestamp() for one in model.earlier)


def _rates(known: _Known, at: float, prompt: int, terms: str) -> Rates | Unpriced:
    model, provider = known.model, known.provider
    times = 1.0
    for term in terms.split(",") if terms else ():
        kind, _, name = term.partition(" ")
        if name not in model.rates:
            return Unpriced(f"price of {_SAID[kind].format(name)} ({model.id})")
        times *= model.rates[name]
    price, output = (times * one for one in model.prices(prompt, at))
    dated = model.dated(at)
    read = dated.read if isinstance(dated, Earlier) and dated.read is not None else provider.read
    # A usage tells what was written for an hour; all else was for the ordinary lifetime.
    long = provider.lifetime("1h")
    write = provider.write_price()
    return Rates(
        price,
        price * read,
        price * write,
        price * (write if long is None else long.write),
        output,
        None if model.web_search is None else model.web_search / 1000,
    )
