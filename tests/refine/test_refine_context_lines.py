"""The lines of facts at a draft's end: any subset in any order gives one draft, and each can be taken away again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.plan import Addition
from anchorline.refine.context_lines import (
    command_line,
    context_lines,
    file_line,
    insertion,
    removal,
    symbol_line,
    with_additions,
    without_additions,
)

DRAFT = "Fix the timeout of the client."


def addition(text: str) -> Addition:
    return Addition("a1", "file", text, "matches “timeout”", 0.8)


FILE = addition(file_line("src/client.py", english=True))
SYMBOL = addition(symbol_line("connect", "src/client.py", 40, english=True))
COMMAND = addition(command_line("pytest tests/test_client.py", english=True))

FACTS = st.text(
    st.characters(blacklist_characters="`", blacklist_categories=["Cc", "Cs"]), min_size=1, max_size=12
)
LINES = st.one_of(
    st.builds(file_line, FACTS, english=st.booleans()),
    st.builds(symbol_line, FACTS, FACTS, st.integers(1, 120), english=st.booleans()),
    st.builds(command_line, FACTS, english=st.booleans()),
)
PIECES = st.one_of(
    st.text(max_size=20), LINES, st.sampled_from(["\n", "\r\n", "\n\n", "\r\n\r\n", "\r", " ", "Fix it."])
)
DRAFTS = st.lists(PIECES, max_size=8).map("".join)
CHOSEN = st.lists(LINES.map(addition), min_size=1, max_size=6, unique_by=lambda each: each.text)


def test_facts_are_the_last_paragraph_files_and_symbols_before_the_command() -> None:
    assert with_additions(DRAFT, [COMMAND, SYMBOL, FILE]) == (
        f"{DRAFT}\n\nContext: `src/client.py`\nContext: `connect` in `src/client.py:40`\n"
        "Check: `pytest tests/test_client.py`"
    )


def test_the_last_newline_of_a_file_stays_the_last() -> None:
    assert with_additions(DRAFT + "\n", [FILE]) == f"{DRAFT}\n\nContext: `src/client.py`\n"
    assert with_additions(DRAFT + "\r\n", [FILE]) == f"{DRAFT}\r\n\r\nContext: `src/client.py`\r\n"


def test_numbers_count_as_numbers() -> None:
    early, late = (addition(symbol_line("f", "a.py", line, english=True)) for line in (9, 40))
    assert context_lines(with_additions(DRAFT, [late, early])) == (early.text, late.text)


def test_a_fact_that_stands_there_is_not_repeated() -> None:
    accepted = with_additions(DRAFT, [FILE])
    assert insertion(accepted, FILE) is None
    assert with_additions(accepted, [FILE]) == accepted


def test_nothing_is_added_to_an_empty_draft_or_taken_from_one_without_facts() -> None:
    assert insertion(" \n", FILE) is None
    assert removal(DRAFT, FILE) is None


def test_what_the_developer_wrote_below_keeps_the_lines() -> None:
    accepted = with_additions(DRAFT, [FILE])
    continued = accepted + "\n\nAnd keep the log."
    assert context_lines(continued) == ()
    assert with_additions(continued, [SYMBOL]) == f"{continued}\n\n{SYMBOL.text}"


@pytest.mark.parametrize("line", ["Context: nothing", "- `a.py`", "Context: `a.py` and `b.py`", "see `a.py`"])
def test_other_lines_are_the_developers(line: str) -> None:
    assert context_lines(f"{DRAFT}\n\n{line}") == ()


@given(DRAFTS, CHOSEN, st.data())
def test_any_order_gives_one_draft(draft: str, chosen: list[Addition], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(chosen))
    assert with_additions(draft, shuffled) == with_additions(draft, chosen)


@given(DRAFTS, CHOSEN, st.data())
def test_each_is_undone_by_itself_and_the_draft_stands(
    draft: str, chosen: list[Addition], data: st.DataObject
) -> None:
    fresh = [each for each in chosen if each.text not in context_lines(draft)]
    accepted = with_additions(draft, fresh)
    undone = data.draw(st.permutations(fresh)) if fresh else []
    for number, each in enumerate(undone):
        accepted = without_additions(accepted, [each])
        assert accepted == with_additions(draft, undone[number + 1 :])
    assert accepted == draft


@given(DRAFTS, CHOSEN)
def test_what_the_developer_wrote_stands_in_front(draft: str, chosen: list[Addition]) -> None:
    own = without_additions(draft, [addition(line) for line in context_lines(draft)])
    assert with_additions(draft, chosen).startswith(own.rstrip(" \t\r\n"))
