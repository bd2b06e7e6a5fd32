"""Will the cache hit? P(hit) against what providers billed, beside the TTL rule.

    python tests/bench hit_prediction --requests requests.jsonl.gz requests_more.jsonl.gz [--json]
    python tests/bench hit_prediction --requests requests.jsonl.gz requests_more.jsonl.gz --write FILE

A request hits when it reads at least 90 % of the tokens of the request before it in its chain. Hard rows: a gap of 240 s
or more (start to start), a user's message, or a compaction; the rest is nearly always a hit. Cases: `ours` (the shipped
coefficients) and `ttl-rule` (same model, no compaction, age up to the lifetime that was written).

Subsets: the splits of the files; dev rows of developers who are never in train are `dev_developers`. `/all` and `/hard`
leave codex-auto-review out, `+auto-review` has it. Intervals: bootstrap by session, `/by-developer` by developer. The
TTL rule's probability is 1 or 0. `head/…` tells what a chain's very first request read.

`left-out` (not with --quick): the rows of train and dev, each developer scored by what was fitted on all others: `ours` (the
coefficients), `network` (the hit head, which corrects them), `trees` (gradient boosting), `ttl-rule`. `adapted` is the same
after each developer's first 200 requests, which then bend the others' prediction; only later rows are scored, `…-unadapted`
is without. `accuracy_over_rule` is the difference to the TTL rule's accuracy on the same rows, its interval paired.

`--write` fits the coefficients on the train developers and writes them as `anchorline/cache/hits.toml`. Needs numpy, MLX, scikit-learn.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anchorline.cache import hits
from bench.data.hit_rows import First, Row, read
from bench.make.hit_models import adapted, fit, left_out, written
from bench.reporting import environment, show

DRAWS = 200
BINS = 10


def metrics(chance: np.ndarray, hit: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Return all metrics of weighted rows. ECE has ten bins of equal width."""
    total = weight.sum()
    right = ((chance >= 0.5) == hit) * weight
    yes, no = weight[hit].sum(), weight[~hit].sum()
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    off = np.bincount(bins, weight * (chance - hit), BINS)
    order = np.argsort(chance, kind="stable")
    _, group = np.unique(chance[order], return_inverse=True)
    positive = np.bincount(group, (weight * hit)[order])
    negative = np.bincount(group, (weight * ~hit)[order])
    below = np.cumsum(negative) - negative / 2
    return {
        "accuracy": right.sum() / total,
        "balanced_accuracy": (right[hit].sum() / yes + right[~hit].sum() / no) / 2 if yes and no else np.nan,
        "auc": (positive * below).sum() / (yes * no) if yes and no else np.nan,
        "brier": (weight * (chance - hit) ** 2).sum() / total,
        "ece": np.abs(off).sum() / total,
    }


def measured(
    case: str, subset: str, rows: Sequence[Row], chances: Iterable[float], by: Callable[[Row], str]
) -> list[dict[str, Any]]:
    """Return the report's rows of one case, with intervals from a bootstrap of whole groups."""
    chance = np.fromiter(chances, float)
    hit = np.array([row.hit for row in rows])
    _, group = np.unique([by(row) for row in rows], return_inverse=True)
    groups = int(group.max()) + 1
    value = metrics(chance, hit, np.ones(len(rows)))
    generator = np.random.default_rng(0)
    draws: dict[str, list[float]] = defaultdict(list)
    for _ in range(DRAWS):
        times = np.bincount(generator.integers(0, groups, groups), minlength=groups)
        weight = times[group].astype(float)
        for name, drawn in metrics(chance, hit, weight).items():
            draws[name].append(drawn)
    report = []
    for name, one in value.items():
        if np.isnan(one):  # all hits, or all misses
            continue
        low, high = np.nanquantile(draws[name], (0.025, 0.975))
        figures = {"value": one, "low": low, "high": high}
        rounded = {key: round(float(figure), 4) for key, figure in figures.items()}
        report.append({"case": case, "subset": subset, "metric": name, **rounded, "n": len(rows)})
    return report


def compared(
    subset: str,
    rows: Sequence[Row],
    chances: Sequence[float],
    by: Callable[[Row], str],
    case: str = "ours",
) -> list[dict[str, Any]]:
    """Return ours beside the TTL rule."""
    if not rows:
        return []
    rule = (float(row.rule) for row in rows)
    return measured(case, subset, rows, chances, by) + measured("ttl-rule", subset, rows, rule, by)


