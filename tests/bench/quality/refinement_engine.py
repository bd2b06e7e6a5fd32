"""What a local model adds to the rules by choosing among corrections: R1 to R7 on a sample nobody tuned on.

Cases: `rules`, the pipeline without a model; the model's id, the pipeline with it; `gain`, the difference between the
two, seed by seed; `do-nothing`. `seconds` is what a draft takes of which the model is asked anything.
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from anchorline import config
from anchorline.engine import manifest
from anchorline.engine.client import Engine
from anchorline.generation import Unavailable
from anchorline.plan import Refinement
from anchorline.refine import doubts
from anchorline.refine.mask import Masked
from anchorline.refine.propose import propose
from anchorline.surroundings import Surroundings
from bench.data.refinement_data import Case, Seeded, kept_for_measuring, prompts, seeded
from bench.reporting import interval, mean_interval

PATIENCE_S = 120.0
"""For one draft: the bench asks what the model can do, not how fast this machine is."""
LONGEST = 1_500
Row = dict[str, str | float | int]


class Model:
    """A local model, asked from ordinary code; each text once."""

    def __init__(self, name: str) -> None:
        self.name = next((known for known in manifest.models() if known.startswith(name)), name)
        self._runner = asyncio.Runner()
        try:
            self._engine = self._runner.run(self._start())
        except Unavailable:
            self._runner.close()
            raise
        self.seconds: list[float] = []
        self._refined: dict[tuple[str, Surroundings], Refinement] = {}

    async def _start(self) -> Engine:
        engine = Engine(config.Engine(model=self.name, deadline_seconds=PATIENCE_S, idle_seconds=0))
        await engine.start()
        return engine

    def close(self) -> None:
        """End the worker."""
        print(file=sys.stderr)
        self._runner.run(self._engine.close())
        self._runner.close()

    def refine(self, draft: str, surroundings: Surroundings) -> Refinement:
        """Return what the pipeline offers with the model."""
        key = draft, surroundings
        if key not in self._refined:
            proposed = propose(draft, surroundings)
            asked = doubts.doubts(Masked(proposed.text if proposed.text is not None else draft))
            started = time.perf_counter()
            self._refined[key] = self._runner.run(
                doubts.correct(draft, proposed, surroundings, self._engine, seconds=PATIENCE_S)
            )
            if asked:
                self.seconds.append(time.perf_counter() - started)
            print(f"\r{self.name}: {len(self._refined)} drafts", end="", file=sys.stderr, flush=True)
        return self._refined[key]


def sample(folder: Path, size: int) -> list[Case]:
    """Return up to `size` drafts of each source, chosen by a fixed seed."""
    by_source: dict[str, list[Case]] = defaultdict(list)
    for case in filter(kept_for_measuring, prompts(folder)):
        if len(case.text) <= LONGEST:
            by_source[case.source].append(case)
    chance = random.Random(0)
    return [case for cases in by_source.values() for case in chance.sample(cases, min(size, len(cases)))]


def seeds(folder: Path, size: int) -> list[Seeded]:
    """Return up to `size` seeded defects of each kind, chosen by a fixed seed."""
    by_kind: dict[str, list[Seeded]] = defaultdict(list)
    for seed in seeded(folder, kept_for_measuring):
        if len(seed.draft) <= LONGEST:
            by_kind[seed.kind].append(seed)
    chance = random.Random(0)
    return [seed for found in by_kind.values() for seed in chance.sample(found, min(size, len(found)))]


def measure(
    folder: Path,
    name: str,
    size: int,
    preservation: Callable[..., list[Row]],
    repairs: Callable[..., list[Row]],
    repaired: Callable[..., bool],
) -> list[Row]:
    """Return the rows; the measures are those of refinement.py."""
    model = Model(name)
    try:
        cases, defects = sample(folder, size), seeds(folder, size)

        def ruled(draft: str, surroundings: Surroundings) -> str:
            refined = propose(draft, surroundings)
            return draft if refined.text is None else refined.text

        def with_model(draft: str, surroundings: Surroundings) -> str:
            refined = model.refine(draft, surroundings)
            return draft if refined.text is None else refined.text

        refiners: dict[str, Callable[[str, Surroundings], str]] = {
            "rules": ruled, model.name: with_model, "do-nothing": lambda draft, _: draft,
        }  # fmt: skip
        out: list[Row] = []
        for case, refine in refiners.items():
            out += preservation(case, refine, cases)
            out += repairs(case, refine, defects)
        gains = [float(repaired(seed, with_model)) - float(repaired(seed, ruled)) for seed in defects]
        out.append(mean_interval("gain", "R6", gains))
        if model.seconds:
            out.append(interval(model.name, "seconds", model.seconds, subset="asked"))
        return [{**row, "subset": f"sample of {row['subset']}"} for row in out]
    finally:
        model.close()
