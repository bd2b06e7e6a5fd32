"""Does a small model, plain or with the refiner's adapter, add to the rules? On prompts it was not trained on.

    python tests/bench refiner --data DIR --model FOLDER [--adapter FOLDER] [--json]

FOLDER is an mlx_lm model folder; without `--adapter` the plain model is asked to correct the text. Cases:

rules       the deterministic pipeline alone
raw         the model's answers before the guard: `raw_pass_rate` (of the changed drafts), `raw_copied`,
            `raw_restored` (every entity there once), `accepted` (changed and passed, of all drafts)
whole       the model's text of all passages where it passes the guard, else the rules'
scored      the rules' text, and of the misspellings that only their sentence can settle (doubts.py) those that the
            model's probabilities settle: nothing is generated
pipeline    what ships: `scored`, then of the rewrite what is surely better (candidate.py)
lookup      how much faster prompt lookup makes a rewrite, and how often the answer is the same

R1 to R7 are those of refinement.py.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from anchorline.engine import blas, loading, lookup
from anchorline.plan import Refinement
from anchorline.refine import guard
from anchorline.refine.candidate import PassageAnswer, asked, chosen, judged, off_track, words_of
from anchorline.refine.doubts import Doubt, doubts, settled
from anchorline.refine.mask import Masked
from anchorline.refine.passages import restored
from anchorline.refine.propose import propose
from anchorline.surroundings import Surroundings
from bench.data.refinement_data import Case, prompts, seeded
from bench.data.refiner_task import INSTRUCTION, kept_for_measuring
from bench.quality.refinement import (
    Refiner,
    Row,
    changed,
    count,
    invented,
    kept,
    obliged,
    repairs,
    share,
    spoken,
)
from bench.reporting import interval

PLAIN = "Correct the spelling and the grammar of the text and leave out filler. Answer with the text only."
CASES = ("rules", "scored", "raw", "whole", "pipeline", "lookup")
MOST_PASSAGES = 3
SAMPLE = {"specstory": 120, "awesome_copilot": 60, "swebench_lite": 20, "humaneval_xl": 60}
"""Drafts of each source that all passages are rewritten of."""


class Writer:
    """A model that rewrites passages, each once."""

    def __init__(self, model: Path, adapter: Path | None) -> None:
        blas.load()
        self._model, self._tokenizer, _ = loading.load(model, adapter)
        turns = [
            {"role": "system", "content": INSTRUCTION if adapter else PLAIN},
            {"role": "user", "content": "\ue000"},
        ]
        rendered = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        self._around = [
            self._tokenizer.encode(part, add_special_tokens=False) for part in rendered.split("\ue000")
        ]
        self.tokens, self.proposed, self.seconds = 0, 0, 0.0
        self.scored: list[float] = []
        self.write = cache(self._write)
        self._scores = cache(self._score)

    def _write(self, text: str) -> str:
        started = time.perf_counter()
        tokens, proposed = self.tokens_of(text)
        self.seconds += time.perf_counter() - started
        self.tokens += len(tokens)
        self.proposed += proposed
        answer: str = self._tokenizer.decode(tokens)
        return answer.strip()

    def tokens_of(self, text: str, *, looking_up: bool = True) -> tuple[list[int], int]:
        """Return the answer's tokens and how many of them were looked up; without, mlx_lm's own decoding."""
        import mlx.core as mx
        from mlx_lm.generate import generate_step
        from mlx_lm.models.cache import make_prompt_cache

        before, after = self._around
        draft = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        prompt, most = [*before, *draft, *after], len(text) // 2 + 24
        if looking_up:
            tokens = lookup.generate(
                self._model, make_prompt_cache(self._model), prompt, lookup.CopySource(draft), most
            )
        else:
            tokens = generate_step(mx.array(prompt), self._model, max_tokens=most)
        out: list[int] = []
        proposed, known = 0, Counter(words_of(text))
        for token, looked_up in tokens:
            if token == self._tokenizer.eos_token_id or off_track(known, self._tokenizer.decode(out)):
                break
            out.append(int(token))
            proposed += looking_up and bool(looked_up)
        return out, proposed

    def scores(self, doubt: Doubt) -> list[float]:
        """Return the log-probability of each of a doubt's labels after its text."""
        return self._scores(doubt.text(), tuple(doubt.labels()))

    def _score(self, text: str, labels: tuple[str, ...]) -> list[float]:
        import mlx.core as mx

        head = self._tokenizer.encode(text, add_special_tokens=False)
        tails = [self._tokenizer.encode(label, add_special_tokens=False) for label in labels]
        longest = max(map(len, tails))
        started = time.perf_counter()
        padded = mx.array([[*head, *tail, *[0] * (longest - len(tail))] for tail in tails])
        logits = self._model(padded)[:, len(head) - 1 : -1]
        chosen = mx.take_along_axis(logits, padded[:, len(head) :, None], axis=-1)[..., 0]
        likely: list[list[float]] = (chosen - mx.logsumexp(logits, axis=-1)).tolist()
        self.scored.append(time.perf_counter() - started)
        return [sum(row[: len(tail)]) for row, tail in zip(likely, tails, strict=True)]


