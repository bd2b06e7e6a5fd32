"""The heads: what each predicts, which labels it learns from, and how much data it needs at least."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from anchorline.learn.architecture import Architecture
from anchorline.learn.features import Decision
from anchorline.learn.forward import Floats

Ints = npt.NDArray[np.int64]


class Head(msgspec.Struct, frozen=True):
    """What a head is for, and what it needs at least: labels, how many of the rarer answer, sessions."""

    name: str
    does: str
    labels: int
    rare: int
    sessions: int


HEADS: dict[str, Head] = {
    head.name: head
    for head in (
        Head("gap", "time to the next request: lifetime of the cache, keep-alive", 500, 40, 20),
        Head("hit", "probability that the cache hits", 500, 40, 20),
        Head("solve", "probability that a model solves the prompt: route", 200, 30, 20),
    )
}
LONG = 300.0
"""Seconds: of the gap head, a longer pause is the rarer answer."""


class Supply(msgspec.Struct, frozen=True):
    """What there is for a head: labels, how many are the rarer answer, sessions with a label."""

    labels: int
    rare: int
    sessions: int


def supply(decisions: Iterable[Decision]) -> dict[str, Supply]:
    """Counts the labels of each head."""
    counts = {name: [0, 0, 0] for name in HEADS}
    sessions: dict[str, set[str]] = {name: set() for name in HEADS}
    for one in decisions:
        for name, (labels, positive) in _labels(one).items():
            if labels:
                counts[name][0] += labels
                counts[name][1] += positive
                sessions[name].add(one.session)
    return {
        name: Supply(labels, min(positive, labels - positive), len(sessions[name]))
        for name, (labels, positive, _) in counts.items()
    }


def missing(head: Head, found: Supply) -> str | None:
    """Returns how much more a head needs before it can be trained; None where there is enough."""
    lacks = [
        f"{wanted - have} more {what.removesuffix('s') if wanted - have == 1 else what}"
        for wanted, have, what in (
            (head.labels, found.labels, "labels"),
            (head.rare, found.rare, f"of the rarer answer ({RARER[head.name]})"),
            (head.sessions, found.sessions, "sessions"),
        )
        if have < wanted
    ]
    return ", ".join(lacks) if lacks else None


RARER = {
    "gap": "pauses over 5 minutes",
    "hit": "misses",
    "solve": "failures or successes",
}


def _labels(one: Decision) -> dict[str, tuple[int, int]]:
    """Returns how many labels a decision has for each head, and how many of them are positive."""
    long = one.gap is not None and one.gap > LONG
    known = one.gap is not None and (not one.censored or long)
    return {
        "gap": (int(known), int(long)),
        "hit": (int(one.hit is not None), int((one.hit or 0) >= 0.5)),
        "solve": (len(one.solve), sum(value >= 0.5 for value in one.solve.values())),
    }


class Wanted(NamedTuple):
    """Labels of a batch with their weights (0: not known)."""

    gap: Floats
    gap_weight: Floats
    hit: Floats
    hit_weight: Floats
    solve: Floats
    solve_weight: Floats


class Targets:
    """The labels of decisions as arrays, in the form that `Wanted` describes."""

    def __init__(self, decisions: Sequence[Decision], form: Architecture) -> None:
        count, times = len(decisions), np.array(form.times)
        waits = np.array([np.nan if one.gap is None else one.gap for one in decisions], np.float64)[:, None]
        before = np.concatenate([[0.0], times[:-1]])
        censored = np.array([one.censored for one in decisions], bool)[:, None]
        known = np.where(censored, times <= waits, before < waits)  # nan compares as false
        self.gap = (waits > times).astype(np.float32)
        self.gap_weight = known.astype(np.float32) * _weights(decisions, "gap")[:, None]
        self.hit = np.array([one.hit or 0.0 for one in decisions], np.float32)[:, None]
        known_hits = np.array([one.hit is not None for one in decisions], np.float32)
        self.hit_weight = (known_hits * _weights(decisions, "hit"))[:, None]
        self.solve = np.zeros((count, len(form.models)), np.float32)
        self.solve_weight = np.zeros_like(self.solve)
        places = {known.id: place for place, known in enumerate(form.models)}
        for row, one in enumerate(decisions):
            for model, value in one.solve.items():
                if model in places:
                    self.solve[row, places[model]] = value
                    self.solve_weight[row, places[model]] = one.weights.get("solve", 1.0)

    def batch(self, rows: Ints) -> Wanted:
        """Returns the labels of some rows."""
        return Wanted(
            self.gap[rows],
            self.gap_weight[rows],
            self.hit[rows],
            self.hit_weight[rows],
            self.solve[rows],
            self.solve_weight[rows],
        )


def _weights(decisions: Sequence[Decision], head: str) -> Floats:
    return np.array([one.weights.get(head, 1.0) for one in decisions], np.float32)
