"""What an answer tells of its usage, in every form in which it comes."""

import gzip
import json
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from anchorline.gateway.usage import ANSWER_BYTES, Meter
from anchorline.outcome import Iteration, Usage

CHAT = {"id": "c", "object": "chat.completion", "model": "m"}
TOLD = Usage(input=10, read=20_000, write=500, output=42)
EVENTS = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "model": "claude-sonnet-4-5",
            "content": [],
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 20_000,
                "cache_creation_input_tokens": 500,
                "output_tokens": 1,
            },
        },
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": 'é "usage": {} data: \n'},
    },
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": None, "cache_read_input_tokens": 0, "output_tokens": 42},
    },
    {"type": "message_stop"},
)


def whole(body: object, encoding: str = "", content_type: str = "application/json") -> Meter:
    meter = Meter(content_type, encoding)
    meter.feed(body if isinstance(body, bytes) else json.dumps(body).encode())
    meter.end()
    return meter


def streamed(*chunks: bytes, encoding: str = "") -> Meter:
    meter = Meter("text/event-stream", encoding)
    for chunk in chunks:
        meter.feed(chunk)
    meter.end()
    return meter


def usage(told: dict, **beside: object) -> Usage | None:
    return whole({**CHAT, **beside, "usage": told}).billed.usage


ANTHROPIC = {"input_tokens": 10, "cache_read_input_tokens": 200, "output_tokens": 5}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(
            {
                **ANTHROPIC,
                "cache_creation_input_tokens": 70,
                "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 50},
                "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 1},
                "service_tier": "batch",
                "speed": "fast",
                "inference_geo": "us",
            },
            Usage(10, 200, 70, 5, write_1h=50, web_searches=3, tier="batch", speed="fast", geo="us"),
            id="anthropic-everything",
        ),
        pytest.param(
            {**ANTHROPIC, "service_tier": "standard", "speed": "standard", "inference_geo": "not_available"},
            Usage(10, 200, 0, 5),
            id="anthropic-ordinary",
        ),
        pytest.param(
            {**ANTHROPIC, "cache_creation": {"ephemeral_1h_input_tokens": 50}},
            Usage(10, 200, 50, 5, write_1h=50),
            id="anthropic-lifetimes-alone",
        ),
        pytest.param(
            {
                "input_tokens": 1000,
                "output_tokens": 50,
                "input_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 100},
            },
            Usage(200, 700, 100, 50),
            id="responses",
        ),
        pytest.param(
            {"prompt_tokens": 1000, "completion_tokens": 50, "cached_tokens": 700},
            Usage(300, 700, 0, 50),
            id="kimi",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "prompt_cache_hit_tokens": 700,
                "prompt_cache_miss_tokens": 300,
            },
            Usage(300, 700, 0, 50),
            id="deepseek",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "total_tokens": 1050,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 700,
                "prompt_tokens_details": {
                    "cached_tokens": 700,
                    "cache_creation_tokens": 200,
                    "cache_creation_token_details": {"ephemeral_1h_input_tokens": 200},
                },
            },
            Usage(100, 700, 200, 50, write_1h=200),
            id="litellm",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "prompt_tokens_details": {
                    "cached_tokens": 0,
                    "cache_creation_input_tokens": 800,
                    "cache_creation": {"ephemeral_5m_input_tokens": 800},
                },
            },
            Usage(200, 0, 800, 50),
            id="qwen",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "total_tokens": 1450,
                "prompt_tokens_details": {"cached_tokens": 700},
                "completion_tokens_details": {"reasoning_tokens": 400},
            },
            Usage(300, 700, 0, 450),
            id="xai-counts-reasoning-apart",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 450,
                "total_tokens": 1450,
                "completion_tokens_details": {"reasoning_tokens": 400},
            },
            Usage(1000, 0, 0, 450),
            id="openai-counts-reasoning-within",
        ),
        pytest.param(
            {"prompt_tokens": 1000, "completion_tokens": 50, "num_cached_tokens": 700},
            Usage(300, 700, 0, 50),
            id="mistral",
        ),
        pytest.param(
            {
                "prompt_tokens": 300,
                "completion_tokens": 50,
                "total_tokens": 1050,
                "cache_read_input_tokens": 700,
            },
            Usage(300, 700, 0, 50),
            id="a-whole-without-what-was-read",
        ),
        pytest.param(
            {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "prompt_tokens_details": None,
                "input_tokens": 0,
            },
            Usage(1000, 0, 0, 50),
            id="both-names",
        ),
        pytest.param({"total_tokens": 7}, None, id="no-counts"),
        pytest.param({"prompt_tokens": "many", "completion_tokens": -1}, None, id="nonsense"),
    ],
)
def test_counts_are_read_under_the_names_of_every_provider(told, expected):
    assert usage(told) == expected


