"""The lines that stand for what is left out: each form is read back, and nothing else is taken for one."""

import pytest
from hypothesis import given

from anchorline.trim.marks import Literal, mark, own, read, written
from trim.outputs import LINES, MARKS


@pytest.mark.parametrize("line", MARKS)
def test_a_mark_is_read_back(line: str):
    assert str(mark(line)) == line


@pytest.mark.parametrize(
    "line",
    [
        "[= line 1-2 of tool result 1 above]",
        "[= lines 3-3 of tool result 1 above]",
        "[= lines 01-2 of tool result 1 above]",
        "[= lines 1-2 of tool result 1 above] ",
        "[= lines 1-2 of tool result 1 above]\r",
        " [= lines 1-2 of tool result 1 above]",
        "[= lines \u0661-\u0662 of tool result 1 above]",
        "[= terminal rendering:  left out]",
        "[= the next 3 lines are of ]",
        "[= x]",
    ],
)
def test_what_only_looks_like_one_is_the_output_s_own(line: str):
    assert mark(line) is None
    assert own(line) == [line]


@pytest.mark.parametrize("line", MARKS)
def test_a_line_of_the_output_that_has_the_form_of_a_mark_is_announced(line: str):
    lines = own(f"a\n{line}\nb")
    assert lines == ["a", Literal(), line, "b"]
    assert read(written(lines)) == lines


@given(LINES)
def test_what_is_written_is_read_as_it_was(lines: list[str]):
    made = own("\n".join(lines))
    assert read(written(made)) == made
    assert [line for line in made if isinstance(line, str)] == "\n".join(lines).split("\n")
