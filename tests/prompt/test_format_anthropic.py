"""Anthropic Messages bodies become segments in render order, and keep every byte."""

import itertools
import json

import pytest

from anchorline.prompt import formats
from anchorline.prompt.model import PromptError

BODY = {
    "max_tokens": 100,
    "messages": [
        {"role": "user", "content": "first"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "text", "text": "I read it."},
                {"type": "tool_use", "id": "t1", "name": "read", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"tool_use_id": "t1", "type": "tool_result", "content": "x" * 50},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                {"type": "text", "text": "now fix it", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "text", "text": "<system-reminder>be brief</system-reminder>"},
            ],
        },
    ],
    "model": "claude-sonnet-5",
    "system": [{"type": "text", "text": "You are a test."}],
    "tools": [{"name": "read", "input_schema": {}}, {"name": "write", "input_schema": {}}],
}


def read(body: object = BODY, **options: object):
    return formats.read(json.dumps(body).encode(), **options)


def test_segments_stand_in_render_order_whatever_the_order_of_the_keys():
    kinds = [segment.kind for segment in read().segments]
    assert kinds == [
        "tool", "tool", "system", "text", "thinking", "text", "tool_use", "tool_result", "image", "text", "text",
    ]  # fmt: skip


def test_the_order_of_the_keys_changes_no_prefix():
    turned = dict(reversed(BODY.items()))
    assert [s.prefix for s in read(turned).segments] == [s.prefix for s in read().segments]


def test_pointers_address_the_blocks():
    prompt = read()
    body = json.loads(prompt.load(0, 10**9))
    for index, segment in enumerate(prompt.segments):
        value = body
        for part in prompt.pointer(index).split("/")[1:]:
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert value == json.loads(prompt.load(segment.start, segment.end))


def test_the_draft_is_the_newest_text_that_a_person_wrote():
    draft = read().draft
    assert draft is not None
    assert draft.text == "now fix it"


def test_a_turn_of_tool_results_has_no_draft():
    body = {
        **BODY,
        "messages": [*BODY["messages"][:2], {"role": "user", "content": BODY["messages"][2]["content"][:1]}],
    }
    assert read(body).draft is None


def test_an_answer_at_the_end_has_no_draft():
    assert read({**BODY, "messages": BODY["messages"][:2]}).draft is None


def test_the_clients_marker_is_seen_and_is_not_part_of_the_content():
    prompt = read()
    assert [(mark.segment, mark.ttl) for mark in prompt.markers] == [(9, "1h")]
    moved = json.loads(json.dumps(BODY))
    del moved["messages"][2]["content"][2]["cache_control"]
    assert [s.prefix for s in read(moved).segments] == [s.prefix for s in prompt.segments]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("marker", [{}, {"cache_control": {"type": "ephemeral"}}])
def test_a_string_and_the_block_it_stands_for_are_the_same_prefix(separators: tuple[str, str], marker: dict):
    def block(text: str) -> list[dict]:
        return [{"type": "text", "text": text, **marker}]

    def prefixes(system: object, asked: object) -> list[bytes]:
        messages = [{"role": "user", "content": asked}, *BODY["messages"][1:]]
        body = json.dumps({**BODY, "system": system, "messages": messages}, separators=separators)
        return [segment.prefix for segment in formats.read(body.encode()).segments]

    asked = 'say "hé" \\ twice\n'
    assert prefixes(block("be brief"), block(asked)) == prefixes("be brief", asked)
    assert prefixes("be brief", block(asked)) != prefixes("be brief", asked + " ")


def test_an_earlier_change_changes_every_later_prefix_and_none_before():
    changed = json.loads(json.dumps(BODY))
    changed["messages"][1]["content"][1]["text"] = "I read all of it."
    same = [a.prefix == b.prefix for a, b in zip(read(changed).segments, read().segments, strict=True)]
    assert same == [True] * 5 + [False] * 6


