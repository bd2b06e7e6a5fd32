"""Figures of each head beside its baselines, on sessions that nothing was trained on.

Intervals: 95 %, by bootstrap over sessions. A head is to be used only if its Brier score is better than that of what
decides without it, over the whole interval of the paired difference, and better than the plain share of yes.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from anchorline.learn import questions
from anchorline.learn.architecture import HEADS, Architecture
from anchorline.learn.features import Decision
from anchorline.learn.network import Network, Use
from anchorline.learn.questions import HeadQuestion

Floats = npt.NDArray[np.float64]
DRAWS = 300
BINS = 10
BASELINES = ("logistic", "knn", "boosting")
NO_SKLEARN = "logistic, knn and boosting are left out: they need scikit-learn (pip install scikit-learn)"
NEIGHBOURS = 25
MOST = 20_000
"""Train rows that are fitted on, drawn at random."""
METRICS = ("brier", "log_loss", "auc", "ece", "accuracy")


class Figure(msgspec.Struct, frozen=True):
    """A figure of one case (``network``, ``rule``, ``marginal``, ``logistic``, ``knn``, ``boosting``) of a head."""

    head: str
    case: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    sessions: int


class Evaluation(msgspec.Struct, frozen=True):
    """All figures, which heads are to be used, and why; `notes` say what was left out."""

    rows: tuple[Figure, ...]
    heads: dict[str, Use]
    reasons: dict[str, str]
    notes: tuple[str, ...] = ()

    def metrics(self) -> dict[str, dict[str, float]]:
        """Returns the network's figures by head and name, and the rule's Brier scores."""
        by_head: dict[str, dict[str, float]] = {}
        for row in self.rows:
            if row.case == "network":
                by_head.setdefault(row.head, {})[row.metric] = row.value
            elif (row.case, row.metric) == ("rule", "brier"):
                by_head.setdefault(row.head, {})["rule_brier"] = row.value
        return by_head


def evaluate(
    network: Network,
    train: Sequence[Decision],
    test: Sequence[Decision],
    *,
    skills: Mapping[str, float] = MappingProxyType({}),
    heads: Sequence[str] = tuple(HEADS),
    simple: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Evaluation:
    """Measures heads on `test`. The baselines are fitted on `train`; `simple`: also those of scikit-learn.

    `progress` is told the share that is done.
    """
    rows: list[Figure] = []
    uses: dict[str, Use] = dict.fromkeys(HEADS, "baseline")
    reasons = {}
    notes = (NO_SKLEARN,) if simple and not has_baselines() else ()
    for index, head in enumerate(heads):

        def head_progress(share: float, index: int = index) -> None:
            progress((index + share) / len(heads))

        head_progress(0.0)
        test_questions = questions.ask(head, test, network.form, skills, network)
        if not test_questions or not any(len(question.truth) for question in test_questions):
            reasons[head] = "no labels in the test sessions"
            continue
        cases = _cases(
            head,
            test_questions,
            train,
            network.form,
            skills,
            simple=simple and not notes,
            progress=head_progress,
        )
        truth, weights = _joined(test_questions, "truth"), _joined(test_questions, "weights")
        sessions = np.concatenate([question.sessions for question in test_questions])
        drawn = _Draws(sessions)
        for case, p in cases.items():
            rows += _figures(head, case, p, truth, weights, drawn)
        uses[head], reasons[head] = _verdict(cases, truth, weights, drawn)
    return Evaluation(tuple(rows), uses, reasons, notes)


def _cases(
    head: str,
    test_questions: Sequence[HeadQuestion],
    train: Sequence[Decision],
    form: Architecture,
    skills: Mapping[str, float],
    *,
    simple: bool,
    progress: Callable[[float], None],
) -> dict[str, Floats]:
    """Returns the answers of each case to all of a head's questions."""
    train_questions = questions.ask(head, train, form, skills)
    cases: dict[str, list[Floats]] = {"network": [], "rule": [], "marginal": []}
    for index, question in enumerate(test_questions):
        own = train_questions[index] if index < len(train_questions) else None
        if question.network is not None:
            cases["network"].append(question.network)
        if question.rule is not None:
            cases["rule"].append(question.rule)
        share = (
            0.5 if own is None or not len(own.truth) else float(np.average(own.truth, weights=own.weights))
        )
        cases["marginal"].append(np.full(len(question.truth), share))
        if simple and own is not None and len(own.truth):
            for name, p in baselines(own.features, own.truth, own.weights, question.features).items():
                cases.setdefault(name, []).append(p)
        progress((index + 1) / len(test_questions))
    return {case: np.concatenate(parts) for case, parts in cases.items() if len(parts) == len(test_questions)}


def _joined(test_questions: Sequence[HeadQuestion], field: str) -> Floats:
    return np.concatenate([getattr(question, field) for question in test_questions])


class _Draws:
    """Weights of rows when sessions are drawn with replacement; the same draws for every case."""

    def __init__(self, sessions: npt.NDArray[np.str_]) -> None:
        names, self.of = np.unique(sessions, return_inverse=True)
        self.sessions = len(names)
        draw = np.random.default_rng(0)
        self.times = [
            np.bincount(draw.integers(0, self.sessions, self.sessions), minlength=self.sessions)
            for _ in range(DRAWS)
        ]

    def weights(self, times: npt.NDArray[np.int64]) -> Floats:
        """Returns how often each row was drawn."""
        return times[self.of].astype(np.float64)


