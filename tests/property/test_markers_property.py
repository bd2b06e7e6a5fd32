"""Markers strip to the original bytes, whatever the body looks like."""

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from anchorline.cache import markers
from anchorline.plan import Anchor
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt, PromptError
from support.examples import examples
from support.json_texts import anthropic_bodies


def read(body: bytes) -> Prompt:
    try:
        return formats.read(body, format="anthropic")
    except PromptError:
        # Lone surrogates and the like: the decoder refuses what is no Unicode text.
        assume(False)
        raise


def anchors(prompt: Prompt, chosen: set[int], ttl: str) -> list[Anchor]:
    return [
        Anchor(index, prompt.pointer(index), 0, ttl, "")
        for index in range(len(prompt.segments))
        if index in chosen and markers.markable(prompt, index)
    ]


@examples(100)
@given(anthropic_bodies(), st.sets(st.integers(0, 12)), st.sampled_from(["5m", "1h"]))
def test_stripping_the_splices_gives_the_original_bytes_back(body: bytes, chosen: set[int], ttl: str) -> None:
    prompt = read(body)
    changes = markers.splices(prompt, anchors(prompt, chosen, ttl))
    assert markers.strip(markers.apply(body, changes), changes) == body


@examples(100)
@given(anthropic_bodies(), st.sets(st.integers(0, 12)), st.sampled_from(["5m", "1h"]))
def test_a_marked_body_is_the_same_prompt_with_exactly_these_markers(
    body: bytes, chosen: set[int], ttl: str
) -> None:
    prompt = read(body)
    wanted = anchors(prompt, chosen, ttl)
    marked = markers.apply(body, markers.splices(prompt, wanted))
    again = read(marked)
    assert [mark.segment for mark in again.markers] == [anchor.segment for anchor in wanted]
    assert all(mark.ttl == ("default" if ttl == "5m" else "1h") for mark in again.markers)
    if not any(body[s.start : s.start + 1] == b'"' for i, s in enumerate(prompt.segments) if i in chosen):
        assert [segment.prefix for segment in again.segments] == [
            segment.prefix for segment in prompt.segments
        ]


@examples(100)
@given(anthropic_bodies())
def test_segments_are_slices_of_what_the_decoder_sees(body: bytes) -> None:
    prompt = read(body)
    decoded = json.loads(body)
    for segment in prompt.segments:
        value = json.loads(body[segment.start : segment.end])
        if segment.section == "messages":
            content = decoded["messages"][segment.message]["content"]
            assert value == (content if segment.block < 0 else content[segment.block])
        elif segment.section == "system":
            assert value == (decoded["system"] if segment.message < 0 else decoded["system"][segment.message])
        else:
            assert value == decoded["tools"][segment.message]


@examples(100)
@given(anthropic_bodies())
def test_no_anchors_is_the_identity(body: bytes) -> None:
    prompt = read(body)
    own = [Anchor(mark.segment, "", 0, mark.ttl, "", "client") for mark in prompt.markers]
    assert markers.apply(body, markers.splices(prompt, own)) == body


@examples(100)
@given(anthropic_bodies(), st.data())
def test_reading_on_is_reading_anew(body: bytes, data: st.DataObject) -> None:
    """What a Memory of an earlier body adds is speed: the prompt is the same."""
    other = data.draw(anthropic_bodies())
    cut = data.draw(st.integers(0, len(body)))
    prompt = read(body)
    memory = formats.Memory()
    for earlier in (other, body[:cut] + other[cut:], body):
        try:
            formats.read(earlier, format="anthropic", memory=memory)
        except PromptError:
            continue
    again = formats.read(body, format="anthropic", memory=memory)
    assert again.segments == prompt.segments
    assert (again.draft, again.markers, again.model) == (prompt.draft, prompt.markers, prompt.model)
