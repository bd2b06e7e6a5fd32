"""What does the worker cost over plain mlx_lm, and what do its caches save? The same model, side by side, in turns.

    anchorline model pull smollm2-135m
    python tests/bench engine [--model smollm2-135m] [--runs 15] [--subsets plain …] [--json]

Each run asks the worker (`ours`, timed where the answer arrives) and a process with `mlx_lm.stream_generate` (`mlx_lm`,
timed within it), both in fp32 with the same BLAS and threads, for the same prompt that neither has seen.
`ttft_ratio` and `tokens_per_second_ratio` are ours over mlx_lm's, `cpu_ratio` the same of processor seconds, our client's
included: on a busy machine it is the one that tells. `rss_mb` is the most that the process had resident. Subset `plain`: a
prompt of about 64 tokens. `instruction`: a constant instruction of about 160 tokens and a draft; `ours` has read the
instruction before. `copy`: an answer that repeats the draft, without and with lookup (`ours-lookup`), whose texts must be equal
(three runs). `no-blas`: mlx_lm without OpenBLAS, two runs.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from anchorline import config
from anchorline.engine import installed
from anchorline.engine.client import Engine
from anchorline.engine.errors import DamagedModelError
from anchorline.generation import Request
from bench import BENCH
from bench.reporting import environment, interval, show
from support.mlx_models import converted

WORDS = [
    "the",
    "parser",
    "reads",
    "each",
    "line",
    "of",
    "a",
    "file",
    "and",
    "keeps",
    "what",
    "it",
    "finds",
    "in",
    "a",
    "table",
    "of",
    "sections",
    "keys",
    "values",
    "names",
    "paths",
    "numbers",
    "tests",
    "errors",
    "warnings",
    "and",
    "notes",
    "before",
    "it",
    "writes",
    "them",
    "back",
    "in",
    "order",
]
INSTRUCTION = " ".join(
    [
        "You rewrite a developer's request to a coding assistant so that it is short and clear.",
        "Keep every file name, path, identifier, number, version and quotation exactly as it is written.",
        "Keep every condition, every negation and every limit. Keep the language of the request.",
        "Remove filler, apologies and repetition. Correct spelling where you are certain.",
        "Number the items of a list through. Do not add any requirement, technology or file of your own.",
        "Do not answer the request, do not explain what you did, and do not use a code fence.",
        "If nothing can be improved, give the request back unchanged, word for word.",
        "The request follows after this line, and your rewritten request is all that you say.",
    ]
)
DRAFT = (
    "Please fix the function {0}_{1} in src/{2}/{0}.py, it raises a {3} error when the {4} is empty. "
    "Do not change the public functions of {5}.py and add a test for the {4} in tests/test_{0}.py."
)
SUBSETS = ["plain", "instruction", "copy", "no-blas"]
TOKENS = 12
COPIED = 64
COPY_RUNS = 3


def sentence(generator: random.Random, words: int) -> str:
    """Return a text that nobody has seen."""
    return " ".join(generator.choice(WORDS) for _ in range(words)).capitalize() + "."


def draft_like(generator: random.Random) -> str:
    """Return a request as developers write them."""
    return DRAFT.format(*generator.sample(WORDS[:18], 6))


def peer(folder: Path, *, with_blas: bool) -> None:
    """Answer lines of JSON with plain mlx_lm: the other process of this bench."""
    from anchorline.engine import blas
    from anchorline.engine.mlx.loading import load

    if with_blas:
        blas.load()
    loaded = load(folder)
    from mlx_lm import stream_generate

    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        started, worked = time.perf_counter(), time.process_time()
        first = 0.0
        count = 0
        for answer in stream_generate(
            loaded.model, loaded.tokenizer, asked["text"], max_tokens=asked["max_tokens"]
        ):
            first = first or time.perf_counter()
            count = answer.generation_tokens
        ended, worked = time.perf_counter(), time.process_time() - worked
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        rate = (count - 1) / (ended - first) if count > 1 else 0.0
        measured = {"ttft": first - started, "rate": rate, "rss": used, "cpu": worked}
        print(json.dumps(measured), flush=True)


class Peer:
    """A process with plain mlx_lm."""

    def __init__(self, folder: Path, *, with_blas: bool = True) -> None:
        command = [sys.executable, str(BENCH), "engine", "--peer", str(folder)] + (
            [] if with_blas else ["--no-blas"]
        )
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def _read(self) -> str:
        assert self._process.stdout
        while not (line := self._process.stdout.readline()).startswith(("ready", "{")):
            if not line:
                raise RuntimeError("the process with mlx_lm has ended")
        return line

    def ask(self, text: str, max_tokens: int) -> dict[str, float]:
        """Return the seconds to the first token, tokens per second, bytes resident and processor seconds."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"text": text, "max_tokens": max_tokens}) + "\n")
        self._process.stdin.flush()
        measured: dict[str, float] = json.loads(self._read())
        return measured

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def processor_s(engine: Engine) -> float:
    """Return the processor seconds of the worker and of this process, its client."""
    used = psutil.Process(engine.pid).cpu_times()
    return float(used.user + used.system) + time.process_time()


