"""Makes the table of `server/anchorline/route/quality.py`, and measures how well it tells where a strong model gains.

    python tests/bench quality_fit --data DIR [--json]

DIR holds livecodebench, gsm8k and mmlu_by_subject (.jsonl.gz: `prompt`, `score {model: value}`, `subject`). Ridge
regression of the weak models' success, and of the strong models' gain over them; each set counts the same, and
only differences inside a set are fitted. APGR as RouteLLM defines it (random .5), five-fold cross-validated with
the subjects of MMLU held out whole (`cv`), and fitted on the other two sets (`left_out`); 95 % intervals by
bootstrap over groups. `ours` sees the length, `structure` nine structural numbers. Needs only the package itself.
"""

import argparse
import gzip
import json
import platform
import random
import time
from math import log1p
from pathlib import Path

from anchorline.route import quality
from anchorline.route.catalog import load

WEAK = (
    "Claude-3-Haiku",
    "GPT-4O-mini-2024-07-18",
    "Gemini-Flash-1.5-002",
    "Codestral-Latest",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
)
STRONG = (
    "O4-Mini (Medium)",
    "O3-Mini-2025-01-31 (Med)",
    "O1-2024-12-17 (N=1) (Med)",
    "Gemini-2.5-Pro",
    "Claude-3.7-Sonnet (Thinking)",
    "gpt-4-1106-preview",
)
PAIRS = {
    "livecodebench": ("GPT-4O-mini-2024-07-18", "O4-Mini (Medium)"),
    "gsm8k": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"),
    "mmlu_by_subject": ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"),
}
LAMBDA = 0.05
FOLDS = 5
CASES = {"ours": (0,), "structure": tuple(range(9))}
"""The columns of `structure` that each case sees."""


def structure(prompt: str) -> tuple[float, ...]:
    """Return nine numbers: lengths, shares of digits, capitals, code marks and stops, a question, widths."""
    sample = prompt[:2000].encode("utf-8", "replace")
    size = len(sample) or 1
    lines = sample.count(b"\n")
    return (
        log1p(len(prompt)),
        log1p(prompt.count("\n")),
        (size - len(sample.translate(None, b"0123456789"))) / size,
        (size - len(sample.translate(None, bytes(range(65, 91))))) / size,
        min(size / (sample.count(b" ") + lines + 1), 12.0),
        (size - len(sample.translate(None, rb"{}[]()<>=;_`/\*+#$|^&%"))) / size,
        float(b"?" in sample),
        (size - len(sample.translate(None, b".,:!"))) / size,
        log1p(size / (lines + 1)),
    )


def read(folder: Path) -> dict[str, list[dict]]:
    """Return {set: rows}, each row with its structure, group, and the means of weak and strong models."""
    found = {}
    for name in PAIRS:
        rows = []
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for index, line in enumerate(lines):
                row = json.loads(line)
                score = row["score"]
                weak = [score[model] for model in WEAK if model in score]
                strong = [score[model] for model in STRONG if model in score]
                rows.append(
                    {
                        "x": structure(row["prompt"]),
                        "prompt": row["prompt"],
                        "group": row.get("subject", index),
                        "weak": sum(weak) / len(weak),
                        "strong": sum(strong) / len(strong),
                        "pair": (score[PAIRS[name][0]], score[PAIRS[name][1]]),
                    }
                )
        found[name] = rows
    return found


class Table:
    """Means and deviations of the columns, and the two straight lines."""

    def __init__(self, columns: tuple[int, ...]) -> None:
        width = len(columns)
        self.columns = columns
        self.mean = [0.0] * width
        self.deviation = [0.0] * width
        self.base = {"weak": 0.0, "gain": 0.0}
        self.slope = {"weak": [0.0] * width, "gain": [0.0] * width}

    def scaled(self, x: tuple[float, ...]) -> list[float]:
        """Return the columns of a prompt as the module scales them."""
        chosen = zip(self.columns, self.mean, self.deviation, strict=True)
        return [min(max((x[i] - mean) / deviation, -3.0), 3.0) for i, mean, deviation in chosen]

    def gain(self, x: tuple[float, ...]) -> float:
        """Return what a strong model is expected to gain."""
        return sum(a * b for a, b in zip(self.slope["gain"], self.scaled(x), strict=True))


def fit(sets: dict[str, list[dict]], columns: tuple[int, ...]) -> Table:
    """Fit both lines."""
    table = Table(columns)
    width = range(len(columns))
    weight = {name: 1 / len(rows) / len(sets) for name, rows in sets.items()}
    everything = [(weight[name], row["x"]) for name, rows in sets.items() for row in rows]
    for i, column in enumerate(columns):
        table.mean[i] = sum(w * x[column] for w, x in everything)
        table.deviation[i] = sum(w * (x[column] - table.mean[i]) ** 2 for w, x in everything) ** 0.5 + 1e-6
    square = [[LAMBDA * (i == j) for j in width] for i in width]
    right = {"weak": [0.0 for _ in width], "gain": [0.0 for _ in width]}
    for name, rows in sets.items():
        z = [table.scaled(row["x"]) for row in rows]
        inside = [sum(column) / len(rows) for column in zip(*z, strict=True)]
        target = {
            "weak": [row["weak"] for row in rows],
            "gain": [row["strong"] - row["weak"] for row in rows],
        }
        level = {key: sum(values) / len(rows) for key, values in target.items()}
        for key, value in level.items():
            table.base[key] += value / len(sets)
        for number, values in enumerate(z):
            centred = [value - middle for value, middle in zip(values, inside, strict=True)]
            for i, a in enumerate(centred):
                weighted = weight[name] * a
                for j, b in enumerate(centred):
                    square[i][j] += weighted * b
                for key, values_of in target.items():
                    right[key][i] += weighted * (values_of[number] - level[key])
    table.slope = {key: solve(square, values) for key, values in right.items()}
    return table


