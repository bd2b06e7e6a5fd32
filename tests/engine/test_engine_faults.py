"""What breaks is visible, is answered in time, and mends itself: the server never has to be started again."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from anchorline import config
from anchorline.engine import installed, manifest, sources
from anchorline.engine.client import Engine
from anchorline.engine.supervisor import Patience
from anchorline.generation import Chunk, Request, Status, Unavailable

MODEL = "smollm2-135m"
SETTINGS = config.Engine(model=MODEL, deadline_seconds=300)
STORY = Request("Tell me a long story.", max_tokens=2000)
module_loop = pytest.mark.asyncio(loop_scope="module")


class Watched:
    """An engine, its states, and a wait for one of them."""

    def __init__(self, settings: config.Engine, patience: Patience) -> None:
        self.engine = Engine(settings, patience=patience)
        self.seen: list[Status] = []
        self._changed = asyncio.Event()
        self.engine.observe(self._take)

    def _take(self, status: Status) -> None:
        self.seen.append(status)
        self._changed.set()

    async def until(self, state: str) -> Status:
        while self.engine.status.state != state:
            self._changed.clear()
            await self._changed.wait()
        return self.engine.status

    @property
    def worker(self) -> psutil.Process:
        assert self.engine.pid is not None
        return psutil.Process(self.engine.pid)

    async def says(self) -> str:
        asked = Request("What is the capital of Japan?", max_tokens=4)
        return "".join([chunk.text async for chunk in self.engine.generate(asked)])


async def drain(answer: AsyncIterator[Chunk]) -> None:
    async for _ in answer:
        pass


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(models: Path):
    """One engine that is broken again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHORLINE_MODELS_DIR", str(models))
        made = Watched(SETTINGS, Patience(stall=6.0, again=(0.1, 0.1)))
        await made.engine.start()
        yield made
        await made.engine.close()


