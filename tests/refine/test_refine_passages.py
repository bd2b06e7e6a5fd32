"""Passages: the draft with numbers for entities, and where their words stand in it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from anchorline.refine.mask import Masked
from anchorline.refine.passages import passages

DRAFT = "Fix `parse` in src/a.py, not in v2.1.0.\n\n- see #12\n- and the CLI"


def test_entities_are_numbers_and_acronyms_stay() -> None:
    assert [passage.text for passage in passages(Masked(DRAFT))] == [
        "Fix #1 in #2, not in #3.",
        "- see #1\n- and the CLI",
    ]


@given(st.text(alphabet="ab AB12`./_-\n\"'", max_size=120))
def test_words_of_a_passage_stand_where_it_says(text: str) -> None:
    for passage in passages(Masked(text)):
        for match in re.finditer(r"[a-zA-Z]+", passage.text):
            assert text.startswith(match[0], passage.position(match.start()))
