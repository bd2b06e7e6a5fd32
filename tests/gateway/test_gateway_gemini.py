"""Gemini's requests through the gateway: byte for byte in both directions, and recorded as they were billed."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from anchorline.gateway.credential import credential
from anchorline.gateway.upstream import Upstream as Provider
from anchorline.gateway.usage import Meter
from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.report.collect import collect
from anchorline.route.catalog import load as catalog
from anchorline.route.target import load as targets
from support.gateways import Gateway, call, gateway, settled
from support.upstream import Running, Upstream

MODEL = "gemini-3.1-pro-preview"
STREAM = f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"
KEY = "AIzaSyD-made-up-9tSrke72PouQMnMX-a7eZSW0"
RULES = "Keep to the style of the file, and say why. " * 800
READ = {"name": "read_file", "description": "Reads a file.", "parametersJsonSchema": {"type": "object"}}


def conversation(steps: int) -> dict[str, Any]:
    """Return a body of Gemini CLI's form: the conversation first, then what stands before it in the prompt."""
    contents = [{"parts": [{"text": "The folder has a.py."}, {"text": "Read the file."}], "role": "user"}]
    for step in range(steps):
        call_ = {
            "functionCall": {"name": "read_file", "args": {}, "id": f"c{step}"},
            "thoughtSignature": "c2ln",
        }
        result = {"name": "read_file", "id": f"c{step}", "response": {"output": RULES[:4000] + str(step)}}
        contents.append({"parts": [call_], "role": "model"})
        contents.append({"parts": [{"functionResponse": result}], "role": "user"})
    return {
        "contents": contents,
        "systemInstruction": {"parts": [{"text": RULES}], "role": "user"},
        "tools": [{"functionDeclarations": [READ]}],
        "generationConfig": {"maxOutputTokens": 900, "thinkingConfig": {"includeThoughts": True}},
    }


def body(steps: int) -> bytes:
    return json.dumps(conversation(steps), separators=(",", ":")).encode()


@pytest.fixture
def behind() -> Iterator[Running]:
    with Running(Upstream()) as upstream:
        yield upstream


@pytest.fixture
def running(behind: Running, tmp_path) -> Iterator[Gateway]:
    with gateway(tmp_path / "g", behind.url, level="debug") as process:
        yield process


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", f"/v1beta/models/{MODEL}:generateContent", body(1)),
        ("POST", STREAM, body(1)),
        ("POST", f"/v1beta/models/{MODEL}:streamGenerateContent", body(1)),
        ("POST", f"/v1beta/models/{MODEL}:countTokens", body(1)),
        ("POST", f"/v1beta/models/{MODEL}:generateContent", b'{"contents":[]}'),
        ("POST", f"/v1beta/models/{MODEL}:generateContent?key=bad", body(0)),
        ("POST", f"/v1beta/models/{MODEL}:embedContent", b'{"content":{"parts":[{"text":"a"}]}}'),
        ("GET", "/v1beta/models?pageSize=5&key=" + KEY, b""),
    ],
)
def test_each_request_passes_byte_for_byte(
    running: Gateway, behind: Running, method: str, path: str, sent: bytes
):
    call(behind.url + path, method, sent)  # the cache is read from then on
    direct = call(behind.url + path, method, sent, x_goog_api_key="", x_encoding="gzip")
    through = call(running.gemini + path, method, sent, x_goog_api_key="", x_encoding="gzip")
    assert (through[0], through[2]) == (direct[0], direct[2])
    seen = behind.app.seen
    assert (seen[2].method, seen[2].path, seen[2].body) == (seen[1].method, seen[1].path, seen[1].body)


def test_a_conversation_is_recorded_as_it_was_billed(running: Gateway, behind: Running):
    """Whole, as events and as an array: the upstream's cache is read from the second request on, as foretold."""
    paths = [STREAM, STREAM, STREAM.removesuffix("?alt=sse"), STREAM.replace("streamG", "g")]
    for steps, path in enumerate(paths):
        assert call(running.gemini + path, body=body(steps))[0] == 200
    state = settled(running, len(paths))
    running.stop()
    billed = behind.app.billed
    assert [one.read > 0 for one in billed] == [False, True, True, True]
    assert (state["predicted"], state["hits"]) == (3, 3)
    assert state["expected_hits"] == pytest.approx(3, abs=0.3)
    assert (state["counts"]["unread"], state["counts"]["changed"]) == (0, 0)
    report = collect(running.database, targets())
    assert report.requests == len(paths)
    with closing(sqlite3.connect(running.database)) as database:
        rows = database.execute(
            "SELECT input_tokens, read_tokens, output_tokens FROM outcomes ORDER BY id"
        ).fetchall()
    assert rows == [(one.uncached, one.read, 9) for one in billed]
    model = catalog().find(MODEL)
    assert model is not None
    price, output = model.prices(0)
    owed = price * behind.app.usd + output * 9 * len(paths)
    assert sum(usage.usd for usage in report.costs) == pytest.approx(owed)
    assert (report.hits.returns, report.hits.hits, report.hits.first) == (3, 3, 1)
    assert report.hits.misses == ()


def test_no_mode_changes_a_request(behind: Running, tmp_path):
    with gateway(tmp_path / "g", behind.url, settings='mode = "route"') as running:
        for steps in range(3):
            _, headers, _ = call(running.gemini + STREAM, body=body(steps))
            assert "only observed" in dict(headers)["anchorline-unchanged"]
        settled(running, 3)
    assert [seen.body for seen in behind.app.seen] == [body(steps) for steps in range(3)]