def test_counts_of_gemini_and_of_a_choice_are_read():
    gemini = {"promptTokenCount": 1000, "cachedContentTokenCount": 700, "candidatesTokenCount": 30}
    answer = whole({"modelVersion": "gemini-4-argon", "usageMetadata": {**gemini, "thoughtsTokenCount": 20}})
    assert answer.billed.usage == Usage(300, 700, 0, 50)
    assert answer.billed.model == "gemini-4-argon"
    kimi = {"prompt_tokens": 1000, "completion_tokens": 50, "cached_tokens": 700}
    assert whole({**CHAT, "choices": [{"index": 0, "usage": kimi}]}).billed.usage == Usage(300, 700, 0, 50)


@pytest.mark.parametrize(
    ("tier", "read"),
    [("default", ""), ("auto", ""), ("flex", "flex"), ("priority", "priority"), ("🦄", "other")],
)
def test_the_tier_of_an_answer_stands_beside_its_usage(tier, read):
    told = usage({"prompt_tokens": 10, "completion_tokens": 5}, service_tier=tier)
    assert told is not None
    assert told.tier == read


def iteration(kind: str, input_: int, output: int, **more: object) -> dict:
    return {"type": kind, "input_tokens": input_, "output_tokens": output, **more}


def test_a_compaction_is_billed_and_the_prompt_is_what_is_left():
    listed = [iteration("compaction", 180_000, 3500), iteration("message", 23_000, 1000)]
    told = usage({"input_tokens": 23_000, "output_tokens": 1000, "iterations": listed})
    assert told is not None
    assert (told.input, told.output, told.prompt) == (203_000, 4500, 23_000)


def test_an_advisor_is_billed_as_the_model_it_is_and_two_messages_once():
    listed = [
        iteration("message", 2, 10, cache_read_input_tokens=270_000),
        iteration("advisor_message", 235_000, 700, model="claude-fable-5-1"),
        iteration("message", 2, 30, cache_read_input_tokens=273_000),
    ]
    told = usage(
        {"input_tokens": 4, "cache_read_input_tokens": 543_000, "output_tokens": 40, "iterations": listed}
    )
    assert told is not None
    assert (told.input, told.read, told.output) == (235_004, 543_000, 740)
    assert told.prompt == 273_002
    assert told.iterations[1] == Iteration("advisor_message", "claude-fable-5-1", input=235_000, output=700)


def test_one_iteration_says_nothing_more():
    assert usage({**ANTHROPIC, "iterations": [iteration("message", 10, 5, cache_read_input_tokens=200)]}) == (
        Usage(10, 200, 0, 5)
    )
    assert usage({**ANTHROPIC, "iterations": None}) == Usage(10, 200, 0, 5)


def test_iterations_from_the_start_of_a_stream_are_not_the_last_word():
    start = {
        "input_tokens": 9,
        "output_tokens": 1,
        "iterations": [iteration("compaction", 90, 5), iteration("message", 9, 1)],
    }
    events = [
        {"type": "message_start", "message": {"usage": start}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 42}},
    ]
    body = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in events)
    told = streamed(body).billed.usage
    assert told is not None
    assert (told.input, told.output) == (99, 47)


def lines(event: dict, *, pretty: bool = False, space: bool = True) -> list[bytes]:
    text = json.dumps(event, indent=1 if pretty else None, ensure_ascii=False).encode()
    return [(b"data: " if space else b"data:") + line for line in text.split(b"\n")]