@pytest.mark.parametrize("setting", [{"tool_choice": {"type": "any"}}, {"thinking": {"type": "enabled"}}])
def test_settings_that_invalidate_the_messages_change_their_prefixes(setting: dict):
    same = [
        a.prefix == b.prefix for a, b in zip(read({**BODY, **setting}).segments, read().segments, strict=True)
    ]
    assert same == [True] * 3 + [False] * 8


def test_the_same_output_under_another_call_id_is_the_same_content():
    result = {"type": "tool_result", "tool_use_id": "a", "content": "x" * 100}
    prompt = read(
        {
            "model": "claude",
            "messages": [{"role": "user", "content": [result, {**result, "tool_use_id": "b"}]}],
        }
    )
    assert prompt.segments[0].digest == prompt.segments[1].digest
    assert prompt.segments[0].prefix != prompt.segments[1].prefix


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"messages": 3}', "messages"),
        (b'{"model": "claude-sonnet-5", "messages": [{"role": 1, "content": "x"}]}', "role"),
        (b'{"messages": [{"role": "user"', "cut off"),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', "UTF-8"),
        (b'{"system": [{"type": "text", "text": "\xb7"}], "messages": []}', "UTF-8"),
        (b'{"model": "m"}', "none of"),
        (b"[1, 2]", "object"),
        (b'{"messages": ' + b"[" * 100_000, "nest"),
    ],
)
def test_what_is_no_body_is_refused_with_the_reason(body: bytes, expected: str):
    with pytest.raises(PromptError, match=expected):
        formats.read(body, name="x.request.json")


def test_a_byte_that_is_wrong_is_named():
    with pytest.raises(PromptError) as caught:
        formats.read(b'{"messages": [{"role": "user", "content": "a" x}]}', format="anthropic")
    assert caught.value.offset == 46


@pytest.mark.parametrize(
    "message",
    [
        b'{"role": 1, "content": "b"}',
        b'{"role": "user"}',
        b"{,}",
        b'{"role": "user", "content": [{"type": "text", "text": "\xb7"}]}',
    ],
)
def test_what_is_wrong_in_a_later_message_is_named_where_it_stands_in_the_whole_body(message: bytes):
    first = b'{"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "a"}'
    memory = formats.Memory()
    formats.read(first + b"]}", format="anthropic", memory=memory)
    bad = first + b", " + message + b"]}"
    with pytest.raises(PromptError) as whole:
        formats.read(bad, format="anthropic")
    with pytest.raises(PromptError) as continued:
        formats.read(bad, format="anthropic", memory=memory)
    assert (continued.value.offset, str(continued.value)) == (whole.value.offset, str(whole.value))
    assert len(first) < (whole.value.offset or 0) < len(bad)


def test_an_automatic_marker_and_the_limit_are_read():
    prompt = read({**BODY, "cache_control": {"type": "ephemeral"}})
    assert (prompt.automatic_ttl, prompt.max_tokens) == ("default", 100)


def test_no_messages_is_an_empty_prompt():
    prompt = read({"model": "claude-sonnet-5", "messages": []})
    assert (prompt.segments, prompt.draft) == ((), None)


def test_reading_on_sees_only_what_is_new_and_the_same_as_anew(monkeypatch: pytest.MonkeyPatch):
    """A conversation that grows, whose marker moves, whose tools come after the messages."""
    memory = formats.Memory()
    turns = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": [{"type": "text", "text": f"turn {n}"}]}
        for n in range(40)
    ]
    for count in range(1, 40, 2):
        messages = json.loads(json.dumps(turns[:count]))
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
        body = json.dumps({**BODY, "messages": messages}).encode()
        known = formats.read(body, memory=memory)
        anew = formats.read(body)
        assert known.segments == anew.segments
        assert (known.markers, known.draft) == (anew.markers, anew.draft)


def test_another_model_in_a_running_conversation_is_estimated_anew():
    memory = formats.Memory()
    older = json.dumps({**BODY, "model": "claude-opus-4-5"}).encode()
    newer = json.dumps({**BODY, "model": "claude-sonnet-5"}).encode()
    formats.read(older, memory=memory)
    assert formats.read(newer, memory=memory).segments == formats.read(newer).segments
    assert formats.read(newer).tokens > formats.read(older).tokens


