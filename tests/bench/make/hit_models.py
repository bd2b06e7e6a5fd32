"""Fits what foretells hits: `server/anchorline/cache/hits.toml`, the network's hit head, boosted trees; each without one developer."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from anchorline.cache import hits
from anchorline.learn import features
from anchorline.learn.architecture import Architecture
from anchorline.learn.features import Decision, Features
from anchorline.learn.forward import FeatureTable
from anchorline.learn.training import Settings, train
from bench.data.hit_rows import Row

SHRINKAGE = 3.0
"""Ridge penalty, in rows. Chosen on train developers left out, one by one, among 3 and 10."""

EASY = 0.15
"""Share of the rows that are not hard on which network and trees are fitted; each then counts for so many more."""

OWN = 200
"""A developer's first requests, which bend the others' prediction."""

PENALTY = 10.0
"""Ridge penalty of what bends it, in rows."""

FORM = Architecture(buckets=8, text=2, hidden=32, factors=2)
SETTINGS = Settings(epochs=12, rate=1e-3, drop=0.2, shrink={"hit": 3e-2})

Floats = np.ndarray


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Return the coefficients of a ridge logistic regression on the rule's log odds.

    A row weighs 1/sqrt(rows of its developer), so that one busy developer does not speak for all. Where an older knot
    would get more than the one before it, they share one coefficient (adjacent violators are pooled).
    """
    found = [hits.terms(row.back) for row in rows]
    knots = [f"{name}:{age}" for name, ages in hits.KNOTS.items() for age in ages]
    names = knots + sorted({name for terms in found for name, _ in terms} - set(knots))
    column = {name: index for index, name in enumerate(names)}
    values = np.zeros((len(rows), len(names)))
    for index, terms in enumerate(found):
        for name, value in terms:
            values[index, column[name]] += value
    prior = np.array([hits.prior(row.back) for row in rows])
    hit = np.array([row.hit for row in rows], dtype=float)
    count = Counter(row.developer for row in rows)
    weight = np.array([count[row.developer] ** -0.5 for row in rows])
    weight *= len(rows) / weight.sum()
    group = np.arange(len(names))
    while True:
        pooled = (group[:, None] == np.unique(group)[None, :]).astype(float)
        solution = pooled @ _newton(values @ pooled, prior, hit, weight)
        wrong = next(
            (
                (column[f"{name}:{young}"], column[f"{name}:{old}"])
                for name, ages in hits.KNOTS.items()
                for young, old in pairwise(ages)
                if solution[column[f"{name}:{old}"]] > solution[column[f"{name}:{young}"]] + 1e-9
            ),
            None,
        )
        if wrong is None:
            return {name: round(float(solution[index]), 3) for name, index in column.items()}
        group[group == group[wrong[1]]] = group[wrong[0]]


def written(coefficients: Mapping[str, float]) -> str:
    """Return the coefficients as TOML."""
    lines = [
        "# Coefficients of anchorline.cache.hits, in log odds; docs/explain/hit-prediction.md explains them. Made by",
        "# python tests/bench hit_prediction --requests FILE… --write THIS",
        *(f'"{name}" = {value}' for name, value in coefficients.items()),
    ]
    return "\n".join(lines) + "\n"


def _newton(values: Floats, prior: Floats, hit: Floats, weight: Floats, penalty: float = SHRINKAGE) -> Floats:
    """Maximise the penalised likelihood."""
    solution = np.zeros(values.shape[1])
    ridge = penalty * np.eye(len(solution))
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(prior + values @ solution)))
        curve = weight * chance * (1 - chance)
        slope = values.T @ (weight * (hit - chance)) - ridge @ solution
        step = np.linalg.solve((values * curve[:, None]).T @ values + ridge, slope)
        solution += step
        if np.abs(step).max() < 1e-6:
            break
    return solution


def decision(
    row: Row, number: int, weight: float, coefficients: Mapping[str, float] = hits.COEFFICIENTS
) -> Decision:
    """Return a row as the network learns from it."""
    given = Features(moment=features.of_moment(row.moment), back=features.of_return(row.back, coefficients))
    return Decision(
        f"{row.session}-{number}", row.session, given, user=row.person, source="requests", at=row.at,
        hit=float(row.hit), weights={"hit": weight},
    )  # fmt: skip


