"""How a bench reports: a table for people, or one JSON object with rows of the same form everywhere."""

import json
import os
import platform
import random
import statistics
import sys
from collections.abc import Sequence
from typing import Any

DRAWS = 2000
"""Samples of a bootstrap."""


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def interval(
    case: str, metric: str, values: Sequence[float], value: float | None = None, subset: str = "all"
) -> dict[str, Any]:
    """Return a row: `value` (the median where it is not given) with the middle 95 % of the values."""
    return {
        "case": case,
        "subset": subset,
        "metric": metric,
        "value": round(statistics.median(values) if value is None else value, 4),
        "low": round(percentile(values, 0.025), 4),
        "high": round(percentile(values, 0.975), 4),
        "n": len(values),
    }


def mean_interval(
    case: str, metric: str, values: Sequence[float], subset: str = "all", groups: Sequence[str] | None = None
) -> dict[str, Any]:
    """Return a row: the mean of the values with its 95 % interval, bootstrapped over them, or over their groups."""
    by_group: dict[str, list[float]] = {}
    for number, value in enumerate(values):
        by_group.setdefault(groups[number] if groups is not None else str(number), []).append(value)
    sums = [(sum(group), len(group)) for group in by_group.values()]
    chance = random.Random(0)
    means = []
    for _ in range(DRAWS):
        drawn = chance.choices(sums, k=len(sums))
        means.append(sum(total for total, _ in drawn) / sum(count for _, count in drawn))
    mean = sum(values) / len(values)
    return {**interval(case, metric, means, mean, subset), "n": len(values)}


def environment() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
    }


def show(name: str, rows: list[dict[str, Any]], about: dict[str, Any], *, as_json: bool) -> None:
    """Print the rows."""
    if as_json:
        json.dump({"bench": name, "rows": rows, "environment": about}, sys.stdout)
        print()
        return
    print(f"{'case':12} {'subset':12} {'metric':18} {'value':>10} {'low':>10} {'high':>10} {'n':>6}")
    for row in rows:
        figures = " ".join(f"{row[key]:10.3f}" for key in ("value", "low", "high"))
        print(f"{row['case']:12} {row['subset']:12} {row['metric']:18} {figures} {row['n']:6}")
