"""How often is an experiment's verdict wrong, and how many sessions does it take? Simulated, looking after every session.

    python tests/bench experiments [--runs 1000] [--sessions 3000] [--json]

A session's relative cost is drawn from a gamma distribution (mean .25, deviation .12; it is cheap where the cache is used well),
and its acceptance is the share of three requests that are accepted, .85 of them. The challenger's cost is multiplied by the
subset: `equal`, `-5%`, `-10%`, `-20%`, `+20%`; `less-accepted` costs 20 % less, and .65 is accepted. Half of the sessions are
its own. Cases: `ours`, the rule of `anchorline.trial.evidence`; `fixed-z`, the same rule with the usual 95 % interval (z = 1.645)
looked at after every session, which is what a peeking developer does.
Metrics: `promoted` and `rolled_back`, shares of the runs; `sessions`, the median number of sessions until then.
"""

import argparse

import numpy as np

from anchorline.trial.evidence import FEWEST, MARGIN, radius
from bench.reporting import environment, interval, show

WORLDS = {
    "equal": (1.0, 0.85),
    "-5%": (0.95, 0.85),
    "-10%": (0.9, 0.85),
    "-20%": (0.8, 0.85),
    "+20%": (1.2, 0.85),
    "less-accepted": (0.8, 0.65),
}
COST, DEVIATION, ACCEPTED, REQUESTS = 0.25, 0.12, 0.85, 3


def differences(arms: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference and its terms' deviation after each session, as `evidence.difference` has them."""
    found = []
    for mask in (arms, ~arms):
        count = np.maximum(mask.cumsum(axis=1), 1)
        mean = (values * mask).cumsum(axis=1) / count
        found.append((count, mean, (values**2 * mask).cumsum(axis=1) / count - mean**2))
    (n1, m1, v1), (n0, m0, v0) = found
    total = np.arange(1, arms.shape[1] + 1)
    return m1 - m0, np.sqrt(np.maximum(4 * (n1 * v1 + n0 * v0), 0) / total)


def first(seen: np.ndarray) -> np.ndarray:
    """Return after which session something is seen first, infinite where it is not."""
    return np.where(seen.any(axis=1), seen.argmax(axis=1) + 1.0, np.inf)


def share(case: str, metric: str, seen: np.ndarray, subset: str) -> dict:
    """Return a row with the share of the runs in which something was seen, and its 95 % interval."""
    value = float(seen.mean())
    spread = 1.96 * (value * (1 - value) / len(seen)) ** 0.5
    row = {"case": case, "subset": subset, "metric": metric, "value": round(value, 4), "n": len(seen)}
    return row | {"low": round(max(value - spread, 0.0), 4), "high": round(min(value + spread, 1.0), 4)}


def run(runs: int, sessions: int, seed: int = 0) -> list[dict]:
    """Return the rows."""
    draw = np.random.default_rng(seed)
    shape = (COST / DEVIATION) ** 2
    total = np.arange(1, sessions + 1)
    halves = {
        "ours": np.array([radius(count, 1.0) for count in total]),
        "fixed-z": 1.645 / np.sqrt(total),
    }
    rows = []
    for subset, (factor, accepted) in WORLDS.items():
        arms = draw.random((runs, sessions)) < 0.5
        costs = draw.gamma(shape, COST / shape, (runs, sessions)) * np.where(arms, factor, 1.0)
        good = draw.binomial(REQUESTS, np.where(arms, accepted, ACCEPTED)) / REQUESTS
        cost, cost_spread = differences(arms, costs)
        gain, gain_spread = differences(arms, good)
        sides = arms.cumsum(axis=1)
        enough = np.minimum(sides, total - sides) >= FEWEST
        for case, half in halves.items():
            cost_half, gain_half = half * cost_spread, half * gain_spread
            better = first(enough & (cost + cost_half < 0) & (gain - gain_half > -MARGIN))
            worse = first(enough & ((cost - cost_half > 0) | (gain + gain_half < 0)))
            promoted, back = better < worse, worse <= np.where(np.isinf(worse), -1, better)
            rows += [share(case, "promoted", promoted, subset), share(case, "rolled_back", back, subset)]
            ended = np.minimum(better, worse)
            if np.isfinite(ended).mean() > 0.5:
                rows.append(interval(case, "sessions", np.minimum(ended, sessions).tolist(), subset=subset))
    return rows


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    show("experiments", run(given.runs, given.sessions), environment(), as_json=given.json)


if __name__ == "__main__":
    main()
