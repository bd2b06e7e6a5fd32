"""Models for the planner from a network: the heads that beat their baseline, the heuristic for the rest."""

from pathlib import Path

import msgspec

from anchorline.cache.gaps import GapModel, Gaps, HazardGaps, Moment
from anchorline.cache.hits import HitModel, Return, TableHits
from anchorline.learn import features, network
from anchorline.learn.features import Features
from anchorline.learn.network import Network
from anchorline.route import quality
from anchorline.route.catalog import Model
from anchorline.route.quality import HeuristicQuality, QualityModel


class NetworkGaps:
    """The gap head."""

    def __init__(self, trained: Network) -> None:
        self._network = trained

    def after(self, moment: Moment) -> Gaps:
        """Returns the distribution of the time to the next request."""
        return self._network.gaps(features.of(moment=moment))


class NetworkHits:
    """The hit head."""

    def __init__(self, trained: Network) -> None:
        self._network = trained

    def probability(self, request: Return, moment: Moment | None = None) -> float:
        """Returns the probability that at least 90 % of the prefix is read from the cache."""
        return self._network.hit(features.of(moment=moment, request=request))


class NetworkFeatures(quality.QualityFeatures, frozen=True):
    """A draft as the heuristic sees it, as the network does, and what that says of the models asked about before."""

    numbers: Features
    solved: dict[str, float]


class NetworkQuality:
    """The solve head. Within a conversation the draft says little of the task: there the heuristic is asked."""

    def __init__(self, trained: Network) -> None:
        self._network = trained
        self._heuristic = HeuristicQuality()
        self._skills: dict[str, float] = {}

    def features(self, draft: str, *, in_session: bool, unclear: bool = False) -> quality.QualityFeatures:
        """Looks at a draft once, for all candidates. The network has learnt from drafts that were `unclear` as well."""
        heuristic = self._heuristic.features(draft, in_session=in_session, unclear=unclear)
        if in_session or not draft:
            return heuristic
        numbers = features.of(draft)
        # All at once: the trunk is the same for all.
        return NetworkFeatures(
            heuristic.easy, heuristic.gain, numbers, self._network.solve(numbers, self._skills.copy())
        )

    def p_success(self, features: quality.QualityFeatures, model: Model) -> float:
        """Returns the probability that a model solves the prompt."""
        if not isinstance(features, NetworkFeatures):
            return self._heuristic.p_success(features, model)
        if model.id not in features.solved or self._skills[model.id] != model.skill:
            self._skills[model.id] = model.skill
            features.solved.update(self._network.solve(features.numbers, {model.id: model.skill}))
        return features.solved[model.id]


class Heads(msgspec.Struct, frozen=True):
    """What a network decides by."""

    gaps: GapModel
    quality: QualityModel
    hits: HitModel


def load(folder: Path) -> Heads:
    """Reads a network. Raises NetworkError."""
    trained = network.load(folder)
    return Heads(
        NetworkGaps(trained) if trained.uses("gap") else HazardGaps(),
        NetworkQuality(trained) if trained.uses("solve") else HeuristicQuality(),
        NetworkHits(trained) if trained.uses("hit") else TableHits(),
    )
