"""What a body holds and the model is not sent: deferred tools, and what stands before a compaction block."""

import json
from typing import Any

import pytest

from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Prompt

SEARCH = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
MARK = {"cache_control": {"type": "ephemeral"}}
LONG = "What it takes and what it gives back. " * 60


def tool(name: str, **members: Any) -> dict:
    return {"name": name, "description": f"{name}: {LONG}", "input_schema": {"type": "object"}, **members}


def later(name: str, **members: Any) -> dict:
    return tool(name, defer_loading=True, **members)


def text(words: str, **members: Any) -> dict:
    return {"type": "text", "text": words, **members}


def said(role: str, *blocks: dict) -> dict:
    return {"role": role, "content": list(blocks)}


def result(*found: str) -> dict:
    references = [{"type": "tool_reference", "tool_name": name} for name in found]
    return {"type": "tool_result", "tool_use_id": "t1", "content": references}


def read(
    messages: list[dict], tools: list[dict] = (), memory: Memory | None = None, **members: Any
) -> Prompt:  # type: ignore[assignment]
    body = {"model": "claude-sonnet-5", "tools": list(tools), "messages": messages, **members}
    return formats.read(json.dumps(body).encode(), format="anthropic", memory=memory)


ASK = said("user", text("Which release broke it?"))
FIND = said(
    "assistant", {"type": "tool_use", "id": "t1", "name": "ToolSearch", "input": {"query": "releases"}}
)


def test_a_deferred_tool_is_no_part_of_the_prefix_nor_of_the_tokens():
    without = read([ASK], [SEARCH, tool("read")])
    with_it = read([ASK], [SEARCH, tool("read"), later("releases"), later("tags")])
    assert [one.prefix for one in with_it.segments] == [one.prefix for one in without.segments]
    assert with_it.tokens == without.tokens
    assert with_it.conversation == without.conversation


def test_a_tool_that_is_deferred_from_now_on_changes_nothing_before_it_is_found():
    before = read([ASK], [tool("read")])
    after = read([ASK, FIND, said("user", result("releases"))], [tool("read"), later("releases")])
    assert after.segments[1].prefix == before.segments[-1].prefix
    assert after.conversation == before.conversation


def test_its_definition_counts_where_it_is_found():
    found = said("user", result("releases"))
    bare = read([ASK, FIND, found], [tool("read")])
    there = read([ASK, FIND, found], [tool("read"), later("releases"), later("tags")])
    definition = read([ASK], [tool("releases")]).segments[0].tokens
    assert there.tokens - bare.tokens == pytest.approx(definition, rel=0.05)
    other = read([ASK, FIND, found], [tool("read"), later("releases", strict=True)])
    assert other.segments[-1].prefix != there.segments[-1].prefix
    assert other.segments[-2].prefix == there.segments[-2].prefix


def test_the_provider_s_own_search_finds_tools_as_well():
    inner = {
        "type": "tool_search_tool_search_result",
        "tool_references": [{"type": "tool_reference", "tool_name": "releases"}],
    }
    block = {"type": "tool_search_tool_result", "tool_use_id": "s1", "content": inner}
    bare = read([ASK, said("assistant", block)], [SEARCH])
    there = read([ASK, said("assistant", block)], [SEARCH, later("releases")])
    assert there.tokens > bare.tokens + 200


@pytest.mark.parametrize(
    ("members", "sent"),
    [
        ({"default_config": {"defer_loading": True}}, False),
        ({"default_config": {"defer_loading": True}, "configs": {"find": {"defer_loading": False}}}, True),
        ({"configs": {"find": {"defer_loading": True}}}, True),
        ({}, True),
    ],
)
def test_a_toolset_is_left_out_where_all_of_it_is_deferred(members: dict, sent: bool):
    prompt = read([ASK], [tool("read"), {"type": "mcp_toolset", "mcp_server_name": "registry", **members}])
    assert [one.kind for one in prompt.segments].count("tool") == 1 + sent


def test_a_schema_may_speak_of_defer_loading():
    schema = {"type": "object", "properties": {"defer_loading": {"type": "boolean"}, "cache_control": {}}}
    prompt = read([ASK], [{"name": "load", "input_schema": schema, **MARK}])
    assert [(mark.segment, mark.standing) for mark in prompt.markers] == [(0, "block")]


def test_pointers_count_the_tools_that_are_left_out():
    prompt = read([ASK], [later("releases"), tool("read")])
    assert prompt.pointer(0) == "/tools/1"


def test_a_marker_on_a_deferred_tool_is_seen_and_marks_nothing():
    prompt = read([ASK], [tool("read", **MARK), later("releases", **MARK)])
    assert [(mark.segment, mark.standing) for mark in prompt.markers] == [(0, "block"), (0, "deferred")]


OLD = [said("user", text("Old question. " + LONG, **MARK)), said("assistant", text("Old answer. " + LONG))]
SUMMARY = {
    "type": "compaction",
    "content": "They looked for the release that broke it: 4.2.",
    "signature": "x" * 400,
}
NEW = [said("assistant", text("Before."), SUMMARY, text("It was 4.2.")), said("user", text("Fix it, then."))]


def test_what_stands_before_a_compaction_block_is_not_sent():
    prompt = read([*OLD, *NEW], [tool("read")], system="Be brief.")
    assert [prompt.pointer(index) for index in range(len(prompt.segments))] == [
        "/tools/0", "/system", "/messages/2/content/1", "/messages/2/content/2", "/messages/3/content/0",
    ]  # fmt: skip
    assert prompt.compacted
    assert prompt.tokens < read([*NEW[1:]], [tool("read")], system="Be brief.").tokens + 60
    assert [(mark.segment, mark.standing) for mark in prompt.markers] == [(1, "compacted")]


def test_the_last_compaction_block_counts():
    again = said("assistant", {**SUMMARY, "content": "They fixed it."}, text("Done."))
    prompt = read([*OLD, *NEW, again, said("user", text("Thanks."))])
    assert prompt.pointer(0) == "/messages/4/content/0"


@pytest.mark.parametrize("failed", [{"content": None}, {}])
def test_a_compaction_that_failed_leaves_everything(failed: dict):
    prompt = read([*OLD, said("assistant", {"type": "compaction", **failed}, text("Go on."))])
    assert prompt.pointer(0) == "/messages/0/content/0"
    assert not prompt.compacted


def test_it_goes_on_after_a_compaction_as_if_read_anew():
    for bodies in (
        [[*OLD, NEW[0]], [*OLD, *NEW], [*OLD, *NEW, said("assistant", text("Done.")), ASK]],
        [OLD, [*OLD, *NEW]],
        [[*OLD, *NEW], [OLD[0], said("assistant", text("Another answer.")), ASK]],
        [[*OLD, *NEW], [OLD[0], said("assistant", SUMMARY), ASK]],
    ):
        memory = Memory()
        for messages in bodies:
            known, anew = read(messages, [later("x")], memory), read(messages, [later("x")])
            assert known.segments == anew.segments
            assert (known.markers, known.compacted) == (anew.markers, anew.compacted)
