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
    answers: list[Finished] = []
    for _ in range(runs):
        request = Request(PROMPT, chat=False, max_tokens=TOKENS, deadline_s=DEADLINE_S)
        async for _chunk in engine.generate(request):
            pass
        if engine.last is not None:
            answers.append(engine.last)
    first_token_s = statistics.median(answer.prefill_s for answer in answers)
    return Speed(
        load_s=round(ready.load_s, 2),
        prompt_tokens=answers[0].prompt,
        first_token_ms=round(1000 * first_token_s, 1),
        prefill_tokens_per_s=round(answers[0].prompt / first_token_s, 1),
        decode_tokens_per_s=round(
            statistics.median(
                (answer.generated - 1) / answer.decode_s for answer in answers if answer.generated > 1
            ),
            1,
        ),
        peak_memory_mb=round(max(answer.peak_memory for answer in answers) / 1e6),
    )
