"""The plan in words: whatever others have named, no link, image or HTML of theirs is active in it."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Config
from anchorline.explain import harmless, markdown
from anchorline.plan import Addition
from anchorline.planner import Planner
from anchorline.prompt import formats
from support import samples

IMAGE = "![x](https://evil.example/t.png)"


@pytest.mark.parametrize(
    "name", [IMAGE, f"x` {IMAGE} `", f"x`` {IMAGE}", f"x\n\n{IMAGE}", "<img src=https://evil.example>"]
)
def test_the_name_of_a_model_is_no_image(name: str):
    body = {"model": name, "messages": [{"role": "user", "content": "Fix it."}]}
    prompt = formats.read(json.dumps(body).encode())
    plan = Planner(Config(), MemoryLedger()).plan(prompt)
    assert active(markdown(plan, prompt)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- breakpoint `/system/0` for 5m: a < b", "- breakpoint `/system/0` for 5m: a < b"),
        ("the code `list[int](x)` stays", "the code `list[int](x)` stays"),
        ("a [link](command:x)", "a [link\\](command:x)"),
        ("an <img src=x>", "an \\<img src=x>"),
    ],
)
def test_only_what_is_active_is_changed(text: str, shown: str):
    assert harmless(text) == shown


@given(
    st.lists(
        st.sampled_from(["`", "``", "!", "[", "]", "(", ")", "<", "img ", "\\", "a", " ", "\n", IMAGE])
    ).map("".join)
)
def test_nothing_is_active_in_any_line(text: str):
    assert active(harmless(text)) == []


def active(text: str) -> list[str]:
    """Return the images, links and tags that stand outside of code spans."""
    plain = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", " ", re.sub(r"\\`", "", text))
    return re.findall(r"(?<!\\)(?:\\\\)*(!\[|\]\(|<[A-Za-z])", plain)


def test_additions_and_the_ordered_draft_are_shown_with_their_reasons() -> None:
    text = markdown(msgspec.structs.replace(samples.plan(), failure=None))
    assert "- Context: `src/parser.py` (80%): matches “parser”" in text
    assert "**Structure** ordered around parser" in text


def test_a_path_in_an_addition_is_no_image() -> None:
    addition = Addition("a1", "file", f"Context: `x`{IMAGE}`", f"matches {IMAGE}", 0.8, IMAGE)
    plan = msgspec.structs.replace(samples.plan(), failure=None)
    hostile = msgspec.structs.replace(
        plan, refinement=msgspec.structs.replace(plan.refinement, additions=(addition,))
    )
    assert IMAGE not in re.sub(r"`[^`]*`", "", markdown(hostile))
