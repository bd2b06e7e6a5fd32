"""How many requests use a prefix, and how much does each add? What `anchorline.route.choose` counts with.

    python tests/bench prefix_uses --requests requests.jsonl.gz requests_more.jsonl.gz [--json]

For every request of a split: itself and the requests of its chain after it, up to the next compaction or a pause of
more than an hour (`uses`); of Claude Code's, what is new in it (`new_tokens`), and how many a person's message or a
compaction starts (`turn`). Prints quantiles and means; intervals by bootstrap over sessions.
"""

import argparse
import gzip
import json
import platform
import random
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from bench.data.joint_sessions import sessions

PAUSE_S = 3600
SHARES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75}
METRICS = (*SHARES, "mean")


def uses(paths: list[Path]) -> dict[str, dict[str, list[int]]]:
    """Return {split: {session: [requests that use the prefix]}}."""
    chains: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["model"] != "codex-auto-review":
                    chains[(row["split"], row["session"], str(row["chain"]))].append(row)
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for (split, session, _), rows in chains.items():
        rows.sort(key=lambda row: row["first_at"])
        following = 0
        counts = []
        for row, later in zip(reversed(rows), [None, *reversed(rows[1:])], strict=True):
            over = (
                later is None
                or later["trigger"] == "compact"
                or later["first_at"] - row["first_at"] > PAUSE_S
            )
            following = 1 if over else following + 1
            counts.append(following)
        found[split][session] += counts
    return found


def added(paths: list[Path], split: str) -> dict[str, list[list[int]]]:
    """Return the new tokens of requests that are not a chain's first, and the lengths of turns, session by session."""
    found: dict[str, list[list[int]]] = {"new_tokens": [], "turn": []}
    for session in sessions(paths, [split]):
        new, turns = [], []
        for chain in session:
            new += [asked.step.tokens - asked.step.shared for asked in chain[1:]]
            starts = [index for index, asked in enumerate(chain) if asked.said is not None or not index]
            turns += [end - start for start, end in pairwise([*starts, len(chain)])]
        found["new_tokens"].append(new)
        found["turn"].append(turns)
    return found


def figure(sessions: list[list[int]], metric: str) -> float:
    """Return a quantile, or the mean, over all values of the sessions."""
    values = sorted(value for session in sessions for value in session)
    return values[int(SHARES[metric] * (len(values) - 1))] if metric in SHARES else round(fmean(values), 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    draw = random.Random(0)
    rows = []
    for split, by_session in sorted(uses(arguments.requests).items()):
        found = {"uses": list(by_session.values()), **added(arguments.requests, split)}
        for case, counted in found.items():
            if not any(counted):
                continue
            drawn = [draw.choices(counted, k=len(counted)) for _ in range(40)]
            for metric in METRICS:
                values = sorted(figure(sample, metric) for sample in drawn if any(sample))
                rows.append(
                    {
                        "case": case,
                        "subset": split,
                        "metric": metric,
                        "value": figure(counted, metric),
                        "low": values[0],
                        "high": values[-1],
                        "n": sum(map(len, counted)),
                    }
                )
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"bench": "prefix_uses", "rows": rows, "environment": environment}))
        return
    for row in rows:
        print("{case:10} {subset:10} {metric:4} {value:5} [{low}, {high}] n={n}".format(**row))


if __name__ == "__main__":
    main()
