"""The worker with the real small model: what it says, how fast it stops, what it keeps, what it never tells."""

import asyncio
import logging
import math
import os
import subprocess
import sys
from contextlib import aclosing, suppress
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from anchorline import config
from anchorline.engine import requirements
from anchorline.engine.answer import Stops
from anchorline.engine.client import Engine
from anchorline.generation import Request, Status, Unavailable

pytestmark = pytest.mark.usefixtures("here")
module_loop = pytest.mark.asyncio(loop_scope="module")
MODELS = {"llama.cpp": "smollm2-135m", "MLX": "smollm2-135m-mlx"}
"""The same weights, for each engine."""
INSTRUCTION = (
    "You repeat the developer's sentence exactly as it is. You keep every name, every number and every path. "
    "You add nothing, you explain nothing and you answer nothing. The sentence:"
)
SENTENCE = (
    "The parser in src/parse.py fails on line 42, the parser in src/parse.py fails on line 43, the parser in"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=MODELS)
async def each_engine(models_here: Path, request: pytest.FixtureRequest):
    engine = Engine(settings(request.param))
    await engine.start()
    assert engine.ready.library.startswith(request.param)
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(models_here: Path):
    """The one that is there: what is the same for both is tested with it."""
    engine = Engine(config.Engine(model=MODELS["llama.cpp"], deadline_seconds=300))
    yield engine
    await engine.close()


def settings(name: str) -> config.Engine:
    """The settings for the small model with an engine; skips a test where that is not installed."""
    lacks = requirements.missing({"llama.cpp": "gguf", "MLX": "mlx"}[name])
    if lacks:
        pytest.skip(lacks)
    return config.Engine(model=MODELS[name], deadline_seconds=300)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".[pw]*/**/*") if path.is_file()]


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout


async def said(engine: Engine, text: str, **options) -> str:
    return "".join([chunk.text async for chunk in engine.generate(Request(text, **options))])


@module_loop
async def test_greedy_text_is_that_of_the_original_file(each_engine: Engine):
    """A conversion that goes wrong in one matrix says something else. The two engines round differently."""
    assert await said(each_engine, "What is the capital of Japan?") == "The capital of Japan is Tokyo."
    assert each_engine.last.finish == "stop"
    assert await said(each_engine, "Rewrite politely: fix the parser in src/parse.py now", max_tokens=16) == (
        "The parser in src/parse.py is currently not available. Please ensure you"
    )
    assert (each_engine.last.finish, each_engine.last.generated) == ("length", 16)


@module_loop
async def test_chunks_come_one_token_at_a_time_and_the_last_one_says_how_it_ended(engine: Engine):
    chunks = [chunk async for chunk in engine.generate(Request("What is the capital of Japan?"))]
    assert [chunk.text for chunk in chunks] == ["The", " capital", " of", " Japan", " is", " Tokyo", ".", ""]
    assert [chunk.finish for chunk in chunks] == [""] * 7 + ["stop"]


@module_loop
async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(engine: Engine):
    assert (
        await said(engine, "What is the capital of Japan?", stop=("is Tok", "nothing"))
        == "The capital of Japan "
    )
    assert engine.last.finish == "stop"


@pytest.mark.parametrize(
    ("pieces", "stops", "expected"),
    [
        (["ab", "c", "d"], ("bcd",), "a"),
        (["ab", "c", "e"], ("bcd",), "abce"),
        (["aa", "ab"], ("aab",), "a"),
        (["x"], ("",), "x"),
        (["ab"], ("b", "a"), ""),
    ],
)
def test_a_stop_string_may_come_in_pieces(pieces: list[str], stops: tuple[str, ...], expected: str):
    ending = Stops(stops)
    assert "".join(ending.feed(piece) for piece in pieces) + ending.rest() == expected


@module_loop
async def test_control_tokens_in_the_developer_s_text_are_text(each_engine: Engine):
    """The text can't end its own turn and speak as the assistant."""
    await said(each_engine, "<|im_end|>", max_tokens=1)
    as_text = each_engine.last.prompt
    await said(each_engine, "a", max_tokens=1)
    assert as_text > each_engine.last.prompt + 3


@module_loop
async def test_lookup_gives_the_same_answer_with_fewer_steps(each_engine: Engine):
    plain = await said(each_engine, SENTENCE, instruction=INSTRUCTION, chat=False, max_tokens=40)
    copied = await said(
        each_engine, SENTENCE, instruction=INSTRUCTION, chat=False, max_tokens=40, copy_from=SENTENCE
    )
    assert copied == plain
    assert each_engine.last.generated == 40
    assert each_engine.last.proposed > 10


@module_loop
async def test_an_instruction_is_read_once_and_kept_on_disk_for_the_owner_only(models_here: Path):
    """The second time from memory; after the idle model was unloaded, from disk."""
    engine = Engine(config.Engine(model=MODELS["llama.cpp"], deadline_seconds=300, idle_seconds=1))
    states = []
    unloaded = asyncio.Event()

    def observe(status: Status) -> None:
        states.append(status.state)
        if status.state == "idle":
            unloaded.set()

    engine.observe(observe)
    asked = {"instruction": f"{INSTRUCTION} {os.getpid()}", "max_tokens": 4}
    try:
        first = await said(engine, SENTENCE, **asked)
        assert engine.last.cached == 0
        again = await said(engine, SENTENCE, **asked)
        assert engine.last.cached > 40
        worker = psutil.Process(engine.pid)
        await unloaded.wait()
        worker.wait(30)
        assert "without a request" in engine.status.reason
        kept = list((models_here / MODELS["llama.cpp"] / ".prefixes").iterdir())
        assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
        from_disk = await said(engine, SENTENCE, **asked)
        assert engine.last.cached > 40
    finally:
        await engine.close()
    assert first == again == from_disk
    busy = ["busy", "ready"]
    assert states[:-1] == ["starting", "ready", *busy, *busy, "idle", "starting", "ready", *busy]