@pytest.fixture
def copied(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed model, for this test alone: its files are linked, so replace them, don't write into them."""
    place = tmp_path / "models" / MODEL
    shutil.copytree(models / MODEL, place, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(place.parent))
    return place


@module_loop
async def test_a_killed_worker_ends_the_stream_with_a_reason_and_comes_back(watched: Watched, model: Path):
    answer = watched.engine.generate(STORY)
    assert (await anext(answer)).text
    watched.worker.kill()
    with pytest.raises(Unavailable, match="SIGKILL"):
        await drain(answer)
    assert watched.engine.status.state == "restarting"
    assert await watched.says() == "The capital of Japan"


@module_loop
async def test_a_hung_worker_is_noticed_by_its_silence_and_replaced(watched: Watched, model: Path):
    hung = watched.worker
    hung.send_signal(signal.SIGSTOP)
    with pytest.raises(Unavailable, match="no answer within 1 s"):
        await anext(watched.engine.generate(Request("Hello", deadline_s=1.0)))
    assert "no token for 6 s" in (await watched.until("restarting")).reason
    assert await watched.says() == "The capital of Japan"
    assert not hung.is_running()


@module_loop
async def test_a_worker_without_memory_says_so_and_is_replaced_by_one_with(watched: Watched, model: Path):
    pid = watched.engine.pid
    size = watched.worker.memory_info().vms
    import resource  # not on Windows

    resource.prlimit(pid, resource.RLIMIT_AS, (size, size))
    with pytest.raises(Unavailable, match=r"memory|SIGABRT|SIGSEGV"):
        await drain(watched.engine.generate(Request("Tell me a story. " * 1500, max_tokens=1)))
    await watched.until("restarting")
    assert await watched.says() == "The capital of Japan"
    assert watched.engine.pid != pid


@module_loop
async def test_a_worker_that_breaks_again_and_again_has_failed_until_it_is_asked_later(
    watched: Watched, model: Path
):
    for _ in range(3):
        await watched.until("ready")
        answer = watched.engine.generate(STORY)
        await anext(answer)
        watched.worker.kill()
        with suppress(Unavailable):
            await drain(answer)
    assert watched.engine.status.state == "failed"
    with pytest.raises(Unavailable, match="SIGKILL"):
        await watched.says()


@pytest.mark.parametrize("way", ["truncated", "wrong hash"])
async def test_a_damaged_model_is_named_and_pulling_it_again_is_enough(copied: Path, models: Path, way: str):
    weights = copied / max(installed.receipt(copied).files.items(), key=lambda named: named[1].size)[0]
    size = weights.stat().st_size
    weights.unlink()
    with weights.open("wb") as damaged:
        damaged.truncate(size if way == "wrong hash" else size // 2)
    watched = Watched(SETTINGS, Patience())
    try:
        with pytest.raises(Unavailable, match="anchorline model pull smollm2-135m"):
            await watched.says()
        assert watched.engine.status.state == "failed"
        assert str(weights) in watched.engine.status.reason
        assert ("SHA-256" in watched.engine.status.reason) == (way == "wrong hash")
        pid = watched.engine.pid
        with pytest.raises(Unavailable):  # at once: nothing has changed
            await watched.says()
        assert watched.engine.pid == pid
        mended = manifest.LocalModel(f"path:{models / MODEL}", id=MODEL)
        await asyncio.to_thread(sources.pull, mended)
        if way == "truncated":  # once is enough: loading takes long
            assert await watched.says() == "The capital of Japan"
    finally:
        await watched.engine.close()


async def test_a_missing_model_is_absent_with_the_way_to_get_it_and_there_once_it_is_installed(
    models: Path, tmp_path: Path
):
    watched = Watched(SETTINGS, Patience())
    assert watched.engine.status.state == "absent"
    with pytest.raises(Unavailable, match="anchorline model pull smollm2-135m"):
        await watched.says()
    shutil.copytree(models / MODEL, installed.folder(MODEL), copy_function=os.link)
    try:
        assert await watched.says() == "The capital of Japan"
        assert [status.state for status in watched.seen] == ["starting", "ready", "busy", "ready"]
    finally:
        await watched.engine.close()


async def test_what_is_switched_off_starts_nothing(model: Path):
    engine = Engine(config.Engine(model=MODEL, enabled=False))
    with pytest.raises(Unavailable, match=r"engine\.enabled"):
        await engine.embed(["a"])
    assert (engine.status.state, engine.pid) == ("absent", None)


async def test_a_damaged_prefix_file_is_made_anew(copied: Path):
    """And a worker that was closed can be started again."""
    engine = Engine(SETTINGS)
    asked = Request(
        "Paris", "Say where this city is, in one word, and nothing else at all, please: ", max_tokens=2
    )
    try:
        texts = []
        for _ in range(2):
            texts.append([chunk.text async for chunk in engine.generate(asked)])
            await engine.embed(["a"])  # what is done after an answer comes before the next one
            await engine.close()
            for file in (copied / ".prefixes").iterdir():
                file.write_bytes(b"not a tensor")
        assert texts[0] == texts[1]
    finally:
        await engine.close()


@pytest.mark.parametrize("damage", ["truncated", "no tensors", "huge tensor"])
async def test_a_file_of_the_user_s_that_llama_cpp_can_not_load_is_named_with_its_reason(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
):
    """It passed the look at its header; what it ends is the worker at most, and it is not tried again and again."""
    whole = model / installed.GGUF
    if not whole.is_file():
        pytest.skip("llama.cpp is not installed")
    data = await asyncio.to_thread(whole.read_bytes)
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "no tensors":
        data = data[:8] + bytes(8) + data[16:]
    else:
        at = data.index(b"blk.0.attn_q.weight") + len(b"blk.0.attn_q.weight") + 4
        data = data[:at] + b"\xff\xff\xff\xff\xff\xff\xff\x7f" + data[at + 8 :]
    own = tmp_path / "own.gguf"
    await asyncio.to_thread(own.write_bytes, data)
    monkeypatch.setenv("ANCHORLINE_MODELS_DIR", str(tmp_path / "models"))
    await asyncio.to_thread(sources.pull, manifest.find(f"path:{own}"))
    watched = Watched(config.Engine(model="own", deadline_seconds=60), Patience(again=()))
    try:
        with pytest.raises(Unavailable, match=r"llama\.cpp can't load .*own\.gguf: \S+"):
            await watched.says()
        assert watched.engine.status.state == "failed"
    finally:
        await watched.engine.close()