def test_a_key_is_kept_nowhere(running: Gateway):
    call(running.gemini + STREAM + "&key=" + KEY, body=body(0))
    call(running.gemini + STREAM, body=body(1), x_goog_api_key=KEY)
    call(running.gemini + "/v1beta/models/m:embedContent?key=" + KEY, body=b"{}")
    settled(running, 2)
    running.stop()
    for file in running.home.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file


@pytest.mark.parametrize("query", ["?alt=sse&key=client", "?key=client&alt=sse", "?alt=sse"])
def test_a_key_of_the_settings_takes_the_place_of_the_clients(behind: Running, tmp_path, query: str):
    settings = 'gemini_key = "environment"'
    with gateway(tmp_path / "g", behind.url, settings=settings, env={"GEMINI_API_KEY": "own"}) as running:
        path = STREAM.partition("?")[0]
        call(
            running.gemini + path + query,
            body=body(0),
            x_goog_api_key="client",
            authorization="Bearer client",
        )
        call(running.gemini + path + "?key=client", body=body(0))
    sent, alone = behind.app.seen
    headers = dict(sent.headers)
    assert (headers[b"x-goog-api-key"], headers.get(b"authorization")) == (b"own", None)
    assert sent.path.decode() == path + "?alt=sse"
    assert alone.path.decode() == path


@pytest.mark.parametrize(
    ("headers", "path", "kind"),
    [
        ([(b"x-goog-api-key", KEY.encode())], "/v1beta/models", "api key"),
        ([], f"/v1beta/models?key={KEY}", "api key"),
        ([(b"authorization", b"Bearer ya29.a0made-up")], "/v1beta/models", "other"),
        ([], "/v1beta/models?alt=sse", "none"),
    ],
)
def test_the_kind_of_credential_is_told(headers: list, path: str, kind: str):
    assert (
        credential(Provider("gemini", "https://generativelanguage.googleapis.com"), headers, b"", path)
        == kind
    )


def event(**members: Any) -> bytes:
    return b"data: " + json.dumps(members).encode() + b"\r\n\r\n"


def test_the_last_usage_of_a_stream_counts():
    """An answer's usage is that so far: the first events may tell more of the prompt, or less of the answer."""
    first = {"promptTokenCount": 1000, "cachedContentTokenCount": 900, "thoughtsTokenCount": 40}
    last = {"promptTokenCount": 990, "cachedContentTokenCount": 800, "candidatesTokenCount": 12,
            "thoughtsTokenCount": 44, "toolUsePromptTokenCount": 30, "totalTokenCount": 1076}  # fmt: skip
    meter = Meter("text/event-stream", "")
    meter.feed(
        event(candidates=[{"content": {"parts": [{"text": '{"finishReason": 1}'}]}}], usageMetadata=first)
    )
    assert not meter.complete
    meter.feed(event(candidates=[{"content": {}, "finishReason": "STOP"}], usageMetadata=last, responseId="r-1",
                     modelVersion=MODEL))  # fmt: skip
    billed = meter.billed
    assert (billed.id, billed.model) == ("r-1", MODEL)
    assert billed.usage is not None
    assert (billed.usage.input, billed.usage.read, billed.usage.output) == (990 - 800 + 30, 800, 12 + 44)
    assert meter.complete
    assert not meter.broken_off


def test_a_body_is_read_the_same_whole_and_continued():
    memory = Memory()
    prefixes: list[bytes] = []
    for steps in range(4):
        prompt = formats.read(body(steps), format="gemini", memory=memory, model=MODEL)
        alone = formats.read(json.dumps(conversation(steps)).encode(), model=MODEL)
        assert [segment.tokens for segment in prompt.segments] == pytest.approx(
            [segment.tokens for segment in alone.segments], rel=0.05, abs=5
        )
        assert prompt.segments == formats.read(body(steps), format="gemini", model=MODEL).segments
        assert [segment.prefix for segment in prompt.segments][: len(prefixes)] == prefixes
        prefixes = [segment.prefix for segment in prompt.segments]
    assert (prompt.model, prompt.max_tokens, prompt.format) == (MODEL, 900, "gemini")
    kinds = ["tool", "system", "text", "text", *(["tool_use", "tool_result"] * 3)]
    assert [segment.kind for segment in prompt.segments] == kinds
    assert prompt.pointer(0) == "/tools/0"
    assert prompt.pointer(3) == "/contents/0/parts/1"
    assert prompt.text(prompt.segments[3]) == '{"text":"Read the file."}'


def test_other_spellings_of_a_body_are_one_prompt():
    camel = conversation(1)
    snake = {"system_instruction": camel.pop("systemInstruction"), **camel}
    snake["contents"][2]["parts"] = [
        {"function_response": snake["contents"][2]["parts"][0]["functionResponse"]}
    ]
    prompt = formats.read(json.dumps(snake).encode(), model=MODEL)
    kinds = ["tool", "system", "text", "text", "tool_use", "tool_result"]
    assert [segment.kind for segment in prompt.segments] == kinds
    assert prompt.self_contained
    assert not formats.read(
        json.dumps({**camel, "cachedContent": "cachedContents/a"}).encode()
    ).self_contained


def test_what_is_attached_counts_by_its_form():
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo" + "A" * 400_000}}
    audio = {"inlineData": {"mimeType": "audio/wav", "data": "UklGRg" + "A" * 400_000}}
    parts = [{"text": "Look."}, image, audio]
    prompt = formats.read(json.dumps({"contents": [{"parts": parts}]}).encode(), model=MODEL)
    assert [segment.kind for segment in prompt.segments] == ["text", "image", "other"]
    assert [segment.tokens < 1500 for segment in prompt.segments] == [True, True, True]
