"""Measures the speed of a model on this machine, through the worker, as a request sees it."""

import statistics

import msgspec

from anchorline.engine.client import Engine
from anchorline.engine.wire import Finished
from anchorline.generation import Request

WORDS = "The parser reads a line, finds the section it belongs to and keeps every value that it has seen. "
PROMPT = WORDS * 6
"""A little over 128 tokens."""
TOKENS = 16
RUNS = 3
DEADLINE_S = 300.0


class Speed(msgspec.Struct, frozen=True):
    """Medians over a few runs. `first_token_ms` is the time to the first token of a prompt of `prompt_tokens`."""

    load_s: float
    prompt_tokens: int
    first_token_ms: float
    prefill_tokens_per_s: float
    decode_tokens_per_s: float
    peak_memory_mb: float


async def measure(engine: Engine, runs: int = RUNS) -> Speed:
    """Loads the model where it is not loaded, and generates a little. Raises Unavailable."""
    await engine.start()
    ready = engine.ready
    assert ready is not None  # noqa: S101  (start() raises otherwise)
    done: list[Finished] = []
    for _ in range(runs):
        asked = Request(PROMPT, chat=False, max_tokens=TOKENS, deadline_s=DEADLINE_S)
        async for _chunk in engine.generate(asked):
            pass
        if engine.last is not None:
            done.append(engine.last)
    first_token_s = statistics.median(one.prefill_s for one in done)
    return Speed(
        load_s=round(ready.load_s, 2),
        prompt_tokens=done[0].prompt,
        first_token_ms=round(1000 * first_token_s, 1),
        prefill_tokens_per_s=round(done[0].prompt / first_token_s, 1),
        decode_tokens_per_s=round(
            statistics.median((one.generated - 1) / one.decode_s for one in done if one.generated > 1), 1
        ),
        peak_memory_mb=round(max(one.peak_memory for one in done) / 1e6),
    )
