"""L1 to L3: does the hints' score tell an underspecified prompt from one that is not?

Baselines: `do-nothing` gives every prompt the same score, `regex-only` looks for an example, `length` prefers the
shorter prompt, `tfidf` is TF-IDF with a logistic regression, the best of three feature sets, cross-validated
with the variants of one problem in one fold (L1), or trained on these problems and applied to the issues (L2, L3).
"""

import math
import random
import re
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anchorline.refine.analyse import analyse
from anchorline.refine.mask import Masked
from anchorline.refine.propose import propose
from bench.data.refinement_data import rows, specstory
from bench.quality.refinement_report import assess

Row = dict[str, str | float | int]
Scores = Sequence[float]
DRAWS = 500
RATE = 0.2
"""Share of prompts that get a hint, at most, in L3."""


def ours(text: str) -> float:
    """Return the probability with which AL104 decides; of a report, that of the score that was tried for one."""
    draft = Masked(text)
    return analyse(draft).unclear or assess(draft).unclear


def regex_only(text: str) -> float:
    """Score what shows no example."""
    return float(re.search(r">>>|```|\bexamples?\b|Traceback|==", text, re.IGNORECASE) is None)


SCORES: dict[str, Callable[[str], float]] = {
    "ours": ours,
    "do-nothing": lambda text: 0.5,
    "regex-only": regex_only,
    "length": lambda text: -math.log(1 + len(text)),
}


def auc(scores: Scores, labels: Sequence[bool]) -> float:
    """Return the area under the ROC curve; ties count half."""
    order = sorted(range(len(scores)), key=lambda index: scores[index])
    ranks = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and scores[order[end]] == scores[order[start]]:
            end += 1
        for position in range(start, end):
            ranks[order[position]] = (start + end + 1) / 2
        start = end
    positive = sum(labels)
    if positive in (0, len(labels)):
        return math.nan
    total = sum(rank for rank, label in zip(ranks, labels, strict=True) if label)
    return (total - positive * (positive + 1) / 2) / (positive * (len(labels) - positive))


def precision(scores: Scores, labels: Sequence[bool]) -> float:
    """Return the share of underspecified prompts among the highest scores; at the edge ties count in part."""
    room = max(1, math.floor(RATE * len(scores)))
    edge = sorted(scores, reverse=True)[room - 1]
    above = [label for score, label in zip(scores, labels, strict=True) if score > edge]
    tied = [label for score, label in zip(scores, labels, strict=True) if score == edge]
    return (sum(above) + sum(tied) * (room - len(above)) / len(tied)) / room


def resampled(
    case: str, subset: str, metric: str, groups: Sequence[Any], measure: Callable[[Sequence[Any]], float]
) -> Row:
    """Return a row with the bootstrap interval over groups (problems or issues)."""
    chance = random.Random(0)
    draws = sorted(
        value for _ in range(DRAWS) if not math.isnan(value := measure(chance.choices(groups, k=len(groups))))
    )
    value = measure(groups)
    if not draws:
        draws = [value]
    low, high = draws[int(0.025 * len(draws))], draws[int(0.975 * len(draws))]
    return {
        "case": case,
        "subset": subset,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "n": len(groups),
    }


def measure(folder: Path) -> list[Row]:
    """Return the rows of L1 to L3 for the data in `folder`."""
    problems, issues = (
        rows(folder / "humanevalcomm.jsonl.gz"),
        rows(folder / "swebench_lite_classified.jsonl.gz"),
    )
    out: list[Row] = []
    for key in ("prompt1a", "prompt1p", "prompt1c"):
        out += variants([row for row in problems if row.get(key)], key)
    if issues:
        out += reports(folder, issues, problems)
    return out + alarms(folder)


def normalised(row: dict[str, str], key: str) -> str:
    """Return a prompt with its function's name replaced: only the changed prompts are renamed in the data."""
    return re.sub(rf"\b({re.escape(row['entry_point'])}|candidate)\b", "FUNCTION", row[key])


def unread(row: dict[str, str]) -> bool:
    """Tell the half of the problems whose variants were not looked at while the signs were chosen."""
    return zlib.crc32(row["name"].encode()) % 2 == 1


