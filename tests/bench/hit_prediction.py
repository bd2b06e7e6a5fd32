"""Will the cache hit? P(hit) against what providers billed, beside the TTL rule.

    python tests/bench/hit_prediction.py --requests requests.jsonl.gz requests_more.jsonl.gz [--json] [--fit]

A request hits when it reads at least 90 % of the tokens of the request before it in its chain. Hard rows: a gap of 240 s
or more (start to start), a user's message, or a compaction; the rest is nearly always a hit. Cases: `ours` (the shipped
coefficients), `ttl-rule` (same model, no compaction, age up to the lifetime that was written), and `left-out` (each
train developer scored by coefficients fitted on the others; `ttl-rule` beside it on the same rows).

Subsets: the splits of the files; dev rows of developers who are never in train are `dev_developers`. `/all` and `/hard`
leave codex-auto-review out, `+auto-review` has it. Intervals: bootstrap by session, `/by-developer` by developer. The
TTL rule's probability is 1 or 0. `head/…` tells what a chain's very first request read.

`--fit` prints the coefficients for `anchorline.cache.hits`, fitted on the train developers. Needs numpy.
"""

import argparse
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from reporting import environment, show

from anchorline.cache import hits
from anchorline.cache.hits import Return
from anchorline.cache.rules import Rules
from anchorline.cache.rules import load as load_rules

ALIASES = {"m24": "u08", "m21": "u00", "m23": "u03"}
"""The same persons under two names: never trained on, since the other name's later requests are scored."""

REVIEW = "codex-auto-review"
SHRINKAGE = 3.0
"""Ridge penalty, in rows. Chosen on train developers left out, one by one, among 3 and 10."""

DRAWS = 200
BINS = 10


class Row(NamedTuple):
    """A request with the one before it in its chain."""

    subset: str
    developer: str
    session: str
    back: Return
    hit: bool
    hard: bool
    review: bool
    train: bool

    @property
    def rule(self) -> bool:
        """What the TTL rule says."""
        back = self.back
        return not back.compacted and not back.model_changed and back.age <= back.lifetime


class First(NamedTuple):
    """The first request of a main chain: the share of its input that was read."""

    agent: str
    session: str
    read: float


