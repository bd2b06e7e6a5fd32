"""Mode `anchors`: what the provider gets, what that saves, and what happens when something fails."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import markers
from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Cache, Config
from anchorline.gateway.splice import planned
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.model import PromptError
from support.examples import examples
from support.gateways import Gateway, call, gateway
from support.json_texts import anthropic_bodies
from support.upstream import Running, Upstream

RULES = "Keep to the style of the file, and say why. " * 800
MODE = 'mode = "anchors"'


@pytest.fixture(scope="module")
def behind() -> Iterator[Running]:
    with Running(Upstream()) as running:
        yield running


@pytest.fixture(scope="module")
def through(behind: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), behind.url, settings=MODE) as running:
        yield running


def without_markers(body: bytes) -> Any:
    """The body as it would be read, with a string and one block of text the same, and no markers."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        if isinstance(value, dict):
            kept = {key: plain(one) for key, one in value.items() if key != "cache_control"}
            for name in ("content", "system"):
                if isinstance(kept.get(name), str):
                    kept[name] = [{"type": "text", "text": kept[name]}]
            return kept
        return value

    return plain(json.loads(body))


def test_a_client_without_markers_reads_its_prefix_from_the_cache(behind: Running, through: Gateway):
    client = anthropic.Anthropic(base_url=through.anthropic, api_key="k", max_retries=0)
    messages: list[Any] = []
    read = []
    for turn in range(4):
        messages.append({"role": "user", "content": f"Step {turn}: " + "look at it again. " * 300})
        raw = client.messages.with_raw_response.create(
            model="claude-sonnet-5", max_tokens=50, system=RULES, messages=messages
        )
        assert raw.headers["anchorline-plan"]
        assert "anchorline-unchanged" not in raw.headers
        answer = raw.parse()
        read.append(answer.usage.cache_read_input_tokens)
        sent = behind.app.seen[-1].body
        assert b"cache_control" in sent
        given = {"model": "claude-sonnet-5", "max_tokens": 50, "system": RULES, "messages": messages}
        assert without_markers(sent) == without_markers(json.dumps(given).encode())
        messages.append({"role": "assistant", "content": answer.content[0].text})
    client.close()
    assert read[0] == 0
    assert 5000 < read[1] < read[2] < read[3]


def test_what_is_changed_are_splices_of_the_client_s_bytes(behind: Running, through: Gateway):
    odd = b'{ "max_tokens":9,\n"messages" : [ {"content": "%s" ,"role":"user"} ] , "model":"claude-sonnet-5","x":1e5,"x":[ ]}'
    body = odd % (b"Fix \\u00e9 \xc3\xa9 " * 900)
    assert call(through.anthropic + "/v1/messages", body=body)[0] == 200
    sent = behind.app.seen[-1].body
    assert sent != body
    inserted = b'[{"type":"text","text":', b',"cache_control":{"type":"ephemeral"}}]'
    assert sent.replace(inserted[0], b"").replace(inserted[1], b"") == body


def test_openai_takes_its_own_markers(behind: Running, through: Gateway):
    client = openai.OpenAI(base_url=through.openai, api_key="k", max_retries=0)
    part = {"type": "input_text", "text": RULES}
    client.responses.create(model="gpt-5.6", input=[{"role": "user", "content": [part]}])
    assert b"cache_control" not in behind.app.seen[-1].body
    client.chat.completions.create(
        model="claude-sonnet-5", messages=[{"role": "user", "content": [{"type": "text", "text": RULES}]}]
    )
    assert b"cache_control" not in behind.app.seen[-1].body, "this format has no such member"
    assert b"prompt_cache_breakpoint" not in behind.app.seen[-1].body, "this provider knows no such member"
    client.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"messages":"none"}',
        b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":"\xff"}]}',
    ],
)
def test_what_can_t_be_read_goes_on_as_it_is(body: bytes, behind: Running, through: Gateway):
    status, headers, answer = call(through.anthropic + "/v1/messages", body=body)
    direct = call(behind.url + "/v1/messages", body=body)
    assert (status, answer) == (direct[0], direct[2])
    assert dict(headers)["anchorline-unchanged"] == "the request can't be planned"
    assert behind.app.seen[-2].body == body


def test_the_outcome_belongs_to_what_was_sent(tmp_path):
    body = {
        "model": "claude-sonnet-5",
        "max_tokens": 9,
        "system": RULES,
        "messages": [{"role": "user", "content": "Go on"}],
    }
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url, settings=MODE) as running:
        for _ in range(2):
            assert call(running.anthropic + "/v1/messages", body=json.dumps(body).encode())[0] == 200
        running.stop()
        with sqlite3.connect(running.database) as database:
            query = "SELECT p_hit, read_tokens, signals FROM outcomes o JOIN plans p ON p.id = o.plan ORDER BY sent_at"
            (_, first, one), (p_hit, read, other) = database.execute(query).fetchall()
        database.close()
    assert (first, read > 5000, p_hit > 0.9) == (0, True, True)
    assert json.loads(one)["changes"] >= 1 <= json.loads(other)["changes"]


PLANNERS = [Planner(Config(cache=Cache(anchors=mode)), MemoryLedger()) for mode in ("extend", "replace")]


@examples(60)
@given(anthropic_bodies(), st.sampled_from(PLANNERS))
def test_without_the_splices_the_original_is_back(body: bytes, planner: Planner) -> None:
    try:
        prompt = formats.read(body, format="anthropic")
    except PromptError:
        return
    changed = planned(body, prompt, planner.plan(prompt, now=0), planner.targets)
    assert markers.strip(changed.body, changed.splices) == body
    assert bool(changed.splices) == (changed.body != body)


def test_a_body_with_half_an_emoji_is_planned_and_keeps_it(behind: Running, through: Gateway):
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "system": RULES, "messages": []}
    body["messages"] = [{"role": "user", "content": "It was cut: \ud83d"}]
    data = json.dumps(body).encode()
    status, headers, _ = call(through.anthropic + "/v1/messages", body=data)
    assert status == 200
    assert "anchorline-plan" in dict(headers)
    sent = behind.app.seen[-1].body
    assert b"cache_control" in sent
    assert without_markers(sent) == without_markers(data)
