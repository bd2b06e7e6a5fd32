"""Hostile input to a real server: it answers what can be answered, and goes on."""

import json
import os
import random
import threading

import pytest

from anchorline.lsp.capabilities import FEATURES
from anchorline.lsp.wire import stdio
from support.lsp_client import frame

GOOD = {"jsonrpc": "2.0", "id": 1, "method": "anchorline/status", "params": {}}
NOT_FUZZED = ("initialize", "shutdown", "exit")


def mutated(random_: random.Random) -> bytes:
    """A frame with something wrong: bytes flipped, cut out, doubled or noise put in."""
    data = bytearray(frame({**GOOD, "params": {"text": "é" * random_.randrange(50)}}))
    for _ in range(random_.randrange(1, 6)):
        place = random_.randrange(len(data))
        kind = random_.randrange(4)
        if kind == 0:
            data[place] ^= 1 << random_.randrange(8)
        elif kind == 1:
            del data[place : place + random_.randrange(1, 20)]
        elif kind == 2:
            data[place:place] = data[place : place + random_.randrange(1, 20)]
        else:
            data[place:place] = random_.randbytes(random_.randrange(1, 20))
        if not data:
            data = bytearray(b"\r\n\r\n")
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_the_stream_is_found_again_after_any_damage(shared, seed):
    random_ = random.Random(seed)
    for number in range(200):
        # A damaged length may announce more than was sent; what follows must end that too.
        shared.raw(mutated(random_) + b" " * 2000)
        token = f"{seed}-{number}"
        shared.send({**GOOD, "id": token})
        assert "result" in shared.answer(token)
        shared.seen.clear()


VALUES = (None, True, 0, -1, 2**40, 2**70, 1.5, "", "x", "\ud83d", "file:///a.prompt.md", "file:///\ud83d.prompt.md", [], [[]],
          {}, {"uri": "file:///a"})  # fmt: skip
KEYS = ("textDocument", "position", "range", "context", "uri", "prompt", "planId", "command", "arguments", "data", "body",
        "thumbs", "usage", "surroundings", "start", "end", "line", "character", "title", "diagnostics", "\ud83d")  # fmt: skip


def anything(random_: random.Random, depth: int = 4):
    if depth == 0 or random_.random() < 0.3:
        return random_.choice(VALUES)
    if random_.random() < 0.2:
        return [anything(random_, depth - 1) for _ in range(random_.randrange(3))]
    return {key: anything(random_, depth - 1) for key in random_.sample(KEYS, random_.randrange(6))}


@pytest.mark.parametrize("method", [method for method in FEATURES if method not in NOT_FUZZED])
def test_parameters_of_any_shape_get_one_answer(shared, method):
    random_ = random.Random(method)
    shared.seen.clear()
    for number in range(40):
        params = anything(random_)
        token = f"{method}-{number}"
        shared.send({"jsonrpc": "2.0", "id": token, "method": method, "params": params})
        answer = shared.answer(token)
        if "error" in answer:
            assert answer["error"]["code"] in (-32602, -32803, -32801), (params, answer)
        shared.send({"jsonrpc": "2.0", "method": method, "params": params})
    shared.call("anchorline/status")
    assert not [message for message in shared.seen if "method" not in message]


def test_a_large_document_is_taken_and_an_oversized_message_is_refused(start):
    client = start()
    client.initialize()
    client.open("file:///big.prompt.md", "Fix the parser. " * 300_000)  # 4.8 MB
    plan = client.call("anchorline/plan", {"textDocument": {"uri": "file:///big.prompt.md"}})
    assert plan["tokens"]["estimate"] > 500_000
    size = 65 * 1024 * 1024
    client.raw(b"Content-Length: %d\r\n\r\n" % size)
    for _ in range(65):
        client.raw(b" " * (1024 * 1024))
    client.send({**GOOD, "id": "after"})
    assert client.answer(None)["error"]["code"] == -32600
    assert "result" in client.answer("after")


def test_deep_nesting_is_refused_or_answered_but_not_fatal(shared):
    for depth in (100, 900, 5_000, 100_000):
        deep = (
            b'{"jsonrpc":"2.0","id":"deep","method":"anchorline/plan","params":{"prompt":{"body":{"messages":'
        )
        deep += b"[" * depth + b"]" * depth + b"}}}}"
        shared.send(deep)
        answer = shared.until(lambda message: "method" not in message and message.get("id") in ("deep", None))
        assert "error" in answer
    assert shared.call("anchorline/status")


def test_a_prompt_that_is_json_but_no_prompt_is_refused_with_a_reason(shared):
    for body in (
        {},
        {"messages": 3},
        {"messages": [3]},
        {"messages": [{"role": "user", "content": {"a": 1}}]},
    ):
        answer = shared.answer(shared.ask("anchorline/plan", {"prompt": {"body": body}}))
        if "error" in answer:
            assert answer["error"]["code"] == -32803
            assert answer["error"]["message"].startswith("this is no prompt: ")
        else:
            json.dumps(answer["result"])


def test_an_answer_quotes_no_more_than_somebody_may_read(shared):
    error = shared.error("x" * 100_000)
    assert len(error["message"]) < 500


def test_a_client_that_does_not_read_is_given_up_before_memory_is(monkeypatch):
    monkeypatch.setattr(stdio, "MOST_WAITING", 1 << 20)
    reading, writing = os.pipe()
    given_up = threading.Event()
    stream = os.fdopen(writing, "wb")
    writer = stdio.MessageWriter(stream, given_up.set)
    for _ in range(64):
        writer.write(b"x" * (64 << 10))
    assert given_up.is_set()
    with os.fdopen(reading, "rb") as unread:
        assert unread.read(1 << 20) == b"x" * (1 << 20)
        writer.close()
        stream.close()
