"""Makes `ttft_ms` and `tps` of the measured models in `server/anchorline/route/models.toml`: how fast do models answer?

    python tests/bench answer_speed --traces weka.jsonl.gz [--split train] [--json]

Requests with `api_time` (seconds), `out` (tokens) and `model`, in traces as of kv-cache-tester. By model: the median time
of each tenth of the answers by length, and the straight line through these medians: start + tokens / speed.
"""

import argparse
import gzip
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

LEAST = 300
"""Requests of a model below which nothing is said of it."""


def requests(trace: list[dict]) -> Iterator[dict]:
    """Yield the requests of a trace, those of sub-agents among them."""
    for row in trace:
        if row.get("type") == "subagent":
            yield from requests(row["requests"])
        elif row.get("api_time") and row.get("out"):
            yield row


def line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Return (seconds to start, tokens a second) of answers given as (tokens, seconds)."""
    points.sort()
    size = len(points)
    tenths = [points[size * i // 10 : size * (i + 1) // 10] for i in range(10)]
    middles = [(median(t for t, _ in part), median(s for _, s in part)) for part in tenths]
    x = sum(t for t, _ in middles) / 10
    y = sum(s for _, s in middles) / 10
    slope = sum((t - x) * (s - y) for t, s in middles) / sum((t - x) ** 2 for t, _ in middles)
    return y - slope * x, 1 / slope


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with gzip.open(arguments.traces, "rt", encoding="utf-8") as lines:
        for text in lines:
            trace = json.loads(text)
            if trace.get("split") == arguments.split:
                for row in requests(trace["requests"]):
                    found[row["model"]].append((row["out"], row["api_time"]))
    rows = []
    for model, points in sorted(found.items()):
        if len(points) < LEAST:
            continue
        start, speed = line(points)
        for metric, value in (("ttft_ms", start * 1000), ("tokens_per_second", speed)):
            rows.append(
                {
                    "case": model,
                    "subset": arguments.split,
                    "metric": metric,
                    "value": round(value),
                    "low": None,
                    "high": None,
                    "n": len(points),
                }
            )
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine()}
        print(json.dumps({"bench": "answer_speed", "rows": rows, "environment": environment}))
        return
    for row in rows:
        print(f"{row['case']:28} {row['metric']:18} {row['value']:6} n={row['n']}")


if __name__ == "__main__":
    main()