def report(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return everything but the first requests."""

    def by_session(row: Row) -> str:
        return row.session

    def by_developer(row: Row) -> str:
        return row.developer

    found = []
    for subset in sorted({row.subset for row in rows}):
        mine = [row for row in rows if row.subset == subset]
        for width in ("all", "hard"):
            wide = [row for row in mine if row.hard or width == "all"]
            plain = [row for row in wide if not row.review]
            chances = [hits.probability(row.back) for row in plain]
            found += compared(f"{subset}/{width}", plain, chances, by_session)
            if len(wide) > len(plain):
                chances = [hits.probability(row.back) for row in wide]
                found += compared(f"{subset}/{width}+auto-review", wide, chances, by_session)
            elif subset == "dev_developers":
                found += compared(f"{subset}/{width}/by-developer", plain, chances, by_developer)
    return found


def others(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what is foretold of developers by the others' rows, and after their own first requests."""
    kept = [row for row in rows if row.subset != "test_time" and not row.review]
    if len({row.person for row in kept}) < 3:
        return []
    found = []
    told = left_out(kept)
    bent = {case: adapted(kept, chances) for case, chances in told.items()}
    for width in ("all", "hard"):
        own = [index for index, row in enumerate(kept) if row.hard or width == "all"]
        cases = {case: chances[own] for case, chances in told.items()}
        found += _beside_rule(f"left-out/{width}/by-developer", [kept[index] for index in own], cases)
        later = bent["ours"][0]
        places = [place for place, index in enumerate(later) if kept[index].hard or width == "all"]
        cases = {case: chances[places] for case, (_, chances) in bent.items()}
        same = [later[place] for place in places]
        cases |= {f"{case}-unadapted": chances[same] for case, chances in told.items()}
        found += _beside_rule(f"adapted/{width}/by-developer", [kept[index] for index in same], cases)
    return found


def _beside_rule(subset: str, rows: Sequence[Row], cases: dict[str, np.ndarray]) -> Iterable[dict[str, Any]]:
    rule = np.array([row.rule for row in rows])
    hit = np.array([row.hit for row in rows])
    people, group = np.unique([row.person for row in rows], return_inverse=True)
    sizes = np.bincount(group)
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(people), len(people)) for _ in range(1000)]
    for case, chances in (cases | {"ttl-rule": rule.astype(float)}).items():
        yield from measured(case, subset, rows, chances, lambda row: row.person)
        if case != "ttl-rule":
            ahead = ((chances >= 0.5) == hit).astype(float) - (rule == hit)
            sums = np.bincount(group, ahead)
            low, high = np.quantile([sums[draw].sum() / sizes[draw].sum() for draw in draws], (0.025, 0.975))
            values = {"value": ahead.mean(), "low": low, "high": high}
            rounded = {key: round(float(one), 4) for key, one in values.items()}
            yield {
                "case": case, "subset": subset, "metric": "accuracy_over_rule", **rounded, "n": len(rows)
            }  # fmt: skip


def heads(firsts: Sequence[First]) -> list[dict[str, Any]]:
    """Return what first requests found warm: prefixes are shared across sessions."""
    generator = np.random.default_rng(0)
    found = []
    for agent in sorted({one.agent for one in firsts}):
        shares = np.array([one.read for one in firsts if one.agent == agent])
        for metric, values in (("read_anything", shares > 0), ("read_share", shares)):
            means = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(DRAWS)]
            low, high = np.quantile(means, (0.025, 0.975))
            figures = {"value": values.mean(), "low": low, "high": high}
            rounded = {key: round(float(figure), 4) for key, figure in figures.items()}
            found.append({"case": agent, "subset": "head", "metric": metric, **rounded, "n": len(values)})
    return found


def main() -> None:
    """Print the report, or write the coefficients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--quick", action="store_true", help="leave out what is fitted anew, a few minutes")
    arguments = parser.parse_args()
    rows, firsts = read(arguments.requests)
    if arguments.write:
        coefficients = fit([row for row in rows if row.train and not row.review])
        arguments.write.write_text(written(coefficients), "utf-8")
        return
    about = environment() | {"numpy": np.__version__, "developers": len({row.person for row in rows})}
    found = report(rows) + ([] if arguments.quick else others(rows)) + heads(firsts)
    show("hit_prediction", found, about, as_json=arguments.json)


if __name__ == "__main__":
    main()