def _figures(head: str, case: str, p: Floats, truth: Floats, weights: Floats, drawn: _Draws) -> list[Figure]:
    scores = _Scores(p, truth)
    metrics = scores.figures(weights)
    draws = [scores.figures(weights * drawn.weights(times)) for times in drawn.times]
    rows = []
    for metric in METRICS:
        finite = [draw[metric] for draw in draws if np.isfinite(draw[metric])]
        if not finite or not np.isfinite(metrics[metric]):
            continue
        interval = np.quantile(finite, (0.025, 0.975))
        value, low, high = (round(float(bound), 4) for bound in (metrics[metric], *interval))
        rows.append(Figure(head, case, metric, value, low, high, len(truth), drawn.sessions))
    return rows


def figures(p: Floats, truth: Floats, weights: Floats | None = None) -> dict[str, float]:
    """Returns the metrics of answers; what can't be said is not a number. ECE has ten bins of equal width."""
    return _Scores(p, truth).figures(np.ones(len(p)) if weights is None else weights)


class _Scores:
    """What each answer adds to the metrics, so that many weightings of the same answers are quick."""

    def __init__(self, p: Floats, truth: Floats) -> None:
        sure = np.clip(p, 1e-6, 1 - 1e-6)
        self._yes = truth >= 0.5
        self._terms = {
            "brier": (p - truth) ** 2,
            "log_loss": -(truth * np.log(sure) + (1 - truth) * np.log(1 - sure)),
            "accuracy": ((p >= 0.5) == self._yes).astype(np.float64),
        }
        self._off = p - truth
        self._bins = np.minimum((p * BINS).astype(int), BINS - 1)
        _, self._rank = np.unique(p, return_inverse=True)

    def figures(self, weights: Floats) -> dict[str, float]:
        """Returns the metrics under these weights of the answers."""
        total = float(weights.sum())
        if not total:
            return dict.fromkeys(METRICS, float("nan"))
        metrics = {metric: float(weights @ terms) / total for metric, terms in self._terms.items()}
        metrics["ece"] = float(np.abs(np.bincount(self._bins, weights * self._off, BINS)).sum()) / total
        ups = np.bincount(self._rank, weights * self._yes)
        downs = np.bincount(self._rank, weights * ~self._yes)
        pairs = float(ups.sum() * downs.sum())
        below = np.cumsum(downs) - downs / 2
        metrics["auc"] = float(ups @ below) / pairs if pairs else float("nan")
        return metrics


def _verdict(cases: Mapping[str, Floats], truth: Floats, weights: Floats, drawn: _Draws) -> tuple[Use, str]:
    """Returns whether the network is to be used, and why, from Brier scores."""
    errors = {case: (p - truth) ** 2 for case, p in cases.items()}
    rival = "rule" if "rule" in cases else "marginal"
    difference = weights * (errors["network"] - errors[rival])
    sums = np.bincount(drawn.of, difference, drawn.sessions)
    sizes = np.bincount(drawn.of, weights, drawn.sessions)
    value = sums.sum() / sizes.sum()
    draws = [float(times @ sums) / max(float(times @ sizes), 1e-9) for times in drawn.times]
    low, high = np.quantile(draws, (0.025, 0.975))
    against = "today's rule" if rival == "rule" else "the plain share"
    comparison = f"Brier score {value:+.4f} [{low:+.4f}, {high:+.4f}] against {against}"
    if high >= 0:
        return "baseline", f"{comparison}: not clearly better"
    if (weights * errors["network"]).sum() >= (weights * errors["marginal"]).sum():
        return "baseline", f"{comparison}, but no better than the plain share"
    return "network", comparison


def has_baselines() -> bool:
    """Says whether scikit-learn is there."""
    return find_spec("sklearn") is not None


def baselines(
    train: Floats, truth: Floats, weights: Floats, test: Floats, seed: int = 0
) -> dict[str, Floats]:
    """Returns the probability of yes for the rows of `test`, by each of `BASELINES` fitted on the train rows.

    A network has to be measured against simple models, for ever. They need scikit-learn.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415  (only where it is there)
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415  (comes with scikit-learn)

    if len(train) > MOST:
        chosen = np.random.default_rng(seed).choice(len(train), MOST, replace=False)
        train, truth, weights = train[chosen], truth[chosen], weights[chosen]
    label = truth >= 0.5
    if label.all() or not label.any():
        return {}
    models: dict[str, Callable[[], Any]] = {
        "logistic": lambda: LogisticRegression(C=0.1, max_iter=500),
        "knn": lambda: KNeighborsClassifier(min(NEIGHBOURS, len(train))),
        "boosting": lambda: HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
        ),
    }
    probabilities = {}
    with threadpool_limits(1):  # on a busy machine threads wait for each other for minutes
        for name in BASELINES:
            model = models[name]()
            if name == "boosting":
                model.fit(train, label, sample_weight=weights)
            elif name == "logistic":
                model = make_pipeline(StandardScaler(), model)
                model.fit(train, label, logisticregression__sample_weight=weights)
            else:
                model = make_pipeline(StandardScaler(), model).fit(train, label)
            probabilities[name] = np.asarray(model.predict_proba(test)[:, 1], np.float64)
    return probabilities
