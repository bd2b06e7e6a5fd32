"""Does refinement help who reads the prompt? A local coder reads it, greedily: code that passes, files that are found.

    python tests/bench helps --data DIR --model MODEL [--problems N] [--tasks N --repositories DIR] [--cache DIR] [--json]

problems   HumanEval problems whose description is spoilt (spoiling.py): `original`, `raw` (spoilt) and `refined` (spoilt,
           then refined by the rules and the model's choices) are each answered with code, which is run apart from
           everything against the problem's tests. Of the problems that spoiling changed, in a fixed order.
tasks      the reader chooses the file to edit among 50: the edited one, those that are ranked first, and others by chance.
           `raw` is the draft as it is, `refined` the draft with what we would add; only drafts that get additions.

Differences are paired, by problem or task; intervals are bootstraps. Answers are kept in `--cache` by what was asked, so
a run goes on where an earlier one stopped; `--problems` and `--tasks` take the first so many.
"""

import argparse
import asyncio
import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from anchorline import config
from anchorline.engine.client import Engine
from anchorline.engine.supervisor import Patience
from anchorline.generation import Request
from anchorline.ground.additions import additions
from anchorline.ground.retrieve import retrieve
from anchorline.refine import doubts
from anchorline.refine.context_lines import with_additions
from anchorline.refine.propose import propose
from anchorline.surroundings import NOTHING
from bench import reporting
from bench.data import localization
from bench.data.generated_code import passes
from bench.data.spoiling import SPOILERS

PROGRAMMER = "You write Python. Answer with the complete function in one code block and nothing else."
LOCATOR = "You know a code repository. Answer with the number of the one file that is edited for the task."
MOST_TOKENS = 320
CHOICES = 50
PATIENCE_S = 600.0
"""For one answer: the bench asks whether it is right, not how soon it comes."""
SPOILT = 3
"""Defects of a description."""
FENCE = re.compile(r"```(?:python)?\n(.*?)(?:```|\Z)", re.DOTALL)
HEAD, TAIL = 900, 600
Row = dict[str, Any]


class Reader:
    """A local model, each question asked once and its answer kept."""

    def __init__(self, model: str, folder: Path | None) -> None:
        self.model, self._folder = model, folder
        self._runner = asyncio.Runner()
        self.engine = self._runner.run(self._made())

    async def _made(self) -> Engine:
        settings = config.Engine(model=self.model, deadline_seconds=PATIENCE_S, idle_seconds=0)
        return Engine(settings, patience=Patience(stall=PATIENCE_S, start=PATIENCE_S))

    def close(self) -> None:
        """End the model."""
        self._runner.run(self.engine.close())
        self._runner.close()

    def answer(self, text: str) -> str:
        """Return the answer to a task for a programmer."""
        request = Request(text, PROGRAMMER, max_tokens=MOST_TOKENS)
        return str(self._kept(("generate", PROGRAMMER, text, MOST_TOKENS), lambda: self._generated(request)))

    async def _generated(self, request: Request) -> str:
        written = ""
        async with aclosing(self.engine.generate(request)) as chunks:
            async for chunk in chunks:
                written += chunk.text
        return written

    def likelihoods(self, text: str, labels: Sequence[str]) -> list[float]:
        """Return the log-probability of each label as the answer of a locator."""
        asked = ("score", LOCATOR, text, list(labels))
        return list(self._kept(asked, lambda: self.engine.score(text, labels, instruction=LOCATOR)))

    def refined(self, draft: str) -> str:
        """Return what the rules and the model's choices make of a draft."""

        async def corrected() -> str:
            refined = await doubts.correct(draft, propose(draft), NOTHING, self.engine, seconds=PATIENCE_S)
            return draft if refined.text is None else refined.text

        ruled = propose(draft).text or draft
        return str(self._kept(("refine", draft, ruled), corrected))

    def _kept(self, asked: tuple[Any, ...], ask: Any) -> Any:
        name = hashlib.sha256(json.dumps([self.model, *asked]).encode()).hexdigest()
        path = self._folder / f"{name}.json" if self._folder is not None else None
        if path is not None and path.exists():
            return json.loads(path.read_text("utf-8"))
        answer = self._runner.run(ask())
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps(answer), "utf-8")
            partial.replace(path)
        return answer


class Problem(NamedTuple):
    """A function to be written: its head, what it shall do, spoilt too, and what tests it."""

    name: str
    head: str
    description: str
    spoilt: str
    examples: str
    test: str


def problems(folder: Path) -> Iterator[Problem]:
    """Yield the problems whose description can be spoilt, in an order of chance."""
    lines = (folder / "humaneval_xl" / "English.jsonl").read_text("utf-8").splitlines()
    given = [json.loads(line) for line in lines]
    random.Random(0).shuffle(given)
    for row in given:
        before, quotes, _ = row["prompt"].partition('"""')
        if not quotes:
            before, _, _ = row["prompt"].partition("'''")
        text, mark, examples = row["description"].partition(">>>")
        description = " ".join(text.split())
        spoilt = _spoilt(description, random.Random(row["task_id"]))
        if spoilt != description:
            test = f"{row['test']}\ncheck({row['entry_point']})\n"
            yield Problem(row["task_id"], before.rstrip(), description, spoilt, mark + examples, test)


