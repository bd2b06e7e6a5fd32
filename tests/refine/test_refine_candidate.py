"""A model's candidate: taken only as far as it is surely better, whatever the model writes."""

import asyncio
from collections.abc import Callable

import pytest

from anchorline.plan import Refinement
from anchorline.refine import guard
from anchorline.refine.candidate import improve
from anchorline.refine.propose import propose
from anchorline.refine.templates import Template
from anchorline.surroundings import NOTHING
from support.scripted_model import Scripted

TEMPLATE = Template("Correct the text.", "{draft}")


def improved(
    draft: str, model: Scripted, told: Callable[[str], None] = lambda _: None, seconds: float = 20
) -> Refinement:
    return asyncio.run(
        improve(draft, propose(draft), NOTHING, model, TEMPLATE, seconds=seconds, on_text=told)
    )


def replacing(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def write(text: str) -> str:
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new)
        return text

    return write


def applied(draft: str, refinement: Refinement) -> str:
    for edit in reversed(refinement.edits):
        draft = draft[: edit.start] + edit.text + draft[edit.end :]
    return draft


def test_a_correction_that_the_rules_can_not_make_is_taken() -> None:
    draft = "Fix the crsh in `load()`: it must skip empty lins."
    assert propose(draft).text is None
    found = improved(draft, Scripted(replacing(("crsh", "crash"), ("lins", "lines"))))
    assert found.text == "Fix the crash in `load()`: it must skip empty lines."
    assert (found.status, found.engine) == ("proposed", "scripted")
    assert applied(draft, found) == found.text
    assert guard.check(draft, found.text).ok


def test_it_chooses_among_the_corrections_of_a_word_before_it_writes() -> None:
    draft = "Please could you read the whole fiel `a.py`, it has no tests yet?"
    model = Scripted(lambda text: text, likes="file")
    found = improved(draft, model)
    assert found.text == "Read the whole file `a.py`, it has no tests yet."
    assert applied(draft, found) == found.text
    assert "spelling: fiel \u2192 file" in {edit.reason for edit in found.edits}
    assert model.requests[0].text == "Read the whole file #1, it has no tests yet."
    assert (
        improved(draft, Scripted(lambda text: text)).text
        == "Read the whole fiel `a.py`, it has no tests yet."
    )


def test_it_comes_on_top_of_what_the_rules_propose() -> None:
    draft = "Could you please fix teh crsh in src/a.py? Thanks!"
    rules = propose(draft)
    found = improved(draft, Scripted(replacing(("crsh", "crash"))))
    assert rules.text == "Fix the crsh in src/a.py."
    assert found.text == "Fix the crash in src/a.py."
    assert applied(draft, found) == found.text
    assert found.reason.startswith(rules.reason)
    assert {edit.reason for edit in found.edits} >= {"corrected by scripted"}


@pytest.mark.parametrize(
    "write",
    [
        lambda text: "Sure! Here is the corrected text:\n" + text,
        lambda text: text + " Use Redis for that.",
        lambda text: text + " Also add tests.",
        lambda text: text.replace("must not", "must"),
        lambda text: text.replace("enable", "disable"),
        lambda text: text.replace("#1", "#2"),
        lambda text: text.replace("#1", "#1 #1"),
        lambda text: text.replace(" in #1", ""),
        lambda text: text.replace("Please", "Never"),
        lambda text: "Bitte den Absturz beheben und die Prüfung nicht ändern.",
        lambda text: "The code crashes because the variable is undefined. You should check the type first.",
        lambda text: "",
        lambda text: "#" * 50,
        lambda text: text,
    ],
)  # fmt: skip
def test_whatever_else_it_writes_the_proposal_of_the_rules_stands(write: Callable[[str], str]) -> None:
    draft = "Please enable the check in `load()`, it must not crsh on empty lines."
    rules = propose(draft)
    found = improved(draft, Scripted(write))
    assert (found.status, found.text, found.edits, found.engine) == (
        rules.status,
        rules.text,
        rules.edits,
        "rules",
    )
    assert found.reason.startswith(rules.reason)
    assert "scripted" in found.reason


def test_of_a_bad_rewrite_the_sure_corrections_are_kept() -> None:
    draft = "Fix the crsh in `load()`, then rename the parser to make it clear."
    found = improved(draft, Scripted(replacing(("crsh", "crash"), ("rename", "replace"), ("clear", "great"))))
    assert found.text == draft.replace("crsh", "crash")


def test_its_text_streams_with_the_names_in_their_places() -> None:
    draft = "Fix the crsh in `load()` and in `save()`.\n\n```\ncode\n```\n\nThen run the tests agan."
    pieces: list[str] = []
    found = improved(
        draft,
        Scripted(lambda text: text.replace("crsh", "crash").replace("agan", "again")),
        pieces.append,
    )
    assert len(pieces) > 10
    assert "".join(pieces) == draft.replace("crsh", "crash").replace("agan", "again") == found.text


def test_what_is_done_when_the_time_is_over_counts() -> None:
    draft = "Fix the crsh in the parser."
    late = improved(draft, Scripted(lambda text: text, hangs=True), seconds=0.05)
    assert late.text is None
    assert "was not done within 0.05 s" in late.reason


def test_a_model_that_breaks_is_named_with_the_reason() -> None:
    draft = "Fix the crsh in the parser."
    found = improved(draft, Scripted(lambda text: text, broken="the worker was ended by SIGKILL"))
    assert (found.status, found.text) == ("unchanged", None)
    assert "the worker was ended by SIGKILL" in found.reason


def test_an_answer_that_goes_elsewhere_is_stopped() -> None:
    model = Scripted(lambda text: "The quick brown fox jumps over lazy dogs and so on. " * 40)
    pieces: list[str] = []
    improved("Fix the crsh in the parser.", model, pieces.append)
    assert len("".join(pieces)) < 120
    assert model.closed == 1


def test_an_error_of_the_listener_stops_the_model_and_is_passed_on() -> None:
    model = Scripted(lambda text: text)

    def told(text: str) -> None:
        if text == "Fix":
            raise LookupError("changed")

    with pytest.raises(LookupError):
        improved("Fix the crsh in the parser.", model, told)
    assert model.closed == 1


@pytest.mark.parametrize(
    "draft",
    [
        "Behebe den Fehler in der Datei, die nicht geladen wird.",
        "```\nx = 1\n```",
        "go on",
        "word " * 1000,
        "",
    ],
)
def test_what_is_no_short_english_prose_is_not_shown_to_a_model(draft: str) -> None:
    model = Scripted(lambda text: text)
    assert improved(draft, model) == propose(draft)
    assert model.requests == []


def test_the_model_sees_numbers_for_names_and_a_text_to_copy_from() -> None:
    model = Scripted(lambda text: text)
    improved("Fix the crsh in `load()` of src/a.py, see #12.", model)
    (request,) = model.requests
    assert request.text == request.copy_from == "Fix the crsh in #1 of #2, see #3."
    assert request.instruction == TEMPLATE.instruction