def decisions(rows: Sequence[Row]) -> list[Decision]:
    """Return the rows that the hit head is trained on, each developer with the square root of what they have."""
    kept, weights = _thinned(rows)
    return [
        decision(row, number, weight) for number, (row, weight) in enumerate(zip(kept, weights, strict=True))
    ]


def _thinned(rows: Sequence[Row]) -> tuple[list[Row], Floats]:
    """Return the hard rows and some of the others, with weights: nearly all of the others hit."""
    lot = np.random.default_rng(1).random(len(rows))
    kept = [row for row, one in zip(rows, lot, strict=True) if row.hard or one < EASY]
    count = Counter(row.person for row in rows)
    weights = np.array([count[row.person] ** -0.5 / (1.0 if row.hard else EASY) for row in kept])
    return kept, weights / weights.mean()


def network(rows: Sequence[Row], scored: Sequence[Row], found: Mapping[str, float]) -> Floats:
    """Return what the hit head says that is fitted on `rows`; it corrects the coefficients `found`."""
    kept, weights = _thinned(rows)
    given = [decision(row, n, w, found) for n, (row, w) in enumerate(zip(kept, weights, strict=True))]
    sessions = sorted({one.session for one in given})
    late = set(np.random.default_rng(0).permutation(sessions)[: len(sessions) // 6].tolist())
    trained = train(
        [one for one in given if one.session not in late],
        [one for one in given if one.session in late],
        heads=["hit"],
        form=FORM,
        settings=SETTINGS,
    )
    asked = [decision(row, n, 1.0, found).features for n, row in enumerate(scored)]
    odds = trained.hit_odds(FeatureTable(asked, FORM).all())
    return 1 / (1 + np.exp(-np.asarray(odds, np.float64)))


def trees(rows: Sequence[Row], scored: Sequence[Row]) -> Floats:
    """Return what gradient boosting says of the same numbers, but for the fitted odds."""
    kept, weights = _thinned(rows)
    model = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.06,
        max_leaf_nodes=8,
        min_samples_leaf=30,
        l2_regularization=5.0,
        random_state=0,
    )
    model.fit(_numbers(kept), [row.hit for row in kept], sample_weight=weights)
    return np.asarray(model.predict_proba(_numbers(scored))[:, 1])


def _numbers(rows: Sequence[Row]) -> Floats:
    return np.array([(*features.of_moment(row.moment), *features.of_return(row.back)[1:]) for row in rows])


def left_out(rows: Sequence[Row]) -> dict[str, Floats]:
    """Return each case's probability of every row, told by the other developers' rows."""
    told = {case: np.zeros(len(rows)) for case in ("ours", "network", "trees")}
    people = np.array([row.person for row in rows])
    for person in np.unique(people):
        others = [row for row in rows if row.person != person]
        places = np.flatnonzero(people == person)
        own = [rows[index] for index in places]
        found = fit(others)
        told["ours"][places] = [hits.probability(row.back, found) for row in own]
        told["network"][places] = network(others, own, found)
        told["trees"][places] = trees(others, own)
    return told


def adapted(rows: Sequence[Row], chances: Floats) -> tuple[list[int], Floats]:
    """Return which rows come after their developer's first requests, and their probability bent by those.

    A ridge logistic regression on the log odds: how much more, or less, often than foretold this developer's prefixes are
    found, by what caches them, whether its time has passed, and what the developer sent.
    """
    people = np.array([row.person for row in rows])
    later: list[int] = []
    found = []
    for person in np.unique(people):
        own = sorted(np.flatnonzero(people == person).tolist(), key=lambda index: rows[index].at)
        first, rest = own[:OWN], own[OWN:]
        odds = _odds(chances[own])
        facts = np.array([_facts(rows[index]) for index in own])
        hit = np.array([rows[index].hit for index in first], float)
        bend = _newton(facts[:OWN], odds[:OWN], hit, np.ones(len(first)), PENALTY)
        found.append(1 / (1 + np.exp(-(odds[OWN:] + facts[OWN:] @ bend))))
        later += rest
    return later, np.concatenate(found)


def _odds(chance: Floats) -> Floats:
    clipped = np.clip(chance, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped))


def _facts(row: Row) -> list[float]:
    back = row.back
    automatic = hits.kind(back.ttl, back.lifetime) in ("30m", "idle")
    told = (True, not row.rule, back.user, back.user and back.first, back.thoughtless, back.commands)
    return [float(fact and automatic == side) for side in (False, True) for fact in told]