RESULTS: list[tuple[dict, dict]] = [
    ({"content": TEXT}, {"content": [{"type": "text", "text": TEXT}]})
    for TEXT in ("done", "", 'a "quoted" \\ word\n', "naïve 🧭", "x" * 4000)
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("marker", [None, {"type": "ephemeral"}])
@pytest.mark.parametrize("order", [("type", "text"), ("text", "type")])
@pytest.mark.parametrize("more", [{}, {"is_error": True}])
@pytest.mark.parametrize(("string", "block"), RESULTS)
def test_a_result_and_the_block_it_stands_for_are_the_same_prefix(
    separators: tuple[str, str],
    marker: dict | None,
    order: tuple[str, str],
    more: dict,
    string: dict,
    block: dict,
):
    def prompt(content: dict):
        result = {"type": "tool_result", "tool_use_id": "toolu_1"} | content | more
        return formats.read(
            json.dumps(
                {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": [result]}]},
                separators=separators,
            ).encode(),
            format="anthropic",
        )

    inner = {name: block["content"][0][name] for name in order} | (
        {"cache_control": marker} if marker else {}
    )
    one, other = prompt(string), prompt({"content": [inner]})
    assert [(s.prefix, s.digest, s.tokens) for s in one.segments] == [
        (s.prefix, s.digest, s.tokens) for s in other.segments
    ]
    assert len(other.markers) == (marker is not None)


def test_results_of_other_content_are_other_prefixes():
    text = {"type": "text", "text": "done"}
    contents = ["done", "done ", [text, text], [{"type": "text", "text": '","type":"text"}]'}], [], [[text]],
                [{"type": "text", "text": "done", "citations": []}], json.dumps([text])]  # fmt: skip
    found = {
        read({"model": "claude-sonnet-5", "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": content}]}]}).hash
        for content in contents
    }  # fmt: skip
    assert len(found) == len(contents)


def test_a_marker_that_wanders_over_the_results_changes_no_prefix():
    """As LiteLLM sends it: a result is one block while it carries the marker, and a string afterwards."""

    def request(turns: int) -> bytes:
        messages: list = [{"role": "user", "content": "Fix the parser."}]
        for turn in range(turns):
            use = {"type": "tool_use", "id": f"t{turn}", "name": "bash", "input": {"command": f"ls {turn}"}}
            text = {"type": "text", "text": f"file{turn}.py " * 40}
            last = turn == turns - 1
            content = [text | {"cache_control": {"type": "ephemeral"}}] if last else text["text"]
            result = {"type": "tool_result", "tool_use_id": f"t{turn}", "content": content}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        return json.dumps({"model": "claude-sonnet-5", "messages": messages}).encode()

    memory = formats.Memory()
    prompts = [formats.read(request(turns), format="anthropic", memory=memory) for turns in range(1, 6)]
    for before, after in itertools.pairwise(prompts):
        assert before.hash in {segment.prefix.hex() for segment in after.segments}
        assert [s.prefix for s in after.segments] == [
            s.prefix for s in formats.read(request(prompts.index(after) + 1), format="anthropic").segments
        ]


def test_what_stood_behind_the_conversation_may_be_gone_in_the_next_request():
    memory = formats.Memory()
    messages = [{"role": "user", "content": "Go."}]
    for more in (
        {"system": "Be brief.", "tools": [{"name": "a"}]},
        {},
        {"system": "Be brief."},
        {"tools": []},
    ):
        body = json.dumps({"model": "claude-sonnet-5", "messages": messages} | more).encode()
        read_on = formats.read(body, format="anthropic", memory=memory)
        assert read_on.segments == formats.read(body, format="anthropic").segments
        messages = [
            *messages,
            {"role": "assistant", "content": "Yes."},
            {"role": "user", "content": "Go on."},
        ]
