"""Misspellings that only their sentence can settle: which are asked about, and what an answer does."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline import config
from anchorline.engine.client import Engine
from anchorline.plan import Refinement
from anchorline.refine.doubts import CLEAR, MOST, SURE, correct, doubts, settle, settled
from anchorline.refine.mask import Masked
from anchorline.refine.propose import propose
from anchorline.refine.rewrite import apply
from anchorline.surroundings import NOTHING
from support.scripted_model import Scripted

DRAFT = "Read the whole fiel `src/config.py` and print what it says about the default value."


def test_a_word_with_several_corrections_is_a_doubt() -> None:
    (doubt,) = doubts(Masked(DRAFT))
    assert DRAFT[doubt.start : doubt.end] == "fiel"
    assert {"file", "field", "feel"} <= set(doubt.choices)
    assert doubt.text() == "Read the whole"
    assert doubt.labels()[0] == " fiel #1 and print what it says about the default value."
    assert len(doubt.labels()) == len(doubt.choices) + 1


@pytest.mark.parametrize(
    "text",
    [
        "Read the whole file and print what it says.",
        "Run `fiel` on the whole of it and print what it says.",
        "Open fiel.py and src/fiel/main.py and print what they say about it.",
        "Call the fiel here; the other fiel is for the tests and stays as it is.",
        "Lies die ganze fiel und gib aus, was sie sagt.",
        "Fiel is the name of the program that we should use here.",
    ],
)
def test_what_is_no_doubt(text: str) -> None:
    """Known words, code, paths, a word that stands twice, other languages, capitals."""
    assert doubts(Masked(text)) == []


def scored(best: float, second: float, stands: float = -60.0) -> str:
    (doubt,) = doubts(Masked(DRAFT))
    values = dict.fromkeys(doubt.choices, stands - 20) | {"file": best, "field": second}
    change = settled(doubt, [stands, *(values[choice] for choice in doubt.choices)])
    return apply(DRAFT, [change] if change is not None else [])


def test_the_likeliest_choice_is_taken_where_it_is_clear() -> None:
    assert scored(best=-40, second=-50) == DRAFT.replace("fiel", "file")
    assert scored(best=-60 + SURE - 0.1, second=-70) == DRAFT, "hardly likelier than the word as it stands"
    assert scored(best=-40, second=-40 - CLEAR / 2) == DRAFT, "hardly likelier than the next choice"


def test_a_draft_of_unknown_words_asks_little() -> None:
    text = "Take the names and fix them all: " + ", ".join(
        f"the fi{letter}lg is here" for letter in "abcdefghijklm"
    )
    assert len(doubts(Masked(text))) <= MOST


@given(st.text(alphabet="abcdefgh fiel#1`.\n/'", max_size=200))
def test_positions_are_the_drafts(noise: str) -> None:
    text = f"Read the file that is here and print what it says. {noise}"
    for doubt in doubts(Masked(text)):
        assert text[doubt.start : doubt.end] == doubt.word


# The proposal with the corrections


def corrected(draft: str, model: Scripted, seconds: float = 20) -> Refinement:
    return asyncio.run(correct(draft, propose(draft), NOTHING, model, seconds=seconds))


def applied(draft: str, refinement: Refinement) -> str:
    for edit in reversed(refinement.edits):
        draft = draft[: edit.start] + edit.text + draft[edit.end :]
    return draft


def test_the_choices_come_on_top_of_what_the_rules_propose() -> None:
    draft = "Please could you read the whole fiel `a.py`, it has no tests yet?"
    rules = propose(draft)
    assert rules.text == "Read the whole fiel `a.py`, it has no tests yet."
    refined = corrected(draft, Scripted("file"))
    assert refined.text == applied(draft, refined) == "Read the whole file `a.py`, it has no tests yet."
    assert (refined.status, refined.engine) == ("proposed", "scripted")
    assert refined.reason == f"{rules.reason}; corrected by scripted"
    assert "spelling: fiel \u2192 file" in {edit.reason for edit in refined.edits}
    assert corrected(draft, Scripted()) == rules, "nothing is clear to it"


def test_a_correction_that_the_rules_can_not_make_is_a_proposal() -> None:
    refined = corrected(DRAFT, Scripted("file"))
    assert propose(DRAFT).text is None
    assert refined.text == applied(DRAFT, refined) == DRAFT.replace("fiel", "file")
    assert refined.reason == "corrected by scripted"


@pytest.mark.parametrize(
    "draft", ["Read the file.", "Behebe den Fehler in der fiel, die nicht geladen wird.", ""]
)
def test_a_draft_without_doubts_asks_nothing(draft: str) -> None:
    model = Scripted("file")
    assert corrected(draft, model) == propose(draft)
    assert model.texts == []


def test_a_model_that_is_late_or_breaks_leaves_the_rules_proposal_with_the_reason() -> None:
    late = corrected(DRAFT, Scripted(hangs=True), seconds=0.05)
    assert (late.status, late.text) == ("unchanged", None)
    assert "scripted was not done within 0.05 s" in late.reason
    broken = corrected(DRAFT, Scripted(broken="the worker was ended by SIGKILL"))
    assert (broken.status, broken.text) == ("unchanged", None)
    assert "the worker was ended by SIGKILL" in broken.reason


async def test_the_small_model_settles_real_doubts(model: Path) -> None:
    """A slip is settled by its sentence; names that look like slips stay."""
    engine = Engine(config.Engine(model=model.name, deadline_seconds=300))
    try:
        slips = Masked("Read the whole fiel from disk, check that no lnie is empty, and make the tsets pass.")
        names = Masked("Fetch it with wget, compare the mtime of both, and stack them with hstack.")
        assert apply(slips.text, await settle(slips, engine)) == (
            "Read the whole file from disk, check that no line is empty, and make the tests pass."
        )
        assert {"wget", "mtime", "hstack"} <= {doubt.word for doubt in doubts(names)}
        assert await settle(names, engine) == []
    finally:
        await engine.close()