def solve(square: list[list[float]], right: list[float]) -> list[float]:
    """Solve a small positive definite system by elimination."""
    rows = [[*line, value] for line, value in zip(square, right, strict=True)]
    for i, pivot in enumerate(rows):
        for other in rows[i + 1 :]:
            factor = other[i] / pivot[i]
            for j in range(i, len(pivot)):
                other[j] -= factor * pivot[j]
    result = [0.0] * len(rows)
    for i in reversed(range(len(rows))):
        known = sum(rows[i][j] * result[j] for j in range(i + 1, len(rows)))
        result[i] = (rows[i][-1] - known) / rows[i][i]
    return result


def apgr(order: list[float], pairs: list[tuple[float, float]]) -> float:
    """Return the area under the recovered performance gap when the strong model takes the highest first."""
    total = sum(strong - weak for weak, strong in pairs)
    if not total:
        return 0.5
    ranked = sorted(range(len(pairs)), key=lambda index: -order[index])
    area = recovered = 0.0
    for index in ranked:
        weak, strong = pairs[index]
        area += recovered + (strong - weak) / 2
        recovered += strong - weak
    return area / total / len(pairs)


def interval(order: list[float], rows: list[dict]) -> tuple[float, float]:
    """Return the 95 % interval of APGR, by groups drawn with replacement."""
    groups: dict = {}
    for index, row in enumerate(rows):
        groups.setdefault(row["group"], []).append(index)
    keys = list(groups)
    draw = random.Random(0)
    values = []
    for _ in range(100):
        chosen = [index for key in draw.choices(keys, k=len(keys)) for index in groups[key]]
        values.append(apgr([order[i] for i in chosen], [rows[i]["pair"] for i in chosen]))
    values.sort()
    return values[2], values[97]


def cross_validated(sets: dict[str, list[dict]], columns: tuple[int, ...]) -> dict[str, list[float]]:
    """Return the expected gains of every row, fitted without its group."""
    held = {name: [0.0] * len(found) for name, found in sets.items()}
    order = {name: sorted({row["group"] for row in found}, key=str) for name, found in sets.items()}
    fold = {name: {group: i % FOLDS for i, group in enumerate(groups)} for name, groups in order.items()}
    for number in range(FOLDS):
        train = {
            name: [row for row in found if fold[name][row["group"]] != number] for name, found in sets.items()
        }
        table = fit(train, columns)
        for name, found in sets.items():
            for i, row in enumerate(found):
                if fold[name][row["group"]] == number:
                    held[name][i] = table.gain(row["x"])
    return held


def measure(sets: dict[str, list[dict]]) -> list[dict]:
    """Return the rows of the table."""
    rows = []
    for case, columns in CASES.items():
        held = cross_validated(sets, columns)
        for split in ("cv", "left_out"):
            values = []
            for name, found in sets.items():
                expected = held[name]
                if split == "left_out":
                    others = fit({other: rest for other, rest in sets.items() if other != name}, columns)
                    expected = [others.gain(row["x"]) for row in found]
                value = apgr(expected, [row["pair"] for row in found])
                values.append(value)
                low, high = interval(expected, found)
                rows.append(line(case, f"{name}/{split}", "apgr", value, low, high, len(found)))
            mean = sum(values) / len(values)
            rows.append(line(case, f"mean/{split}", "apgr", mean, None, None, len(values)))
    return [*rows, speed(sets)]


def line(
    case: str, subset: str, metric: str, value: float, low: float | None, high: float | None, n: int
) -> dict:
    """Return one row."""
    figures = {"value": value, "low": low, "high": high}
    rounded = {key: round(figure, 4) if figure is not None else None for key, figure in figures.items()}
    return {"case": case, "subset": subset, "metric": metric, **rounded, "n": n}


def speed(sets: dict[str, list[dict]]) -> dict:
    """Return the time to judge one prompt for six candidates."""
    model = quality.HeuristicQuality()
    candidates = load().of_provider("anthropic")[:6]
    prompts = [row["prompt"] for rows in sets.values() for row in rows[:200]]
    times = []
    for prompt in prompts:
        start = time.perf_counter()
        features = model.features(prompt, in_session=False)
        for candidate in candidates:
            model.p_success(features, candidate)
        times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    median, low, high = (times[int(share * (len(times) - 1))] for share in (0.5, 0.025, 0.975))
    return line("ours", "all", "judge_us", median, low, high, len(times))


def main() -> None:
    """Print the table for the module, and the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sets = read(arguments.data)
    rows = measure(sets)
    table = fit(sets, CASES["ours"])
    lines = {
        "mean": round(table.mean[0], 4),
        "deviation": round(table.deviation[0], 4),
        "base": tuple(round(table.base[key], 4) for key in ("weak", "gain")),
        "slope": tuple(round(table.slope[key][0], 4) for key in ("weak", "gain")),
    }
    if arguments.json:
        environment = {"python": platform.python_version(), "machine": platform.machine(), "table": lines}
        print(json.dumps({"bench": "quality_fit", "rows": rows, "environment": environment}))
        return
    for key, value in lines.items():
        print(f"{key} = {value}")
    for row in rows:
        band = f"[{row['low']:.3f}, {row['high']:.3f}]" if row["low"] is not None else " " * 14
        print(
            f"{row['subset']:24} {row['case']:10} {row['metric']:9} {row['value']:7.3f} {band} n={row['n']}"
        )


if __name__ == "__main__":
    main()