@module_loop
async def test_labels_are_scored_by_one_reading_of_the_prompt(each_engine: Engine):
    likely, unlikely, long = await each_engine.score(
        "The capital of Japan is", [" Tokyo", " Paris", " the city of Tokyo"], chat=False
    )
    assert unlikely < likely < 0
    assert long < likely
    assert math.exp(likely) < 1


@module_loop
async def test_a_label_s_score_is_the_same_alone_and_among_those_that_begin_alike(each_engine: Engine):
    labels = [
        f" the {kind} of {name}"
        for kind in ("city", "old town", "region")
        for name in ("Tokyo", "Rome", "Rio")
    ]
    labels += [" Tokyo", " the", " the city", " the city of Tokyo", " the city of " + "Tokyo and " * 70]
    text = "The capital of Japan is"
    together = await each_engine.score(text, labels, chat=False)
    alone = [(await each_engine.score(text, [label], chat=False))[0] for label in labels]
    assert together == pytest.approx(alone, rel=1e-3)
    assert together[0] == together[-2]
    assert together[-3] > together[-2] > together[-1]
    step = await each_engine.score(f"{text} the city", [" of Tokyo"], chat=False)
    assert together[-2] == pytest.approx(together[-3] + step[0], rel=0.02)


@module_loop
async def test_near_texts_have_near_vectors(each_engine: Engine):
    vectors = await each_engine.embed(["fix the parser", "repair the parser", "bake a chocolate cake"])
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert far < near <= 1.0001


@module_loop
async def test_a_cancelled_request_stops_the_model_and_the_next_one_is_served(each_engine: Engine):
    async with aclosing(each_engine.generate(Request("Tell me a long story.", max_tokens=2000))) as answer:
        assert (await anext(answer)).text
    assert each_engine.status.state == "busy"
    assert await said(each_engine, "What is the capital of Japan?", max_tokens=4) == "The capital of Japan"
    assert each_engine.status.state == "ready"


@module_loop
async def test_a_cancelled_task_is_released_at_once(engine: Engine):
    started = asyncio.Event()

    async def read() -> None:
        async for _ in engine.generate(Request("Tell me a long story.", max_tokens=2000)):
            started.set()

    reading = asyncio.ensure_future(read())
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert engine.status.state == "busy", "nobody waits for the model's next token"
    assert await said(engine, "Hello", max_tokens=1)


@module_loop
async def test_requests_at_the_same_time_take_turns(engine: Engine):
    question = "What is the capital of Japan?"
    answers = await asyncio.gather(*(said(engine, question, max_tokens=2) for _ in range(3)))
    assert answers == ["The capital"] * 3


@module_loop
async def test_a_deadline_is_kept_and_the_engine_stays_of_use(engine: Engine):
    with pytest.raises(Unavailable, match="no answer within"):
        await said(engine, "Tell me a long story. " * 100, max_tokens=2000, deadline_s=0.5)
    assert await said(engine, "Hello", max_tokens=1)


@module_loop
@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("word " * 9000), "more than the 8192 that the model reads"),
        (Request("", chat=False), "nothing to continue"),
        (Request("half \ud83d a smile"), "not valid Unicode"),
    ],
)
async def test_what_the_model_can_not_read_is_refused_at_once(engine: Engine, request_: Request, reason: str):
    with pytest.raises(Unavailable, match=reason):
        await anext(engine.generate(request_))
    assert engine.status.state == "ready"


@module_loop
async def test_the_developer_s_text_is_neither_logged_nor_left_on_disk(
    engine: Engine, models_here: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    secret = "xylophone-4711"
    with caplog.at_level(logging.DEBUG):
        await said(engine, f"My secret word is {secret}.", max_tokens=2)
        await engine.score(secret, ["a"])
        await engine.embed([secret])
        with pytest.raises(Unavailable) as refused:
            await engine.score(secret, [""])
    assert secret not in caplog.text + "".join(capfd.readouterr()) + str(refused.value)
    assert not [path for path in files(models_here) if secret.encode() in path.read_bytes()]


@module_loop
async def test_what_is_compiled_is_where_nobody_else_writes(engine: Engine, models_here: Path):
    await engine.start()
    assert (models_here / ".worker").stat().st_mode & 0o777 == 0o700
    mapped = {row.path for row in psutil.Process(engine.pid).memory_maps()}
    assert not [path for path in mapped if path.startswith("/tmp/mlx")]


def test_the_worker_ends_with_its_server(models_here: Path):
    program = (
        "import asyncio, os\n"
        "from anchorline.engine.client import Engine\n"
        "async def main():\n"
        "    engine = Engine()\n"
        "    await engine.start()\n"
        "    print(engine.pid, flush=True)\n"
        "    os._exit(1)\n"
        "asyncio.run(main())\n"
    )
    pid = int(run(program))
    with suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(30)
    assert not psutil.pid_exists(pid)


def test_neither_the_language_server_nor_the_client_imports_an_engine():
    program = (
        "import sys, anchorline.lsp.setup, anchorline.engine.client, anchorline.cli.doctor\n"
        "print([name for name in ('mlx', 'mlx_lm', 'transformers', 'numpy', 'jinja2', 'xllamacpp') if name in sys.modules])\n"
    )
    assert run(program).strip() == "[]"
