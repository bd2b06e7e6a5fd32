"""Half an emoji in a body, as JavaScript cuts it: the body is planned and sent on as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.prompt import formats, half_pairs
from anchorline.prompt.model import PromptError

HALF = "\ud83d"


def body(text: str, **more: object) -> bytes:
    """Return a request as JavaScript writes it: halves as escapes."""
    results = [{"type": "tool_result", "tool_use_id": "t", "content": text + " and the rest of the output"}]
    messages = [{"role": "user", "content": results}, {"role": "user", "content": "Fix it " + text}]
    return json.dumps({"model": "claude-sonnet-5", "messages": messages, **more}).encode()


@pytest.mark.parametrize("name", [None, "prompt.json"])
@pytest.mark.parametrize("text", [HALF, "\udc00", HALF + HALF, "\udc00" + HALF, "😀" + HALF, "\\" + HALF])
def test_a_body_with_half_an_emoji_is_read(text: str, name: str | None):
    data = body(text, metadata={HALF: text}, system=text)
    prompt = formats.read(data, name=name)
    assert prompt.format == "anthropic"
    assert prompt.draft is not None
    assert prompt.draft.text.startswith("Fix it ")
    # What is sent on are the client's bytes.
    assert all(prompt.load(one.start, one.end) == data[one.start : one.end] for one in prompt.segments)


@pytest.mark.parametrize(
    "data",
    [
        {"model": "gpt-5", "input": "x" + HALF},
        {"model": "gpt-5", "messages": [{"role": "user", "content": HALF}]},
    ],
)
def test_every_format_is(data: dict[str, object]):
    assert formats.read(json.dumps(data).encode(), name="prompt.json").segments


def test_what_is_no_json_is_refused_as_before():
    with pytest.raises(PromptError):
        formats.read(b'{"model": "x", "messages": [{"role": "user", "content": "\\ud83d"', name="prompt.json")


@given(st.lists(st.sampled_from([HALF, "\udc00", "😀", "\\", '"', "a", "\n", "\u0001"])).map("".join))
def test_only_halves_are_replaced_at_the_same_length(text: str):
    data = json.dumps(text).encode()
    mended = half_pairs.replaced(data)
    assert len(mended) == len(data)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json.loads(mended) == whole
    if not any("\ud800" <= one <= "\udfff" for one in text):
        assert mended == data
