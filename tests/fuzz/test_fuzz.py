"""Whatever comes from outside is read or refused, in any pieces: frames, bodies, streams, session files, settings, models.

Each target runs for ANCHORLINE_FUZZ_SECONDS (one second where nothing is said; CI gives more) on inputs that are broken
anew every time, or, with ANCHORLINE_FUZZ_FROM, the same every time: CI judges a commit, not its luck. A failure prints the
seed of its input; ANCHORLINE_FUZZ_SEED runs that one alone.
"""

import gzip
import json
import os
import random
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from anchorline import config
from anchorline.cache import markers
from anchorline.cache.ledger import MemoryLedger
from anchorline.engine import converting
from anchorline.engine.errors import ConversionError
from anchorline.gateway.splice import planned
from anchorline.gateway.usage import Meter
from anchorline.lsp.wire.framing import Body, Fault, Framer
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.formats import claude_code, codex
from anchorline.prompt.model import PromptError
from anchorline.sessions import importing
from support import agent_sessions
from support.session_logs import ClaudeLog, codex_log

SECONDS = float(os.environ.get("ANCHORLINE_FUZZ_SECONDS", "1"))
SEED = os.environ.get("ANCHORLINE_FUZZ_SEED")
FROM = os.environ.get("ANCHORLINE_FUZZ_FROM")
FRAME = b"Content-Length: 8\r\n\r\n" + b'{"id":1}'
LEAST = 3
"""Inputs of each target at least, however slow they are."""


def seeds() -> Iterator[int]:
    """Yield seeds until the time is over."""
    if SEED is not None:
        yield int(SEED)
        return
    sequence = random.Random(FROM) if FROM is not None else secrets.SystemRandom()
    until = time.monotonic() + SECONDS
    done = 0
    while done < LEAST or time.monotonic() < until:
        yield sequence.getrandbits(48)
        done += 1


def fuzz(target: Callable[[random.Random], None]) -> None:
    """Run a target on one input after another; say which one failed."""
    for seed in seeds():
        try:
            target(random.Random(seed))
        except BaseException as error:
            error.add_note(f"ANCHORLINE_FUZZ_SEED={seed}")
            raise


def broken(data: bytes, generator: random.Random) -> bytes:
    """Return data cut off, with flipped bits, with parts doubled or lost, or with values of another type."""
    changed = bytearray(data)
    for _ in range(generator.randrange(1, 6)):
        place = generator.randrange(len(changed) + 1)
        some = generator.randrange(1, 60)
        way = generator.randrange(7)
        if way == 0:
            del changed[place:]
        elif way == 1 and place < len(changed):
            changed[place] ^= 1 << generator.randrange(8)
        elif way == 2:
            changed[place:place] = changed[place : place + some]
        elif way == 3:
            del changed[place : place + some]
        elif way == 4:
            changed[place:place] = generator.randbytes(some)
        elif way == 5:
            value = generator.choice(
                (b"null", b"-1e999", b"[[[[", b'"\\ud83d"', b"{}", b"99999999999999999999", b"\xff")
            )
            colon = changed.find(b":", place)
            changed[colon + 1 : colon + 1 + generator.randrange(8)] = value
        else:
            changed[place:place] = generator.choice(
                (b"\n", b"\r\n\r\n", b"data:", b"\x00" * some, b"[" * 2000)
            )
    return bytes(changed)


def pieces(data: bytes, generator: random.Random) -> Iterator[bytes]:
    """Yield data in pieces of any sizes."""
    while data:
        size = generator.choice((1, 2, 7, 64, 1024, len(data)))
        yield data[:size]
        data = data[size:]


def test_frames():
    def target(generator: random.Random) -> None:
        framer, found = Framer(1 << 16), []
        data = b"".join(broken(FRAME, generator) if generator.random() < 0.7 else FRAME for _ in range(20))
        # Two line ends end whatever block was begun; of two good frames a body that was promised may take one.
        for piece in pieces(data + b"\r\n\r\n" + FRAME * 3000, generator):
            for item in framer.feed(piece):
                found.append(item)
                if isinstance(item, Body):
                    try:
                        json.loads(item.data)
                    except ValueError:
                        framer.reject(item.data)
        assert all(isinstance(item, Body | Fault) for item in found)
        assert found[-1] == Body(b'{"id":1}')

    fuzz(target)


BODIES = [
    json.dumps(
        {
            "model": "claude-sonnet-5",
            "max_tokens": 99,
            "system": [{"type": "text", "text": "Be brief. " * 900, "cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "read", "input_schema": {"type": "object"}, "defer_loading": False}],
            "messages": [
                {"role": "user", "content": "Read it."},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"path": "a"}}],
                },
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x = 1\n" * 300}],
                },
            ],
        }
    ).encode(),
    json.dumps(
        {"model": "gpt-5.6-terra", "messages": [{"role": "user", "content": "Fix it. " * 300}]}
    ).encode(),
    json.dumps(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Read it. " * 300}]},
                {
                    "role": "model",
                    "parts": [{"functionCall": {"name": "read", "args": {}}, "thoughtSignature": "c2ln"}],
                },
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "read", "response": {"output": "x"}}}],
                },
            ],
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "tools": [{"functionDeclarations": [{"name": "read"}]}],
        }
    ).encode(),
    json.dumps(
        {
            "model": "gpt-6.2-sol",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}],
        }
    ).encode(),
]


