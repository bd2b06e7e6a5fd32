"""What a large body of an odd shape takes: not much more memory than its own bytes, and no minute."""

import json
import tracemalloc

import pytest

from anchorline.prompt import formats
from anchorline.prompt.formats.body import MAX_VALUES
from anchorline.prompt.model import Format, PromptError

MEGABYTES = 3


def filled(before: str, unit: str, after: str) -> bytes:
    return (before + ",".join([unit] * ((MEGABYTES << 20) // (len(unit) + 1))) + after).encode()


TURN = '{"model":"claude-sonnet-5","messages":[{"role":"user","content":['
SHAPES: dict[str, tuple[Format, bytes]] = {
    "blocks": ("anthropic", filled(TURN, "{}", "]}]}")),
    "lists": ("anthropic", filled(TURN, "[]", "]}]}")),
    "numbers": ("anthropic", filled(TURN, "0", "]}]}")),
    "tools": ("anthropic", filled('{"model":"m","tools":[', "{}", '],"messages":[]}')),
    "input": ("openai-responses", filled('{"model":"m","input":[', "{}", "]}")),
    "calls": (
        "openai-chat",
        filled('{"model":"m","messages":[{"role":"assistant","tool_calls":[', "{}", "]}]}"),
    ),
    "members": (
        "anthropic",
        ('{"messages":[],' + ",".join(f'"{n:x}":0' for n in range(600_000)) + "}").encode(),
    ),
}


def peak(format_: Format, body: bytes) -> tuple[str, int]:
    """Return why a body was refused, empty where it was read, and the bytes that reading it took at most."""
    why = ""
    tracemalloc.start()
    try:
        formats.read(body, format=format_)
    except PromptError as error:
        why = str(error)
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return why, most


@pytest.mark.parametrize("shape", SHAPES)
def test_a_body_of_countless_values_is_refused_before_it_is_decoded(shape: str):
    format_, body = SHAPES[shape]
    why, most = peak(format_, body)
    assert why == f"the body has more than {MAX_VALUES} values"
    assert most < 3 * len(body)


@pytest.mark.parametrize("text", ["\n", '"', "\u00e9", "[{,", "x, y = {1: [2, 3]}\n"])
def test_a_long_text_is_read_in_a_few_times_its_size_whatever_it_holds(text: str):
    spoken = text * ((MEGABYTES << 20) // len(json.dumps(text)))
    body = json.dumps(
        {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": spoken}]}
    ).encode()
    why, most = peak("anthropic", body)
    assert why == ""
    assert most < 12 * len(body)
