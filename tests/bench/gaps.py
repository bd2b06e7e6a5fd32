"""How long until the next request on a prefix? The table in `anchorline.cache.reuse`, from recorded sessions.

    python tests/bench/gaps.py --requests requests.jsonl.gz requests_more.jsonl.gz [--json]

For each trigger: the share of requests whose chain goes on within 5 minutes, 30 minutes, 1 hour; a chain that ends
counts as never. Judged on `train` rows; the other splits are printed beside it. Intervals: bootstrap by session.
"""

import argparse
import gzip
import json
import platform
import random
from collections import defaultdict
from pathlib import Path

LIMITS = (300, 1800, 3600)


def gaps(paths: list[Path]) -> dict[tuple[str, str], dict[str, list[float]]]:
    """Return {(split, trigger): {session: [gap in seconds, inf for never]}}."""
    chains: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["model"] != "codex-auto-review":
                    chains[(row["agent"], row["session"], str(row["chain"]))].append(row)
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (_, session, _), rows in chains.items():
        rows.sort(key=lambda row: row["first_at"])
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            gap = following["first_at"] - row["first_at"] if following else float("inf")
            found[(row["split"], row["trigger"] or "unknown")][session].append(gap)
    return found


def share(sessions: list[list[float]], limit: float) -> float:
    """Return the share of gaps up to `limit` seconds."""
    total = sum(len(session) for session in sessions)
    return sum(gap <= limit for session in sessions for gap in session) / max(total, 1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=Path, nargs="+", required=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    generator = random.Random(0)
    for (split, trigger), by_session in sorted(gaps(arguments.requests).items()):
        sessions = list(by_session.values())
        for limit in LIMITS:
            draws = sorted(share(generator.choices(sessions, k=len(sessions)), limit) for _ in range(200))
            rows.append(
                {
                    "case": trigger,
                    "subset": split,
                    "metric": f"within_{limit}s",
                    "value": round(share(sessions, limit), 4),
                    "low": round(draws[4], 4),
                    "high": round(draws[194], 4),
                    "n": sum(map(len, sessions)),
                }
            )
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"bench": "gaps", "rows": rows, "environment": environment}))
        return
    for row in rows:
        print("{subset:10} {case:8} {metric:14} {value:.3f} [{low:.3f}, {high:.3f}] n={n}".format(**row))


if __name__ == "__main__":
    main()