def _spoilt(text: str, chance: random.Random) -> str:
    names, weights = list(SPOILERS), [weight for weight, _ in SPOILERS.values()]
    for name in chance.choices(names, weights, k=SPOILT):
        text = SPOILERS[name][1](text, chance) or text
    return text


def _task(problem: Problem, description: str) -> str:
    examples = f"\n\n{problem.examples.strip()}" if problem.examples.strip() else ""
    return f"{description}{examples}\n\n```python\n{problem.head}\n```"


def solved(problem: Problem, answer: str) -> bool:
    """Tell whether an answer's code passes the problem's tests."""
    found = FENCE.search(answer)
    code = found[1] if found is not None else answer
    imports = "\n".join(line for line in problem.head.splitlines() if line.startswith(("import ", "from ")))
    return passes(f"{imports}\n{code}\n{problem.test}")


def measure_problems(folder: Path, reader: Reader, most: int) -> list[Row]:
    """Return the share of problems that pass, and the paired differences."""
    passed: dict[str, list[float]] = {"original": [], "raw": [], "refined": []}
    for number, problem in enumerate(problems(folder)):
        if number == most:
            break
        texts = {"original": problem.description, "raw": problem.spoilt}
        texts["refined"] = reader.refined(problem.spoilt)
        answers = {text: reader.answer(_task(problem, text)) for text in dict.fromkeys(texts.values())}
        for case, text in texts.items():
            passed[case].append(float(solved(problem, answers[text])))
        done = " ".join(f"{case} {sum(values):.0f}" for case, values in passed.items())
        print(f"{number + 1} problems: {done}", file=sys.stderr, flush=True)
    return _rows("problems", passed, "passed")


def _rows(subset: str, values: dict[str, list[float]], metric: str) -> list[Row]:
    """Return the means, and the differences of each case to `raw`."""
    if not values["raw"]:
        return []
    out = [reporting.mean_interval(case, metric, each, subset) for case, each in values.items()]
    for case, each in values.items():
        if case != "raw":
            gains = [one - other for one, other in zip(each, values["raw"], strict=True)]
            out.append(reporting.mean_interval(f"{case} - raw", metric, gains, subset))
    return out


def measure_tasks(data: Path, repositories: Path, reader: Reader, most: int) -> list[Row]:
    """Return how often the file that the reader finds likeliest is an edited one, and how likely those are to it."""
    right: dict[str, list[float]] = {"raw": [], "refined": []}
    given = [
        row for row in localization.rows(data, repositories) if row["split"] == "dev" and not row["named"]
    ]
    kept = {row["id"] for row in random.Random(0).sample(given, len(given))[: most * 3]}
    chosen = [row for row in given if row["id"] in kept]
    for _, group in groupby(chosen, key=lambda row: row["repo"]):
        for row, index in localization.indexed(group):
            if len(right["raw"]) == most:
                break
            retrieval = retrieve(index, row["prompt"], localization.recent(row))
            added = additions(
                row["prompt"], retrieval, index, now=datetime.fromisoformat(row["at"]).timestamp()
            )
            if not added:
                continue
            chance = random.Random(row["id"])
            gold = set(row["gold"])
            ranked = [file.path for file in retrieval.files if file.path not in gold]
            others = sorted(set(index.paths) - gold - set(ranked))
            listed = [chance.choice(sorted(gold)), *ranked]
            listed += chance.sample(others, min(len(others), CHOICES - len(listed)))
            chance.shuffle(listed)
            labels = [f"{number:02}" for number in range(1, len(listed) + 1)]
            files = "\n".join(f"{label} {path}" for label, path in zip(labels, listed, strict=True))
            drafts = {"raw": row["prompt"], "refined": with_additions(row["prompt"], added)}
            for case, draft in drafts.items():
                text = draft if len(draft) <= HEAD + TAIL else f"{draft[:HEAD]} … {draft[-TAIL:]}"
                scores = reader.likelihoods(f"Files:\n{files}\n\nTask:\n{text}", labels)
                best = max(range(len(labels)), key=scores.__getitem__)
                right[case].append(float(listed[best] in gold))
            done = " ".join(f"{case} {sum(values):.0f}" for case, values in right.items())
            print(f"{len(right['raw'])} tasks: {done}", file=sys.stderr, flush=True)
    return _rows("tasks", right, "found")


def main() -> None:
    """Print the table or the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with refine/ and localize/")
    parser.add_argument(
        "--repositories", type=Path, help="the folder of the tasks' repositories; without, no tasks"
    )
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="an installed model: the reader")
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--tasks", type=int, default=10)
    parser.add_argument("--cache", type=Path, help="a folder where answers are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    reader = Reader(options.model, options.cache)
    try:
        measured = measure_problems(options.data / "refine", reader, options.problems)
        if options.repositories is not None:
            measured += measure_tasks(options.data / "localize", options.repositories, reader, options.tasks)
    finally:
        reader.close()
    environment = reporting.environment() | {"reader": options.model}
    reporting.show("helps", measured, environment, as_json=options.json)


if __name__ == "__main__":
    main()
