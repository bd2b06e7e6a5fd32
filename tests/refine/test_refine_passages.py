"""Passages: the draft with numbers for entities, and the way back."""

from hypothesis import given
from hypothesis import strategies as st

from anchorline.refine.mask import Masked
from anchorline.refine.passages import passages, restorable, restored

DRAFT = "Fix `parse` in src/a.py, not in v2.1.0.\n\n- see #12\n- and the CLI"


def test_entities_are_numbers_and_acronyms_stay() -> None:
    assert [passage.text for passage in passages(Masked(DRAFT))] == [
        "Fix #1 in #2, not in #3.",
        "- see #1\n- and the CLI",
    ]


def test_an_answer_is_restored_if_every_entity_is_there_once() -> None:
    first = passages(Masked(DRAFT))[0]
    assert restored(first, "In #2 fix #1, not in #3.") == "In src/a.py fix `parse`, not in v2.1.0."
    assert restored(first, "Fix #1 in #2.") is None
    assert restored(first, "Fix #1 in #2, not in #3 or #3.") is None
    assert restored(first, "Fix #1 in #2, not in #3 or #4.") is None


@given(st.text(alphabet="ab AB#12`./_-\n\"'", max_size=120))
def test_unchanged_passages_restore_the_draft(text: str) -> None:
    for passage in passages(Masked(text)):
        if restorable(passage):
            back = restored(passage, passage.text)
            assert back is not None
            assert text.startswith(back, passage.start)
