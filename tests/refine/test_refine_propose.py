"""The whole of refinement as a client sees it."""

import subprocess
import sys

import pytest

from anchorline.plan import Refinement
from anchorline.refine import propose as module
from anchorline.refine.hints import RULES
from anchorline.refine.propose import LONGEST, compose, propose
from anchorline.refine.rewrite import Change, apply
from anchorline.surroundings import Absent, Diagnostic, Selection, Surroundings


def edited(draft: str, refined: Refinement) -> str:
    return apply(draft, [Change(e.start, e.end, e.text, e.reason, "") for e in refined.edits])


def test_a_proposal_has_edits_that_make_it_and_reasons() -> None:
    draft = "I was wondering if you could please fix teh bug in `x.py`? Basically, it does not work."
    refined = propose(draft)
    assert refined.status == "proposed"
    assert refined.text == "Fix the bug in `x.py`. It does not work." == edited(draft, refined)
    assert all(edit.reason for edit in refined.edits)
    assert "spelling: teh → the" in refined.reason


def test_a_good_draft_is_unchanged_and_says_so() -> None:
    refined = propose("Add a `--json` flag to the list command, and keep the table as the default.")
    assert (refined.status, refined.text, refined.edits, refined.hints) == ("unchanged", None, (), ())
    assert refined.reason == "no changes suggested"


def test_no_draft_is_unchanged() -> None:
    assert propose("  \n").reason == "the draft is empty"


def test_a_draft_too_long_is_refused_with_its_size() -> None:
    refined = propose("teh " * LONGEST)
    assert refined.status == "refused"
    assert str(LONGEST) in refined.reason


def test_what_the_guard_refuses_is_left_out_and_the_rest_stays() -> None:
    draft = "Do not touch the writer thread here. Fix teh parser. Do not touch the writer thread here."
    refined = propose(draft)
    assert refined.status == "proposed"
    assert refined.text == draft.replace("teh", "the")
    assert "Left out by the guard: duplicate (drops “not”)" in refined.reason


def test_with_nothing_left_the_draft_comes_back_with_the_reason() -> None:
    refined = propose("Do not touch the writer thread here. Do not touch the writer thread here.")
    assert (refined.status, refined.text, refined.edits) == ("refused", None, ())
    assert "drops “not”" in refined.reason


def test_any_defect_fails_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret draft text")

    monkeypatch.setattr(module, "analyse", broken)
    refined = propose("fix this")
    assert (refined.status, refined.text) == ("unavailable", None)
    assert "ZeroDivisionError" in refined.reason
    assert "secret" not in refined.reason


@pytest.mark.parametrize("rule", RULES, ids=[rule.code for rule in RULES])
def test_every_hint_code_has_an_example_that_gets_it(rule: object) -> None:
    code, draft = rule.code, rule.example.replace("\\n", "\n")
    place = Surroundings(absent=(Absent("src/confg.py", "src/config.py"),))
    assert code in [hint.code for hint in propose(draft, place).hints]


def test_hints_point_at_the_words_and_bring_a_question() -> None:
    refined = propose("Now refactor this")
    assert [(hint.code, hint.start, hint.end) for hint in refined.hints] == [("AL101", 13, 17)]
    assert "“this”" in refined.questions[0].text
    assert refined.status == "unchanged"


def test_hints_are_few_and_stop_where_the_editor_or_the_conversation_knows() -> None:
    assert [hint.code for hint in propose("fix this").hints] == ["AL101", "AL103"]
    assert [hint.code for hint in propose("fix this", max_hints=1).hints] == ["AL101"]
    assert propose("fix this", max_hints=0).hints == ()
    assert propose("fix this", follow_up=True).hints == ()
    place = Surroundings(selection=Selection("a.py", 1, 2), diagnostics=(Diagnostic("a.py", 1, "boom"),))
    assert propose("fix this", place).hints == ()
    assert [h.code for h in propose("fix the bug", Surroundings(active_file="a.py")).hints] == ["AL103"]


def test_composed_changes_do_what_two_passes_do() -> None:
    text = "abcdefghij"
    first = [Change(1, 3, "XYZ", "one", "k"), Change(6, 7, "", "two", "k")]
    between = apply(text, first)
    second = [
        Change(0, 2, "-", "three", "k"),
        Change(5, 8, "+++", "four", "k"),
        Change(9, 9, "!", "five", "k"),
    ]
    assert apply(text, compose(text, first, second)) == apply(between, second)


@pytest.mark.process
def test_the_answer_does_not_depend_on_the_process() -> None:
    draft = "Could you please fix teh posibility of a race? teh writer is is slow, thse threads wait for eachother."
    code = f"from anchorline.refine.propose import propose; print(repr(propose({draft!r})))"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(answers) == 1


@pytest.mark.process
def test_importing_refinement_loads_no_word_list_and_no_heavy_module() -> None:
    code = (
        "import sys; import anchorline.refine.propose; from anchorline.refine import words; "
        "print(words.common.cache_info().currsize, *[m for m in ('numpy', 'sqlite3', 'rich', 'pygls') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.split() == ["0"]