async def ask(engine: Engine, text: str, **options: Any) -> dict[str, Any]:
    """As `Peer.ask`, from the worker, as its client sees it."""
    started, worked = time.perf_counter(), processor_s(engine)
    first = 0.0
    pieces = []
    async for chunk in engine.generate(Request(text, chat=False, deadline_s=600, **options)):
        first = first or time.perf_counter()
        pieces.append(chunk.text)
    ended = time.perf_counter()
    last = engine.last
    assert last is not None
    rate = (last.generated - 1) / (ended - first) if last.generated > 1 else 0.0
    worked = processor_s(engine) - worked
    return {
        "ttft": first - started,
        "rate": rate,
        "rss": last.peak_memory,
        "cpu": worked,
        "text": "".join(pieces),
    }


async def measure(name: str, runs: int, subsets: list[str]) -> list[dict[str, Any]]:
    """Return the rows."""
    generator = random.Random(7)
    try:
        name = converted(name)
    except DamagedModelError as error:
        sys.exit(str(error))
    folder = installed.folder(name)
    engine = Engine(config.Engine(model=name))
    plain = Peer(folder)
    got: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def take(case: str, subset: str, measured: dict[str, Any]) -> None:
        got.setdefault((case, subset), []).append(measured)

    await engine.start()
    for run in range(runs + 1):  # the first fills caches and does not count
        text = sentence(generator, 60)
        draft = sentence(generator, 16)
        for who in ("ours", "mlx_lm") if run % 2 else ("mlx_lm", "ours"):
            if "plain" in subsets:
                ours = who == "ours"
                take(
                    who,
                    "plain",
                    await ask(engine, text, max_tokens=TOKENS) if ours else plain.ask(text, TOKENS),
                )
            if "instruction" in subsets and who == "ours":
                take(who, "instruction", await ask(engine, draft, instruction=INSTRUCTION, max_tokens=TOKENS))
            elif "instruction" in subsets:
                take(who, "instruction", plain.ask(INSTRUCTION + draft, TOKENS))
        if "copy" in subsets and run <= COPY_RUNS:
            without, lookup = await copies(engine, generator)
            take("ours", "copy", without)
            take("ours-lookup", "copy", lookup)
        if run == 0:
            got.clear()
    await engine.close()
    plain.end()
    if "no-blas" in subsets:
        slow = Peer(folder, with_blas=False)
        for _ in range(2):
            take("no-blas", "no-blas", slow.ask(sentence(generator, 60), 4))
        slow.end()
    return list(_rows(got))


async def copies(engine: Engine, generator: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have the model copy a request it was shown, without and with lookup. Raises RuntimeError if they differ."""
    shown = [draft_like(generator) for _ in range(2)]
    copied = draft_like(generator)
    prompt = "".join(f"Text: {one}\nCopy: {one}\n\n" for one in shown) + f"Text: {copied}\nCopy:"
    without = await ask(engine, prompt, max_tokens=COPIED)
    lookup = await ask(engine, prompt, max_tokens=COPIED, copy_from=f" {copied}")
    if lookup["text"] != without["text"]:
        raise RuntimeError("lookup decoding gave another text")
    return without, lookup


def _rows(got: dict[tuple[str, str], list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for subset, case, other in (
        ("plain", "ours", "mlx_lm"),
        ("instruction", "ours", "mlx_lm"),
        ("copy", "ours-lookup", "ours"),
    ):
        for metric, key in (
            ("ttft_ratio", "ttft"),
            ("tokens_per_second_ratio", "rate"),
            ("cpu_ratio", "cpu"),
        ):
            mine = [float(one[key]) for one in got.get((case, subset), ())]
            its = [float(one[key]) for one in got.get((other, subset), ())]
            if mine:
                ratios = [a / b for a, b in zip(mine, its, strict=True)]
                yield interval(case, metric, ratios, statistics.median(mine) / statistics.median(its), subset)
    for (case, subset), measured in got.items():
        yield interval(case, "ttft_ms", [1000 * one["ttft"] for one in measured], subset=subset)
        yield interval(case, "tokens_per_second", [one["rate"] for one in measured], subset=subset)
    for case in ("ours", "mlx_lm"):
        used = [one["rss"] / 1e6 for (who, _), measured in got.items() if who == case for one in measured]
        if used:
            yield interval(case, "rss_mb", used, max(used))


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, default=SUBSETS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--no-blas", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer(arguments.peer, with_blas=not arguments.no_blas)
        return
    rows = asyncio.run(measure(arguments.model, arguments.runs, arguments.subsets))
    show("engine", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
