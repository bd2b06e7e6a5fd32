"""The yes-or-no questions that judge a head on held-out sessions, and what the network and the rule answer.

gap: is the pause longer than 5 minutes, than an hour? hit: is the prefix read? solve: does this model solve the prompt?
"""

from collections.abc import Callable, Mapping, Sequence
from math import expm1
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from anchorline.learn.architecture import Architecture
from anchorline.learn.features import LONGER, Decision
from anchorline.learn.forward import FeatureTable
from anchorline.learn.network import Network
from anchorline.route.catalog import Model
from anchorline.route.quality import HeuristicQuality

Floats = npt.NDArray[np.float64]
PAUSES = (300.0, 3600.0)
"""Seconds: the lifetimes that are sold."""
LONGEST = 20_000
"""Characters of a draft beyond which the rule sees no difference."""


class HeadQuestion(NamedTuple):
    """Rows of one kind: features for simple models, truth (0 to 1), weights, sessions, and two answers.

    `rule` is what Anchorline says without a network, None where it says nothing.
    """

    features: Floats
    truth: Floats
    weights: Floats
    sessions: npt.NDArray[np.str_]
    rule: Floats | None
    network: Floats | None


def ask(
    head: str,
    decisions: Sequence[Decision],
    form: Architecture,
    skills: Mapping[str, float],
    network: Network | None = None,
) -> list[HeadQuestion]:
    """Returns a head's questions on decisions, answered by `network` where one is given."""
    build = _BUILDERS[head]
    rows = [decision for decision in decisions if _labelled(decision, head)]
    return build(rows, form, skills, network) if rows else []


def _labelled(decision: Decision, head: str) -> bool:
    labels = {"gap": decision.gap is not None, "hit": decision.hit is not None, "solve": decision.solve}
    return bool(labels[head])


def _dense(rows: Sequence[Decision], form: Architecture) -> tuple[FeatureTable, Floats]:
    table = FeatureTable([decision.features for decision in rows], form)
    return table, np.hstack([table.dense, table.present]).astype(np.float64)


def _gap(
    rows: Sequence[Decision], form: Architecture, _: Mapping[str, float], network: Network | None
) -> list[HeadQuestion]:
    table, features = _dense(rows, form)
    sessions = np.array([decision.session for decision in rows])
    waits = np.array([np.nan if decision.gap is None else decision.gap for decision in rows])
    censored = np.array([decision.censored for decision in rows])
    names = [name for part in form.parts for name in part]
    columns = [names.index(name) for name in LONGER]
    rule = _beyond(table.dense[:, columns].astype(np.float64))
    own = _beyond(network.gap_odds(table.all()).astype(np.float64)) if network is not None else None
    questions = []
    for seconds in PAUSES:
        column = form.times.index(seconds)
        usable = np.flatnonzero(~censored | (waits >= seconds))
        questions.append(
            HeadQuestion(
                features[usable],
                (waits[usable] > seconds).astype(np.float64),
                _weights(rows, "gap")[usable],
                sessions[usable],
                rule[usable, column],
                None if own is None else own[usable, column],
            )
        )
    return questions


def _hit(
    rows: Sequence[Decision], form: Architecture, _: Mapping[str, float], network: Network | None
) -> list[HeadQuestion]:
    table, features = _dense(rows, form)
    names = [name for part in form.parts for name in part]
    return [
        HeadQuestion(
            features,
            np.array([decision.hit or 0.0 for decision in rows]),
            _weights(rows, "hit"),
            np.array([decision.session for decision in rows]),
            _p(table.dense[:, names.index("odds")]),
            None if network is None else _p(network.hit_odds(table.all())),
        )
    ]


def _solve(
    rows: Sequence[Decision], form: Architecture, skills: Mapping[str, float], network: Network | None
) -> list[HeadQuestion]:
    table, features = _dense(rows, form)
    pairs = [(row, model) for row, decision in enumerate(rows) for model in decision.solve]
    owners = np.array([row for row, _ in pairs])
    model_skills = [skills.get(model, 0.5) for _, model in pairs]
    own = None
    if network is not None:
        models = sorted({model for _, model in pairs})
        odds = network.solve_odds(table.all(), [(model, skills.get(model, 0.5)) for model in models])
        own = _p(odds[owners, [models.index(model) for _, model in pairs]])
    return [
        HeadQuestion(
            np.hstack([features[owners], np.array(model_skills)[:, None]]),
            np.array([rows[row].solve[model] for row, model in pairs]),
            _weights(rows, "solve")[owners],
            np.array([decision.session for decision in rows])[owners],
            _heuristic([rows[row] for row in owners], model_skills),
            own,
        )
    ]


def _heuristic(rows: Sequence[Decision], skills: Sequence[float]) -> Floats:
    """Returns what the length of a draft says, which is all that the features keep of what the heuristic looks at."""
    heuristic = HeuristicQuality()
    probabilities = []
    for decision, skill in zip(rows, skills, strict=True):
        length = 0 if decision.features.draft is None else round(expm1(min(decision.features.draft[0], 10.0)))
        draft = heuristic.features("x" * min(length, LONGEST), in_session=False)
        probabilities.append(heuristic.p_success(draft, msgspec.structs.replace(_ANY, skill=skill)))
    return np.array(probabilities)


_ANY = Model("any", "any", "fast", 0.0, 1, 1, 0.0, 0.0, 1, 1)


def _beyond(odds: Floats) -> Floats:
    beyond: Floats = np.cumprod(_p(odds), axis=1).astype(np.float64)
    return beyond


def _p(odds: npt.ArrayLike) -> Floats:
    p: Floats = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(odds, np.float64), -30, 30)))
    return p


def _weights(rows: Sequence[Decision], head: str) -> Floats:
    return np.array([decision.weights.get(head, 1.0) for decision in rows], np.float64)


_BUILDERS: dict[
    str, Callable[[Sequence[Decision], Architecture, Mapping[str, float], Network | None], list[HeadQuestion]]
] = {"gap": _gap, "hit": _hit, "solve": _solve}
