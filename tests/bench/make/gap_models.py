"""Fits models of the time to the next request beside the table that ships: the network's gap head, and boosted trees."""

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec.structs import replace
from sklearn.ensemble import HistGradientBoostingClassifier

from anchorline.cache.gaps import Gaps, HazardGaps, Moment
from anchorline.learn import features
from anchorline.learn.architecture import TIMES, Architecture
from anchorline.learn.features import Decision, Features
from anchorline.learn.forward import FeatureTable
from anchorline.learn.network import Network
from anchorline.learn.training import Settings, train
from bench.make.gaps import Row, weights_of

BARE = 4
"""One row in so many counts besides as if its pauses were not known: request bodies have none."""

FORM = Architecture(buckets=8, text=2, hidden=64, factors=2)
SETTINGS = Settings(epochs=8, rate=1e-3, drop=0.2, decay=0.05)
FIRST = TIMES.index(300.0)

Floats = np.ndarray


class Told:
    """A gap model that was asked beforehand about every moment that a replay will ask about."""

    def __init__(self, moments_: Sequence[Moment], times: tuple[float, ...], beyond: Floats) -> None:
        self._found = {
            moment: Gaps(times, tuple(row)) for moment, row in zip(moments_, beyond.tolist(), strict=True)
        }

    def after(self, moment: Moment) -> Gaps:
        """Return the distribution."""
        return self._found[moment]


def answered(row: Row) -> Moment:
    """Return what is known when the answer is there."""
    return replace(row.moment, stop=row.stop, output=row.output)


def asked(rows: Iterable[Row]) -> list[Moment]:
    """Return the moments that a replay of these rows asks about: before each answer, and after it."""
    return list(dict.fromkeys(one for row in rows for one in (row.moment, answered(row))))


def decisions(rows: Sequence[Row], table: HazardGaps) -> list[Decision]:
    """Return rows as the gap head learns from them: before the answer, after it, and without the pauses.

    `table` is what the head corrects: one that was fitted on no other rows than these, or on those that ship it.
    """
    found = []
    for number, (row, weight) in enumerate(zip(rows, weights_of(rows).tolist(), strict=True)):
        views = {"before": row.moment}
        if row.stop or row.output:
            views["after"] = answered(row)
        if row.moment.pauses and number % BARE == 0:
            views["bare"] = replace(row.moment, pauses=(), elapsed=0.0)
        found += [
            Decision(
                f"{row.source}-{number}-{view}",
                row.session,
                Features(moment=features.of_moment(given, table)),
                source=row.source,
                gap=row.gap,
                weights={"gap": weight},
            )
            for view, given in views.items()
        ]
    return found


def network(rows: Sequence[Row], table: HazardGaps, seed: int = 0) -> Network:
    """Return a network whose gap head is fitted on `rows`; a sixth of the sessions says when to stop."""
    given = decisions(rows, table)
    sessions = sorted({one.session for one in given})
    late = set(np.random.default_rng(0).permutation(sessions)[: len(sessions) // 6].tolist())
    return train(
        [one for one in given if one.session not in late],
        [one for one in given if one.session in late],
        heads=["gap"],
        form=FORM,
        settings=replace(SETTINGS, seed=seed),
    )


def of_network(trained: Network, table: HazardGaps, wanted: Sequence[Moment]) -> Told:
    """Ask a network that corrects `table`."""
    seen = FeatureTable([Features(moment=features.of_moment(one, table)) for one in wanted], trained.form)
    odds = np.asarray(trained.gap_odds(seen.all()), np.float64)
    return Told(wanted, trained.form.times, np.cumprod(1 / (1 + np.exp(-odds)), axis=1))


class Trees:
    """Boosted trees: P(longer than each time up to 5 min), then each further time if longer than the one before."""

    def __init__(self, rows: Sequence[Row], table: HazardGaps) -> None:
        self._table = table
        given = decisions(rows, table)
        numbers = np.array([one.features.moment for one in given])
        weights = np.array([one.weights["gap"] for one in given])
        waits = np.array([one.gap for one in given], float)
        self._early = [
            _trees(100).fit(numbers, waits > seconds, sample_weight=weights) for seconds in TIMES[: FIRST + 1]
        ]
        levels = range(FIRST, len(TIMES) - 1)
        rest = [np.flatnonzero(waits > TIMES[level]) for level in levels]
        chosen = np.concatenate(rest)
        level = np.repeat(levels, [len(one) for one in rest])
        longer = waits[chosen] > np.array(TIMES)[level + 1]
        self._further = _trees(60).fit(
            np.column_stack([numbers[chosen], level]), longer, sample_weight=weights[chosen]
        )

    def told(self, wanted: Sequence[Moment]) -> Told:
        """Ask them."""
        numbers = np.array([features.of_moment(one, self._table) for one in wanted])
        early = np.column_stack([model.predict_proba(numbers)[:, 1] for model in self._early])
        beyond = [*np.minimum.accumulate(early, axis=1).T]
        for level in range(FIRST, len(TIMES) - 1):
            given = np.column_stack([numbers, np.full(len(numbers), level)])
            beyond.append(beyond[-1] * self._further.predict_proba(given)[:, 1])
        return Told(wanted, TIMES, np.column_stack(beyond))


def _trees(count: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=count,
        learning_rate=0.05,
        max_leaf_nodes=15,
        min_samples_leaf=60,
        l2_regularization=5.0,
        random_state=0,
    )
