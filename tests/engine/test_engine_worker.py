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
from anchorline.engine.answer import Stops
from anchorline.engine.client import Engine
from anchorline.generation import Request, Status, Unavailable

pytestmark = pytest.mark.usefixtures("here")
module_loop = pytest.mark.asyncio(loop_scope="module")
SLOW = config.Engine(model="smollm2-135m", deadline_seconds=300)
INSTRUCTION = (
    "You repeat the developer's sentence exactly as it is. You keep every name, every number and every path. "
    "You add nothing, you explain nothing and you answer nothing. The sentence:"
)
SENTENCE = (
    "The parser in src/parse.py fails on line 42, the parser in src/parse.py fails on line 43, the parser in"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(models_here: Path):
    engine = Engine(SLOW)
    yield engine
    await engine.close()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".[pw]*/**/*") if path.is_file()]


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False).stdout


async def said(engine: Engine, text: str, **options) -> str:
    return "".join([chunk.text async for chunk in engine.generate(Request(text, **options))])


@module_loop
async def test_greedy_text_is_that_of_the_original_file(engine: Engine):
    """A conversion that goes wrong in one matrix says something else."""
    assert await said(engine, "What is the capital of France?") == "The capital of France is Paris."
    assert engine.last.finish == "stop"
    assert await said(engine, "Rewrite politely: fix the parser in src/parse.py now", max_tokens=16) == (
        "The parser in src/parse.py is currently not available. Please ensure you"
    )
    assert (engine.last.finish, engine.last.generated) == ("length", 16)


@module_loop
async def test_chunks_come_one_token_at_a_time_and_the_last_one_says_how_it_ended(engine: Engine):
    chunks = [chunk async for chunk in engine.generate(Request("What is the capital of France?"))]
    assert [chunk.text for chunk in chunks] == ["The", " capital", " of", " France", " is", " Paris", ".", ""]
    assert [chunk.finish for chunk in chunks] == [""] * 7 + ["stop"]


@module_loop
async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(engine: Engine):
    assert (
        await said(engine, "What is the capital of France?", stop=("is Par", "nothing"))
        == "The capital of France "
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
async def test_control_tokens_in_the_developer_s_text_are_text(engine: Engine):
    """The text can't end its own turn and speak as the assistant."""
    await said(engine, "<|im_end|>", max_tokens=1)
    as_text = engine.last.prompt
    await said(engine, "a", max_tokens=1)
    assert as_text > engine.last.prompt + 3


@module_loop
async def test_lookup_gives_the_same_answer_with_fewer_steps(engine: Engine):
    plain = await said(engine, SENTENCE, instruction=INSTRUCTION, chat=False, max_tokens=40)
    copied = await said(
        engine, SENTENCE, instruction=INSTRUCTION, chat=False, max_tokens=40, copy_from=SENTENCE
    )
    assert copied == plain
    assert engine.last.generated == 40
    assert engine.last.proposed > 10


@module_loop
async def test_an_instruction_is_read_once_and_kept_on_disk_for_the_owner_only(models_here: Path):
    """The second time from memory; after the idle model was unloaded, from disk."""
    engine = Engine(config.Engine(model="smollm2-135m", idle_seconds=1, deadline_seconds=300))
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
        kept = list((models_here / "smollm2-135m" / ".prefixes").iterdir())
        assert {file.stat().st_mode & 0o777 for file in kept} == {0o600}
        from_disk = await said(engine, SENTENCE, **asked)
        assert engine.last.cached > 40
    finally:
        await engine.close()
    assert first == again == from_disk
    busy = ["busy", "ready"]
    assert states[:-1] == ["starting", "ready", *busy, *busy, "idle", "starting", "ready", *busy]


@module_loop
async def test_labels_are_scored_by_one_reading_of_the_prompt(engine: Engine):
    likely, unlikely, long = await engine.score(
        "The capital of France is", [" Paris", " Berlin", " the city of Paris"], chat=False
    )
    assert unlikely < likely < 0
    assert long < likely
    alone = await engine.score("The capital of France is", [" the"], chat=False)
    assert long < alone[0]
    assert math.exp(likely) < 1


@module_loop
async def test_near_texts_have_near_vectors(engine: Engine):
    vectors = await engine.embed(["fix the parser", "repair the parser", "bake a chocolate cake"])
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert far < near <= 1.0001


@module_loop
async def test_a_cancelled_request_stops_the_model_and_the_next_one_is_served(engine: Engine):
    async with aclosing(engine.generate(Request("Tell me a long story.", max_tokens=2000))) as answer:
        assert (await anext(answer)).text
    assert engine.status.state == "busy"
    assert await said(engine, "What is the capital of France?", max_tokens=4) == "The capital of France"
    assert engine.status.state == "ready"


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
    question = "What is the capital of France?"
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


def test_neither_the_language_server_nor_the_client_imports_mlx():
    program = (
        "import sys, anchorline.lsp.setup, anchorline.engine.client, anchorline.cli.doctor\n"
        "print([name for name in ('mlx', 'mlx_lm', 'transformers', 'numpy') if name in sys.modules])\n"
    )
    assert run(program).strip() == "[]"
