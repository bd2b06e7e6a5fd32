"""OpenAI chat and Responses bodies."""

import json

import pytest

from anchorline.cache import markers
from anchorline.plan import Anchor
from anchorline.prompt import formats

CHAT = {
    "model": "gpt-5.6",
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "messages": [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "output"},
        {"role": "user", "content": "now fix it"},
    ],
}
RESPONSES = {
    "model": "gpt-5.6",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "fix it"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "done"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and a test"}]},
    ],
    "prompt_cache_key": "session-1",
}


def read(body: dict):
    return formats.read(json.dumps(body).encode())


def test_chat_segments():
    prompt = read(CHAT)
    assert prompt.format == "openai-chat"
    assert [(s.kind, s.role) for s in prompt.segments] == [
        ("tool", "system"),
        ("system", "system"),
        ("text", "user"),
        ("image", "user"),
        ("text", "assistant"),
        ("tool_result", "tool"),
        ("text", "user"),
    ]
    assert prompt.draft is not None
    assert prompt.draft.text == "now fix it"


def test_responses_segments():
    prompt = read(RESPONSES)
    assert prompt.format == "openai-responses"
    assert [s.kind for s in prompt.segments] == [
        "system", "system", "text", "thinking", "tool_use", "tool_result", "text",
    ]  # fmt: skip
    assert prompt.draft is not None
    assert (prompt.draft.text, prompt.session) == ("and a test", "session-1")
    assert prompt.pointer(2) == "/input/1/content/0"


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("marker", [{}, {"prompt_cache_breakpoint": {"mode": "explicit"}}])
@pytest.mark.parametrize(
    ("body", "list_name", "part"), [(CHAT, "messages", "text"), (RESPONSES, "input", "input_text")]
)
def test_a_string_and_the_part_it_stands_for_are_the_same_prefix(
    separators: tuple[str, str], marker: dict, body: dict, list_name: str, part: str
):
    def prefixes(content: object) -> list[bytes]:
        asked = {"role": "user", "content": content}
        changed = json.dumps({**body, list_name: [*body[list_name], asked]}, separators=separators)
        return [segment.prefix for segment in formats.read(changed.encode()).segments]

    assert prefixes([{"type": part, "text": "go on", **marker}]) == prefixes("go on")
    assert prefixes([{"type": part, "text": "go on "}]) != prefixes("go on")


def test_a_plain_string_is_the_draft():
    prompt = read({"model": "gpt-5.6", "input": "hello there"})
    assert prompt.draft is not None
    assert prompt.draft.text == "hello there"


def test_an_assistants_parts_are_one_segment_with_all_it_says():
    changed = json.loads(json.dumps(CHAT))
    changed["messages"][2]["tool_calls"][0]["id"] = "other"
    assert read(changed).hash != read(CHAT).hash


def test_a_breakpoint_is_spliced_into_a_part_and_comes_out_again():
    prompt = read(RESPONSES)
    body = prompt.load(0, 10**9)
    changes = markers.splices(prompt, [Anchor(1, prompt.pointer(1), 100, "30m", "")])
    marked = markers.apply(body, changes)
    part = json.loads(marked)["input"][0]["content"][0]
    assert part["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert markers.strip(marked, changes) == body
    again = formats.read(marked)
    assert [mark.segment for mark in again.markers] == [1]
    assert again.hash == prompt.hash


def test_a_claude_model_with_chat_only_members_is_chat():
    assert (
        read({**CHAT, "model": "anthropic/claude-sonnet-5", "max_completion_tokens": 5}).format
        == "openai-chat"
    )


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]}, "openai-chat"),
        ({"messages": [{"role": "developer", "content": "a"}]}, "openai-chat"),
        ({"messages": [{"role": "user", "content": "b"}], "max_completion_tokens": 9}, "openai-chat"),
        ({"messages": [{"role": "user", "content": "b"}]}, "openai-chat"),
        (
            {"messages": [{"role": "user", "content": "b"}], "cache_control": {"type": "ephemeral"}},
            "openai-chat",
        ),
        ({"messages": [{"role": "user", "content": "b"}], "max_tokens": 9}, "anthropic"),
        ({"messages": [{"role": "user", "content": "b"}], "system": "a"}, "anthropic"),
    ],
)
def test_a_body_for_claude_by_openrouter_is_told_by_what_only_chats_have(body: dict, form: str):
    assert formats.detect(json.dumps({"model": "anthropic/claude-sonnet-4.5", **body}).encode()) == form


MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ({"role": "user", "content": [{"type": "text", "text": "a", **MARK}]}, "block"),
        ({"role": "user", "content": "a", **MARK}, "block"),
        ({"role": "tool", "tool_call_id": "t", "content": "a", **MARK}, "block"),
        ({"role": "tool", "tool_call_id": "t", "content": [{"type": "text", "text": "a", **MARK}]}, "nested"),
        ({"role": "assistant", "content": [{"type": "text", "text": "a", **MARK}]}, "nested"),
    ],
)
def test_cache_control_in_a_chat_is_seen_and_no_part_of_the_prefix(message: dict, place: str):
    def read(text: str):
        body = f'{{"model": "anthropic/claude-sonnet-4.5", "messages": [{text}]}}'
        return formats.read(body.encode(), format="openai-chat")

    text = json.dumps(message)
    marked, plain = read(text), read(text.replace(', "cache_control": {"type": "ephemeral"}', ""))
    assert [(mark.segment, mark.standing) for mark in marked.markers] == [(0, place)]
    assert marked.segments[0].prefix == plain.segments[0].prefix


def test_the_automatic_breakpoint_of_a_chat_is_claude_s():
    def read(model: str):
        body = {"model": model, "messages": [], "cache_control": {"type": "ephemeral", "ttl": "1h"}}
        return formats.read(json.dumps(body).encode(), format="openai-chat")

    assert read("anthropic/claude-sonnet-4.5").automatic_ttl == "1h"
    assert read("openai/gpt-6.1-terra").automatic_ttl is None


def test_a_deferred_tool_of_a_response_is_no_part_of_the_prefix():
    tools = [{"type": "tool_search"}, {"type": "function", "name": "a", "parameters": {}}]
    late = {"type": "function", "name": "b", "parameters": {"type": "object"}, "defer_loading": True}
    one, other = (
        formats.read(json.dumps({"model": "gpt-6.1-terra", "input": "go on", "tools": given}).encode())
        for given in (tools, [*tools, late])
    )
    assert [segment.prefix for segment in one.segments] == [segment.prefix for segment in other.segments]
    assert one.tokens == other.tokens