def lookups(writer: Writer, texts: list[str]) -> list[Row]:
    """Return how much faster answers are with prompt lookup, each beside mlx_lm's decoding, and how many are equal."""
    ratios, equal = [], []
    for text in texts:
        times, answers = [], []
        for looking_up in (False, True):
            started = time.perf_counter()
            answers.append(writer.tokens_of(text, looking_up=looking_up)[0])
            times.append(time.perf_counter() - started)
        ratios.append(times[0] / times[1])
        equal.append(answers[0] == answers[1])
    return [interval("lookup", "speedup", ratios), share("lookup", "all", "equal", equal)]


def rules(draft: str, surroundings: Surroundings) -> str:
    """Return what the deterministic pipeline proposes, or the draft."""
    refined = propose(draft, surroundings)
    return refined.text if refined.text is not None else draft


def rewritten(draft: str, surroundings: Surroundings, writer: Writer) -> str | None:
    """Return the rules' text with its passages rewritten, or None where an entity got lost."""
    text = rules(draft, surroundings)
    out, position = "", 0
    for passage in asked(Masked(text)):
        bare = passage.text.strip()
        before = restored(passage, passage.text)
        after = restored(passage, passage.text.replace(bare, writer.write(bare)))
        if before is None or after is None:
            return None
        out += text[position : passage.start] + after
        position = passage.start + len(before)
    return out + text[position:]


def whole(writer: Writer) -> Refiner:
    """Return the pipeline that takes the model's text where the guard lets it pass."""

    def refine(draft: str, surroundings: Surroundings) -> str:
        text = rewritten(draft, surroundings, writer)
        if text is not None and guard.check(draft, text, surroundings).ok:
            return text
        return rules(draft, surroundings)

    return refine


def settled_by(writer: Writer, draft: str, surroundings: Surroundings) -> Refinement:
    """Return the rules' proposal with the corrections that the model's probabilities settle."""
    proposed = propose(draft, surroundings)
    base = Masked(proposed.text if proposed.text is not None else draft)
    found = [settled(doubt, writer.scores(doubt)) for doubt in doubts(base)]
    return chosen(draft, proposed, surroundings, [one for one in found if one is not None], "model")


def scored(writer: Writer) -> Refiner:
    """Return the pipeline that asks the model for probabilities only."""

    def refine(draft: str, surroundings: Surroundings) -> str:
        text = settled_by(writer, draft, surroundings).text
        return text if text is not None else draft

    return refine


def pipeline(writer: Writer) -> Refiner:
    """Return the pipeline as it ships: what the model chooses, then what it writes, as far as it is surely better."""

    def refine(draft: str, surroundings: Surroundings) -> str:
        proposed = settled_by(writer, draft, surroundings)
        base = Masked(proposed.text if proposed.text is not None else draft)
        answers = [PassageAnswer(passage, writer.write(passage.text.strip())) for passage in asked(base)]
        text = judged(draft, proposed, surroundings, answers, "model").text
        return text if text is not None else draft

    return refine


def raw(cases: list[Case], writer: Writer) -> list[Row]:
    """Return what the model's answers are like before the guard."""
    outcomes: dict[str, list[tuple[bool, bool, bool]]] = defaultdict(list)
    for at, case in enumerate(cases):
        if at % 10 == 0:
            print(f"raw: {at} of {len(cases)} drafts", file=sys.stderr, flush=True)
        text = rewritten(case.text, case.surroundings, writer)
        passed = text is not None and guard.check(case.text, text, case.surroundings).ok
        copied = text == rules(case.text, case.surroundings)
        for subset in ("all", case.source.split("/")[0]):
            outcomes[subset].append((text is not None, copied, passed))
    out: list[Row] = []
    for subset, seen in sorted(outcomes.items()):
        out += [
            share("raw", subset, "raw_restored", (there for there, _, _ in seen)),
            share("raw", subset, "raw_copied", (copied for _, copied, _ in seen)),
            share("raw", subset, "raw_pass_rate", (passed for _, copied, passed in seen if not copied)),
            share("raw", subset, "accepted", (passed and not copied for _, copied, passed in seen)),
        ]
    return out


