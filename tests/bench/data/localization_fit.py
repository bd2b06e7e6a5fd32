"""Fits the ranking of `ground/ranking.py` on localization tasks: a linear score, boosted trees, calibration, threshold.

Both scores are fitted by the softmax loss over a task's candidates (ListNet: Cao et al., ICML 2007), whose target is even
over the files that were edited: what counts is the order within a task. The trees are those of gradient boosting with
Newton's steps and histograms (XGBoost: Chen and Guestrin, KDD 2016).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from scipy.optimize import minimize

from anchorline.ground import ranking
from anchorline.ground.features import NAMES
from anchorline.ground.ranking import CLIP, Linear, Ranking, Trees
from anchorline.ground.retrieval import MOST_SHOWN
from bench.data.localization import Task

RIDGE = 0.03
TREES = 60
DEPTH = 4
RATE = 0.1
BINS = 32
LEAF_RIDGE = 10.0
LEAST_MASS = 0.5
"""Hessian that a leaf has at least."""
COLUMNS, ROWS = 0.25, 0.7
"""Shares of the features and of the tasks that a tree sees."""
HARD, EASY = 40, 20
"""Candidates of a task that the trees learn from besides the edited ones: those the linear score puts first, and others."""
FOLDS = 5
CALIBRATION_RIDGE = 1e-3
GOAL, FEWEST = 0.77, 0.1
"""Share of the shown proposals that hold an edited file at which the threshold is put; and of the tasks, at least."""


class Stacked(NamedTuple):
    """Candidates of all tasks as one table. `task` numbers the task of each row, `weight` has one number a task."""

    features: np.ndarray
    edited: np.ndarray
    task: np.ndarray
    starts: np.ndarray
    weight: np.ndarray


def weights(tasks: Sequence[Task]) -> np.ndarray:
    """Return what each task counts: a repository of many tasks more than one of few, but not in proportion."""
    count = Counter(task.repo for task in tasks)
    return np.array([count[task.repo] ** -0.5 for task in tasks])


def stacked(tasks: Sequence[Task]) -> Stacked:
    """Return the tasks that have an edited file among their candidates."""
    given = [task for task in tasks if task.edited.any()]
    sizes = [len(task.paths) for task in given]
    weight = weights(given)
    return Stacked(
        np.vstack([task.features for task in given]).astype(np.float64),
        np.concatenate([task.edited for task in given]).astype(np.float64),
        np.repeat(np.arange(len(given)), sizes),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]),
        weight / weight.mean(),
    )


def softmax(scores: np.ndarray, table: Stacked) -> np.ndarray:
    """Return the share of each row among those of its task."""
    most = np.maximum.reduceat(scores, table.starts)
    shares = np.exp(scores - most[table.task])
    return shares / np.add.reduceat(shares, table.starts)[table.task]


def thinned(tasks: Sequence[Task], linear: Linear) -> list[Task]:
    """Return the tasks with fewer candidates that were not edited: the trees learn as much from them in half the time."""
    chance = np.random.default_rng(0)
    result = []
    for task in tasks:
        order = np.argsort(-ranking.linear_scores(linear, task.features), kind="stable")
        rest = order[HARD:]
        drawn = chance.choice(rest, min(EASY, len(rest)), replace=False) if len(rest) else rest
        kept = np.unique(np.concatenate([order[:HARD], drawn, np.flatnonzero(task.edited)]))
        result.append(
            task._replace(
                paths=tuple(task.paths[at] for at in kept),
                features=task.features[kept],
                edited=task.edited[kept],
            )
        )
    return result


def fit_linear(table: Stacked) -> Linear:
    """Return the linear score of the least loss."""
    mean, scale = table.features.mean(0), table.features.std(0) + 1e-6
    rows = np.clip((table.features - mean) / scale, -CLIP, CLIP)
    target = table.edited / np.add.reduceat(table.edited, table.starts)[table.task]
    weight = (table.weight / table.weight.sum())[table.task]

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        shares = softmax(rows @ factors, table)
        value = -(weight * target * np.log(np.maximum(shares, 1e-12))).sum() + RIDGE / 2 * (factors @ factors)
        return value, rows.T @ (weight * (shares - target)) + RIDGE * factors

    factors = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    return Linear(*(tuple(np.round(values, 6).tolist()) for values in (mean, scale, factors)))


def fit_trees(table: Stacked, count: int = TREES, seed: int = 0) -> Trees:
    """Return boosted trees."""
    chance = np.random.default_rng(seed)
    rows, columns = table.features.shape
    quantiles = np.linspace(0, 1, BINS + 1)[1:-1]
    edges = [
        np.unique(np.quantile(table.features[:, at], quantiles).astype(np.float32)) for at in range(columns)
    ]
    binned = np.stack(
        [np.searchsorted(edge, table.features[:, at].astype(np.float32)) for at, edge in enumerate(edges)],
        axis=1,
    )
    target = table.edited / np.add.reduceat(table.edited, table.starts)[table.task]
    weight = table.weight[table.task]
    scores = np.zeros(rows)
    features, thresholds, values = [], [], []
    inner = 2**DEPTH - 1
    for _ in range(count):
        shares = softmax(scores, table)
        slope = weight * (shares - target)
        curve = weight * np.maximum(shares * (1 - shares), 1e-4)
        drawn = np.flatnonzero((chance.random(len(table.starts)) < ROWS)[table.task])
        chosen = np.sort(chance.choice(columns, max(1, int(columns * COLUMNS)), replace=False))
        part = np.ascontiguousarray(binned[:, chosen])
        node = np.zeros(rows, np.int64)
        feature, threshold = np.full(inner, -1), np.zeros(inner)
        for level in range(DEPTH):
            nodes = 2**level
            best, edge = _splits(part[drawn], node[drawn], slope[drawn], curve[drawn], nodes)
            usable = best >= 0
            column = chosen[np.maximum(best, 0)]
            offset = nodes - 1
            feature[offset : offset + nodes] = np.where(usable, column, -1)
            threshold[offset : offset + nodes] = [
                edges[at][cut] if ok and cut < len(edges[at]) else np.inf
                for at, cut, ok in zip(column, edge, usable, strict=True)
            ]
            right = usable[node] & (part[np.arange(rows), np.maximum(best, 0)[node]] > edge[node])
            node = 2 * node + right
        leaves = 2**DEPTH
        down = np.bincount(node[drawn], slope[drawn], leaves)
        up = np.bincount(node[drawn], curve[drawn], leaves)
        leaf = np.round(-RATE * down / (up + LEAF_RIDGE), 6)
        scores += leaf[node]
        infinite = ~np.isfinite(threshold)
        feature[infinite], threshold[infinite] = -1, 0.0
        features.append(tuple(feature.tolist()))
        thresholds.append(tuple(np.float32(threshold).tolist()))
        values.append(tuple(leaf.tolist()))
    return Trees(DEPTH, tuple(features), tuple(thresholds), tuple(values))


def _splits(
    rows: np.ndarray, node: np.ndarray, slope: np.ndarray, curve: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each node the column and the bin of the split that gains most; column -1 where none gains."""
    columns = rows.shape[1]
    sums = np.empty((2, nodes, columns, BINS))
    base = node * BINS
    for at in range(columns):
        cell = base + rows[:, at]
        for each, values in enumerate((slope, curve)):
            sums[each, :, at] = np.bincount(cell, values, nodes * BINS).reshape(nodes, BINS)
    (left, mass) = sums.cumsum(axis=3)
    whole, whole_mass = left[:, :1, -1:], mass[:, :1, -1:]
    gain = (
        left**2 / (mass + LEAF_RIDGE)
        + (whole - left) ** 2 / (whole_mass - mass + LEAF_RIDGE)
        - whole**2 / (whole_mass + LEAF_RIDGE)
    )
    gain[(mass < LEAST_MASS) | (whole_mass - mass < LEAST_MASS)] = -1
    flat = gain.reshape(nodes, -1)
    best = flat.argmax(axis=1)
    gains = flat[np.arange(nodes), best] > 1e-9
    return np.where(gains, best // BINS, -1), best % BINS


def fit_scores(tasks: Sequence[Task], trees: int = TREES) -> Ranking:
    """Return a ranking without its calibration."""
    linear = fit_linear(stacked(tasks))
    return Ranking(NAMES, linear, fit_trees(stacked(thinned(tasks, linear)), trees), (0.0,) * 6, 1.0)


def folds(tasks: Iterable[Task]) -> list[frozenset[str]]:
    """Return the repositories as they are left out, in `FOLDS` groups of about as many tasks."""
    count = Counter(task.repo for task in tasks)
    groups: list[list[str]] = [[] for _ in range(min(FOLDS, len(count)))]
    for repo in sorted(count, key=lambda repo: (-count[repo], repo)):
        min(groups, key=lambda group: sum(count[each] for each in group)).append(repo)
    return [frozenset(group) for group in groups]


def left_out(tasks: Sequence[Task], fit=fit_scores) -> dict[str, np.ndarray]:
    """Return for each task the scores by a ranking that was fitted without its repository."""
    scores: dict[str, np.ndarray] = {}
    for fold in folds(tasks):
        model = fit([task for task in tasks if task.repo not in fold])
        scores |= {task.id: model.scores(task.features) for task in tasks if task.repo in fold}
    return scores


def calibration(tasks: Sequence[Task], scores: dict[str, np.ndarray]) -> tuple[float, ...]:
    """Return the factors of a logistic regression on scores of rankings that had not seen the tasks."""
    inputs = np.vstack([ranking.inputs(scores[task.id], task.features) for task in tasks])
    edited = np.concatenate([task.edited for task in tasks]).astype(float)
    weight = np.repeat(weights(tasks), [len(task.paths) for task in tasks])
    weight /= weight.sum()

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        odds = inputs @ factors
        chance = 1 / (1 + np.exp(-odds))
        value = (weight * (np.logaddexp(0, odds) - edited * odds)).sum() + CALIBRATION_RIDGE / 2 * (
            factors[1:] ** 2
        ).sum()
        return value, inputs.T @ (weight * (chance - edited)) + CALIBRATION_RIDGE * np.concatenate(
            [[0], factors[1:]]
        )

    return tuple(np.round(minimize(loss, np.zeros(inputs.shape[1]), jac=True).x, 6).tolist())


def chances(
    factors: Sequence[float], tasks: Iterable[Task], scores: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the probabilities that a calibration makes of scores."""
    return {
        task.id: 1 / (1 + np.exp(-ranking.inputs(scores[task.id], task.features) @ np.array(factors)))
        for task in tasks
    }


def calibrated(model: Ranking, tasks: Sequence[Task], scores: dict[str, np.ndarray]) -> Ranking:
    """Return a ranking with the calibration and the threshold that scores of tasks it had not seen ask for."""
    factors = calibration(tasks, scores)
    return replace(model, calibration=factors, threshold=threshold(tasks, chances(factors, tasks, scores)))


def threshold(tasks: Sequence[Task], by_task: dict[str, np.ndarray]) -> float:
    """Return the lowest probability from which at least `GOAL` of the proposals hold an edited file."""
    best, weight = 1.0, weights(tasks)
    for least in np.arange(0.95, 0.1, -0.01):
        right = shown = 0.0
        for task, counts in zip(tasks, weight, strict=True):
            order = np.argsort(-by_task[task.id], kind="stable")[:MOST_SHOWN]
            kept = order[by_task[task.id][order] >= least]
            shown += counts * bool(len(kept))
            right += counts * bool(task.edited[kept].any())
        if shown >= FEWEST * weight.sum() and right >= GOAL * shown:
            best = round(float(least), 2)
    return best
