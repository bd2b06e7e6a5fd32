"""Further turns with the real small model: only what is new is read, and the answers are those without that."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from anchorline import config
from anchorline.engine import installed, process, requirements
from anchorline.engine.client import Engine
from anchorline.engine.llama.kept import CONVERSATIONS, Conversations, State, common
from anchorline.engine.wire import Cancel as Stop
from anchorline.engine.wire import Finished, FromWorker, Generate, Load, Read, Ready, Token, Working
from anchorline.generation import Request, Turn

pytestmark = pytest.mark.usefixtures("here")
module_loop = pytest.mark.asyncio(loop_scope="module")
SYSTEM = Turn(
    "system", "You are a guide who answers in one short sentence, and you name the place asked for."
)
QUESTIONS = (
    "What is the capital of Japan?",
    "What is the capital of Italy?",
    "What is the capital of France?",
)
CHUNK = 128
SHORT = 6
"""Tokens of an answer in which what was read in other parts, and so rounded otherwise, changes no word."""
TEMPLATE = 40
"""Tokens that all conversations begin with, at most: they may have been read for another one."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(models_here: Path):
    engine = Engine(config.Engine(model="smollm2-135m", deadline_seconds=300))
    yield engine
    await engine.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def forgetful(models_here: Path):
    """The same model, of which nothing is kept."""
    engine = Engine(config.Engine(model="smollm2-135m", deadline_seconds=300, conversation_megabytes=0))
    yield engine
    await engine.close()


async def said(engine: Engine, turns: list[Turn], max_tokens: int = SHORT) -> str:
    asked = Request(turns=tuple(turns), max_tokens=max_tokens)
    return "".join([chunk.text async for chunk in engine.generate(asked)])


@module_loop
async def test_a_further_turn_reads_only_what_is_new_and_says_the_same(engine: Engine, forgetful: Engine):
    await go_on(engine, forgetful)


@module_loop
async def test_so_does_mlx(models_here: Path):
    if lacks := requirements.missing("mlx"):
        pytest.skip(lacks)
    kept, forgetful = (
        Engine(
            config.Engine(model="smollm2-135m-mlx", deadline_seconds=300, conversation_megabytes=megabytes)
        )
        for megabytes in (512, 0)
    )
    try:
        await go_on(kept, forgetful)
    finally:
        await kept.close()
        await forgetful.close()


async def go_on(engine: Engine, forgetful: Engine) -> None:
    """Have a conversation of a few turns with both."""
    turns, held = [SYSTEM], 0
    for question in QUESTIONS:
        turns.append(Turn("user", question))
        answer = await said(engine, turns)
        assert answer == await said(forgetful, turns)
        last = engine.last
        assert held - 1 <= last.cached <= held
        assert forgetful.last.cached <= TEMPLATE
        assert last.prompt == forgetful.last.prompt == await engine.count(turns)
        held = last.prompt + last.generated + (last.finish == "stop")  # the end of the turn as well, with MLX
        turns.append(Turn("assistant", answer))
    assert last.prompt - last.cached < 20


@module_loop
async def test_of_an_edited_history_what_is_still_equal_is_used(engine: Engine, forgetful: Engine):
    story = [SYSTEM, Turn("user", "I was in Rome."), Turn("assistant", "I hope that you liked it.")]
    await said(engine, [*story, Turn("user", "Where was I?")])
    before = engine.last.prompt
    edited = [*story[:2], Turn("assistant", "Oh, in Rome."), Turn("user", "Where was I?")]
    assert await said(engine, edited) == await said(forgetful, edited)
    assert 30 < engine.last.cached < before - 10
    other = [SYSTEM, Turn("user", "I was in Oslo."), *story[2:], Turn("user", "Where was I?")]
    assert await said(engine, other) == await said(forgetful, other)
    assert 20 < engine.last.cached < before - 20
    # The first one was not spoilt by those that went on from its beginning.
    again = [*story, Turn("user", "Where was I?")]
    assert await said(engine, again) == await said(forgetful, again)
    assert engine.last.cached > before - 3


@module_loop
async def test_an_answer_that_was_left_is_gone_on_from(engine: Engine, forgetful: Engine):
    turns = [SYSTEM, Turn("user", "Tell me a long story of a bear.")]
    pieces = []
    answer = engine.generate(Request(turns=tuple(turns), max_tokens=200))
    async for chunk in answer:
        pieces.append(chunk.text)
        if len(pieces) == 5:
            break
    await answer.aclose()
    turns += [Turn("assistant", "".join(pieces)), Turn("user", "Go on.")]
    assert await said(engine, turns) == await said(forgetful, turns)
    assert engine.last.prompt - engine.last.cached < 20


@module_loop
async def test_a_new_worker_knows_nothing_and_says_the_same(engine: Engine):
    turns = [SYSTEM, Turn("user", "What is the capital of Italy?")]
    first = await said(engine, turns)
    assert await said(engine, turns) == first
    assert engine.last.cached > 30
    restarted = asyncio.Event()
    ending = engine.observe(lambda status: restarted.set() if status.state == "restarting" else None)
    psutil.Process(engine.pid).kill()
    await restarted.wait()
    ending()
    assert await said(engine, turns) == first
    assert engine.last.cached == 0


