"""Measures how well grounding finds the files that were then edited: recall, what is shown, calibration.

Tasks of the split `train` are ranked by a fit without their repository, on train and dev; those of `dev` by a fit on train;
those of every other split by the ranking that ships. Intervals are bootstraps of repositories and of the tasks in each.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from anchorline.ground import ranking
from anchorline.ground.features import NAMES
from anchorline.ground.ranking import Ranking
from anchorline.ground.retrieval import MOST_SHOWN
from bench import reporting
from bench.data import localization, localization_fit
from bench.data.localization import Task
from bench.quality import reranking

SOURCES = {"swebench": "issues", "session": "sessions"}
PLACES = (1, 5, 10)
DRAWS = 1000
BINS = 10
RANKED = 10
"""Places of each task whose probabilities are compared with what was edited."""
TWENTY_ONE = (
    *(f"{field} {what}" for field in ("text", "definitions", "path") for what in ("place", "share", "score")),
    "edited", "committed", "recent files edited", "trace", "folder", "same name as recent", "test", "document",
    "draft on tests", "draft length", "draft terms",
)  # fmt: skip
"""What the baseline knows, besides the source: places and scores of the searches, the recent files, lengths."""

Score = Callable[[Task], np.ndarray]
Rankers = dict[str, dict[str, np.ndarray]]
"""The scores of the candidates of each task, by the name of what gives them."""


def column(task: Task, name: str) -> np.ndarray:
    """Return one feature of the candidates."""
    return task.features[:, NAMES.index(name)].astype(float)


def _recent(task: Task) -> np.ndarray:
    return column(task, "edited") + column(task, "committed")


def _defined(task: Task) -> np.ndarray:
    return np.expm1(column(task, "definitions score")) + np.expm1(column(task, "path score"))


def _places(scores: np.ndarray) -> np.ndarray:
    places = np.empty(len(scores))
    places[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    return np.where(scores > 0, 1 / (60 + places), 0)


def _fused(task: Task) -> np.ndarray:
    """Fuse what is named, what is defined and what is recent by their places (Cormack et al., SIGIR 2009)."""
    return sum(_places(scores) for scores in (column(task, "trace"), _defined(task), _recent(task)))


SIMPLE: dict[str, Score] = {
    "bm25 text": lambda task: column(task, "text score"),
    "bm25 path+defs": _defined,
    "paths": lambda task: column(task, "path score"),
    "recent": _recent,
    "fused": _fused,
}


def _numbers(task: Task) -> np.ndarray:
    chosen = task.features[:, [NAMES.index(name) for name in TWENTY_ONE]].astype(float)
    return np.column_stack([chosen, np.full(len(chosen), float(task.source == "session"))])


def baselines(tasks: Sequence[Task]) -> dict[str, Score]:
    """Fit the baselines of 21 numbers."""
    rows = np.vstack([_numbers(task) for task in tasks])
    edited = np.concatenate([task.edited for task in tasks])
    weight = np.repeat(localization_fit.weights(tasks), [len(task.paths) for task in tasks])
    weight /= weight.mean()
    linear = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    linear.fit(rows, edited, logisticregression__sample_weight=weight)
    trees = HistGradientBoostingClassifier(
        learning_rate=0.08,
        max_iter=90,
        max_leaf_nodes=12,
        min_samples_leaf=60,
        l2_regularization=10,
        random_state=0,
    ).fit(rows, edited, sample_weight=weight)
    return {
        "21 logistic": lambda task: linear.decision_function(_numbers(task)),
        "21 boosted": lambda task: trees.decision_function(_numbers(task)),
    }


def recall(task: Task, scores: np.ndarray, places: int) -> float:
    """Return the share of the edited files among the first."""
    return float(task.edited[np.argsort(-scores, kind="stable")[:places]].sum()) / task.gold


def row(
    case: str,
    subset: str,
    metric: str,
    tasks: Sequence[Task],
    values: Sequence[float],
    total: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Return the mean (of `values` by `total`, where it is given) with a bootstrap by repository."""
    number = np.asarray(values, float)
    whole = np.ones(len(number)) if total is None else np.asarray(total, float)
    repos = sorted({task.repo for task in tasks})
    own = [np.flatnonzero([task.repo == repo for task in tasks]) for repo in repos]
    chance = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        at = np.concatenate(
            [chance.choice(own[each], len(own[each])) for each in chance.integers(len(own), size=len(own))]
        )
        drawn.append(number[at].sum() / max(whole[at].sum(), 1e-9))
    made = reporting.interval(case, metric, drawn, number.sum() / max(whole.sum(), 1e-9), subset)
    return made | {"n": len(tasks), "repositories": len(repos)}


