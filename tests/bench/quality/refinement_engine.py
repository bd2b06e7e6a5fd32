"""What a local model adds to the rules, and what it does without them: R1 to R7 on a seeded sample.

Cases: `rules`, the pipeline without a model; the model's id, the pipeline with it; `enhance`, the same model under the
usual "enhance this prompt" template, its answer taken as it is; `do-nothing`. Before the guard, of the text that the
model writes: `raw_copied`, `raw_pass_rate` (of what it changed) and `accepted` (of all drafts it was asked about).
"""

import asyncio
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from anchorline import config
from anchorline.engine import manifest
from anchorline.engine.client import Engine
from anchorline.generation import Request, Unavailable
from anchorline.plan import Refinement
from anchorline.refine import candidate, guard, templates
from anchorline.refine.mask import Masked
from anchorline.refine.propose import propose
from anchorline.surroundings import Surroundings
from bench.data.refinement_data import Case, Seeded, prompts, seeded

ENHANCE = (
    "Generate an enhanced version of this prompt (reply with only the enhanced prompt - no conversation, explanations, "
    "lead-in, bullet points, placeholders, or surrounding quotes):\n\n"
)
PATIENCE_S = 120.0
"""For one draft: the bench asks what the model can do, not how fast this machine is."""
LONGEST = 1_500
Row = dict[str, str | float | int]


class Model:
    """A local model, asked from ordinary code; each text once."""

    def __init__(self, name: str) -> None:
        self.name = next((known for known in manifest.models() if known.startswith(name)), name)
        self._runner = asyncio.Runner()
        self._template = templates.load(self.name)
        try:
            self._engine = self._runner.run(self._start())
        except Unavailable:
            self._runner.close()
            raise
        self.written: dict[str, str] = {}
        self.first: list[float] = []
        self._done: dict[tuple[str, Surroundings], Refinement] = {}
        self._enhanced: dict[str, str] = {}

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
        if key not in self._done:
            self._done[key] = self._runner.run(self._improve(draft, surroundings))
            self._tell()
        return self._done[key]

    async def _improve(self, draft: str, surroundings: Surroundings) -> Refinement:
        pieces: list[str] = []
        started = time.perf_counter()

        def told(text: str) -> None:
            if text and not any(pieces):
                self.first.append(time.perf_counter() - started)
            pieces.append(text)

        proposed = propose(draft, surroundings)
        refined = await candidate.improve(
            draft, proposed, surroundings, self._engine, self._template, seconds=PATIENCE_S, on_text=told
        )
        if pieces:
            self.written[draft] = "".join(pieces)
        return refined

    def enhance(self, draft: str, _: Surroundings) -> str:
        """Return the model's answer to the usual template."""
        if draft not in self._enhanced:
            self._enhanced[draft] = self._runner.run(self._answer(draft))
            self._tell()
        return self._enhanced[draft]

    async def _answer(self, draft: str) -> str:
        request = Request(ENHANCE + draft, max_tokens=min(256, len(draft) // 3 + 32))
        text = ""
        with suppress(Unavailable):  # too slow: what there is counts
            async with aclosing(self._engine.generate(request)) as chunks:
                async for chunk in chunks:
                    text += chunk.text
        return text.strip()

    def _tell(self) -> None:
        print(
            f"\r{self.name}: {len(self._done) + len(self._enhanced)} answers",
            end="",
            file=sys.stderr,
            flush=True,
        )


def sample(folder: Path, size: int) -> list[Case]:
    """Return up to `size` drafts of each source that a model may be asked about, chosen by a fixed seed."""
    by_source: dict[str, list[Case]] = defaultdict(list)
    for case in prompts(folder):
        if len(case.text) <= LONGEST:
            by_source[case.source].append(case)
    chance = random.Random(0)
    return [case for cases in by_source.values() for case in chance.sample(cases, min(size, len(cases)))]


def seeds(folder: Path, size: int) -> list[Seeded]:
    """Return up to `size` seeded defects of each kind, chosen by a fixed seed."""
    by_kind: dict[str, list[Seeded]] = defaultdict(list)
    for seed in seeded(folder):
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
    share: Callable[..., Row],
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
            "rules": ruled, model.name: with_model, "enhance": model.enhance, "do-nothing": lambda draft, _: draft,
        }  # fmt: skip
        out: list[Row] = []
        for case, refine in refiners.items():
            out += preservation(case, refine, cases)
            out += repairs(case, refine, defects)
        out += _raw(model, cases, defects, share)
        return [{**row, "subset": f"sample of {row['subset']}"} for row in out]
    finally:
        model.close()


def _raw(model: Model, cases: list[Case], defects: list[Seeded], share: Callable[..., Row]) -> list[Row]:
    drafts: dict[str, Any] = {each.text: each.surroundings for each in cases}
    drafts |= {each.draft: each.surroundings for each in defects}
    copied, passed, accepted = [], [], []
    for draft, text in model.written.items():
        around = drafts.get(draft)
        if around is None:
            continue
        proposed = propose(draft, around)
        base = draft if proposed.text is None else proposed.text
        copied.append(text == base)
        if text != base:
            passed.append(guard.check(Masked(draft), text, around).ok)
        accepted.append(model.refine(draft, around).engine == model.name)
    enhanced = [
        guard.check(Masked(case.text), model.enhance(case.text, case.surroundings)).ok for case in cases
    ]
    rows = [
        share(model.name, "drafts", "raw_copied", copied),
        share(model.name, "drafts", "raw_pass_rate", passed),
        share(model.name, "drafts", "accepted", accepted),
        share("enhance", "drafts", "raw_pass_rate", enhanced),
    ]
    if model.first:
        ordered = sorted(model.first)
        rows.append(
            {"case": model.name, "subset": "drafts", "metric": "first_piece_s", "value": statistics.median(ordered),
             "low": ordered[int(0.025 * len(ordered))], "high": ordered[int(0.975 * len(ordered))], "n": len(ordered)}
        )  # fmt: skip
    return rows
