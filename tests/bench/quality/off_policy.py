"""Do the off-policy estimates hold? A table that knows every reward is masked by a logging policy, again and again.

    python tests/bench off_policy [--data DIR] [--repetitions 200] [--json]

Each repetition draws as many sessions as the table has, with replacement, and one model for each prompt by the logging policy,
estimates another policy's mean reward from that, and compares it with the truth, which the table knows. Subsets: `synthetic` (made here: 2 000 prompts in 400
sessions, 5 actions), and with --data each of routerbench and swebench_verified (a prompt's reward is its score less what it
cost). The target policies: `greedy` takes what a ridge regression on half of the prompts finds best, `soft` softens it,
`uniform` picks at random. The logging policy prefers cheap models and tries each one with at least 5 %.
Metrics: `coverage`, the share of repetitions whose 95 % interval holds the truth; `relative_error`, the median of
|estimate − truth| / |truth|; `effective`, the median effective sample size; the case is the estimator, with the policy.
`mean-logged` is what ignoring the question gives: the mean of the logged rewards.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from anchorline.route.quality import intent
from anchorline.trial import off_policy
from bench.reporting import environment, percentile, show

DEAREST = 0.3
"""What the dearest model costs, in score: it makes it lose on easy prompts."""
FLOOR = 0.05


class Table:
    """Rewards of every action (n × actions), features (n × k), groups (n)."""

    def __init__(self, rewards: np.ndarray, features: np.ndarray, groups: np.ndarray) -> None:
        self.rewards, self.features, self.groups = rewards, features, groups


def synthetic(seed: int = 7) -> Table:
    """Return a table whose rewards depend on features, on the session, and on chance."""
    draw = np.random.default_rng(seed)
    groups = np.repeat(np.arange(400), 5)
    features = draw.normal(size=(len(groups), 6)) + draw.normal(size=(400, 6))[groups]
    odds = features @ draw.normal(size=(6, 5)) * 0.6 + draw.normal(size=(400, 5))[groups] * 0.5
    solved = draw.random(odds.shape) < 1 / (1 + np.exp(-odds))
    return Table(solved - np.linspace(0.0, 0.3, 5), features, groups)


def recorded(path: Path) -> Table:
    """Return a table from a routing data set: score less cost, the dearest model's mean cost counting as `DEAREST`."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    scored: list[dict[str, tuple[float, float]]] = [
        {name: (one[0], one[1]) for name, one in row["resolved_cost_calls"].items() if None not in one[:2]}
        if "resolved_cost_calls" in row
        else {name: (score, row["cost_usd"][name]) for name, score in row["score"].items()}
        for row in rows
    ]
    names = sorted(set.intersection(*(set(row) for row in scored)))
    table = np.array([[row[name] for name in names] for row in scored])
    rewards = table[..., 0] - DEAREST * table[..., 1] / table[..., 1].mean(axis=0).max()
    return Table(rewards, np.array([_features(row["prompt"]) for row in rows]), np.arange(len(rows)))


def _features(prompt: str) -> tuple[float, ...]:
    digits = sum(map(str.isdigit, prompt)) / (len(prompt) + 1)
    return np.log1p(len(prompt)), np.log1p(prompt.count("\n")), digits, intent(prompt)


def policies(table: Table) -> dict[str, np.ndarray]:
    """Return the target policies (n × actions), fitted on every second prompt's full information."""
    x = np.hstack([table.features, np.ones((len(table.features), 1))])
    half = x[::2]
    weights = np.linalg.lstsq(half.T @ half + np.eye(x.shape[1]), half.T @ table.rewards[::2], rcond=None)[0]
    expected = x @ weights
    actions = table.rewards.shape[1]
    return {
        "greedy": np.eye(actions)[expected.argmax(axis=1)],
        "soft": _softmax(expected / 0.1),
        "uniform": np.full(table.rewards.shape, 1 / actions),
    }


def _softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def logging_policy(table: Table) -> np.ndarray:
    """Return the logging policy: a wrong guess from the first feature, and `FLOOR` for every action."""
    actions = table.rewards.shape[1]
    first = table.features[:, 0]
    rank = np.argsort(np.argsort(first)) / len(first)
    guess = _softmax(-6.0 * np.abs(np.linspace(0, 1, actions)[None, :] - 0.6 * rank[:, None]))
    return FLOOR + (1 - actions * FLOOR) * guess


def repeat(table: Table, repetitions: int, subset: str) -> Iterator[dict]:
    """Yield the rows of one table."""
    chosen, targets = logging_policy(table), policies(table)
    count, actions = table.rewards.shape
    truth = {name: float((one * table.rewards).sum(axis=1).mean()) for name, one in targets.items()}
    found: dict[str, list[tuple[float, bool, float]]] = {}
    names = np.unique(table.groups)
    members = [np.flatnonzero(table.groups == name) for name in names]
    for seed in range(repetitions):
        draw = np.random.default_rng(seed)
        sessions = [members[one] for one in draw.integers(len(names), size=len(names))]
        rows = np.concatenate(sessions)
        groups = np.repeat(np.arange(len(sessions)), [len(one) for one in sessions])
        taken = (chosen[rows].cumsum(axis=1) > draw.random(len(rows))[:, None]).argmax(axis=1)
        logged = off_policy.log(taken, chosen[rows, taken], table.rewards[rows, taken], groups)
        model = off_policy.fitted(logged, table.features[rows], actions)
        for name, whole in targets.items():
            target = whole[rows]
            for case, estimate in (
                ("snips", off_policy.snips(logged, target)),
                ("doubly-robust", off_policy.doubly_robust(logged, target, model)),
            ):
                inside = estimate.low <= truth[name] <= estimate.high
                error = abs(estimate.value - truth[name]) / abs(truth[name])
                found.setdefault(f"{case}-{name}", []).append((error, inside, estimate.effective))
            error = abs(logged.rewards.mean() - truth[name]) / abs(truth[name])
            found.setdefault(f"mean-logged-{name}", []).append((error, False, count))
        if sys.stderr.isatty():
            print(f"\r{subset} {seed + 1}/{repetitions}", end="", file=sys.stderr)
    for case, results in found.items():
        errors = [error for error, _, _ in results]
        metrics = [("relative_error", float(np.median(errors)), errors)]
        if not case.startswith("mean-logged"):
            inside = float(np.mean([held for _, held, _ in results]))
            half = 1.96 * (inside * (1 - inside) / len(results)) ** 0.5
            metrics.append(("coverage", inside, [inside - half, inside + half]))
            sizes = [effective for _, _, effective in results]
            metrics.append(("effective", float(np.median(sizes)), sizes))
        for metric, value, values in metrics:
            low, high = (
                values if metric == "coverage" else (percentile(values, 0.025), percentile(values, 0.975))
            )
            figures = {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}
            yield {"case": case, "subset": subset, "metric": metric, **figures, "n": len(results)}


def main() -> None:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with routerbench.jsonl.gz and swebench_verified.jsonl.gz"
    )
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tables = {"synthetic": synthetic()}
    for name in ("routerbench", "swebench_verified") if arguments.data else ():
        path = arguments.data / f"{name}.jsonl.gz"
        if path.exists():
            tables[name] = recorded(path)
    rows = [row for name, table in tables.items() for row in repeat(table, arguments.repetitions, name)]
    show("off_policy", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