def recalls(tasks: Sequence[Task], rankers: Rankers) -> list[dict[str, Any]]:
    """Return the recall of each ranking by source, split, and whether a task names a file."""
    rows = []
    for source, title in SOURCES.items():
        for split in sorted({task.split for task in tasks}):
            for name, named in (("unnamed", False), ("named", True), ("all", None)):
                own = [
                    t for t in tasks if (t.source, t.split) == (source, split) and named in (None, t.named)
                ]
                for ranker, scores in rankers.items() if own else ():
                    for places in PLACES:
                        values = [recall(task, scores[task.id], places) for task in own]
                        rows.append(row(f"{title}/{split}/{name}", ranker, f"recall@{places}", own, values))
    return rows


def paired(tasks: Sequence[Task], rankers: Rankers) -> list[dict[str, Any]]:
    """Return how much more of the unnamed tasks' edited files ours has among its first five than each other ranking."""
    rows = []
    for source, title in SOURCES.items():
        own = [task for task in tasks if task.source == source and not task.named]
        for ranker, scores in rankers.items() if own else ():
            if ranker != "ours":
                gain = [
                    recall(task, rankers["ours"][task.id], 5) - recall(task, scores[task.id], 5)
                    for task in own
                ]
                rows.append(row(f"paired/{title}", f"ours - {ranker}", "recall@5", own, gain))
    return rows