def read(paths: Sequence[Path]) -> tuple[list[Row], list[First]]:
    """Return the rows of all chains, and the first requests."""
    chains: dict[tuple[str, str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for request in map(json.loads, lines):
                chains[(path.name, request["agent"], request["session"], str(request["chain"]))].append(
                    request
                )
    known = {one["user"] for chain in chains.values() for one in chain if one["split"] == "train"}
    rules = load_rules()
    rows: list[Row] = []
    firsts = []
    for (_, agent, session, name), chain in chains.items():
        chain.sort(key=lambda one: one["first_at"])
        rows += _chain(chain, session, known, rules)
        if name == "main" and _total(chain[0]):
            firsts.append(First(agent, session, (chain[0]["read"] or 0) / _total(chain[0])))
    return rows, firsts


def _chain(chain: list[dict[str, Any]], session: str, known: set[str], rules: Rules) -> Iterator[Row]:
    lifetime: str | None = None
    turns = 0
    thought = False
    for before, request in zip([None, *chain], chain, strict=False):
        new = request["new_blocks"]
        thought |= any(part == "thinking" for _, part, *_ in new)
        user = request["trigger"] == "user"
        if before is not None and _total(before):
            provider = rules.for_model(before["model"] or request["model"] or "")
            written = "1h" if before["write_1h"] else "5m" if before["write_5m"] else lifetime
            lifetime = written
            lives = provider.lifetime(written or "default")
            gap = request["first_at"] - before["first_at"]
            claude = request["agent"] == "claude-code"
            texts = sum(role == "user" and part == "text" for role, part, *_ in new)
            back = Return(
                ttl=lives.name if lives is not None else "idle",
                age=max(_sent(request) - _sent(before), 0.0),
                lifetime=lives.seconds if lives is not None else 300,
                user=user,
                first=turns <= 1,
                thoughtless=claude and not thought,
                commands=claude and texts > 1,
                compacted=request["trigger"] == "compact",
                model_changed=before["model"] != request["model"],
            )
            split = request["split"]
            unseen = split == "dev" and request["user"] not in known
            yield Row(
                subset="dev_developers" if unseen else split,
                developer=request["user"],
                session=session,
                back=back,
                hit=(request["read"] or 0) >= 0.9 * _total(before),
                hard=gap >= 240 or request["trigger"] in ("user", "compact"),
                review=request["model"] == REVIEW,
                train=split == "train" and request["user"] not in ALIASES,
            )
        turns += user
        if request["trigger"] in ("user", "compact"):
            thought = False


def _sent(request: dict[str, Any]) -> float:
    return float(request["sent_at"] or request["first_at"])


def _total(request: dict[str, Any]) -> int:
    return int(request["input"] + (request["read"] or 0) + (request["write"] or 0))


def fit(rows: Sequence[Row]) -> dict[str, float]:
    """Return the coefficients of a ridge logistic regression on the rule's log odds.

    A row weighs 1/sqrt(rows of its developer), so that one busy developer does not speak for all. Where an older knot
    would get more than the one before it, they share one coefficient (adjacent violators are pooled).
    """
    found = [hits.terms(row.back) for row in rows]
    knots = [f"{name}:{age}" for name, ages in hits.KNOTS.items() for age in ages]
    names = knots + sorted({name for terms in found for name, _ in terms} - set(knots))
    column = {name: index for index, name in enumerate(names)}
    values = np.zeros((len(rows), len(names)))
    for index, terms in enumerate(found):
        for name, value in terms:
            values[index, column[name]] += value
    prior = np.array([hits.prior(row.back) for row in rows])
    hit = np.array([row.hit for row in rows], dtype=float)
    count = Counter(row.developer for row in rows)
    weight = np.array([count[row.developer] ** -0.5 for row in rows])
    weight *= len(rows) / weight.sum()
    group = np.arange(len(names))
    while True:
        pooled = (group[:, None] == np.unique(group)[None, :]).astype(float)
        solution = pooled @ _newton(values @ pooled, prior, hit, weight)
        wrong = next(
            (
                (column[f"{name}:{young}"], column[f"{name}:{old}"])
                for name, ages in hits.KNOTS.items()
                for young, old in pairwise(ages)
                if solution[column[f"{name}:{old}"]] > solution[column[f"{name}:{young}"]] + 1e-9
            ),
            None,
        )
        if wrong is None:
            return {name: round(float(solution[index]), 3) for name, index in column.items()}
        group[group == group[wrong[1]]] = group[wrong[0]]


def _newton(values: np.ndarray, prior: np.ndarray, hit: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Maximise the penalised likelihood."""
    solution = np.zeros(values.shape[1])
    ridge = SHRINKAGE * np.eye(len(solution))
    for _ in range(50):
        chance = 1 / (1 + np.exp(-(prior + values @ solution)))
        curve = weight * chance * (1 - chance)
        slope = values.T @ (weight * (hit - chance)) - ridge @ solution
        step = np.linalg.solve((values * curve[:, None]).T @ values + ridge, slope)
        solution += step
        if np.abs(step).max() < 1e-6:
            break
    return solution


def left_out(rows: Sequence[Row]) -> tuple[list[Row], list[float]]:
    """Return the train rows with the probability that the other developers' data gives."""
    scored: list[Row] = []
    chances: list[float] = []
    for developer in sorted({row.developer for row in rows}):
        others = fit([row for row in rows if row.developer != developer])
        own = [row for row in rows if row.developer == developer]
        scored += own
        chances += [hits.probability(row.back, others) for row in own]
    return scored, chances


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
    train = [row for row in rows if row.train and not row.review]
    if len({row.developer for row in train}) > 1:
        scored, chances = left_out(train)
        for width in ("all", "hard"):
            kept = [index for index, row in enumerate(scored) if row.hard or width == "all"]
            ours, chance = [scored[index] for index in kept], [chances[index] for index in kept]
            found += compared(f"left-out/{width}/by-developer", ours, chance, by_developer, "left-out")
    return found


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
    """Print the table, one JSON object, or the coefficients."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fit", action="store_true")
    arguments = parser.parse_args()
    rows, firsts = read(arguments.requests)
    if arguments.fit:
        for name, value in fit([row for row in rows if row.train and not row.review]).items():
            print(f'    "{name}": {value},')
        return
    about = environment() | {"numpy": np.__version__, "developers": len({row.developer for row in rows})}
    found = report(rows) + heads(firsts)
    show("hit_prediction", found, about, as_json=arguments.json)


if __name__ == "__main__":
    main()
