"""The guard: what no candidate gets past, whoever wrote it."""

import pytest

from anchorline.refine.guard import check
from anchorline.surroundings import Selection, Surroundings

DRAFT = """Fix `parse_config` in src/config.py: it must not raise when 3 keys are missing, only warn.

```py
x = 1
```

See "Known limits" and ${input:issue}."""


def test_the_draft_itself_and_a_small_edit_pass() -> None:
    assert check(DRAFT, DRAFT).ok
    assert check(DRAFT, DRAFT.replace("Fix ", "Please fix ")).ok


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("`parse_config`", "the parser", "loses “`parse_config`”"),
        ("src/config.py", "src/settings.py", "loses “src/config.py”"),
        ("x = 1", "x = 2", "loses “```py x = 1 ```”"),
        ("3 keys", "4 keys", "loses “3”"),
        ("${input:issue}", "the issue", "loses “${input:issue}”"),
        ('"Known limits"', "the limits", 'loses “"Known limits"”'),
        ("must not raise", "must raise", "drops “not”"),
        ("must not raise", "does not raise", "drops “must”"),
        (", only warn", ", warn", "drops “only”"),
        ("only warn", "only warn in tests/test_config.py", "adds “tests/test_config.py”"),
        ("only warn", "only warn with loguru", "brings in “loguru”"),
        ("only warn", "only warn with pytest", "brings in pytest"),
        ("only warn", "only warn about two of them", "brings in a number: “two”"),
        ("only warn", "only warn and never stop", "adds “never”"),
        ("Fix ", "Sure, fix ", "answers instead of asking"),
        ("Fix ", "Here is a better prompt. Fix ", "answers instead of asking"),
        ("See ", "```py\nprint()\n```\n\nSee ", "adds “```py print() ```”"),
    ],
)
def test_a_candidate_that_changes_the_request_is_refused(old: str, new: str, reason: str) -> None:
    verdict = check(DRAFT, DRAFT.replace(old, new))
    assert not verdict.ok
    assert any(reason in given for given in verdict.reasons), verdict.reasons


def test_blocks_keep_their_order() -> None:
    draft = "A\n\n```\none\n```\n\nB\n\n```\ntwo\n```\n"
    verdict = check(draft, "A\n\n```\ntwo\n```\n\nB\n\n```\none\n```\n")
    assert verdict.reasons == ("changes or reorders a block of code, a quotation or pasted text",)


def test_length_has_bounds_beside_filler_and_repetition() -> None:
    long = "Rename the helper that reads the list of users and then sorts it by the last name of each."
    assert not check(long, "Rename the helper.").ok
    assert not check("Rename the helper.", long).ok
    assert check("I was wondering if you could please rename it", "Rename it").ok
    again = "Look at the writer thread first. "
    assert check(again * 3, again.strip()).ok


@pytest.mark.parametrize(
    ("draft", "candidate"),
    [
        ("Исправь ошибку, пожалуйста.", "Please correct the error."),
        ("Behebe den Fehler in der Funktion und schreibe die Tests.", "Fix the error in the function and write the tests."),
        ("Corrige el error en la función para los archivos.", "Fix the mistake in the function for the files."),
        ("Fix the mistake in the function for the files.", "Corrige el error en la función para los archivos."),
        ("Fix it.\n\nИсправь ошибку, пожалуйста.", "Fix it.\n\nPlease correct the error."),  # noqa: RUF001  (Russian on purpose)
    ],
)  # fmt: skip
def test_a_translation_is_refused(draft: str, candidate: str) -> None:
    assert not check(draft, candidate).ok


def test_facts_of_the_editor_may_come_in_others_may_not() -> None:
    surroundings = Surroundings(selection=Selection("src/config.py", 40, 71), symbol="parse_config")
    grounded = "fix `parse_config` in `src/config.py:40-71`"
    assert check("fix this", grounded, surroundings).ok
    assert not check("fix this", grounded).ok
    assert not check("fix this", "fix `parse_config` in `src/other.py:1`", surroundings).ok
    assert check("fix this", "fix `load` here", allowed=["load"]).ok


def test_a_corrected_modal_is_no_new_one() -> None:
    assert check("It shoud return a list of users.", "It should return a list of users.").ok
    assert check("It dont return the list of users.", "It don't return the list of users.").ok


def test_a_name_with_a_negation_in_it_obliges_to_nothing() -> None:
    assert check("fix the page", "fix the page `app/not-found.tsx`", allowed=["app/not-found.tsx"]).ok
    assert not check("fix the page", "fix the page not `app/found.tsx`", allowed=["app/found.tsx"]).ok
    assert not check("fix `no` and do not stop", "fix `no` and do stop").ok