def informed(
    engine: str, tasks: Sequence[Task], drafts: dict[str, str], ours: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return what a language model adds to the ranking of these tasks, and the seconds that it took."""
    scores, seconds = reranking.reranked(engine, tasks, drafts, ours)
    rows = []
    for source, title in (*SOURCES.items(), ("", "all")):
        own = [task for task in tasks if source in ("", task.source)]
        for places in PLACES if own else ():
            before = [recall(task, ours[task.id], places) for task in own]
            after = [recall(task, scores[task.id], places) for task in own]
            gain = [one - other for one, other in zip(after, before, strict=True)]
            case, metric = f"reranked/{title}/dev/unnamed", f"recall@{places}"
            rows += [
                row(case, "ours", metric, own, before),
                row(case, engine, metric, own, after),
                row(case, f"{engine} - ours", metric, own, gain),
            ]
    return [*rows, reporting.interval("reranked", "seconds", seconds, subset=engine)]


def shown(
    tasks: Sequence[Task], chances: dict[str, np.ndarray], least: dict[str, float]
) -> list[dict[str, Any]]:
    """Return how many tasks get a proposal, how many of these hold an edited file, and the calibration error."""
    rows = []
    for split in sorted({task.split for task in tasks}):
        for source, title in (*SOURCES.items(), ("", "all")):
            for name, named in (("unnamed", False), ("all", None)):
                own = [
                    t
                    for t in tasks
                    if t.split == split and source in ("", t.source) and named in (None, t.named)
                ]
                if not own:
                    continue
                proposed, right, offered, edited = [], [], [], []
                places: list[tuple[float, bool]] = []
                for task in own:
                    chance = chances[task.id]
                    order = np.argsort(-chance, kind="stable")
                    kept = [at for at in order[:MOST_SHOWN] if chance[at] >= least[split]]
                    proposed.append(float(bool(kept)))
                    right.append(float(task.edited[kept].any()) if kept else 0.0)
                    offered.append(float(len(kept)))
                    edited.append(float(task.edited[kept].sum()) if kept else 0.0)
                    places += [(float(chance[at]), bool(task.edited[at])) for at in order[:RANKED]]
                case = f"shown/{title}/{split}/{name}"
                rows += [
                    row(case, "ours", "share of tasks", own, proposed),
                    row(case, "ours", "holds an edited file", own, right, proposed),
                    row(case, "ours", "files that were edited", own, edited, offered),
                    reporting.interval(case, "ECE", [ece(places)], subset="ours") | {"n": len(places)},
                ]
    return rows


def ece(places: Sequence[tuple[float, bool]]) -> float:
    """Return the expected calibration error, in bins of equal width."""
    chance, edited = np.array([each for each, _ in places]), np.array([truth for _, truth in places], float)
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    gaps = [abs((chance[bins == at] - edited[bins == at]).sum()) for at in range(BINS)]
    return float(sum(gaps) / len(places))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder with localize.py and its tasks")
    parser.add_argument(
        "--repositories", type=Path, required=True, help="the folder of the tasks' repositories"
    )
    parser.add_argument(
        "--engine",
        default="none",
        metavar="MODEL",
        help="qwen0.5, qwen1.5 or an installed model: what it adds by ranking the first files anew",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=100,
        metavar="N",
        help="with --engine: unnamed tasks of dev that it is asked about",
    )
    parser.add_argument("--cache", type=Path, help="a folder where the features are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    missing = localization.loader(options.data).missing(str(options.data), str(options.repositories))
    if missing:
        print(f"without {', '.join(missing)}: not in {options.repositories}", file=sys.stderr)
    given, plain = localization.tasks(options.data, options.repositories, options.cache)
    known = [task for task in given if task.split in ("train", "dev")]
    by_id = {task.id: task for task in plain}
    names = ("ours", "ours, no recency", "21 logistic", "21 boosted")
    left_out: Rankers = {name: {} for name in names}
    for fold in localization_fit.folds(known):
        rest = [task for task in known if task.repo not in fold]
        own = [task for task in known if task.repo in fold]
        _put(left_out, own, by_id, localization_fit.fit_scores(rest), baselines(rest))
    rankers: Rankers = {name: {task.id: score(task) for task in given} for name, score in SIMPLE.items()}
    rankers |= {name: {} for name in names}
    by_chance: dict[str, np.ndarray] = {}
    least: dict[str, float] = {}
    for split in sorted({task.split for task in given}):
        own = [task for task in given if task.split == split]
        if split == "train":
            for name in names:
                rankers[name] |= {task.id: left_out[name][task.id] for task in own}
            factors = localization_fit.calibration(known, left_out["ours"])
            every = localization_fit.chances(factors, known, left_out["ours"])
            by_chance |= {task.id: every[task.id] for task in own}
            least[split] = localization_fit.threshold(known, every)
            continue
        train = [task for task in known if task.split == "train"]
        if split == "dev" and train:
            model = localization_fit.calibrated(
                localization_fit.fit_scores(train), train, localization_fit.left_out(train)
            )
        else:
            model, train = ranking.shipped(), known
        _put(rankers, own, by_id, model, baselines(train) if train else {})
        by_chance |= {task.id: model.probabilities(task.features) for task in own}
        least[split] = model.threshold
    complete = {name: scores for name, scores in rankers.items() if len(scores) == len(given)}
    rows = recalls(given, complete)
    if known:
        rows += paired(known, {**left_out, **{name: rankers[name] for name in SIMPLE}})
        rows += recalls([task._replace(split="train+dev left out") for task in known], left_out)
    rows += shown(given, by_chance, least)
    if options.engine != "none":
        drafts = reranking.read_drafts(localization.rows(options.data, options.repositories))
        rows += informed(
            options.engine, reranking.sample(given, "dev", options.sample), drafts, rankers["ours"]
        )
    reporting.show(
        "localize",
        rows,
        reporting.environment()
        | {"engine": options.engine, "thresholds": least, "shipped": ranking.shipped().fitted_on},
        as_json=options.json,
    )


def _put(
    into: Rankers, tasks: Sequence[Task], plain: dict[str, Task], model: Ranking, simple: dict[str, Score]
) -> None:
    """Score tasks by a model, with what was recent and without, and by baselines."""
    for task in tasks:
        into["ours"][task.id] = model.scores(task.features)
        fewer = dict(zip(plain[task.id].paths, model.scores(plain[task.id].features).tolist(), strict=True))
        into["ours, no recency"][task.id] = np.array([fewer.get(path, -np.inf) for path in task.paths])
        for name, score in simple.items():
            into[name][task.id] = score(task)


if __name__ == "__main__":
    main()
