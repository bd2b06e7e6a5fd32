"""How well an order of prompts, and probabilities of solving them, would have routed between two models.

The strong model takes the prompts of the highest expected gain first. Rows of the same value share what follows from
any order among them. Weights are how often a bootstrap drew a row.
"""

from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True)
class Answers:
    """What the two models reached on the prompts of a set, and what they cost."""

    weak: np.ndarray
    strong: np.ndarray
    weak_usd: np.ndarray
    strong_usd: np.ndarray


@dataclass(frozen=True)
class Forecast:
    """The expected gain of the strong model (any scale), and P(solved) by tier where a router states it."""

    gain: np.ndarray
    weak: np.ndarray | None = None
    strong: np.ndarray | None = None


class Judge:
    """The metrics of one forecast on one set, for any weights."""

    def __init__(self, answers: Answers, forecast: Forecast) -> None:
        self.answers = answers
        self.forecast = forecast
        levels, place = np.unique(-forecast.gain, return_inverse=True)
        self._place, self._levels = place, len(levels)

    def metrics(self, weights: np.ndarray) -> dict[str, float]:
        """Return all metrics that the forecast allows."""
        answers = self.answers
        gap = answers.strong - answers.weak
        calls = self._along(weights) / weights.sum()
        recovered = self._along(weights * gap) / (weights * gap).sum()
        quality = (weights * answers.weak).sum() + self._along(weights * gap)
        cost = (weights * answers.weak_usd).sum() + self._along(
            weights * (answers.strong_usd - answers.weak_usd)
        )
        found = {
            "apgr": float(np.trapezoid(recovered, calls)),
            "cpt50": _crossing(calls, recovered, 0.5),
            "cpt80": _crossing(calls, recovered, 0.8),
            "auc": self._auc(weights, gap > 0),
            "cost_at_95": _crossing(cost, quality, 0.95 * quality[-1]) / cost[-1],
        }
        for tier in ("weak", "strong"):
            expected = getattr(self.forecast, tier)
            if expected is not None:
                solved = getattr(answers, tier)
                found[f"brier_{tier}"] = float(np.average((expected - solved) ** 2, weights=weights))
                found[f"ece_{tier}"] = _ece(expected, solved, weights)
        if self.forecast.weak is not None:
            for metric in ("brier", "ece"):
                found[metric] = (found[f"{metric}_weak"] + found[f"{metric}_strong"]) / 2
        return found

    def apgr(self, weights: np.ndarray) -> float:
        """Return the area under the recovered performance gap (RouteLLM, arXiv 2406.18665; random .5)."""
        gap = weights * (self.answers.strong - self.answers.weak)
        return float(np.trapezoid(self._along(gap) / gap.sum(), self._along(weights) / weights.sum()))

    def _along(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over the prompts that the strong model has, from none to all."""
        return np.concatenate([[0.0], np.cumsum(np.bincount(self._place, values, self._levels))])

    def _auc(self, weights: np.ndarray, positive: np.ndarray) -> float:
        right, wrong = self._along(weights * positive), self._along(weights * ~positive)
        return float(np.trapezoid(right / right[-1], wrong / wrong[-1])) if right[-1] and wrong[-1] else 0.5


def _crossing(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Return the x at which y first reaches a level."""
    after = int(np.argmax(y >= level))
    if y[after] < level:
        return float(x[-1])
    if after == 0:
        return float(x[0])
    share = (level - y[after - 1]) / (y[after] - y[after - 1])
    return float(x[after - 1] + share * (x[after] - x[after - 1]))


def _ece(expected: np.ndarray, solved: np.ndarray, weights: np.ndarray) -> float:
    """Return the expected calibration error over ten bins of equal width."""
    place = np.clip((expected * BINS).astype(int), 0, BINS - 1)
    error = np.bincount(place, weights * (expected - solved), BINS)
    return float(np.abs(error).sum() / weights.sum())
