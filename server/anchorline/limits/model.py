"""What is known of a plan's windows, as values that all doors show alike. Times are epoch seconds, shares per cent."""

import msgspec

TITLES = {
    "five_hour": "5-hour window",
    "one_day": "daily window",
    "seven_day": "weekly window",
    "seven_day_overage_included": "weekly window of its own model",
    "seven_day_opus": "weekly window of Opus",
    "seven_day_sonnet": "weekly window of Sonnet",
    "overage": "extra usage",
}
_SHORT = {"five_hour": "5h", "one_day": "1d", "seven_day": "7d"}


def title(window: str) -> str:
    """Returns what a person calls a window."""
    return TITLES.get(window, window.replace("_", " "))


class Estimate(msgspec.Struct, frozen=True):
    """A number that was estimated, with the interval that holds the true one nine times in ten."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        """Returns the estimate of so many times it."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


class Wall(msgspec.Struct, frozen=True):
    """When a window will be full, if it will be before it resets: `likely` is the probability of that.

    Half of the ways in which the work may go on reach it before `at`, one in twenty before `earliest`, all but one in
    twenty before `latest`; each is None where that is not before the reset. `at` is None where the wall is more likely
    not to come.
    """

    likely: float
    earliest: float | None
    at: float | None
    latest: float | None


class WindowState(msgspec.Struct, frozen=True):
    """A window of a plan, as its newest sample and the work since the window began tell it.

    `used` was told at `at`. `pace` is in per cent an hour, over the last hour; `at_reset` what will be used
    when the window resets, at this pace. They are None where not enough is known to say. `wall` is None where the
    window will not be full before it resets, or where that is not known. `over`: the window has reset since, so nothing
    is known of the one that runs now.
    """

    provider: str
    window: str
    used: float
    at: float
    resets_at: float | None
    length: float | None
    plan: str = ""
    account: str = ""
    pace: Estimate | None = None
    at_reset: Estimate | None = None
    wall: Wall | None = None
    over: bool = False

    @property
    def title(self) -> str:
        """What a person calls it."""
        return title(self.window)

    @property
    def short(self) -> str:
        """A name of a few characters, for a status line."""
        return _SHORT.get(self.window, self.window)

    @property
    def left(self) -> float:
        """The per cent that are left."""
        return max(100.0 - self.used, 0.0)

    def age(self, now: float) -> float:
        """Returns how many seconds ago the newest sample was told."""
        return max(now - self.at, 0.0)


class TokenCounts(msgspec.Struct, frozen=True):
    """Tokens of a request by what is done with them; `input` are neither read from nor written to the cache."""

    input: int = 0
    read: int = 0
    write_5m: int = 0
    write_1h: int = 0
    output: int = 0


KINDS = TokenCounts.__struct_fields__
"""Kinds of tokens, in the order in which they are counted everywhere here."""
OTHER = ""
"""Stands for every model of which nothing was learnt."""


class Weights(msgspec.Struct, frozen=True):
    """What a dollar of list price costs of a window, in per cent, by kind of token (`KINDS`), for one model.

    `covariance` is that of the five.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


class Learnt(msgspec.Struct, frozen=True):
    """What was learnt of one window, from `steps` of work over which its figure rose by `rise` per cent in all.

    `models` has those that were told apart, and `OTHER`. `own_weights`: models have weights of their own, since these
    predict better: `error` is the mean error of steps that were left out, in per cent a step, `error_by_prices` that
    of prices alone. `elsewhere` is what is used elsewhere, in per cent an hour of work here, and `noise` the standard
    deviation of a step's rise, in per cent.
    """

    models: dict[str, Weights]
    own_weights: bool
    steps: int
    rise: float
    error: float
    error_by_prices: float
    elsewhere: float
    noise: float


class PastUse(msgspec.Struct, frozen=True):
    """Per cent of a window that were used in each `step` of seconds from `begins` on, an epoch second."""

    begins: float
    step: float
    parts: list[float]


class WindowCost(msgspec.Struct, frozen=True):
    """What some tokens cost of a window, in per cent of it; `percent` is None where that is not known yet.

    `missing` says why then, in a sentence. `samples` is how many steps of work it was learnt from.
    """

    provider: str
    window: str
    percent: Estimate | None
    missing: str = ""
    samples: int = 0
