"""The state of each window of a plan now, and what tokens cost of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path

from anchorline import __version__
from anchorline.billed.request import PricedModels
from anchorline.limits import kept
from anchorline.limits.kept import Knowledge, WindowKnowledge
from anchorline.limits.model import OTHER, Estimate, Learnt, TokenCounts, WindowCost, WindowState
from anchorline.limits.steps import FULL, steps
from anchorline.limits.use import past_use
from anchorline.limits.windows import Series, WindowSpan, spans
from anchorline.limits.work import Work, all_work, dollars, plan_provider
from anchorline.rate_limits import LimitSample
from anchorline.route.target import Targets
from anchorline.store import database

FRESH_S = 600.0
"""What was learnt counts for so long, whatever is recorded meanwhile: the newest samples always count."""
OF_SOME = ("overage", "seven_day_overage_included", "seven_day_opus", "seven_day_sonnet")
"""Windows that only some requests count for: others go on where one of these is full."""
INTERVAL = 1.645
"""Standard deviations on either side that hold nine of ten values of a normal distribution."""
VAGUE = 0.6
"""A cost is not known whose standard deviation is more than this part of it."""


class Limits:
    """What is known of a plan's windows at one moment."""

    def __init__(
        self, windows: tuple[WindowState, ...], knowledge: Knowledge | None, models: PricedModels, now: float
    ) -> None:
        self.windows = windows
        self._learnt: Mapping[Series, WindowKnowledge] = {} if knowledge is None else knowledge.by_series()
        self._models = models
        self._now = now

    def learnt(self, window: WindowState) -> WindowKnowledge | None:
        """Returns what was learnt of a window."""
        return self._learnt.get(Series(window.provider, window.account, window.window))

    def missing(self, window: WindowState) -> str:
        """Returns why it is not known yet what tokens cost of a window, in a sentence."""
        return _missing(self.learnt(window))

    def cost(self, model: str, tokens: TokenCounts) -> tuple[WindowCost, ...]:
        """Returns what these tokens cost of each window that requests to the model count for."""
        facts = self._models.find(model)
        provider = plan_provider(facts.provider.name)
        usd = dollars(facts, tokens, self._now)
        costs = []
        for window in self.windows:
            if window.provider != provider:
                continue
            knowledge = self.learnt(window)
            learnt = knowledge.learnt if knowledge is not None else None
            percent = None if learnt is None or usd is None else _percent(learnt, facts.shown, usd)
            missing = ""
            if usd is None:
                missing = f"The price of {model} is not known, which is the scale that costs are learnt on."
            elif percent is None:
                missing = _missing(knowledge)
            count = knowledge.steps if knowledge is not None else 0
            costs.append(WindowCost(window.provider, window.window, percent, missing, count))
        return tuple(costs)


def _percent(learnt: Learnt, model: str, usd: Sequence[float]) -> Estimate | None:
    weights = learnt.models.get(model) or learnt.models[OTHER]
    value = sum(weight * part for weight, part in zip(weights.mean, usd, strict=True))
    variance = sum(
        a * b * covariance
        for a, row in zip(usd, weights.covariance, strict=True)
        for b, covariance in zip(usd, row, strict=True)
    )
    deviation = sqrt(max(variance, 0.0))
    if value <= 0 or deviation > VAGUE * value:
        return None
    return Estimate(value, max(value - INTERVAL * deviation, 0.0), value + INTERVAL * deviation)


def _missing(knowledge: WindowKnowledge | None) -> str:
    """Returns what is not there yet to know what tokens cost."""
    if knowledge is not None and knowledge.shared:
        return "Several accounts have such a window, and requests do not tell whose they are."
    if knowledge is not None and knowledge.learnt is not None:
        return "What was told so far leaves too much open: more work with that kind of tokens is needed."
    count = knowledge.steps if knowledge is not None else 0
    return (
        f"{count} steps of work were told so far, and at least 5 are needed: a step is work over which the figure "
        "rises by about 4%, told before and after it."
    )


def limits(path: Path, targets: Targets, now: float, *, learns: bool = True) -> Limits:
    """Returns what is known of all windows at the epoch second `now`. Raises StoreError.

    What was learnt before is used again for ten minutes, and for as long as nothing was recorded since; however old
    with `learns` false, where somebody waits: learning takes a second and more.
    """
    models = PricedModels(targets)
    if not path.exists():
        return Limits((), None, models, now)
    with database.reading(path) as connection:
        connection.row_factory = None
        stored = kept.stored_samples(connection, now)
        if not stored.samples:
            return Limits((), None, models, now)
        knowledge = kept.read(path)
        is_fresh = knowledge is not None and (
            knowledge.basis == stored.basis or 0 <= now - knowledge.made_at < FRESH_S
        )
        if learns and not is_fresh:
            work = all_work(connection, models, now - kept.HISTORY_S)
            knowledge = Knowledge(__version__, stored.basis, now, _learn(stored.samples, work, now))
            kept.write(path, knowledge)
    return Limits(kept.states(stored, knowledge, now), knowledge, models, now)


def _learn(samples: list[LimitSample], work: Mapping[str, list[Work]], now: float) -> list[WindowKnowledge]:
    by_series = spans(samples)
    accounts = Counter((series.provider, series.window) for series in by_series)
    full = {
        provider: [
            (point.at, point.until)
            for series, group in by_series.items()
            if series.provider == provider and series.window not in OF_SOME
            for span in group
            for point in span.points
            if point.used >= FULL
        ]
        for provider, _ in accounts
    }
    return [
        _of_window(
            series,
            group,
            work.get(series.provider, []),
            full[series.provider],
            now,
            shared=accounts[series.provider, series.window] > 1,
        )
        for series, group in by_series.items()
    ]


def _of_window(
    series: Series,
    group: list[WindowSpan],
    work: list[Work],
    full: list[tuple[float, float]],
    now: float,
    *,
    shared: bool,
) -> WindowKnowledge:
    from anchorline.limits.learning import learn  # noqa: PLC0415  (NumPy, 0.1 s: only where there is something to learn)

    newest = group[-1]
    of_plan = [span for span in group if span.plan == newest.plan]
    cut = steps(of_plan, work, full)
    learnt = None if shared else learn(cut)

    def weigh(request: Work) -> float:
        if learnt is None or request.usd is None:
            return 0.0
        weights = learnt.models.get(request.model) or learnt.models[OTHER]
        return sum(weight * part for weight, part in zip(weights.mean, request.usd, strict=True))

    # The figures of another plan are of a window of another size: what was sent then weighs as it does now.
    past = past_use(of_plan if learnt is not None else group, work, weigh, newest.length, now)
    return WindowKnowledge(series, learnt, past, len(cut), shared)