async def test_a_long_prompt_is_left_in_its_middle_and_what_was_read_of_it_is_kept(models_here: Path):
    """Seen from the pipe, where it is known when a part of the prompt was read."""
    said: asyncio.Queue[FromWorker] = asyncio.Queue()
    ended = asyncio.Event()
    worker = await process.start(installed.root(), said.put_nowait, lambda *_: ended.set())
    worker.send(Load(str(installed.folder("smollm2-135m")), 512 << 20))
    assert isinstance(await said.get(), Ready)
    request = Request(turns=(Turn("user", "tell me of it " * 150),), max_tokens=2)
    worker.send(Generate(1, request))
    assert isinstance(await said.get(), Working)
    worker.send(Stop(1))
    parts = 1
    while isinstance(message := await said.get(), Working):
        parts += 1
    assert (message.id, message.finish) == (1, "cancelled")
    worker.send(Generate(2, request))
    while isinstance(message := await said.get(), Working | Read | Token):
        pass
    assert isinstance(message, Finished)
    assert parts * CHUNK <= message.cached <= parts * CHUNK + TEMPLATE < message.prompt - CHUNK
    worker.kill()
    await ended.wait()


def read(layer: Any, tokens: list[int]) -> None:
    """Do what a model does to the cache of a layer, the values being the tokens themselves."""
    import mlx.core as mx

    if tokens:
        values = mx.array(tokens, dtype=mx.float32)[None, None, :, None]
        layer.update_and_fetch(values, values)


def layer_of(tokens: list[int]) -> Any:
    from mlx_lm.models.cache import KVCache

    layer = KVCache()
    read(layer, tokens)
    return layer


def tokens_of(layer: Any) -> list[int]:
    return [int(value) for value in layer.keys[0, 0, : layer.offset, 0].tolist()]


histories = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 300), st.lists(st.integers(0, 2), min_size=1, max_size=40)),
    max_size=20,
)


@given(histories, st.sampled_from([0, 3000, 9000, 1 << 30]))
def test_whatever_is_asked_in_whatever_order_what_is_found_is_a_prefix(steps, most_bytes):
    """Conversations that share beginnings, are cut anywhere and go on otherwise, within the bytes allowed."""
    pytest.importorskip("mlx_lm")
    from anchorline.engine.mlx.conversations import MOST, SHORTEST, ConversationCache

    kept = ConversationCache(most_bytes)
    talks: list[list[int]] = [[0] * 20 for _ in range(4)]
    for which, at, new in steps:
        prompt = [*talks[which][:at], *new]
        cache, held = kept.find(prompt)
        assert held < len(prompt)
        layers = cache or [layer_of([])]
        if cache is not None:
            assert held >= SHORTEST
            assert tokens_of(layers[0]) == prompt[:held]
        read(layers[0], prompt[held:])
        kept.keep(prompt, layers)
        assert kept._kept.nbytes <= most_bytes
        assert len(kept._kept) <= MOST
        talks[which] = prompt


def test_the_conversation_that_was_longest_without_a_turn_goes_first_and_a_further_turn_takes_its_place():
    pytest.importorskip("mlx_lm")
    from anchorline.engine.mlx.conversations import MOST, ConversationCache

    kept = ConversationCache(1 << 30)
    talks = [[number] * 20 for number in range(MOST + 1)]
    for talk in talks[:-1]:
        kept.keep(talk, [layer_of(talk)])
    for turn in range(1, 4):
        kept.keep(talks[0] + [99] * turn, [layer_of(talks[0] + [99] * turn)])
    kept.keep(talks[-1], [layer_of(talks[-1])])
    found = [kept.find([*talk, 5, 5])[1] for talk in talks]
    assert found == [20, 0, *[20] * (MOST - 1)]


state_steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 300), st.lists(st.integers(0, 2), min_size=1, max_size=40)),
    max_size=20,
)


@given(state_steps, st.sampled_from([0, 100, 300, 1 << 30]))
def test_of_kept_states_the_nearest_one_is_found_within_the_bytes_allowed(steps, most_bytes):
    kept = Conversations(most_bytes)
    talks: list[list[int]] = [[0] * 20 for _ in range(4)]
    newest: list[list[int]] = []
    for which, at, new in steps:
        prompt = [*talks[which][:at], *new]
        state, count = kept.nearest(prompt)
        assert count == (common(state.tokens, prompt) if state else 0)
        if newest and state is not None:
            assert count >= common(newest[-1], prompt)
        kept.keep(State(prompt, bytes(len(prompt))))
        if len(prompt) <= most_bytes:
            newest.append(prompt)
            assert kept.nearest(prompt)[1] == len(prompt)
        assert kept.size <= most_bytes
        assert len(kept) <= CONVERSATIONS
        talks[which] = prompt
