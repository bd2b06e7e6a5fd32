"""Markers: where they may stand, and what they look like."""

import json

import pytest

from anchorline.cache import markers
from anchorline.cache.rules import load
from anchorline.plan import Anchor
from anchorline.prompt import formats

LONG = " \n\t" * 300


def prompt(*content: object):
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": one} for one in content]}
    return formats.read(json.dumps(body).encode())


@pytest.mark.parametrize(
    "empty",
    [
        "\u00a0\u2003\x0b",
        [{"citations": [{"cited_text": "x" * 500}], "type": "text", "text": ""}],
        "",
        " ",
        LONG,
        [{"type": "text", "text": LONG}],
        [{"text": "\r\n", "type": "text"}],
    ],
)
def test_white_space_carries_no_marker(empty: object):
    of = prompt(empty, "words")
    assert [markers.markable(of, index) for index in range(len(of.segments))] == [False, True]
    with pytest.raises(markers.UnmarkableError):
        markers.splices(of, [Anchor(0, "", 0, "5m", "")])


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking"])
def test_thinking_carries_no_marker(kind: str):
    of = prompt([{"type": kind, kind.removeprefix("redacted_"): "x", "data": "x", "signature": "s"}])
    assert not markers.markable(of, 0)


def test_a_plain_string_becomes_one_text_block():
    of = prompt('Fix "it" — now')
    planned = json.loads(markers.apply(of.load(0, 10**6), markers.splices(of, [Anchor(0, "", 0, "1h", "")])))
    assert planned["messages"][0]["content"] == [
        {"type": "text", "text": 'Fix "it" — now', "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    ]


def test_five_minutes_are_the_default_and_need_no_words():
    assert markers.marker(load().provider("anthropic"), "5m") == b'"cache_control":{"type":"ephemeral"}'
    assert (
        markers.marker(load().provider("openai"), "30m") == b'"prompt_cache_breakpoint":{"mode":"explicit"}'
    )


def test_splices_of_another_body_are_refused():
    of = prompt("one thing", "another")
    changes = markers.splices(of, [Anchor(1, "", 0, "5m", "")])
    marked = markers.apply(of.load(0, 10**6), changes)
    with pytest.raises(ValueError, match="does not fit"):
        markers.strip(marked[:-40] + b"x" * 40, changes)
