"""Does refinement keep what it must, does it help? R1 to R8 and L1 to L3 of docs/research/refinement.md, and what it costs.

    python tests/bench refinement --data DIR [--repositories DIR [--every 4]] [--engine smollm2 [--sample 20]] [--json]

DIR holds `refine/` (or is it), and `localize/` for what is refined with its repository at hand. Cases: `ours`;
`do-nothing`, which returns the draft; `regex-only`, the same corrections as plain substitutions over the whole draft,
with no mask and no guard; `structure`, the draft in order; `grounded`, the draft with every addition. Shares have
Wilson's 95 % interval, times a bootstrap interval over prompts.
"""

import argparse
import difflib
import json
import math
import platform
import random
import re
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from anchorline.generation import Unavailable
from anchorline.plan import Refinement
from anchorline.refine import mask
from anchorline.refine.language import language, script
from anchorline.refine.propose import propose
from anchorline.refine.words import misspellings
from anchorline.surroundings import Surroundings
from bench.data.refinement_data import (
    Case,
    Seeded,
    blocks,
    entities,
    handmade,
    obligations,
    prompts,
    rows,
    seeded,
)
from bench.quality import refinement_hints

Refiner = Callable[[str, Surroundings], str]
Row = dict[str, str | float | int]


def ours(draft: str, surroundings: Surroundings) -> str:
    """Return what the developer would be offered, or the draft."""
    refined = propose(draft, surroundings)
    return refined.text if refined.text is not None else draft


def do_nothing(draft: str, _: Surroundings) -> str:
    """Return the draft."""
    return draft