@st.composite
def streams(draw) -> bytes:
    """Draw the same events in some form that the standard of server-sent events allows."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    pretty, space = draw(st.booleans()), draw(st.booleans())
    out = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    for event in EVENTS:
        if draw(st.booleans()):
            out += b": a comment" + end
        if draw(st.booleans()):
            out += b"event: " + event["type"].encode() + end + b"id: 7" + end
        out += end.join(lines(event, pretty=pretty, space=space)) + end + end
        if draw(st.booleans()):
            out += b": ping" + end + end
    return out[: -2 * len(end)] if draw(st.booleans()) else out


@given(streams(), st.data())
def test_a_stream_is_read_in_every_form_wherever_it_is_cut(body, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    meter = streamed(*(body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)))
    assert meter.billed.usage == TOLD
    assert (meter.billed.model, meter.billed.id, meter.stop) == ("claude-sonnet-4-5", "msg_1", "end_turn")
    assert meter.complete
    assert not meter.broken_off


def test_a_stream_is_read_byte_by_byte_and_without_empty_lines():
    body = b"\n".join(line for event in EVENTS for line in lines(event)) + b"\n"
    assert streamed(*(bytes([byte]) for byte in body)).billed.usage == TOLD


def test_a_last_chunk_of_usage_alone_counts():
    chunk = {"object": "chat.completion.chunk", "choices": [], "model": "kimi-k2.5"}
    told = {"prompt_tokens": 20_000, "completion_tokens": 50, "cached_tokens": 18_000}
    body = b"data:" + json.dumps({**chunk, "usage": None}).encode() + b"\n\n"
    body += b"data:" + json.dumps({**chunk, "usage": told}).encode() + b"\n\ndata:[DONE]"
    assert streamed(body).billed.usage == Usage(2000, 18_000, 0, 50)


PLAIN = b"".join(b"\n".join(lines(event)) + b"\n\n" for event in EVENTS)
HALVES = (PLAIN[: len(PLAIN) // 2], PLAIN[len(PLAIN) // 2 :])


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(PLAIN)),
        ("gzip", b"".join(map(gzip.compress, HALVES))),
        ("gzip", b"".join(map(gzip.compress, HALVES)) + b"\0" * 20),
        ("deflate", zlib.compress(PLAIN)),
        ("deflate", zlib.compress(PLAIN)[2:-4]),
        ("zstd", zstandard.compress(PLAIN)),
        ("zstd", b"".join(map(zstandard.compress, HALVES))),
        ("br", brotli.compress(PLAIN)),
        ("zstd, gzip", gzip.compress(zstandard.compress(PLAIN))),
        ("identity", PLAIN),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_packed_streams_are_read_piece_by_piece(encoding, packed, size):
    chunks = [packed[start : start + size] for start in range(0, len(packed), size)]
    assert streamed(*chunks, encoding=encoding).billed.usage == TOLD


@pytest.mark.parametrize("line", [b"\n", b"x\n", b"data:\n", b"\r", b": ping\n\n"])
def test_a_stream_of_endless_lines_is_not_read_on(monkeypatch, line):
    monkeypatch.setattr("anchorline.gateway.usage.MAX_LINES", 10_000)
    looked_at = []
    monkeypatch.setattr(Meter, "_line", lambda self, text: looked_at.append(text))
    meter = Meter("text/event-stream", "")
    meter.feed(b"data: {}\n\n")
    for _ in range(100):
        meter.feed(line * 1000)
    assert len(looked_at) <= 10_000
    meter.end()
    assert meter.billed.usage is None
    assert not meter.complete


def test_an_event_of_endless_empty_lines_is_given_up(monkeypatch):
    monkeypatch.setattr("anchorline.gateway.usage.ANSWER_BYTES", 10_000)
    meter = Meter("text/event-stream", "")
    for _ in range(200):
        meter.feed(b"data:\n" * 100)
    assert not meter.complete
    assert not meter._event


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("br", brotli.compress), ("gzip", gzip.compress), ("zstd", zstandard.compress)],
)
def test_what_unpacks_to_more_than_any_answer_is_not_unpacked(encoding, pack):
    bomb = pack(bytes(20 * ANSWER_BYTES))
    meter = Meter("text/event-stream", encoding)
    meter.feed(b"")
    tracemalloc.start()
    try:
        meter.feed(bomb)
        meter.end()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * ANSWER_BYTES
    assert meter.billed.usage is None
    assert not meter.complete


def test_what_was_read_before_rubbish_counts():
    start = b"\n".join(lines(EVENTS[0])) + b"\n\n"
    meter = Meter("text/event-stream", "gzip")
    meter.feed(gzip.compress(start))
    meter.feed(b"no gzip at all")
    meter.end()
    assert meter.billed.usage == Usage(10, 20_000, 500, 1, partial=False)
    assert not meter.complete


def test_a_stream_under_another_content_type_is_still_one():
    assert whole(PLAIN, content_type="application/json").billed.usage == TOLD
    error = b'{"type": "error", "error": {"type": "overloaded_error"}}'
    assert streamed(error).billed.usage is None


@pytest.mark.parametrize("last", ["response.incomplete", "response.failed"])
def test_an_answer_that_its_provider_ended_is_not_broken_off(last):
    told = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 7}
    body = b'data: {"type": "response.created", "response": {"usage": null}}\n\n'
    meter = Meter("text/event-stream", "")
    meter.feed(body)
    assert meter.broken_off
    meter.feed(
        b"data: "
        + json.dumps({"type": last, "response": {"service_tier": "flex", "usage": told}}).encode()
        + b"\n\n"
    )
    assert not meter.broken_off
    assert meter.billed.usage == Usage(100, 0, 0, 7, tier="flex")


def test_a_stream_that_was_left_says_that_more_may_be_billed():
    meter = Meter("text/event-stream", "")
    meter.feed(PLAIN[: PLAIN.index(b"message_delta")])
    assert meter.billed.usage == Usage(10, 20_000, 500, 1, partial=True)


@pytest.mark.parametrize(
    ("before", "unit", "after"),
    [
        (b"[", b"{}", b"]"),
        (b'{"usage":[', b"[]", b"]}"),
        (b'{"choices":[{"usage":1},', b"{}", b"]}"),
        (b'{"id":[', b"0", b"]}"),
    ],
    ids=["events", "usage", "choices", "numbers"],
)
def test_an_answer_of_countless_values_takes_little_more_than_its_bytes(
    before: bytes, unit: bytes, after: bytes
):
    text = before + b",".join([unit] * ((4 << 20) // (len(unit) + 1))) + after
    meter = Meter("application/json", "")
    tracemalloc.start()
    try:
        meter.feed(text)
        meter.end()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert meter.billed.usage is None
    assert most < 4 * len(text)