def emitted(name: str, refine: Refiner, cases: list[Case]) -> list[Row]:
    """Return R1 to R4 of what is emitted, and how many drafts were left alone (R7 for all sources)."""
    by_source: dict[str, list[tuple[Case, str]]] = defaultdict(list)
    for case in cases:
        pair = (case, refine(case.text, case.surroundings))
        for subset in ("all", case.source.split("/")[0]):
            by_source[subset].append(pair)
    out: list[Row] = []
    for subset, pairs in sorted(by_source.items()):
        out += [
            share(name, subset, "R1", (kept(case.text, text) for case, text in pairs)),
            count(name, subset, "R2", [invented(case.text, text) for case, text in pairs]),
            share(name, subset, "R3", (obliged(case.text, text) for case, text in pairs)),
            share(name, subset, "R4", (spoken(case.text, text) for case, text in pairs)),
            share(name, subset, "R7", (changed(case.text, text) <= 0.02 for case, text in pairs)),
            share(name, subset, "fallback_rate", (case.text == text for case, text in pairs)),
        ]
    return out


def sample(folder: Path) -> Iterator[Case]:
    """Yield prompts that were not trained on, of each source a number, those of few passages to rewrite."""
    left = dict(SAMPLE)
    for case in filter(kept_for_measuring, prompts(folder)):
        source = case.source.split("/")[0]
        if not left.get(source) or case.name.endswith(" text") or not case.text.strip():
            continue
        if source == "humaneval_xl" and left[source] % 2 and case.name.startswith("English"):
            continue
        if 1 <= len(asked(Masked(case.text))) <= MOST_PASSAGES:
            left[source] -= 1
            yield case


def measure(folder: Path, writer: Writer, names: list[str], most: int) -> list[Row]:
    """Return all rows; those of `whole` are of `most` prompts and seeds, taken at even distances."""
    cases = list(sample(folder))
    seeds = list(seeded(folder, kept_for_measuring))
    refiners: dict[str, Refiner] = {
        "rules": rules, "scored": scored(writer), "pipeline": pipeline(writer), "whole": whole(writer),
    }  # fmt: skip
    out: list[Row] = []
    if "lookup" in names:
        found = [part.text.strip() for case in cases for part in asked(Masked(case.text))]
        out += lookups(writer, found[:: max(1, len(found) // 20)])
    if "raw" in names:
        out += raw(cases[:: max(1, len(cases) // most)], writer)
    for name in (name for name in names if name in refiners):
        some, few = seeds, cases
        if name in ("whole", "pipeline"):
            some, few = seeds[:: max(1, len(seeds) // most)], cases[:: max(1, len(cases) // most)]
        if name == "whole":
            out += [{**row, "case": "rules, same"} for row in repairs("", rules, some)]
        out += emitted(name, refiners[name], few)
        _tell(name, "R1", out)
        out += repairs(name, refiners[name], some)
        _tell(name, "R6", out)
    out += [
        _figure("tokens_per_s", writer.tokens / max(1e-9, writer.seconds), writer.tokens),
        _figure("proposed_share", writer.proposed / max(1, writer.tokens), writer.tokens),
        _figure("score_ms", statistics.median([*writer.scored, 0.0]) * 1e3, len(writer.scored)),
    ]
    return [row for row in out if row["n"]]


def _figure(metric: str, value: float, n: int) -> Row:
    return {
        "case": "model",
        "subset": "all",
        "metric": metric,
        "value": value,
        "low": value,
        "high": value,
        "n": n,
    }


def _tell(name: str, metric: str, out: list[Row]) -> None:
    row = next(
        row
        for row in reversed(out)
        if row["case"] == name and row["metric"] == metric and row["subset"] == "all"
    )
    print(f"{name}: {metric} {row['value']:.3f} (n={row['n']})", file=sys.stderr, flush=True)


def main() -> None:
    """Print the table or the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", type=Path)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--most", type=int, default=80, help="prompts and seeds, each, that `whole` rewrites")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    folder = arguments.data / "refine" if (arguments.data / "refine").is_dir() else arguments.data
    rows = measure(folder, Writer(arguments.model, arguments.adapter), arguments.cases, arguments.most)
    environment: dict[str, Any] = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "adapter": arguments.adapter is not None,
    }
    if arguments.json:
        print(json.dumps({"bench": "refiner", "rows": rows, "environment": environment}))
        return
    for row in rows:
        print(f"{row['case']:12}{row['subset']:18}{row['metric']:15}{row['value']:9.4f}"
              f"  [{row['low']:.4f}, {row['high']:.4f}]  n={row['n']}")  # fmt: skip


if __name__ == "__main__":
    main()