def test_bodies():
    planner = Planner(config.Config(), MemoryLedger())

    def target(generator: random.Random) -> None:
        data = broken(generator.choice(BODIES), generator)
        try:
            prompt = formats.read(data, name="body.json")
        except PromptError:
            return
        plan = planner.plan(prompt, now=1e9)
        assert plan.failure is None
        changed = planned(data, prompt, plan, planner.targets)
        assert markers.strip(changed.body, changed.splices) == data

    fuzz(target)


STREAM = b"".join(
    b"event: x\ndata: " + json.dumps(one).encode() + b"\n\n"
    for one in (
        {
            "type": "message_start",
            "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}},
        },
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "na\u00efve"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
        {
            "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4, "thoughtsTokenCount": 2},
            "responseId": "r",
        },
    )
)


def test_streams():
    def target(generator: random.Random) -> None:
        data = broken(STREAM, generator)
        coding = generator.choice(("", "gzip", "deflate", "br", "zstd", "gzip, gzip", "unknown"))
        if coding == "gzip":
            data = gzip.compress(data)
        elif coding == "deflate":
            data = zlib.compress(data)
        if generator.random() < 0.3:
            data = broken(data, generator)
        meter = Meter(
            generator.choice(("text/event-stream", "application/json", "text/event-stream; charset=x")),
            coding,
        )
        for piece in pieces(data, generator):
            meter.feed(piece)
        meter.end()
        usage = meter.billed.usage
        assert usage is None or min(usage.input, usage.read, usage.write, usage.output) >= 0

    fuzz(target)


def test_session_files(tmp_path: Path):
    log = ClaudeLog()
    asked = log.user("Fix it.")
    for number in range(6):
        log.answer(f"m{number}", call=f"c{number}")
        log.result(f"c{number}")
    assert asked
    whole = {"claude-code": log.bytes(), "codex": codex_log(turns=4)}
    file = tmp_path / "session.jsonl"

    def target(generator: random.Random) -> None:
        agent = generator.choice(("claude-code", "codex"))
        file.write_bytes(broken(whole[agent], generator))
        for read in (
            claude_code.read,
            codex.read,
            lambda path: list(importing.read(path, agent, None, 2e9, features=True).requests),
        ):
            with suppress(PromptError):
                read(file)

    fuzz(target)


def test_session_files_of_other_agents(tmp_path: Path):
    files = {
        agent: agent_sessions.write(agent, tmp_path / agent)
        for agent in ("opencode", "pi", "cline", "copilot-cli", "gemini-cli", "qwen-code")
    }
    whole = {agent: file.read_bytes() for agent, file in files.items()}

    def target(generator: random.Random) -> None:
        agent = generator.choice(list(files))
        files[agent].write_bytes(broken(whole[agent], generator))
        with suppress(PromptError):
            part = importing.read(files[agent], agent, None, 2e9, features=True)
            for request in part.requests:
                assert min(request.input, request.read, request.write_5m, request.output) >= 0

    fuzz(target)


SETTINGS = b"""[route]\nmodel = "x"\nallow = ["a", "b"]\n[cache]\nttl = "5m"\nanchors = "extend"\n[store]\ntext = "full"\n
[engine]\nidle_seconds = 3\nconversation_megabytes = 99999\n[gateway]\nmode = "route"\nplans = "change"\n[refine]\nmax_hints = 1\n"""


def test_settings(tmp_path: Path):
    project = tmp_path / "project"
    project.mkdir()

    def target(generator: random.Random) -> None:
        (project / config.FILE_NAME).write_bytes(broken(SETTINGS, generator))
        loaded = config.load(project)
        mine = config.load()
        assert loaded.config.gateway == mine.config.gateway
        assert loaded.config.route.model == mine.config.route.model
        assert loaded.config.store.text == mine.config.store.text
        assert loaded.config.engine.conversation_megabytes <= mine.config.engine.conversation_megabytes
        config.user_file().write_bytes(broken(SETTINGS, generator))
        assert isinstance(config.load().config, config.Config)
        config.user_file().unlink()

    fuzz(target)


def test_model_files(tmp_path: Path):
    pytest.importorskip("mlx.core")
    file = tmp_path / "weights.gguf"

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    whole = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    whole += text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    whole += text(b"llama.block_count") + struct.pack("<II", 4, 1)
    whole += text(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 8, 8, 0, 0) + bytes(300)

    def target(generator: random.Random) -> None:
        file.write_bytes(broken(whole, generator))
        with pytest.raises(ConversionError):
            converting.convert(file, tmp_path)

    fuzz(target)
