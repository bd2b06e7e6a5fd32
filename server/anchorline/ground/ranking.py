"""The learnt ranking: a linear score and boosted trees over the features, and the probability that they come to.

`python tests/bench ground_model` makes `models/ground.json`, which has the numbers; docs/research/grounding.md says how
good they are.
"""

from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from anchorline import files
from anchorline.ground.features import NAMES

Floats = NDArray[np.float64]
FILE = "ground.json"
CLIP = 5.0
"""Standard deviations beyond which a feature counts no more in the linear score."""


class Linear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A weighted sum of the features, each standardized."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]


class Trees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Complete binary trees of one depth, their inner nodes by level.

    A node sends a file to the right whose feature is above the threshold; a feature of -1 sends all to the left.
    """

    depth: int
    features: tuple[tuple[int, ...], ...]
    thresholds: tuple[tuple[float, ...], ...]
    values: tuple[tuple[float, ...], ...]


class Ranking(msgspec.Struct, frozen=True, dict=True, forbid_unknown_fields=True):
    """What ships: the parts of the score, the calibration of its probability (`inputs`), the threshold.

    `features` are the names of the columns that it was fitted on.
    """

    features: tuple[str, ...]
    linear: Linear
    trees: Trees
    calibration: tuple[float, ...]
    threshold: float
    fitted_on: str = ""

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Returns the score of each candidate of one draft; only differences count."""
        return (linear_scores(self.linear, features) + 2 * tree_scores(self.trees, features)) / 3

    def probabilities(self, features: NDArray[np.float32]) -> Floats:
        """Returns for each candidate the probability that it will be edited."""
        odds = inputs(self.scores(features), features) @ np.array(self.calibration)
        return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))), np.float64)


def linear_scores(linear: Linear, features: NDArray[np.float32]) -> Floats:
    """Returns the linear part of the scores."""
    standardized = (features - np.array(linear.mean)) / np.array(linear.scale)
    return np.asarray(np.clip(standardized, -CLIP, CLIP) @ np.array(linear.weights), np.float64)


def tree_scores(trees: Trees, features: NDArray[np.float32]) -> Floats:
    """Returns the sum of the trees."""
    count = len(trees.values)
    scores = np.zeros(len(features))
    if not count:
        return scores
    feature, threshold = np.array(trees.features), np.array(trees.thresholds, np.float32)
    tree = np.arange(count)[:, None]
    candidate = np.arange(len(features))[None, :]
    node = np.zeros((count, len(features)), np.int64)
    for _ in range(trees.depth):
        column = feature[tree, node]
        right = (column >= 0) & (features[candidate, column] > threshold[tree, node])
        node = 2 * node + 1 + right
    leaves = np.array(trees.values)[tree, node - feature.shape[1]]
    return np.asarray(leaves.sum(axis=0), np.float64)


def inputs(scores: Floats, features: NDArray[np.float32]) -> Floats:
    """Returns what the log odds of a candidate are a weighted sum of.

    A constant; the logarithm of its share among the candidates (softmax) and that of the best one; its place; whether
    edits are known and whether the draft is short.
    """
    if not len(scores):
        return np.zeros((0, 6))
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    place = np.empty(len(scores))
    place[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    share = np.log(np.maximum(shares, 1e-9))
    return np.stack(
        [
            np.ones(len(scores)),
            share,
            np.full(len(scores), share.max()),
            np.log1p(place),
            features[:, NAMES.index("edits known")].astype(np.float64),
            features[:, NAMES.index("draft short")].astype(np.float64),
        ],
        axis=1,
    )


@cache
def shipped() -> Ranking:
    """Returns the ranking that ships. Raises OSError, and ValueError where it is not of these features."""
    ranking = msgspec.json.decode((files.shipped() / FILE).read_bytes(), type=Ranking)
    if ranking.features != NAMES:
        raise ValueError(f"{FILE} was made for other features")
    return ranking
