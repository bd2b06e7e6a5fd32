"""Samples by the window that they are of: one `WindowSpan` runs from a reset to the next."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from math import inf

import msgspec

from anchorline.rate_limits import LimitSample

SAME_RESET_S = 300.0
"""Resets that are told within so many seconds are one: Codex's differ by a few from one answer to the next."""
STEP = 1.0
"""Per cent: providers tell whole ones. A figure that falls by more than this has been set back."""


class Series(msgspec.Struct, frozen=True):
    """The name of a window that comes again and again: of a provider's plan, for an account."""

    provider: str
    account: str
    window: str


class Point(msgspec.Struct, frozen=True):
    """What was `used`, told first at `at` and last at `until`."""

    at: float
    until: float
    used: float


class WindowSpan(msgspec.Struct, frozen=True):
    """One window from reset to reset, or up to where its figure was set back. `points` rise."""

    series: Series
    plan: str
    resets_at: float | None
    length: float | None
    points: tuple[Point, ...]

    @property
    def begins(self) -> float | None:
        """When the window began; None where its reset or length is not known."""
        return None if self.resets_at is None or self.length is None else self.resets_at - self.length

    @property
    def newest(self) -> float:
        """When the last figure was told last."""
        return self.points[-1].until


def spans(samples: Iterable[LimitSample]) -> dict[Series, list[WindowSpan]]:
    """Returns the spans of each series, by the time of their newest figure."""
    by_series: defaultdict[Series, list[LimitSample]] = defaultdict(list)
    samples = list(samples)
    accounts = _accounts(samples)
    for sample in samples:
        account = sample.account or accounts(sample)
        by_series[Series(sample.provider, account, sample.window)].append(sample)
    return {
        series: sorted(
            (span for group in _by_reset(group) for span in _rising(series, group)),
            key=lambda span: span.newest,
        )
        for series, group in by_series.items()
    }


def _accounts(samples: list[LimitSample]) -> Callable[[LimitSample], str]:
    """Returns what tells the account of a sample that does not name it: status lines and session files do not.

    It is the only one that the provider's other samples name, or of several the one whose window resets at that time.
    """
    named: defaultdict[str, dict[str, list[LimitSample]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.account:
            named[sample.provider][sample.account].append(sample)

    def account(sample: LimitSample) -> str:
        accounts = named.get(sample.provider, {})
        if len(accounts) <= 1:
            return next(iter(accounts), "")
        reset = sample.resets_at
        for name, others in accounts.items():
            for other in others:
                if (
                    reset is not None
                    and other.window == sample.window
                    and other.resets_at is not None
                    and abs(other.resets_at - reset) <= SAME_RESET_S
                ):
                    return name
        return ""

    return account


def _by_reset(samples: list[LimitSample]) -> list[list[LimitSample]]:
    """Returns the samples by reset. One without a reset is of the window that the one before it was of."""
    resets = sorted({sample.resets_at for sample in samples if sample.resets_at is not None})
    names: dict[float, float] = {}
    before = -inf
    for reset in resets:
        names[reset] = names[before] if reset - before <= SAME_RESET_S else reset
        before = reset
    groups: defaultdict[float | None, list[LimitSample]] = defaultdict(list)
    current: float | None = None
    for sample in sorted(samples, key=lambda sample: (sample.at, sample.used)):
        if sample.resets_at is not None:
            current = names[sample.resets_at]
        elif current is not None and sample.at > current:
            current = None
        groups[current].append(sample)
    return list(groups.values())


def _rising(series: Series, samples: list[LimitSample]) -> list[WindowSpan]:
    """Returns the samples of one reset as a span; as several where the figure was set back, or the plan is another.

    A figure below an earlier one is an old one that is told again: of a status line that is drawn anew, of an answer
    that was overtaken. Where it falls by more than a step and not by a status line, it has been set back.
    """
    made: list[WindowSpan] = []
    points: list[Point] = []
    plan = ""

    def end() -> None:
        if points:
            resets = [sample.resets_at for sample in samples if sample.resets_at is not None]
            length = next((sample.length for sample in samples if sample.length is not None), None)
            made.append(WindowSpan(series, plan, max(resets, default=None), length, tuple(points)))
            points.clear()

    for sample in samples:
        top = points[-1].used if points else 0.0
        fell = sample.used < top - STEP and sample.source != "status_line"
        if fell or (plan and sample.plan and sample.plan != plan):
            end()
        elif points and sample.used <= top:
            if sample.used == top:
                points[-1] = msgspec.structs.replace(points[-1], until=max(points[-1].until, sample.newest))
            continue
        plan = sample.plan or plan
        points.append(Point(sample.at, sample.newest, sample.used))
    end()
    return made
