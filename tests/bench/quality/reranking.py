"""The first files of a ranking in the order of ranking and language model together: what the product does not do.

The model is asked how likely each path is as the answer to "which file is edited for this?", with the draft and without. The
difference of the logarithms is the pointwise mutual information of draft and path (Church and Hanks 1990), which a path
that is likely anyway, or short, gains nothing by. It counts as one more feature beside the ranking. `localize
--engine` measures it.
"""

import asyncio
import random
import sys
import time
from collections.abc import Sequence

import numpy as np

from anchorline import config
from anchorline.engine.client import Engine
from anchorline.engine.supervisor import Patience
from bench.data.localization import Task

INSTRUCTION = "You know a code repository and find the files that a developer's task changes."
QUESTION = "\n\nWhich file is edited for this task? Answer with its path."
UNKNOWN = "(not known yet)"
"""Stands for the draft where a path's own probability is asked for."""
HEAD, TAIL = 600, 300
"""Characters of a long draft that the model reads."""
FIRST = 20
"""Files of a ranking that are ranked anew."""
WEIGHT = 0.25
"""Of a standard deviation of the information, beside one of the ranking's scores."""
PATIENCE_S = 600.0
ENGINES = {"qwen0.5": "qwen2.5-coder-0.5b", "qwen1.5": "qwen2.5-coder-1.5b"}
"""Names of models for `localize --engine`; the id of any installed model does as well."""


class Reranker:
    """A local model that ranks anew, asked from ordinary code. `seconds` is what the drafts took, priors aside."""

    def __init__(self, model: str) -> None:
        self.seconds: list[float] = []
        self._runner = asyncio.Runner()
        self._priors: dict[str, float] = {}
        settings = config.Engine(model=ENGINES.get(model, model), deadline_seconds=PATIENCE_S, idle_seconds=0)
        self._engine = self._runner.run(self._made(settings))

    async def _made(self, settings: config.Engine) -> Engine:
        return Engine(settings, patience=Patience(stall=PATIENCE_S, start=PATIENCE_S))

    def close(self) -> None:
        """End the model."""
        self._runner.run(self._engine.close())
        self._runner.close()

    def _likelihoods(self, task: str, paths: Sequence[str]) -> list[float]:
        text = f"Task:\n{task}{QUESTION}"
        return self._runner.run(self._engine.score(text, paths, instruction=INSTRUCTION))

    def information(self, draft: str, paths: Sequence[str]) -> np.ndarray:
        """Return what the draft tells of each path, in nats."""
        fresh = [path for path in paths if path not in self._priors]
        if fresh:
            self._priors |= dict(zip(fresh, self._likelihoods(UNKNOWN, fresh), strict=True))
        text = draft.strip()
        text = text if len(text) <= HEAD + TAIL else f"{text[:HEAD]} … {text[-TAIL:]}"
        started = time.perf_counter()
        told = self._likelihoods(text, paths)
        self.seconds.append(time.perf_counter() - started)
        return np.array(told) - np.array([self._priors[path] for path in paths])

    def scores(self, draft: str, paths: Sequence[str], scores: np.ndarray) -> np.ndarray:
        """Return the scores of all files: of the first ones moved among themselves, of the others as they were."""
        first = np.argsort(-scores, kind="stable")[:FIRST]
        mixed = _standard(scores[first]) + WEIGHT * _standard(
            self.information(draft, [paths[at] for at in first])
        )
        moved = scores.astype(float).copy()
        moved[first[np.argsort(-mixed, kind="stable")]] = np.sort(scores[first])[::-1]
        return moved


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / (values.std() + 1e-9)


def sample(tasks: Sequence[Task], split: str, size: int) -> list[Task]:
    """Return up to `size` tasks of a split that name no file, in an order of chance."""
    own = [task for task in tasks if task.split == split and not task.named]
    return random.Random(0).sample(own, min(size, len(own)))


def reranked(
    model: str, tasks: Sequence[Task], drafts: dict[str, str], ranked: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[float]]:
    """Return the scores of the tasks' files with the model's part in them, and the seconds that each took."""
    reranker = Reranker(model)
    try:
        result = {}
        for number, task in enumerate(tasks, 1):
            result[task.id] = reranker.scores(drafts[task.id], task.paths, ranked[task.id])
            print(f"{model}: {number} of {len(tasks)} tasks", file=sys.stderr, flush=True)
        return result, reranker.seconds
    finally:
        reranker.close()


def read_drafts(rows: Sequence[dict]) -> dict[str, str]:
    """Return the drafts of the data's rows by their task's id."""
    return {row["id"]: row["prompt"] for row in rows}