def variants(problems: list[dict[str, str]], key: str) -> list[Row]:
    """Return L1: each problem as it is, against its variant `key`."""
    if not problems:
        return []
    before, after = ([normalised(row, each) for row in problems] for each in ("prompt", key))
    scored = {name: (list(map(score, before)), list(map(score, after))) for name, score in SCORES.items()}
    scored["tfidf"] = _cross_validated(before, after)
    out = []
    for subset, chosen in (
        (key, range(len(problems))),
        (f"{key} unread", [i for i, row in enumerate(problems) if unread(row)]),
    ):
        for name, (low, high) in scored.items():
            pairs = [(low[index], high[index]) for index in chosen]
            out.append(resampled(name, subset, "L1", pairs, _paired))
        ours_, theirs = scored["ours"], scored["tfidf"]
        both = [((ours_[0][i], ours_[1][i]), (theirs[0][i], theirs[1][i])) for i in chosen]
        out.append(
            resampled(
                "ours",
                subset,
                "L1_over_tfidf",
                both,
                lambda draw: _paired([a for a, _ in draw]) - _paired([b for _, b in draw]),
            )
        )
    return out


def _paired(pairs: Sequence[tuple[float, float]]) -> float:
    return auc(
        [low for low, _ in pairs] + [high for _, high in pairs], [False] * len(pairs) + [True] * len(pairs)
    )


def _features() -> list[Any]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
    ]


def _regression(features: Any) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(features, LogisticRegression(C=10, max_iter=2000))


def _cross_validated(before: list[str], after: list[str]) -> tuple[list[float], list[float]]:
    from sklearn.model_selection import GroupKFold, cross_val_predict

    count = len(before)
    labels = [0] * count + [1] * count
    best: tuple[float, list[float]] = (-1.0, [])
    for features in _features():
        found = cross_val_predict(
            _regression(features), before + after, labels, groups=[*range(count)] * 2,
            cv=GroupKFold(min(10, count)), method="predict_proba",
        )[:, 1].tolist()  # fmt: skip
        best = max(best, (auc(found, [bool(label) for label in labels]), found))
    return best[1][:count], best[1][count:]


def _transferred(problems: list[dict[str, str]], texts: list[str]) -> list[float]:
    found = [
        (normalised(row, key), int(key != "prompt"))
        for row in problems
        for key in ("prompt", "prompt1a", "prompt1p")
        if row.get(key)
    ]
    model = _regression(_features()[0]).fit([text for text, _ in found], [label for _, label in found])
    scores: list[float] = model.predict_proba(texts)[:, 1].tolist()
    return scores


def reports(folder: Path, issues: list[dict[str, str]], problems: list[dict[str, str]]) -> list[Row]:
    """Return L2 and L3: the same score on issues that people judged."""
    texts = [issue["problem_statement"] for issue in issues]
    scored = {name: list(map(score, texts)) for name, score in SCORES.items()}
    if problems:
        scored["tfidf"] = _transferred(problems, texts)
    lacking = [issue["description quality"] == "Not enough info" for issue in issues]
    judged = {
        row["instance_id"]: float(row["underspecified"])
        for row in rows(folder / "swebench_underspecified.jsonl.gz")
    }
    shared = [index for index, issue in enumerate(issues) if issue["instance_id"] in judged]
    out = []
    for name, scores in scored.items():
        pairs = list(zip(scores, lacking, strict=True))
        out.append(resampled(name, "swebench_lite", "L2", pairs, lambda draw: auc(*_unzipped(draw))))
        if shared:
            rated = [(scores[index], judged[issues[index]["instance_id"]] >= 2) for index in shared]
            out.append(
                resampled(name, "swebench_underspecified", "L2", rated, lambda draw: auc(*_unzipped(draw)))
            )
        out.append(resampled(name, "swebench_lite", "L3", pairs, lambda draw: precision(*_unzipped(draw))))
        out.append(resampled(name, "swebench_lite", "L3_lift", pairs, lambda draw: _lift(*_unzipped(draw))))
    return out


def _lift(scores: Scores, labels: Sequence[bool]) -> float:
    return precision(scores, labels) * len(labels) / sum(labels) if any(labels) else math.nan


def _unzipped(pairs: Sequence[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [score for score, _ in pairs], [label for _, label in pairs]


def alarms(folder: Path) -> list[Row]:
    """Return the share of developers' messages that get a hint, as the first message and as one of a conversation."""
    drafts = [case.text for case in specstory(folder)]
    out = []
    for subset, follow_up in (("specstory", False), ("specstory follow-up", True)):
        shown = [bool(propose(draft, follow_up=follow_up).hints) for draft in drafts]
        if shown:
            out.append(resampled("ours", subset, "hint_rate", shown, lambda draw: sum(draw) / len(draw)))
    return out
