"""Makes `server/anchorline/cache/gaps.toml` from recorded sessions, and judges it: how long until the next request?

    python tests/bench gaps --weka weka.jsonl.gz --near-duplicates weka_near_duplicates.json \
        --requests requests.jsonl.gz requests_more.jsonl.gz [--write FILE] [--json]

Fits on `train` rows only (`--write` says where to). Judges the fitted table on every split: Brier score of "the next
request comes within 5 minutes, 1 hour", beside that of the plain share in the training rows. Requests count by their
tokens, because money does; a session's end counts as never. Intervals: bootstrap by session. Needs numpy. `answered`:
the prediction after the answer, whose end is known, as a keep-alive decision has it (WEKA only: not logged elsewhere).
"""

import argparse
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from anchorline.cache.gaps import (
    STOPS,
    TRIGGERS,
    HazardGaps,
    Hazards,
    HazardScores,
    Moment,
    Stage,
    bins,
)
from bench.data import weka_traces
from bench.reporting import environment, percentile, show
from support.ideal_replay import ChainStep, gap, moment

EARLY = (10.0, 60.0, 180.0)
TIMES = (300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 10800.0)
EDGES = {
    "depth": (1, 2, 6, 16, 41, 91),
    "tokens": (15_000, 30_000, 50_000, 80_000, 110_000),
    "pause": (8, 20, 60, 200, 600),
    "pace": (8, 15, 30, 60, 120),
    "tempo": (8, 15, 30, 60, 120),
    "turn": (0, 30, 90, 200, 500),
    "long": (0.05, 0.6, 1, 2),
    "run": (1, 3, 8, 15, 23),
    "elapsed": (60, 600, 1800, 5400, 15_000),
}
WIDTHS = {
    "trigger": len(TRIGGERS),
    "stop": len(TRIGGERS) * len(STOPS),
    **{name: len(edges) + 1 for name, edges in EDGES.items()},
}
RIDGE = 1.7
"""Shrinks the coefficients; picked on train by cross-validation (between 0.5 and 5 it hardly matters)."""


REPEATED = ("m21", "m23", "m24")
"""Developers of requests_more who are also in requests: left out, so that none is in two splits."""


class Row(NamedTuple):
    """One request: what was known, what came, how much it counts."""

    moment: Moment
    gap: float
    weight: float
    split: str
    source: str
    session: str
    stop: str
    output: int = 0


def weka_rows(traces: Iterable[weka_traces.Trace]) -> list[Row]:
    """Return the requests of WEKA's traces."""
    return [
        Row(
            moment(chain, index),
            gap(chain, index),
            step.tokens,
            trace.split,
            "weka",
            trace.id,
            step.stop,
            step.output,
        )
        for trace in traces
        for chain in trace.chains
        for index, step in enumerate(chain)
    ]


