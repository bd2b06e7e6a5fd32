"""What does a further turn of a conversation cost the local model, and how soon does it stop when asked to?

    anchorline model pull smollm2-135m
    python tests/bench engine_turns [--model smollm2-135m] [--talks 5] [--cancels 50] [--subsets turns cancel] [--json]

`turns`: conversations of ten turns (about 60 words and 16 tokens of answer each) with a worker that keeps what it has read
(`ours`) and one that keeps nothing (`anew`), in turns; `ttft_ratio` is the time to the first token of the one over the other's,
`read_share` the part of the prompt that was read anew. The bench stops if they say different things.

`cancel`: from the message that cancels to the one that says the worker is free, at random moments of the reading of a prompt of
about 350 tokens (`prefill`) and of an answer (`decode`); `cancel_ms` is the median, `cancel_p99_ms` the 99th percentile.
With MLX, `ours` stops between two layers and reads 128 tokens at once, `layers-64` reads 64; `passes-128` and `passes-32` stop only after so many
tokens. `prefill_ratio` and `decode_ratio` are the tokens that are read and said in a second over those of `passes-128`.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

from anchorline import config
from anchorline.engine import installed, process
from anchorline.engine.client import Engine
from anchorline.engine.wire import Cancel, Finished, FromWorker, Generate, Load, Ready, Token
from anchorline.generation import Request, Turn
from bench import BENCH
from bench.reporting import environment, interval, percentile, show
from bench.speed.engine import sentence
from support.mlx_models import converted

TURNS = 10
ASKED = (2, 5, 10)
"""Turns at which both are asked."""
WORDS_A_TURN = 60
ANSWER = 16
LONG = 320
"""Words of a prompt of about 350 tokens."""
KINDS = {
    "ours": (128, True),
    "layers-64": (64, True),
    "passes-128": (128, False),
    "passes-32": (32, False),
}
"""By the name of a case: tokens that are read at once, and whether a layer may be the last one."""
READINGS = 6
SAID = 16
"""Tokens said after each reading."""
SUBSETS = ["turns", "cancel"]


async def turns(name: str, talks: int) -> list[dict[str, Any]]:
    """Return the rows of conversations."""
    generator = random.Random(7)
    engines = {
        case: Engine(config.Engine(model=name, idle_seconds=0, conversation_megabytes=megabytes))
        for case, megabytes in (("ours", 512), ("anew", 0))
    }
    got: dict[tuple[str, int], list[dict[str, float]]] = {}
    for engine in engines.values():
        await engine.start()
    for talk in range(talks):
        held = [Turn("system", sentence(generator, WORDS_A_TURN))]
        for number in range(1, TURNS + 1):
            held.append(Turn("user", sentence(generator, WORDS_A_TURN)))
            order = ["ours", "anew"] if (talk + number) % 2 else ["anew", "ours"]
            asked = order if number in ASKED else ["ours"]
            said = {}
            for case in asked:
                said[case], measured = await ask(engines[case], held)
                got.setdefault((case, number), []).append(measured)
            if len(set(said.values())) > 1:
                raise RuntimeError("what was kept gave another text")
            held.append(Turn("assistant", said["ours"]))
    for engine in engines.values():
        await engine.close()
    return list(_turn_rows(got))


async def ask(engine: Engine, held: list[Turn]) -> tuple[str, dict[str, float]]:
    """Return an answer, the seconds to its first token, and the part of the prompt that was read for it."""
    started = time.perf_counter()
    first = 0.0
    pieces = []
    async for chunk in engine.generate(Request(turns=tuple(held), max_tokens=ANSWER, deadline_s=600)):
        first = first or time.perf_counter()
        pieces.append(chunk.text)
    last = engine.last
    assert last is not None
    share = 1 - last.cached / last.prompt
    return "".join(pieces), {"ttft": first - started, "share": share, "prompt": last.prompt}


def _turn_rows(got: dict[tuple[str, int], list[dict[str, float]]]) -> Iterator[dict[str, Any]]:
    for number in ASKED:
        ours, anew = got["ours", number], got["anew", number]
        subset = f"turn-{number}"
        ratios = [one["ttft"] / other["ttft"] for one, other in zip(ours, anew, strict=True)]
        yield interval("ours", "ttft_ratio", ratios, subset=subset)
        for case, measured in (("ours", ours), ("anew", anew)):
            yield interval(case, "ttft_ms", [1000 * one["ttft"] for one in measured], subset=subset)
            yield interval(case, "read_share", [one["share"] for one in measured], subset=subset)
        yield interval("ours", "prompt_tokens", [one["prompt"] for one in ours], subset=subset)


class Worker:
    """A worker of one kind, seen from its pipe: there it is known when it is free."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._number = 0
        self._said: asyncio.Queue[FromWorker] = asyncio.Queue()
        self._ended = asyncio.Event()

    async def start(self, name: str) -> None:
        """Load the model."""
        usual = process.COMMAND
        process.COMMAND = (sys.executable, str(BENCH), "engine_turns", "--worker", self._kind)
        try:
            self._process = await process.start(
                installed.root(), self._said.put_nowait, lambda *_: self._ended.set()
            )
        finally:
            process.COMMAND = usual
        self._process.send(Load(str(installed.folder(name))))
        assert isinstance(await self._said.get(), Ready)

    def _ask(self, text: str, max_tokens: int) -> None:
        self._number += 1
        self._process.send(Generate(self._number, Request(text, chat=False, max_tokens=max_tokens)))

    async def _until(self, *kinds: type[FromWorker]) -> Any:
        while not isinstance(message := await self._said.get(), kinds):
            pass
        return message

    async def say(self, text: str, max_tokens: int) -> Finished:
        """Have a text read and so many tokens said."""
        self._ask(text, max_tokens)
        finished: Finished = await self._until(Finished)
        return finished

    async def cancel(self, text: str, after_s: float, *, decode: bool) -> float | None:
        """Return the seconds from cancelling, so long after the beginning (of the answer), to being free."""
        self._ask(text, 400)
        if decode:
            await self._until(Token)
        await asyncio.sleep(after_s)
        started = time.perf_counter()
        self._process.send(Cancel(self._number))
        finished: Finished = await self._until(Finished)
        return time.perf_counter() - started if finished.finish == "cancelled" else None

    async def close(self) -> None:
        """End it."""
        self._process.kill()
        await self._ended.wait()