def regex_only(draft: str, _: Surroundings) -> str:
    """Substitute filler, doubled words, misspellings and white space everywhere."""
    text = re.sub(
        r"\b(?:please |could you |can you |i was wondering if you could |maybe |basically,? |just |actually "
        r"|thanks in advance!?)",
        "", draft, flags=re.IGNORECASE,
    )  # fmt: skip
    text = re.sub(r"\b(\w+) \1\b", r"\1", text)
    text = re.sub(r"[a-z]{3,}", lambda match: misspellings().get(match[0], match[0]), text)
    text = re.sub(r"^[*•] ", "- ", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+", " ", text)).strip()


REFINERS: dict[str, Refiner] = {"ours": ours, "do-nothing": do_nothing, "regex-only": regex_only}


def share(case: str, subset: str, metric: str, hits: Iterable[bool]) -> Row:
    """Return the share of hits with Wilson's 95 % interval."""
    outcomes = list(hits)
    n = len(outcomes)
    value = sum(outcomes) / n if n else math.nan
    if not n:
        return {
            "case": case,
            "subset": subset,
            "metric": metric,
            "value": value,
            "low": value,
            "high": value,
            "n": 0,
        }
    z = 1.96
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    spread = z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low, high = max(0.0, centre - spread), min(1.0, centre + spread)
    return {
        "case": case,
        "subset": subset,
        "metric": metric,
        "value": value,
        "low": low,
        "high": high,
        "n": n,
    }


def count(case: str, subset: str, metric: str, values: list[int]) -> Row:
    """Return a total; its interval is that of the total itself, since the goal is none at all."""
    total = sum(values)
    return {"case": case, "subset": subset, "metric": metric, "value": total, "low": total, "high": total,
            "n": len(values)}  # fmt: skip


def kept(before: str, after: str) -> bool:
    """Tell whether every entity survives, by the mask and by the bench's own patterns."""
    if before == after:
        return True
    masked = Counter(e.text for e in mask.entities(before)) - Counter(e.text for e in mask.entities(after))
    return not masked and not entities(before) - entities(after)


def invented(before: str, after: str) -> int:
    """Count the entities that only the later text has, by the bench's own patterns and by the mask."""
    if before == after:
        return 0
    masked = Counter(e.text for e in mask.entities(after)) - Counter(e.text for e in mask.entities(before))
    return max(sum(masked.values()), sum((entities(after) - entities(before)).values()))


def obliged(before: str, after: str) -> bool:
    """Tell whether fences and doctests are byte-identical and negations and modals stand."""
    return before == after or (blocks(before) == blocks(after) and obligations(before) == obligations(after))


def spoken(before: str, after: str) -> bool:
    """Tell whether language and script are the same."""
    return before == after or (language(before) == language(after) and script(before) == script(after))


def changed(before: str, after: str) -> float:
    """Return the characters that were replaced, inserted or deleted, as a share of the text before."""
    if before == after:
        return 0.0
    total = 0
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, i, j, k, m in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        left, right = "".join(old[i:j]), "".join(new[k:m])
        pairs = (
            difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
            if len(left) < 4000
            else []
        )
        total += sum(max(b - a, d - c) for how, a, b, c, d in pairs if how != "equal")
        total += max(len(left), len(right)) if len(left) >= 4000 else 0
    return total / max(1, len(before))


def preservation(name: str, refine: Refiner, cases: list[Case]) -> list[Row]:
    """Return R1 to R5 and R7."""
    by_source: dict[str, list[tuple[Case, str]]] = defaultdict(list)
    for case in cases:
        by_source[case.source].append((case, refine(case.text, case.surroundings)))
    everything = [pair for pairs in by_source.values() for pair in pairs]
    out: list[Row] = []
    for subset, pairs in [("all", everything), *sorted(by_source.items())]:
        out += [
            share(name, subset, "R1", (kept(case.text, text) for case, text in pairs)),
            count(name, subset, "R2", [invented(case.text, text) for case, text in pairs]),
            share(name, subset, "R3", (obliged(case.text, text) for case, text in pairs)),
            share(name, subset, "fallback_rate", (case.text == text for case, text in pairs)),
        ]
        if subset == "humaneval_xl":
            out.append(share(name, subset, "R4", (spoken(case.text, text) for case, text in pairs)))
        if subset.startswith("awesome_copilot"):
            out.append(share(name, subset, "R7", (changed(case.text, text) <= 0.02 for case, text in pairs)))
    edited = [pair for pair in everything if pair[0].text != pair[1]]
    out += [
        share(name, "edited", "R1", (kept(case.text, text) for case, text in edited)),
        share(name, "edited", "R3", (obliged(case.text, text) for case, text in edited)),
    ]
    return out


def passes(cases: list[Case]) -> Row:
    """Return R5's other half: of the drafts with anything to propose, how many pass the guard whole."""
    answers = [propose(case.text, case.surroundings) for case in cases]
    tried = [one for one in answers if one.status in ("proposed", "refused") and "looks at" not in one.reason]
    return share("ours", "all", "raw_pass_rate", ("Left out by the guard" not in one.reason for one in tried))


def ordered(cases: list[Case]) -> list[Row]:
    """Return R1 to R4 of the drafts that are offered in order, and how many are."""
    out: list[Row] = []
    offered = [(case.source, case.text, propose(case.text).structure) for case in cases]
    for subset in ("all", *sorted({case.source for case in cases})):
        own = [(text, edit) for source, text, edit in offered if subset in ("all", source)]
        out.append(share("structure", subset, "offered", (edit is not None for _, edit in own)))
    pairs = [(text, edit.text) for _, text, edit in offered if edit is not None]
    return [
        *out,
        share("structure", "emitted", "R1", (kept(before, after) for before, after in pairs)),
        count("structure", "emitted", "R2", [invented(before, after) for before, after in pairs]),
        share("structure", "emitted", "R3", (obliged(before, after) for before, after in pairs)),
        share("structure", "emitted", "R4", (spoken(before, after) for before, after in pairs)),
    ]


def repairs(name: str, refine: Refiner, seeds: list[Seeded]) -> list[Row]:
    """Return R6 by kind of defect, and how many repairs left everything else within 5 %."""
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for seed in seeds:
        outcomes[seed.kind].append(repaired(seed, refine))
    out = [share(name, kind, "R6", hits) for kind, hits in sorted(outcomes.items())]
    out.append(share(name, "this, handmade", "R6", [repaired(seed, refine) for seed in handmade()]))
    out.append(share(name, "all", "R6", [hit for hits in outcomes.values() for hit in hits]))
    return [*out, _mean(name, list(outcomes.values()))] if outcomes else out


def _mean(name: str, outcomes: list[list[bool]]) -> Row:
    """Return the mean over kinds of defects; bootstrap within each kind."""
    chance = random.Random(0)
    draws = sorted(
        statistics.mean(statistics.mean(chance.choices(hits, k=len(hits))) for hits in outcomes)
        for _ in range(300)
    )
    value = statistics.mean(statistics.mean(hits) for hits in outcomes)
    return {"case": name, "subset": "mean", "metric": "R6", "value": value, "low": draws[7], "high": draws[-8],
            "n": sum(map(len, outcomes))}  # fmt: skip


def repaired(seed: Seeded, refine: Refiner) -> bool:
    """Tell whether a seeded defect is gone and nothing else has changed.

    White space and the case of letters don't count; corrections that the clean prompt gets too are granted.
    """
    text = refine(seed.draft, seed.surroundings)
    if seed.facts:
        return (
            all(fact in text for fact in seed.facts)
            and len(text) <= len(seed.draft) + sum(map(len, seed.facts)) + 40
        )
    return _plain(text) in (_plain(seed.clean), _plain(refine(seed.clean, seed.surroundings)))


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def missing_facts(folder: Path) -> list[Row]:
    """Return R8 on `prompt1p` (a fact removed) and the false alarms on the complete prompts."""
    problems = rows(folder / "humanevalcomm.jsonl.gz")
    out: list[Row] = []
    for key, metric in (("prompt1p", "R8"), ("prompt", "R8_false_alarms"), ("prompt1a", "R8_ambiguous")):
        answers = [(row[key], propose(row[key])) for row in problems if row.get(key)]
        out.append(share("ours", key, metric, (bool(answer.hints) for _, answer in answers)))
        out.append(
            count(
                "ours", key, "R8_invented", [invented(text, _text(answer, text)) for text, answer in answers]
            )
        )
    return out


def _text(answer: Refinement, draft: str) -> str:
    return answer.text if answer.text is not None else draft


def times(cases: list[Case]) -> list[Row]:
    """Return p50 and p99 of one analysis (the whole of `propose`), in ms, each prompt's median of three.

    Of processor time: nothing waits in it, and other work on the machine does not count.
    """
    subsets: dict[str, list[float]] = defaultdict(list)
    for case in cases:
        taken = []
        for _ in range(3):
            start = time.thread_time()
            propose(case.text, case.surroundings)
            taken.append((time.thread_time() - start) * 1e3)
        if case.source in ("specstory", "swebench_lite") or case.source.startswith("awesome"):
            subsets[case.source].append(statistics.median(taken))
            subsets["all"].append(subsets[case.source][-1])
    out: list[Row] = []
    chance = random.Random(0)
    for subset, values in sorted(subsets.items()):
        for metric, part in (("analysis_p50_ms", 0.5), ("analysis_p99_ms", 0.99)):
            draws = sorted(_quantile(chance.choices(values, k=len(values)), part) for _ in range(300))
            out.append({"case": "ours", "subset": subset, "metric": metric, "value": _quantile(values, part),
                        "low": draws[7], "high": draws[-8], "n": len(values)})  # fmt: skip
    for subset, text in (
        ("150 characters", PLAIN.format(7)[:150]),
        ("20 kB", "".join(map(PLAIN.format, range(60)))[:20_000]),
    ):
        taken = []
        for _ in range(50):
            start = time.thread_time()
            propose(text)
            taken.append((time.thread_time() - start) * 1e3)
        middle = statistics.median(taken)
        out.append({"case": "ours", "subset": subset, "metric": "analysis_p50_ms", "value": middle,
                    "low": min(taken), "high": max(taken), "n": len(taken)})  # fmt: skip
    return out


PLAIN = """Make the importer read `session{0}.json` before the markdown: the file in pkg/h{0} may be stale.
For case {0} it should return the default configuration, and must not raise an error when the file is empty.

- Keep the order of the {0} sessions as it is now, the newest one last.
- Log one line for each session skipped in round {0}, with its path and the reason.

Then update the tests in tests/test_import{0}.py, and describe the behaviour {0} in docs/IMPORT.md for users.
"""


def _quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def measure(folder: Path) -> list[Row]:
    """Return all rows for the data in `folder`."""
    cases = list(prompts(folder))
    seeds = list(seeded(folder))
    out: list[Row] = []
    for name, refine in REFINERS.items():
        out += preservation(name, refine, cases)
        out += repairs(name, refine, seeds)
    out.append(passes(cases))
    out += ordered(cases)
    out += missing_facts(folder)
    out += refinement_hints.measure(folder)
    out += times(cases)
    return [row for row in out if row["n"]]


def main() -> None:
    """Print the table or the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", default="none", metavar="MODEL",
                        help="none, or an installed model (smollm2): the rules and the model on a sample")  # fmt: skip
    parser.add_argument("--sample", type=int, default=20, metavar="N",
                        help="with --engine: drafts of each source and seeds of each kind")  # fmt: skip
    parser.add_argument("--repositories", type=Path, metavar="DIR",
                        help="clones, as localize/README.md has it: R5 with the repository at hand")  # fmt: skip
    parser.add_argument(
        "--every", type=int, default=4, metavar="N", help="with --repositories: each Nth message"
    )
    parser.add_argument("--grounding-only", action="store_true", help="with --repositories: nothing else")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--misses", action="store_true", help="print the seeds that were not repaired")
    arguments = parser.parse_args()
    folder = arguments.data / "refine" if (arguments.data / "refine").is_dir() else arguments.data
    if arguments.misses:
        for seed in seeded(folder):
            if not repaired(seed, ours):
                print(
                    f"{seed.kind}: {seed.draft[:300]!r}\n   -> {ours(seed.draft, seed.surroundings)[:300]!r}"
                )
        return
    measured = [] if arguments.grounding_only else measure(folder)
    if arguments.repositories is not None:
        from bench.quality import refinement_grounding

        measured += refinement_grounding.measure(
            arguments.data / "localize", arguments.repositories, arguments.every, share, count, spoken
        )
    if arguments.engine != "none":
        from bench.quality import refinement_engine

        try:
            measured += refinement_engine.measure(
                folder, arguments.engine, arguments.sample, preservation, repairs, repaired
            )
        except Unavailable as error:
            parser.error(f"--engine {arguments.engine}: {error}")
    if arguments.json:
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "engine": arguments.engine,
        }
        print(json.dumps({"bench": "refinement", "rows": measured, "environment": environment}))
        return
    for row in measured:
        print(f"{row['case']:14}{row['subset']:40}{row['metric']:17}{row['value']:9.4f}"
              f"  [{row['low']:.4f}, {row['high']:.4f}]  n={row['n']}")  # fmt: skip


if __name__ == "__main__":
    main()
