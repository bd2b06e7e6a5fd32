"""Duplicates become references: only new ones, only large ones, and only true ones."""

import json

from anchorline.prompt import formats
from anchorline.trim.duplicates import duplicates

OUTPUT = "a line of output that is long enough to matter\n" * 20


def prompt(*outputs: str):
    turns = []
    for number, output in enumerate(outputs):
        turns.append(
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": f"t{number}", "name": "r", "input": {}}],
            }
        )
        turns.append(
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": f"t{number}", "content": output}],
            }
        )
    return formats.read(json.dumps({"model": "claude", "messages": turns}).encode())


def test_a_repeated_output_refers_to_the_first_one():
    (trim,) = duplicates(prompt(OUTPUT, "other " * 200, OUTPUT), warm=-1)
    assert (trim.segment, trim.original) == (5, 1)
    assert trim.tokens_saved > 100
    assert "/messages/1/content/0" in trim.reason


def test_what_the_provider_already_holds_is_left_alone():
    assert duplicates(prompt(OUTPUT, OUTPUT), warm=3) == ()


def test_short_outputs_are_left_alone():
    assert duplicates(prompt("ok", "ok", "ok"), warm=-1) == ()


def test_one_changed_byte_is_no_duplicate():
    assert duplicates(prompt(OUTPUT, OUTPUT + "!"), warm=-1) == ()


def test_a_third_copy_refers_to_the_first_as_well():
    assert [trim.original for trim in duplicates(prompt(OUTPUT, OUTPUT, OUTPUT), warm=-1)] == [1, 1]


def test_a_repeated_fence_in_a_document():
    fence = "```\n" + OUTPUT + "```\n"
    document = formats.read(f"one\n\n{fence}\ntwo\n\n{fence}".encode(), name="a.md")
    assert [trim.segment for trim in duplicates(document, warm=-1)] == [3]
