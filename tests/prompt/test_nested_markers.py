"""Markers within blocks: seen and counted, and no part of what identifies the prefix."""

import json
from typing import Any

import pytest

from anchorline.cache import markers
from anchorline.plan import Anchor
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


def text(words: str, **members: Any) -> dict:
    return {"type": "text", "text": words, **members}


def result(*blocks: dict, **members: Any) -> dict:
    return {"type": "tool_result", "tool_use_id": "t1", "content": list(blocks), **members}


def body(*blocks: dict, **members: Any) -> bytes:
    messages = [{"role": "user", "content": list(blocks)}]
    return json.dumps({"model": "claude-sonnet-5", "messages": messages, **members}).encode()


def read(*blocks: dict, **members: Any) -> Prompt:
    return formats.read(body(*blocks, **members), format="anthropic")


HOLDERS = {
    "tool result": result,
    "MCP tool result": lambda one: {**result(one), "type": "mcp_tool_result"},
    "document": lambda one: {"type": "document", "source": {"type": "content", "content": [one]}},
    "search result": lambda one: {"type": "search_result", "source": "a", "title": "b", "content": [one]},
    "document in a result": lambda one: result(
        {"type": "document", "source": {"type": "content", "content": [one]}}
    ),
    "tool search": lambda one: {
        "type": "tool_search_tool_result",
        "tool_use_id": "s",
        "content": {"type": "tool_search_tool_search_result", "tool_references": [one]},
    },
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_marker_within_a_block_is_seen_and_changes_no_prefix(holder: str):
    marked, plain = read(HOLDERS[holder](text("found", **HOUR))), read(HOLDERS[holder](text("found")))
    assert [(mark.segment, mark.ttl, mark.standing) for mark in marked.markers] == [(0, "1h", "nested")]
    assert marked.segments[0].prefix == plain.segments[0].prefix
    assert marked.tokens == plain.tokens


def test_they_come_in_the_order_in_which_they_are_rendered():
    prompt = read(
        {"cache_control": {"type": "ephemeral", "ttl": "5m"}, **result(text("a", **HOUR), text("b", **MARK))}
    )
    assert [(mark.ttl, mark.standing) for mark in prompt.markers] == [
        ("1h", "nested"), ("default", "nested"), ("5m", "block"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_use", "id": "t", "name": "write", "input": {"content": [text("x", **MARK)], **MARK}},
        result(text(json.dumps(text("x", **MARK)))),
        {"type": "tool_result", "tool_use_id": "t", "content": json.dumps(text("x", **MARK))},
    ],
)
def test_what_a_tool_is_called_with_or_returns_as_text_holds_none(block: dict):
    assert read(block).markers == ()


def test_they_go_where_the_plan_has_others():
    data = body(result(text("a", **MARK), text("b", **MARK), **MARK), text("go on"))
    prompt = formats.read(data, format="anthropic")
    changes = markers.splices(prompt, [Anchor(1, prompt.pointer(1), 0, "5m", "")])
    made = json.loads(markers.apply(data, changes))
    assert made["messages"][0]["content"] == [result(text("a"), text("b")), text("go on", **MARK)]
    assert markers.strip(markers.apply(data, changes), changes) == data


def test_they_stay_where_the_block_s_is_kept():
    data = body(result(text("a", **MARK), text("b", **MARK)), text("go on"))
    prompt = formats.read(data, format="anthropic")
    kept = [Anchor(0, "", 0, "5m", "", "client"), Anchor(1, "", 0, "5m", "")]
    made = json.loads(markers.apply(data, markers.splices(prompt, kept)))
    assert made["messages"][0]["content"][0] == result(text("a", **MARK), text("b", **MARK))


@pytest.mark.parametrize("order", [1, -1])
def test_a_member_without_a_value_is_none_and_gives_way_to_one(order: int):
    block = dict([*text("go on").items(), ("cache_control", None)][::order])
    data = body(block)
    prompt = formats.read(data, format="anthropic")
    assert [mark.acts for mark in prompt.markers] == [False]
    assert prompt.segments[0].prefix == read(dict([*text("go on").items()][::order])).segments[0].prefix
    made = markers.apply(data, markers.splices(prompt, [Anchor(0, "", 0, "5m", "")]))
    assert made.count(b"cache_control") == 1
    assert json.loads(made)["messages"][0]["content"] == [text("go on", **MARK)]
    assert markers.splices(prompt, ()) == ()


@pytest.mark.parametrize(
    "content", ['{"cache_control":{},"type":"text","text":"x"}', '{"type":"text","text":"x" , "cache_control":{} }',
                '{"cache_control":{},"cache_control":{"type":"ephemeral"},"type":"text","text":"x"}',
                '{"type":"text","cache_control":{},"cache_control":{},"text":"x"}']
)  # fmt: skip
def test_a_marker_goes_with_one_comma_wherever_it_stands(content: str):
    data = b'{"model":"claude-sonnet-5","messages":[{"role":"user","content":[%s]}]}' % content.encode()
    prompt = formats.read(data, format="anthropic")
    assert json.loads(markers.apply(data, markers.splices(prompt, ())))["messages"][0]["content"] == [
        text("x")
    ]
