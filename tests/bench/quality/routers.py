"""The routers that ours is compared with: the simple ones that are hard to beat, and LiteLLM's."""

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from bench.data.routing_sets import Prompts
from bench.quality.routing_metrics import Forecast

Router = Callable[[dict[str, Prompts], Prompts], Forecast]
"""Given what may be learnt from, forecast the rows of one set."""

ENOUGH = 100
"""Rows of the scored set from which on a learner keeps to them; below, it learns from all sets."""


def _tiers(prompts: Prompts) -> np.ndarray:
    """Return the scores of the weak and the strong model of a set, two columns."""
    weak, strong, _ = prompts.pair
    return np.stack([prompts.scores[weak], prompts.scores[strong]], 1)


def _taught(train: dict[str, Prompts], scored: Prompts) -> list[Prompts]:
    own = train.get(scored.name)
    return [own] if own is not None and len(own) >= ENOUGH else [one for one in train.values() if len(one)]


def _forecast(levels: np.ndarray) -> Forecast:
    inside = np.clip(levels, 0.0, 1.0)
    return Forecast(levels[:, 1] - levels[:, 0], inside[:, 0], inside[:, 1])


def oracle(_: dict[str, Prompts], scored: Prompts) -> Forecast:
    """Know the answers."""
    return _forecast(_tiers(scored))


def random(train: dict[str, Prompts], scored: Prompts) -> Forecast:
    """Know the mean success of both models, and nothing of the prompt."""
    taught = _taught(train, scored)
    even = np.ones(len(scored))
    if not taught:
        return Forecast(0 * even)
    weak, strong = np.mean([_tiers(one).mean(0) for one in taught], 0)
    return Forecast(0 * even, weak * even, strong * even)


def length(_: dict[str, Prompts], scored: Prompts) -> Forecast:
    """Longer is harder."""
    return Forecast(np.log1p([len(prompt) for prompt in scored.prompts]))


def group_mean(train: dict[str, Prompts], scored: Prompts) -> Forecast:
    """Know the mean of each group (subject, repository), and of the set for a group never seen."""
    taught = _taught(train, scored)
    if not taught:
        return Forecast(np.zeros(len(scored)))
    overall = np.mean([_tiers(one).mean(0) for one in taught], 0)
    groups: dict[str, list[np.ndarray]] = {}
    for one in taught:
        for group, levels in zip(one.groups, _tiers(one), strict=True):
            groups.setdefault(group, []).append(levels)
    known = {group: np.mean(levels, 0) for group, levels in groups.items()}
    return _forecast(np.array([known.get(group, overall) for group in scored.groups]))


def _learner(make: Callable[[], Any]) -> Router:
    def route(train: dict[str, Prompts], scored: Prompts) -> Forecast:
        taught = _taught(train, scored)
        if not taught:
            return Forecast(np.zeros(len(scored)))
        texts = [prompt for one in taught for prompt in one.prompts]
        learner = make().fit(texts, np.concatenate([_tiers(one) for one in taught]))
        return _forecast(learner.predict(scored.prompts))

    return route


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)


def _neighbours() -> Any:
    reduced = TruncatedSVD(100, random_state=0)
    return make_pipeline(_words(), reduced, Normalizer(), KNeighborsRegressor(40))


def _litellm() -> Any:
    from litellm import Router as LiteLLM
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    return ComplexityRouter, LiteLLM(model_list=[])


def litellm_v1(_: dict[str, Prompts], scored: Prompts) -> Forecast:
    """LiteLLM's weighted keywords (`heuristic`): its score."""
    kind, router = _litellm()
    judge = kind("route", router)
    return Forecast(np.array([judge.classify(prompt)[1] for prompt in scored.prompts]))


def litellm_v2(_: dict[str, Prompts], scored: Prompts) -> Forecast:
    """LiteLLM's success statistics by kind of prompt (`heuristic_v2`): how unlikely its lowest tier is to succeed."""
    from litellm.router_strategy.adaptive_router.classifier import classify_prompt
    from litellm.router_strategy.complexity_router.tier_predictor import (
        TierSuccessPredictor,
        resolve_tier_artifact,
    )

    predictor = TierSuccessPredictor(resolve_tier_artifact("ultrafeedback"))
    kinds = [(prompt, classify_prompt(prompt)) for prompt in scored.prompts]
    lowest = [predictor.predict(prompt, kind).probabilities[1] for prompt, kind in kinds]
    return Forecast(-np.array(lowest))


def baselines() -> tuple[dict[str, Router], list[str]]:
    """Return the routers by name, and a note for each that cannot run here."""
    found: dict[str, Router] = {
        "random": random,
        "length": length,
        "group-mean": group_mean,
        "ridge": _learner(lambda: make_pipeline(_words(), Ridge(3.0))),
        "knn": _learner(_neighbours),
        "oracle": oracle,
    }
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    if importlib.util.find_spec("litellm") is None:
        return found, ["litellm-v1 and litellm-v2 are left out: pip install litellm==1.106.2"]
    return {**found, "litellm-v1": litellm_v1, "litellm-v2": litellm_v2}, []
