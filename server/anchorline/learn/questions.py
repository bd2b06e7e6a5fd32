"""What a head is asked on held-out sessions: yes-or-no questions, and what the network and the rule answer.

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
from anchorline.learn.forward import Table
from anchorline.learn.network import Network
from anchorline.route.catalog import Model
from anchorline.route.quality import HeuristicQuality

Floats = npt.NDArray[np.float64]
PAUSES = (300.0, 3600.0)
"""Seconds: the lifetimes that are sold."""
LONGEST = 20_000
"""Characters of a draft beyond which the rule sees no difference."""


class Question(NamedTuple):
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
) -> list[Question]:
    """Returns a head's questions on decisions, answered by `network` where one is given."""
    asked = _ASKED[head]
    rows = [one for one in decisions if _known(one, head)]
    return asked(rows, form, skills, network) if rows else []


def _known(one: Decision, head: str) -> bool:
    known = {"gap": one.gap is not None, "hit": one.hit is not None, "solve": one.solve}
    return bool(known[head])


def _dense(rows: Sequence[Decision], form: Architecture) -> tuple[Table, Floats]:
    table = Table([one.features for one in rows], form)
    return table, np.hstack([table.dense, table.present]).astype(np.float64)


def _gap(
    rows: Sequence[Decision], form: Architecture, _: Mapping[str, float], network: Network | None
) -> list[Question]:
    table, features = _dense(rows, form)
    sessions = np.array([one.session for one in rows])
    waits = np.array([np.nan if one.gap is None else one.gap for one in rows])
    censored = np.array([one.censored for one in rows])
    names = [name for part in form.parts for name in part]
    columns = [names.index(name) for name in LONGER]
    rule = _beyond(table.dense[:, columns].astype(np.float64))
    own = _beyond(network.gap_odds(table.all()).astype(np.float64)) if network is not None else None
    found = []
    for seconds in PAUSES:
        place = form.times.index(seconds)
        known = np.flatnonzero(~censored | (waits >= seconds))
        found.append(
            Question(
                features[known],
                (waits[known] > seconds).astype(np.float64),
                _weights(rows, "gap")[known],
                sessions[known],
                rule[known, place],
                None if own is None else own[known, place],
            )
        )
    return found


def _hit(
    rows: Sequence[Decision], form: Architecture, _: Mapping[str, float], network: Network | None
) -> list[Question]:
    table, features = _dense(rows, form)
    names = [name for part in form.parts for name in part]
    return [
        Question(
            features,
            np.array([one.hit or 0.0 for one in rows]),
            _weights(rows, "hit"),
            np.array([one.session for one in rows]),
            _p(table.dense[:, names.index("odds")]),
            None if network is None else _p(network.hit_odds(table.all())),
        )
    ]


def _solve(
    rows: Sequence[Decision], form: Architecture, skills: Mapping[str, float], network: Network | None
) -> list[Question]:
    table, features = _dense(rows, form)
    pairs = [(row, model) for row, one in enumerate(rows) for model in one.solve]
    owners = np.array([row for row, _ in pairs])
    known = [skills.get(model, 0.5) for _, model in pairs]
    own = None
    if network is not None:
        models = sorted({model for _, model in pairs})
        odds = network.solve_odds(table.all(), [(model, skills.get(model, 0.5)) for model in models])
        own = _p(odds[owners, [models.index(model) for _, model in pairs]])
    return [
        Question(
            np.hstack([features[owners], np.array(known)[:, None]]),
            np.array([rows[row].solve[model] for row, model in pairs]),
            _weights(rows, "solve")[owners],
            np.array([one.session for one in rows])[owners],
            _heuristic([rows[row] for row in owners], known),
            own,
        )
    ]


def _heuristic(rows: Sequence[Decision], skills: Sequence[float]) -> Floats:
    """Returns what the length of a draft says, which is all that the features keep of what the heuristic looks at."""
    heuristic = HeuristicQuality()
    found = []
    for one, skill in zip(rows, skills, strict=True):
        length = 0 if one.features.draft is None else round(expm1(min(one.features.draft[0], 10.0)))
        seen = heuristic.features("x" * min(length, LONGEST), in_session=False)
        found.append(heuristic.p_success(seen, msgspec.structs.replace(_ANY, skill=skill)))
    return np.array(found)


_ANY = Model("any", "any", "fast", 0.0, 1, 1, 0.0, 0.0, 1, 1)


def _beyond(odds: Floats) -> Floats:
    found: Floats = np.cumprod(_p(odds), axis=1).astype(np.float64)
    return found


def _p(odds: npt.ArrayLike) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(odds, np.float64), -30, 30)))
    return found


def _weights(rows: Sequence[Decision], head: str) -> Floats:
    return np.array([one.weights.get(head, 1.0) for one in rows], np.float64)


_ASKED: dict[
    str, Callable[[Sequence[Decision], Architecture, Mapping[str, float], Network | None], list[Question]]
] = {"gap": _gap, "hit": _hit, "solve": _solve}
