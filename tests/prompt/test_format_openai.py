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