def request_rows(path: Path) -> list[Row]:
    """Return the requests of a file of logged sessions. Their answers' ends are not logged."""
    chains: dict[tuple[str, str, str], list[dict]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["model"] != "codex-auto-review" and row["user"] not in REPEATED:
                chains[(row["agent"], row["session"], str(row["chain"]))].append(row)
    found = []
    for (_, session, _), logged in chains.items():
        logged.sort(key=lambda row: row["first_at"])
        steps = [
            ChainStep(
                row["first_at"],
                sum(row[key] or 0 for key in ("input", "read", "write")),
                0,
                row["trigger"] or "user",
            )
            for row in logged
        ]
        found += [
            Row(moment(steps, i), gap(steps, i), step.tokens, logged[i]["split"], path.name[:-9], session, "")
            for i, step in enumerate(steps)
        ]
    return found


def fit(rows: Sequence[Row]) -> Hazards:
    """Fit the table. Every conversation also counts a little as if its pauses were not known: bodies have none."""
    weights = weights_of(rows)
    known = [(row.moment, row.gap, weight) for row, weight in zip(rows, weights, strict=True)]
    bare = [
        (replace(given, pauses=(), elapsed=0.0), wait, 0.25 * weight)
        for given, wait, weight in known
        if given.pauses
    ]
    answered = [
        (replace(row.moment, stop=row.stop), row.gap, weight)
        for row, weight in zip(rows, weights, strict=True)
        if row.stop in STOPS
    ]
    waits = np.array([wait for _, wait, _ in known])
    share = [np.average(waits > seconds, weights=weights) for seconds in (*EARLY, TIMES[0])]
    powers = [round(float(np.log(one) / np.log(share[-1])), 4) for one in share[:-1]]
    return Hazards(
        tuple(zip(EARLY, powers, strict=True)), TIMES, EDGES, _stage(known + bare), _stage(answered)
    )


def weights_of(rows: Sequence[Row]) -> np.ndarray:
    """Return each request's tokens over the mean of its source, so that no source drowns another."""
    tokens = np.array([row.weight for row in rows])
    sources = np.array([row.source for row in rows])
    return (
        tokens
        / np.array([tokens[sources == source].mean() for source in np.unique(sources)])[
            np.searchsorted(np.unique(sources), sources)
        ]
    )


def _stage(known: Sequence[tuple[Moment, float, float]]) -> Stage:
    offsets, width = {}, 0
    for name, size in WIDTHS.items():
        offsets[name] = width
        width += size
    design = np.zeros((len(known), width), np.float32)
    for row, (given, _, _) in enumerate(known):
        for name, index in bins(given, EDGES):
            design[row, offsets[name] + index] = 1
    waits = np.array([wait for _, wait, _ in known])
    weights = np.array([weight for _, _, weight in known])
    first = _logistic(design, np.ones((len(known), 1)), waits > TIMES[0], weights)
    pieces = [np.flatnonzero(waits > low) for low in TIMES[:-1]]
    rows = np.concatenate(pieces)
    level = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    longer = waits[rows] > np.array(TIMES)[level + 1]
    further = _logistic(design[rows], np.eye(len(pieces))[level], longer, weights[rows])
    return Stage(_scores(*first, offsets), _scores(*further, offsets))


def _scores(coefficients: np.ndarray, intercepts: np.ndarray, offsets: dict[str, int]) -> HazardScores:
    by_feature = {
        name: tuple(round(float(one), 3) for one in coefficients[offsets[name] : offsets[name] + size])
        for name, size in WIDTHS.items()
    }
    kept = {name: values for name, values in by_feature.items() if any(values)}
    return HazardScores(tuple(round(float(one), 3) for one in intercepts), kept)


def _logistic(
    design: np.ndarray, levels: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a ridge-penalised logistic regression by Newton's method; the intercepts (`levels`) are hardly shrunk."""
    full = np.hstack([design, levels.astype(np.float32)])
    penalty = np.full(full.shape[1], RIDGE)
    penalty[design.shape[1] :] = 0.01
    found = np.zeros(full.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-(full @ found)))
        slope = full.T @ (weights * (p - truth)) + penalty * found
        curve = full.T @ (full * (weights * p * (1 - p))[:, None].astype(np.float32))
        step = np.linalg.solve(curve + np.diag(penalty), slope)
        found -= step
        if np.abs(step).max() < 1e-4:
            break
    return found[: design.shape[1]], found[design.shape[1] :]


def judged(rows: Sequence[Row], table: Hazards, shares: dict[int, float]) -> list[dict]:
    """Return Brier scores of the model (`ours`, `answered`) and of the plain share (`marginal`), by source and split."""
    model = HazardGaps(table)
    groups: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        groups[f"{row.source}/{row.split}"][row.session].append(row)
    draw = random.Random(0)
    found = []
    for subset, sessions in sorted(groups.items()):
        for case in ("ours", "answered", "marginal") if subset.startswith("weka") else ("ours", "marginal"):
            sums: dict[int, list[tuple[float, float]]] = {limit: [] for limit in shares}
            for session in sessions.values():
                errors = dict.fromkeys(shares, 0.0)
                for row in session:
                    stop = row.stop if case == "answered" else ""
                    gaps = None if case == "marginal" else model.after(replace(row.moment, stop=stop))
                    for limit, share in shares.items():
                        p = share if gaps is None else gaps.within(limit)
                        errors[limit] += row.weight * (p - (row.gap <= limit)) ** 2
                weight = sum(row.weight for row in session)
                for limit, error in errors.items():
                    sums[limit].append((error, weight))
            for limit, pairs in sums.items():
                draws = [_ratio(draw.choices(pairs, k=len(pairs))) for _ in range(300)]
                found.append(
                    {
                        "case": case,
                        "subset": subset,
                        "metric": f"brier_{limit}s",
                        "value": round(_ratio(pairs), 5),
                        "low": round(percentile(draws, 0.025), 5),
                        "high": round(percentile(draws, 0.975), 5),
                        "n": sum(map(len, sessions.values())),
                    }
                )
    return found


def _ratio(sums: Sequence[tuple[float, float]]) -> float:
    return sum(error for error, _ in sums) / sum(weight for _, weight in sums)


def written(table: Hazards) -> str:
    """Return the table as TOML."""

    def numbers(values: Sequence[float]) -> str:
        return "[" + ", ".join(f"{value:g}" for value in values) + "]"

    lines = [
        "# Coefficients of anchorline.cache.gaps.HazardGaps; docs/explain/lifetimes.md explains them. Made by",
        "# python tests/bench gaps --weka FILE --near-duplicates FILE --requests FILE… --write THIS",
        "early = [" + ", ".join(numbers(pair) for pair in table.early) + "]",
        f"times = {numbers(table.times)}",
        "\n[edges]",
        *(f"{name} = {numbers(edges)}" for name, edges in table.edges.items()),
    ]
    for stage in ("before", "after"):
        for part in ("first", "further"):
            scores = getattr(getattr(table, stage), part)
            lines += [f"\n[{stage}.{part}]", f"intercepts = {numbers(scores.intercepts)}"]
            lines += [f"[{stage}.{part}.coefficients]"]
            lines += [f"{name} = {numbers(values)}" for name, values in scores.coefficients.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit, judge, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weka", type=Path, required=True)
    parser.add_argument("--near-duplicates", type=Path)
    parser.add_argument("--requests", type=Path, nargs="*", default=[])
    parser.add_argument("--write", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = weka_rows(weka_traces.read(arguments.weka, arguments.near_duplicates))
    for path in arguments.requests:
        rows += request_rows(path)
    train = [row for row in rows if row.split == "train"]
    table = fit(train)
    if arguments.write:
        arguments.write.write_text(written(table), "utf-8")
    weights = weights_of(train)
    waits = np.array([row.gap for row in train])
    shares = {limit: float(np.average(waits <= limit, weights=weights)) for limit in (300, 3600)}
    show("gaps", judged(rows, table, shares), environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
