"""The sets of prompts with the scores of many models on them, as the benches and the training of the route read them.

A set is a `.jsonl.gz` of rows with `prompt` and `score {model: value}`, or with SWE-bench's `resolved_cost_calls
{model: [0 or 1, USD, calls]}`; `cost_usd {model: USD}` where it is known. Rows with `set` are told apart by it. What
must not be torn apart by a split is `subject` or `repo`; rows with a `date` are split by time.
"""

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

FOLDS = 5
TIME_CUT = "2024-03"
"""Rows with a date are scored from here on, by what was trained on rows before the first that is scored."""

PERMITTED = {"livecodebench": "MIT", "gsm8k": "Apache-2.0", "mmlu": "Apache-2.0"}
"""The sets that what ships may be trained on, and their licences."""

UNSEEN = "2024-07"
"""What ships was trained on the permitted sets, on rows of an earlier date where they have one."""

PAIRS: tuple[tuple[str, str, float], ...] = (
    ("GPT-4O-mini-2024-07-18", "O4-Mini (Medium)", 0.14),
    ("mistralai/mistral-7b-chat", "gpt-4-1106-preview", 0.01),
    ("mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview", 0.01),
    ("GPT-5 nano (2025-08-07) (medium reasoning)", "Claude 4.5 Opus medium (20251101)", 0.05),
    ("gpt-3.5", "gpt-4", 0.05),
)
"""Weak model, strong model, and the ratio of their list prices for where a set knows no costs."""


@dataclass(frozen=True)
class Prompts:
    """One set: its prompts, who solved them how well (0 to 1), and what must stay together."""

    name: str
    prompts: list[str]
    groups: list[str]
    dates: list[str] | None
    scores: dict[str, np.ndarray]
    costs: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def folds(self) -> np.ndarray:
        """The fold of every row, by a hash of its group: the same in every folder."""
        return np.array([xxhash.xxh64_intdigest(group.encode()) % FOLDS for group in self.groups])

    @cached_property
    def pair(self) -> tuple[str, str, float]:
        """The weak and the strong model, and the ratio of their prices."""
        for weak, strong, ratio in PAIRS:
            found = self.named(weak), self.named(strong)
            if found[0] and found[1]:
                return found[0], found[1], ratio
        raise ValueError(f"{self.name}: none of the pairs of models that are compared has scores")

    def named(self, model: str) -> str | None:
        """Return the model of this name, or the shortest that goes on after it (a date, a size); owners don't count."""
        wanted = _bare(model)
        near = [name for name in self.scores if f"{_bare(name)}-".startswith(f"{wanted}-")]
        return min(near, key=len, default=None)

    def rows(self, chosen: np.ndarray) -> "Prompts":
        """Return the rows for which `chosen` is true."""
        numbers = np.flatnonzero(chosen)
        return Prompts(
            self.name,
            [self.prompts[i] for i in numbers],
            [self.groups[i] for i in numbers],
            None if self.dates is None else [self.dates[i] for i in numbers],
            {model: values[numbers] for model, values in self.scores.items()},
            {model: values[numbers] for model, values in self.costs.items()},
        )


def _bare(model: str) -> str:
    return model.lower().rpartition("/")[2]


def read(folder: Path) -> dict[str, Prompts]:
    """Return all sets of a folder by name."""
    found = {}
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        stem = path.name.removesuffix(".jsonl.gz").removesuffix("_by_subject").removesuffix("_verified")
        stem = stem.replace("routerbench_", "routerbench-")
        tables: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if "prompt" in row and ("score" in row or "resolved_cost_calls" in row):
                tables.setdefault(f"{stem}-{row['set']}" if "set" in row else stem, []).append(row)
        found.update({name: _prompts(name, table) for name, table in tables.items()})
    return found


def _prompts(name: str, rows: list[dict[str, Any]]) -> Prompts:
    scores = [
        row["score"] if "score" in row else {m: run[0] for m, run in row["resolved_cost_calls"].items()}
        for row in rows
    ]
    costs = [
        row["cost_usd"]
        if "cost_usd" in row
        else {m: run[1] for m, run in row.get("resolved_cost_calls", {}).items()}
        for row in rows
    ]
    best = max(value for score in scores for value in score.values() if value is not None)
    full = next(scale for scale in (1, 10, 100) if best <= scale)
    models = [model for model in scores[0] if all(score.get(model) is not None for score in scores)]
    priced = [model for model in models if all(cost.get(model) is not None for cost in costs)]
    return Prompts(
        name,
        [row["prompt"] for row in rows],
        [str(row.get("subject") or row.get("repo") or row["prompt"]) for row in rows],
        [row["date"] for row in rows] if "date" in rows[0] else None,
        {model: np.array([score[model] for score in scores], float) / full for model in models},
        {model: np.array([cost[model] for cost in costs], float) for model in priced},
    )
