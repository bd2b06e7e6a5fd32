"""The providers' own libraries get the same through the gateway as directly, and the provider gets the same from them."""

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from anchorline.store.reader import Reader
from support.gateways import Gateway, gateway
from support.upstream import Running, Upstream

LONG = "The quick brown fox jumps over the lazy dog, and the parser reads it again. " * 300
IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
TOOL = {"name": "read", "description": "Read a file", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {
    "type": "function",
    "function": {"name": "read", "parameters": {"type": "object", "properties": {}}},
}
MARKED = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
IGNORED = {b"host", b"connection", b"content-length"}


@pytest.fixture(scope="module")
def upstreams() -> Iterator[tuple[Running, Running]]:
    """Two alike: one is called directly, the other through the gateway, so that their caches are in the same state."""
    with Running(Upstream()) as direct, Running(Upstream()) as behind:
        yield direct, behind


@pytest.fixture(autouse=True)
def nothing_seen(upstreams: tuple[Running, Running]) -> None:
    for running in upstreams:
        running.app.seen.clear()


@pytest.fixture(scope="module")
def through(
    upstreams: tuple[Running, Running], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), upstreams[1].url) as running:
        yield running


CLIENTS: list[anthropic.Anthropic | openai.OpenAI] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """No client's connections outlive its test."""
    yield
    while CLIENTS:
        CLIENTS.pop().close()


def claude(base: str, **options: Any) -> anthropic.Anthropic:
    key = options.pop("api_key", "k")
    CLIENTS.append(client := anthropic.Anthropic(base_url=base, api_key=key, max_retries=0, **options))
    return client


def gpt(base: str, **options: Any) -> openai.OpenAI:
    key = options.pop("api_key", "k")
    CLIENTS.append(client := openai.OpenAI(base_url=base, api_key=key, max_retries=0, **options))
    return client


def ask(client: anthropic.Anthropic, **more: Any) -> Any:
    body = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Fix it"}]}
    return client.messages.create(**body | more)


def streamed(stream: Any) -> list[Any]:
    return [event.model_dump() for event in stream]


def _helper(client: anthropic.Anthropic) -> Any:
    with client.messages.stream(model="claude-sonnet-5", max_tokens=9, messages=[USER]) as stream:
        return ["".join(stream.text_stream), stream.get_final_message().model_dump()]


USER = {"role": "user", "content": "Fix — “it” 🧭"}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}}
ANTHROPIC = {
    "plain": lambda c: ask(c).model_dump(),
    "cached": lambda c: [ask(c, system=MARKED).usage.model_dump() for _ in range(2)],
    "system, unknown fields and betas": lambda c: ask(
        c,
        system=LONG,
        extra_body={"unknown_field": [1e30, "é"]},
        extra_headers={"anthropic-beta": "a-2026,b-2027", "x-odd": "kept"},
    ).model_dump(),
    "tools": lambda c: ask(c, tools=[TOOL], messages=[USER]).model_dump(),
    "image": lambda c: ask(c, messages=[{"role": "user", "content": [PICTURE, *MARKED]}]).model_dump(),
    "stream": lambda c: streamed(ask(c, stream=True)),
    "stream with tools": lambda c: streamed(ask(c, stream=True, tools=[TOOL], system=MARKED)),
    "stream helper": _helper,
    "count tokens": lambda c: c.messages.count_tokens(model="claude-sonnet-5", messages=[USER]).model_dump(),
    "models": lambda c: [one.id for one in c.models.list()],
    **{
        f"packed {encoding}{' stream' if stream else ''}": lambda c, encoding=encoding, stream=stream: (
            streamed(ask(c, stream=True, extra_headers={"x-encoding": encoding}))
            if stream
            else ask(c, extra_headers={"x-encoding": encoding}).model_dump()
        )
        for encoding in ("gzip", "br")
        for stream in (False, True)
    },
}
OPENAI = {
    "chat": lambda c: c.chat.completions.create(model="gpt-5.6", messages=[USER]).model_dump(),
    "chat tools": lambda c: c.chat.completions.create(
        model="gpt-5.5", messages=[{"role": "system", "content": LONG}, USER], tools=[FUNCTION]
    ).model_dump(),
    "chat image": lambda c: c.chat.completions.create(
        model="gpt-5.6",
        messages=[
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}}],
            }
        ],
    ).model_dump(),
    "chat stream": lambda c: streamed(
        c.chat.completions.create(
            model="gpt-5.6", messages=[USER], stream=True, stream_options={"include_usage": True}
        )
    ),
    "responses": lambda c: c.responses.create(
        model="gpt-5.6", input=LONG + "Fix it", instructions="Be brief"
    ).model_dump(),
    "responses stream": lambda c: streamed(c.responses.create(model="gpt-5.6", input=[USER], stream=True)),
    "models": lambda c: [one.id for one in c.models.list()],
}


