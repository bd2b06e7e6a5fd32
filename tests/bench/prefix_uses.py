"""How many requests use a prefix? The figure behind `anchorline.route.choose.REQUESTS`, from recorded sessions.

    python tests/bench/prefix_uses.py --requests requests.jsonl.gz requests_more.jsonl.gz [--json]

For every request of a split: itself and the requests of its chain after it, up to the next compaction or a pause of
more than an hour. Prints quantiles; intervals by bootstrap over sessions.
"""

import argparse
import gzip
import json
import platform
import random
from collections import defaultdict
from pathlib import Path

PAUSE_S = 3600
SHARES = {"p10": 0.1, "p25": 0.25, "p50": 0.5, "p75": 0.75}


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


def quantile(sessions: list[list[int]], share: float) -> int:
    """Return a quantile over all requests of the sessions."""
    values = sorted(value for session in sessions for value in session)
    return values[int(share * (len(values) - 1))]


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
        sessions = list(by_session.values())
        drawn = [draw.choices(sessions, k=len(sessions)) for _ in range(40)]
        for metric, share in SHARES.items():
            values = sorted(quantile(sample, share) for sample in drawn)
            rows.append(
                {
                    "case": "prefix_uses",
                    "subset": split,
                    "metric": metric,
                    "value": quantile(sessions, share),
                    "low": values[0],
                    "high": values[-1],
                    "n": sum(map(len, sessions)),
                }
            )
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"bench": "prefix_uses", "rows": rows, "environment": environment}))
        return
    for row in rows:
        print("{subset:10} {metric:4} {value:5} [{low}, {high}] n={n}".format(**row))


if __name__ == "__main__":
    main()
