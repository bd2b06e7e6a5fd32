"""Learns what a dollar's worth of each kind of token costs of a window, by how far its figure rose over steps of work.

    rise = Σ coefficient[model, kind] · USD[model, kind] + elsewhere · hours,   all coefficients ≥ 0

List prices are only the scale: a plan bills none of it, and its weights need not be those of the price list. A
coefficient is expected near the common one, but may be another for its kind, and for its model where that predicts
steps better that were left out. `elsewhere` is use that no request here explains: another machine, the web. Rows are
weighed down that fit badly (Huber 1964), since what comes from elsewhere comes in bursts.

That expectation is a Gaussian prior, whose rows are appended to those of the steps, so that the best coefficients are
one non-negative least-squares problem, and their covariance is that of the posterior.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anchorline.limits.model import KINDS, OTHER, Learnt, Weights
from anchorline.limits.nnls import Vector, nnls
from anchorline.limits.steps import Step

FEWEST = 5
"""Steps below which nothing is learnt."""
KIND_SPREAD = 0.7
"""How far a kind's coefficient may be from the common one, as a part of it."""
MODEL_SPREADS = (0.05, 0.6)
"""The same for a model: as good as none, or one of its own. Which, is decided by steps that were left out."""
COMMON_SPREAD = 10.0
"""The common coefficient itself may be anything."""
ROUNDING_VARIANCE = 1 / 6
"""Of the difference of two figures that are rounded to whole per cents."""
ELSEWHERE_SPREAD = 5.0
"""Per cent an hour that may well be used elsewhere."""
HUBER = 1.5
LEAST = 1e-3
"""Per cent that a dollar costs at least, where the figure did not rise at all."""
FOLDS = 5
MODELS = 5
"""Models that have a coefficient of their own; of others, those that were used most."""


def learn(steps: Sequence[Step]) -> Learnt | None:
    """Returns what the steps of one window teach; None where they are too few, or none of them cost anything."""
    steps = [step for step in steps if all(request.usd is not None for request in step.work)]
    rise = sum(step.rise for step in steps)
    if len(steps) < FEWEST or rise < FEWEST:
        return None
    problem = _Problem(steps)
    errors = {spread: problem.held_out(spread) for spread in MODEL_SPREADS}
    plain, own = (errors[spread] for spread in MODEL_SPREADS)
    # Models get weights of their own where that is better by more than the difference may be by chance.
    gain = plain - own
    own_weights = bool(len(problem.models) > 2 and gain.mean() > gain.std() / np.sqrt(len(gain)))
    spread = MODEL_SPREADS[own_weights]
    mean, covariance, noise = problem.solve(spread, np.ones(len(steps), bool))
    count = len(KINDS)
    models = {}
    for number, name in enumerate(problem.models):
        part = slice(number * count, (number + 1) * count)
        models[name] = Weights(
            tuple(mean[part].tolist()), tuple(tuple(row) for row in covariance[part, part].tolist())
        )
    return Learnt(
        models,
        own_weights,
        len(steps),
        rise,
        float(errors[spread].mean()),
        float(problem.held_out(None).mean()),
        float(mean[-1]),
        noise,
    )


class _Problem:
    """The steps of a window as rows: USD by model and kind, then hours."""

    def __init__(self, steps: Sequence[Step]) -> None:
        usd: dict[str, float] = {}
        for step in steps:
            for request in step.work:
                usd[request.model] = usd.get(request.model, 0.0) + sum(request.usd or ())
        self.models = [*sorted(usd, key=lambda model: -usd[model])[:MODELS], OTHER]
        column = {model: number for number, model in enumerate(self.models)}
        width = len(KINDS)
        rows = np.zeros((len(steps), len(self.models) * width + 1))
        for row, step in zip(rows, steps, strict=True):
            row[-1] = (step.ends - step.begins) / 3600
            for request in step.work:
                first = width * column.get(request.model, column[OTHER])
                row[first : first + width] += request.usd or (0.0,) * width
        self._rows: Vector = rows
        self._rises: Vector = np.array([step.rise for step in steps])
        self._folds = np.arange(len(steps)) * FOLDS // len(steps)

    def held_out(self, spread: float | None) -> Vector:
        """Returns the error of each step as the others predict it: by prices alone where there is no `spread`."""
        errors = np.zeros(len(self._rises))
        for fold in range(FOLDS):
            rest = self._folds != fold
            if spread is None:
                usd = self._rows[:, :-1].sum(axis=1)
                total = float(usd[rest].sum())
                predicted = usd * (float(self._rises[rest].sum()) / total if total > 0 else 0.0)
            else:
                predicted = self._rows @ self.solve(spread, rest)[0]
            errors[~rest] = np.abs(predicted - self._rises)[~rest]
        return errors

    def solve(self, spread: float, taken: NDArray[np.bool_]) -> tuple[Vector, Vector, float]:
        """Returns coefficients, their covariance, and the standard deviation of a step's rise beside what they say."""
        rows, rises = self._rows[taken], self._rises[taken]
        usd = rows[:, :-1].sum(axis=1)
        common = float(np.median(rises[usd > 0] / usd[usd > 0])) if (usd > 0).any() else 0.0
        common = max(common, float(rises.sum()) / max(float(usd.sum()), 1e-12), LEAST)
        prior, factor = self._prior(common, spread)
        weights: Vector = np.ones(len(rises))
        noise = float(np.sqrt(ROUNDING_VARIANCE))
        mean: Vector = prior
        for _ in range(8):
            scaled = np.sqrt(weights)[:, None] * rows / noise
            matrix = np.vstack([scaled, factor])
            target: Vector = np.concatenate([np.sqrt(weights) * rises / noise, factor @ prior])
            mean = nnls(matrix, target)
            residuals = rises - rows @ mean
            spreading = 1.4826 * float(np.median(np.abs(residuals)))
            noise = max(spreading, float(np.sqrt(ROUNDING_VARIANCE)))
            weights = np.minimum(1.0, HUBER * noise / np.maximum(np.abs(residuals), 1e-12))
        noise = max(noise, float(np.sqrt((weights * residuals**2).sum() / weights.sum())))
        scaled = np.sqrt(weights)[:, None] * rows / noise
        posterior = np.linalg.inv(scaled.T @ scaled + factor.T @ factor).astype(np.float64)
        return mean, posterior, noise

    def _prior(self, common: float, spread: float) -> tuple[Vector, Vector]:
        """Returns the prior's mean, and the factor F of its precision: FᵀF is the inverse of its covariance."""
        count, width = len(self.models), len(KINDS)
        size = count * width
        same_kind = np.tile(np.eye(width), (count, count))
        same_model = np.kron(np.eye(count), np.ones((width, width)))
        covariance = np.zeros((size + 1, size + 1))
        covariance[:size, :size] = common**2 * (
            COMMON_SPREAD**2
            + KIND_SPREAD**2 * same_kind
            + spread**2 * same_model
            + (KIND_SPREAD * spread) ** 2 * np.eye(size)
        )
        mean = np.append(np.full(size, common), 0.0)
        covariance[size, size] = ELSEWHERE_SPREAD**2
        return mean, np.linalg.inv(np.linalg.cholesky(covariance))