def same(upstreams: tuple[Running, Running]) -> None:
    """The provider saw the same requests on both ways, byte for byte."""
    direct, behind = (running.app.seen for running in upstreams)
    assert len(direct) == len(behind) > 0
    for one, other in zip(direct, behind, strict=True):
        assert (one.method, one.path, one.body) == (other.method, other.path, other.body)
        assert [each for each in one.headers if each[0] not in IGNORED] == [
            each for each in other.headers if each[0] not in IGNORED
        ]


@pytest.mark.parametrize("name", ANTHROPIC)
def test_anthropic(name: str, upstreams: tuple[Running, Running], through: Gateway):
    call = ANTHROPIC[name]
    assert call(claude(through.anthropic)) == call(claude(upstreams[0].url))
    same(upstreams)


@pytest.mark.parametrize("name", OPENAI)
def test_openai(name: str, upstreams: tuple[Running, Running], through: Gateway):
    call = OPENAI[name]
    assert call(gpt(through.openai)) == call(gpt(upstreams[0].url + "/v1"))
    same(upstreams)


@pytest.mark.parametrize("fault", ["400", "401", "429", "500", "529"])
@pytest.mark.parametrize("stream", [False, True])
def test_errors_arrive_as_they_are(
    fault: str, stream: bool, upstreams: tuple[Running, Running], through: Gateway
):
    def attempt(base: str) -> Any:
        with pytest.raises(anthropic.APIStatusError) as caught:
            ask(claude(base), stream=stream, extra_headers={"x-fault": fault})
        error = caught.value
        return (
            type(error),
            error.status_code,
            error.body,
            error.request_id,
            error.response.headers.get("retry-after"),
        )

    assert attempt(through.anthropic) == attempt(upstreams[0].url)
    same(upstreams)


def test_a_bad_key_and_a_bad_body_are_the_provider_s_to_refuse(
    upstreams: tuple[Running, Running], through: Gateway
):
    for base in (upstreams[0].url, through.anthropic):
        with pytest.raises(anthropic.AuthenticationError):
            ask(claude(base, api_key="bad"))
        with pytest.raises(anthropic.BadRequestError):
            ask(claude(base), system=[*MARKED] * 6)
    same(upstreams)


def test_a_stream_that_breaks_off_breaks_off(upstreams: tuple[Running, Running], through: Gateway):
    def attempt(base: str) -> tuple[list[Any], str]:
        events = []
        try:
            events.extend(
                one.model_dump() for one in ask(claude(base), stream=True, extra_headers={"x-fault": "die"})
            )
        except (anthropic.APIError, httpx2.TransportError) as error:
            return events, type(error).__name__
        return events, "complete"

    told = attempt(through.anthropic)
    assert told == attempt(upstreams[0].url)
    assert told[0]
    assert told[1] != "complete"
    same(upstreams)


def test_every_request_was_recorded_with_its_usage(tmp_path, upstreams: tuple[Running, Running]):
    behind = upstreams[1]
    with gateway(tmp_path / "g", behind.url) as running:
        client = claude(running.anthropic)
        first = ask(client, system=MARKED).usage
        list(ask(client, system=MARKED, stream=True, extra_headers={"x-encoding": "br"}))
        gpt(running.openai).responses.create(model="gpt-5.6", input=LONG)
        with pytest.raises(anthropic.RateLimitError):
            ask(client, system=MARKED, extra_headers={"x-fault": "429"})
        assert running.stop() == 0
        rows = outcomes(running)
    assert first.cache_creation_input_tokens == 0 or first.cache_read_input_tokens == 0
    assert [row["status"] for row in rows] == [200, 200, 200, 429]
    assert [row["target"] for row in rows] == ["claude-sonnet-5", "claude-sonnet-5", "gpt-5.6", None]
    assert rows[1]["read_tokens"] > 5000
    assert rows[2]["write_tokens"] > 5000
    assert rows[3]["read_tokens"] is None
    assert rows[1]["p_hit"] > 0.9, "the first answer told that the prefix is warm"
    assert Reader(running.database).ledger(0)


def outcomes(running: Gateway) -> list[dict[str, Any]]:
    import json
    import sqlite3

    database = sqlite3.connect(running.database)
    database.row_factory = sqlite3.Row
    query = "SELECT o.*, p.p_hit FROM outcomes o JOIN plans p ON p.id = o.plan ORDER BY o.sent_at"
    rows = [dict(row) for row in database.execute(query)]
    database.close()
    return [row | json.loads(row["signals"]) for row in rows]
