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
    """What a head is for, and what it needs at least: labels, how many of the rarer answer, sessions.

    `name` is for programs, `title` for people.
    """

    name: str
    title: str
    does: str
    labels: int
    rare: int
    sessions: int


HEADS: dict[str, Head] = {
    head.name: head
    for head in (
        Head(
            "gap", "next request", "time to the next request: lifetime of the cache, keep-alive", 500, 40, 20
        ),
        Head("hit", "cache hit", "probability that the cache hits", 500, 40, 20),
        Head("solve", "success", "probability that a model solves the prompt: route", 200, 30, 20),
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
    for decision in decisions:
        for name, (labels, positive) in _labels(decision).items():
            if labels:
                counts[name][0] += labels
                counts[name][1] += positive
                sessions[name].add(decision.session)
    return {
        name: Supply(labels, min(positive, labels - positive), len(sessions[name]))
        for name, (labels, positive, _) in counts.items()
    }


def missing(head: Head, available: Supply) -> str | None:
    """Returns how much more a head needs before it can be trained; None where there is enough."""
    lacks = [
        f"{need - have} more {what.removesuffix('s') if need - have == 1 else what}"
        for need, have, what in (
            (head.labels, available.labels, "labels"),
            (head.rare, available.rare, RARER[head.name]),
            (head.sessions, available.sessions, "sessions"),
        )
        if have < need
    ]
    return ", ".join(lacks) if lacks else None


RARER = {
    "gap": "pauses over 5 minutes",
    "hit": "misses",
    "solve": "failures or successes",
}


def _labels(decision: Decision) -> dict[str, tuple[int, int]]:
    """Returns how many labels a decision has for each head, and how many of them are positive."""
    long = decision.gap is not None and decision.gap > LONG
    usable = decision.gap is not None and (not decision.censored or long)
    return {
        "gap": (int(usable), int(long)),
        "hit": (int(decision.hit is not None), int((decision.hit or 0) >= 0.5)),
        "solve": (len(decision.solve), sum(value >= 0.5 for value in decision.solve.values())),
    }


class LabelBatch(NamedTuple):
    """Labels of a batch with their weights (0: not known)."""

    gap: Floats
    gap_weight: Floats
    hit: Floats
    hit_weight: Floats
    solve: Floats
    solve_weight: Floats


class Labels:
    """The labels of decisions as arrays, in the form that `LabelBatch` describes."""

    def __init__(self, decisions: Sequence[Decision], form: Architecture) -> None:
        count, times = len(decisions), np.array(form.times)
        waits = np.array(
            [np.nan if decision.gap is None else decision.gap for decision in decisions], np.float64
        )[:, None]
        before = np.concatenate([[0.0], times[:-1]])
        censored = np.array([decision.censored for decision in decisions], bool)[:, None]
        mask = np.where(censored, times <= waits, before < waits)  # nan compares as false
        self.gap = (waits > times).astype(np.float32)
        self.gap_weight = mask.astype(np.float32) * _weights(decisions, "gap")[:, None]
        self.hit = np.array([decision.hit or 0.0 for decision in decisions], np.float32)[:, None]
        hit_mask = np.array([decision.hit is not None for decision in decisions], np.float32)
        self.hit_weight = (hit_mask * _weights(decisions, "hit"))[:, None]
        self.solve = np.zeros((count, len(form.models)), np.float32)
        self.solve_weight = np.zeros_like(self.solve)
        columns = {model.id: index for index, model in enumerate(form.models)}
        for row, decision in enumerate(decisions):
            for model, value in decision.solve.items():
                if model in columns:
                    self.solve[row, columns[model]] = value
                    self.solve_weight[row, columns[model]] = decision.weights.get("solve", 1.0)

    def batch(self, rows: Ints) -> LabelBatch:
        """Returns the labels of some rows."""
        return LabelBatch(
            self.gap[rows],
            self.gap_weight[rows],
            self.hit[rows],
            self.hit_weight[rows],
            self.solve[rows],
            self.solve_weight[rows],
        )


def _weights(decisions: Sequence[Decision], head: str) -> Floats:
    return np.array([decision.weights.get(head, 1.0) for decision in decisions], np.float32)