async def cancels(name: str, count: int) -> list[dict[str, Any]]:
    """Return the rows of cancelled requests."""
    generator = random.Random(7)
    workers = {kind: Worker(kind) for kind in KINDS}
    for worker in workers.values():
        await worker.start(name)
    speeds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rates: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for reading in range(READINGS):
        for kind in list(KINDS) if reading % 2 else reversed(KINDS):
            done = await workers[kind].say(sentence(generator, LONG), SAID)
            speeds[kind].append(done.prompt / done.prefill_s)
            rates[kind].append((done.generated - 1) / done.decode_s)
    took: dict[tuple[str, str], list[float]] = {}
    for _ in range(count):
        for kind, worker in workers.items():
            whole = LONG / statistics.median(speeds[kind])
            text = sentence(generator, LONG)
            found = await worker.cancel(text, generator.uniform(0, whole), decode=False)
            if found is not None:
                took.setdefault((kind, "prefill"), []).append(found)
            if kind in ("ours", "passes-128"):
                after = generator.uniform(0, 0.5)
                found = await worker.cancel(sentence(generator, 20), after, decode=True)
                if found is not None:
                    took.setdefault((kind, "decode"), []).append(found)
    for worker in workers.values():
        await worker.close()
    rows = []
    for (kind, subset), seconds in took.items():
        millis = [1000 * one for one in seconds]
        rows.append(interval(kind, "cancel_ms", millis, subset=subset))
        rows.append(interval(kind, "cancel_p99_ms", millis, percentile(millis, 0.99), subset))
    for subset, measured in (("prefill", speeds), ("decode", rates)):
        for kind, found_rates in measured.items():
            ratios = [a / b for a, b in zip(found_rates, measured["passes-128"], strict=True)]
            rows.append(interval(kind, f"{subset}_ratio", ratios, subset=subset))
            rows.append(interval(kind, f"{subset}_tokens_s", found_rates, subset=subset))
    return rows


def work(kind: str) -> None:
    """Be a worker of one kind."""
    from anchorline.engine import blas, worker
    from anchorline.engine.mlx import stopping

    step, layers = KINDS[kind]
    load = blas.load

    def loaded() -> blas.Blas:
        found = load()
        from anchorline.engine.mlx import backend  # which needs the BLAS to be there

        backend.PREFILL["cpu"] = step
        return found

    blas.load = loaded
    if not layers:
        stopping.watch = lambda *_: None
    worker.main()


async def measure(name: str, talks: int, count: int, subsets: list[str]) -> list[dict[str, Any]]:
    """Return the rows."""
    if installed.receipt(installed.folder(name)) is None:
        sys.exit(f"{name} is not installed: run `anchorline model pull {name}`")
    rows = await turns(name, talks) if "turns" in subsets else []
    return rows + (await cancels(converted(name), count) if "cancel" in subsets else [])


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--talks", type=int, default=5)
    parser.add_argument("--cancels", type=int, default=50)
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, default=SUBSETS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=list(KINDS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker)
        return
    rows = asyncio.run(measure(arguments.model, arguments.talks, arguments.cancels, arguments.subsets))
    show("engine_turns", rows, environment(), as_json=arguments.json)


if __name__ == "__main__":
    main()
