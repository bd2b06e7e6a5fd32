"""Deterministic edits: what is repaired, and what is left alone."""

import pytest

from anchorline.refine.mask import Masked
from anchorline.refine.rewrite import Change, apply, rewrite, settle


def rewritten(text: str) -> str:
    return apply(text, rewrite(Masked(text)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Please could you maybe fix the login page?", "Fix the login page."),
        ("I was wondering if you could add a test for the parser.", "Add a test for the parser."),
        ("could you please add a test?", "add a test."),
        ("Basically, the parser drops the last line.", "The parser drops the last line."),
        ("The parser, you know, drops the last line.", "The parser drops the last line."),
        ("Add a test for the parser. Thanks in advance!", "Add a test for the parser."),
        ("Could you please fix `x.py`? It is slow.", "Fix `x.py`. It is slow."),
    ],
)
def test_filler_goes(before: str, after: str) -> None:
    assert rewritten(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "Can you reach the network from the test?",
        "Please fix the login page.",
        "If possible, keep the old name.",
        "It's basically the same as the other parser.",
        "Could you please not change the login page?",
        "I want you to act as a reviewer.",
        "Thanks to the cache, the second run is fast.",
        "Explain what you know about the cache.",
        "Say hello, world to the user.",
    ],
)
def test_what_says_something_is_no_filler(text: str) -> None:
    assert rewritten(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Now fix teh parser.", "Now fix the parser."),
        ("The fucntion must retrun a list.", "The function must return a list."),
        ("Please check the posibility of a race.", "Please check the possibility of a race."),
        ("Run it. Recieve the answer first.", "Run it. Receive the answer first."),
        ("It is not consistant with the docs.", "It is not consistent with the docs."),
    ],
)
def test_sure_misspellings_are_corrected(before: str, after: str) -> None:
    assert rewritten(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "Rename `teh` to the right name.",
        "The column teh_name is wrong, and so is tehName.",
        "Use scrypt, not bcrypt, in the login code.",
        "Mixins and gradle and kubectl are fine words here.",
        "Ask Clade for the colour of the centre.",
        "The vertx router and the vertx client must agree.",
        "Die Funktoin ist nicht richtig und das ist ein Fehler.",
        "La fonction principale ne marche pas dans le module.",
        "si n es impar, la funcion debe devolver una lista para el usuario.",
    ],
)
def test_names_code_and_other_languages_are_not_spell_checked(text: str) -> None:
    assert rewritten(text) == text


def test_a_repeated_sentence_goes_once() -> None:
    text = "The cache grows without end. Look at the writer first. The cache grows slowly, too."
    assert rewritten(text) == text
    doubled = "Look at the writer thread first. Keep the cache small. Look at the writer thread first."
    assert rewritten(doubled) == "Look at the writer thread first. Keep the cache small."


def test_a_repeated_paragraph_goes_with_its_blank_line() -> None:
    assert (
        rewritten("Keep the old name of it.\n\nThen ship.\n\nKeep the old name of it.\n\nDone.")
        == "Keep the old name of it.\n\nThen ship.\n\nDone."
    )


@pytest.mark.parametrize(
    "text",
    [
        "# One\nRun all of the tests now.\n# Two\nRun all of the tests now.",
        "Run all of the tests in a/b.py now. Run all of the tests in a/b.py now.",
        "- Run all of the tests\n- Build it\n- Run all of the tests",
        "It fails. Why? It fails.",
        "Hence the following example works:\n```\na\n```\nHence the following example works:\n```\nb\n```",
    ],
)
def test_repetition_with_a_purpose_stays(text: str) -> None:
    assert rewritten(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- one\n* two\n- three", "- one\n- two\n- three"),
        ("* one\n* two\n- three", "* one\n* two\n* three"),
        ("1. one\n2. two\n2. three\n3. four", "1. one\n2. two\n3. three\n4. four"),
        ("1) one\n2) two\n3. three", "1) one\n2) two\n3) three"),
    ],
)
def test_broken_lists_are_mended(before: str, after: str) -> None:
    assert rewritten(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "1. one\n1. two\n1. three",
        "1. one\n2. two\n\n1. three\n2. four",
        "2. two\n4. four\n8. eight",
        "- one\n  * nested\n- two",
        "1. one\n2. two\n2. three\nas in step 2",
        "- old line\n+ new line",
        "* one\n\n- two",
    ],
)
def test_lists_that_may_be_meant_so_stay(text: str) -> None:
    assert rewritten(text) == text


def test_doubled_function_words_and_stray_spaces_close_up() -> None:
    assert rewritten("Look at the the parser and close  it.") == "Look at the parser and close it."
    assert rewritten("It was known that that file had had two owners.") == (
        "It was known that that file had had two owners."
    )
    assert rewritten("one  two  three columns  here") == "one  two  three columns  here"
    assert rewritten("First paragraph.\n\n\n\n\nSecond one.") == "First paragraph.\n\nSecond one."


def test_carriage_returns_stay() -> None:
    assert rewritten("Fix teh parser.\r\nKeep the name.\r\n") == "Fix the parser.\r\nKeep the name.\r\n"


def test_earlier_rules_win_where_two_want_the_same_characters() -> None:
    first, second = Change(0, 5, "", "a", "a"), Change(3, 9, "x", "b", "b")
    assert settle([first, second, Change(12, 13, "y", "c", "c")]) == [first, Change(12, 13, "y", "c", "c")]
    assert settle([second, first]) == [second]
