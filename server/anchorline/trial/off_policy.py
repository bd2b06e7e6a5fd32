"""Off-policy estimates: what a policy would have earned, from the log of one that chose at random.

    weight  w = target(a | x) / propensity          for the action a that was logged
    SNIPS     = Σ w·r / Σ w                         A. Swaminathan, T. Joachims, NeurIPS 2015
    DR        = mean( Σₐ target(a | x)·q(x, a) + w·(r − q(x, a)) )   M. Dudík, J. Langford, L. Li, ICML 2011
    effective = (Σ w)² / Σ w²                       L. Kish, 1965

SNIPS needs nothing but the log. DR also takes a model q of the reward and corrects it by the log: it is right if either
the propensities or the model are, and less spread where the model is any good. Intervals are at 95 %, by the
estimators' linear terms summed within a group (a session), so that requests of one session count as one observation.
"""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

FEWEST = 20.0
"""Effective observations below which an interval is not to be believed: the normal approximation fails."""


class DecisionLog(msgspec.Struct, frozen=True):
    """Logged decisions: of each the action, the probability with which it was chosen, and the reward (more is better).

    `groups` says which belong together. All arrays have length n.
    """

    actions: Ints
    propensities: Floats
    rewards: Floats
    groups: Ints


class Estimate(msgspec.Struct, frozen=True):
    """A policy's mean reward with its 95 % interval, and how many observations the log is worth for it.

    `believable` is false where these are too few: the policy hardly ever does what was logged.
    """

    value: float
    low: float
    high: float
    effective: float

    @property
    def believable(self) -> bool:
        """Whether there is enough in the log."""
        return self.effective >= FEWEST


def log(
    actions: Sequence[int],
    propensities: Sequence[float],
    rewards: Sequence[float],
    groups: Sequence[int] | None = None,
) -> DecisionLog:
    """Returns a log. Raises ValueError where lengths differ, or a propensity is not in (0, 1]."""
    count = len(actions)
    logged = DecisionLog(
        np.asarray(actions, np.int64),
        np.asarray(propensities, np.float64),
        np.asarray(rewards, np.float64),
        np.asarray(groups if groups is not None else range(count), np.int64),
    )
    if not count or {len(logged.propensities), len(logged.rewards), len(logged.groups)} != {count}:
        raise ValueError("a log needs as many actions as propensities, rewards and groups, and at least one")
    if not np.all((logged.propensities > 0) & (logged.propensities <= 1)):
        raise ValueError(
            "a propensity is above 0 and at most 1: what can't have been chosen can't be in the log"
        )
    return logged


def snips(logged: DecisionLog, target: Floats) -> Estimate:
    """Returns the self-normalised estimate. `target` (n × actions) is the policy's probability of each action."""
    weights = _weights(logged, target)
    total = weights.sum()
    if not total:
        return Estimate(0.0, -np.inf, np.inf, 0.0)
    value = float((weights * logged.rewards).sum() / total)
    terms = weights * (logged.rewards - value) / total
    return _interval(value, terms, logged.groups, weights)


def doubly_robust(logged: DecisionLog, target: Floats, model: Floats) -> Estimate:
    """Returns the doubly robust estimate. `model` (n × actions) is the reward that a model expects of each action.

    The model must not have been fitted on the row that it is asked about: see `fitted`.
    """
    weights = _weights(logged, target)
    rows = np.arange(len(logged.actions))
    expected = (target * model).sum(axis=1)
    terms = expected + weights * (logged.rewards - model[rows, logged.actions])
    value = float(terms.mean())
    return _interval(value, (terms - value) / len(terms), logged.groups, weights)


def fitted(
    logged: DecisionLog, features: Floats, actions: int, *, folds: int = 5, ridge: float = 1.0
) -> Floats:
    """Returns a model of the reward (n × actions), each row by a ridge regression for each action on the other folds.

    `features` (n × k) are standardised here. Groups are never split. An action that a fold lacks is expected to
    earn the fold's mean.
    """
    scale = features.std(axis=0)
    x = np.hstack(
        [(features - features.mean(axis=0)) / np.where(scale > 0, scale, 1.0), np.ones((len(features), 1))]
    )
    names, index = np.unique(logged.groups, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[index] % folds
    model = np.empty((len(x), actions))
    penalty = ridge * np.eye(x.shape[1])
    penalty[-1, -1] = 0.0
    for part in range(folds):
        out, train = fold == part, fold != part
        if not out.any():
            continue
        mean = logged.rewards[train].mean() if train.any() else 0.0
        for action in range(actions):
            rows = train & (logged.actions == action)
            if not rows.any():
                model[out, action] = mean
                continue
            own = x[rows]
            offset = logged.rewards[rows].mean()
            weights = np.linalg.solve(
                own.T @ own + penalty + 1e-9 * np.eye(len(penalty)), own.T @ (logged.rewards[rows] - offset)
            )
            model[out, action] = x[out] @ weights + offset
    return model


def _weights(logged: DecisionLog, target: Floats) -> Floats:
    rows = np.arange(len(logged.actions))
    chosen: Floats = target[rows, logged.actions] / logged.propensities
    return chosen


def _interval(value: float, terms: Floats, groups: Ints, weights: Floats) -> Estimate:
    """Returns the estimate with the interval of a sum of independent groups' terms, whose mean is 0."""
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, weights=terms)
    count = len(sums)
    spread = float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)))
    half = 1.96 * spread if count > 1 else np.inf
    squares = float((weights**2).sum())
    effective = float(weights.sum() ** 2 / squares) if squares else 0.0
    return Estimate(value, value - half, value + half, effective)
