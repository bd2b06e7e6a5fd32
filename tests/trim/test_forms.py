"""Whatever a tool gives, what is sent of it restores every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.trim.calls import Origin, ToolCall
from anchorline.trim.forms import KINDS, restored, shortened
from anchorline.trim.kinds import Kind
from anchorline.trim.marks import Line, Rendered, own, read, written
from anchorline.trim.repeats import EarlierLines
from anchorline.trim.terminal import rendered
from support.examples import examples
from trim.outputs import OUTPUT


class Asked(Origin):
    def __init__(self, call: ToolCall | None) -> None:
        self.call = call


CALLS = [
    None,
    ToolCall("read"),
    ToolCall("grep"),
    ToolCall("bash", "cat log.txt", "cat log.txt"),
    ToolCall("bash", "rg -n x", "rg -n x"),
    ToolCall("bash", "pip install x", "pip install x"),
    ToolCall("bash", "pip install x", "pip install x"),
]


def back(sent: str, kinds: tuple[Kind, ...]) -> str:
    return written(restored(read(sent), kinds))


@examples(400)
@given(st.lists(st.tuples(OUTPUT, st.sampled_from(CALLS)), min_size=1, max_size=6))
def test_the_reader_restores_every_byte(results: list[tuple[str, ToolCall | None]]):
    earlier, later = EarlierLines(), EarlierLines()
    for output, call in results:
        sent, used = shortened(output, (*KINDS, earlier), Asked(call))
        found = back(sent, (*KINDS, later))
        if "terminal_rendering" in used:
            shown = rendered(output)
            assert shown is not None
            assert found == f"{shown[1]}\n{shown[0]}"
            assert call is not None
            assert call.command == "pip install x"
        else:
            assert found == output
        earlier.add([read(sent)])
        later.add([read(sent)])
        assert sent.count("[= ") > 0 or sent == output


@examples(200)
@given(st.binary(max_size=400).map(lambda data: data.decode("latin-1")))
def test_rubbish_is_restored(output: str):
    sent, _ = shortened(output, KINDS, Asked(None))
    assert back(sent, KINDS) == output


def test_what_a_file_holds_keeps_its_escape_codes_and_ends_of_lines():
    text = "\x1b[31mred\x1b[0m\r\n" * 9 + " 10%\r 20%\r\n" * 9 + "last"
    for command in ("cat colours.txt", "git show HEAD:colours.txt", "sed -n 1,9p colours.txt"):
        sent, used = shortened(text, KINDS, Asked(ToolCall("bash", command, command)))
        assert "terminal_rendering" not in used
        assert sent.startswith("\x1b[31mred\x1b[0m\r\n")
        assert back(sent, KINDS) == text


def test_what_a_command_draws_is_rendered_and_says_so():
    text = "".join(f"\r {n:3d}% |{'#' * n:100}|" for n in range(101)) + "\nSuccessfully installed x\n"
    sent, used = shortened(text, KINDS, Asked(ToolCall("bash", "pip install x", "pip install x")))
    assert used == ("terminal_rendering",)
    assert sent.split("\n") == [
        "[= terminal rendering: 100 overwritten states of lines left out]",
        f" 100% |{'#' * 100}|",
        "Successfully installed x",
        "",
    ]
    assert [line for line in restored(read(sent), KINDS) if isinstance(line, Rendered)] == [Rendered(0, 100)]


def numbered(first: int, last: int) -> str:
    return "\n".join(f"{n:>6}\tvalue_{n} = compute({n})  # a line" for n in range(first, last))


def test_spaces_before_line_numbers_go_from_a_long_file():
    assert shortened(numbered(1, 40), KINDS, Asked(None)) == (numbered(1, 40), ())
    sent, used = shortened(numbered(1, 400), KINDS, Asked(None))
    assert used == ("line_numbers",)
    assert back(sent, KINDS) == numbered(1, 400)


@pytest.mark.parametrize("first", [numbered(1, 40), numbered(1, 400)])
def test_lines_are_found_again_whether_their_spaces_were_sent_or_not(first: str):
    earlier = EarlierLines()
    earlier.add([read(shortened(first, (*KINDS, earlier), Asked(None))[0])])
    for again in (numbered(10, 38), first):
        sent, used = shortened(again, (*KINDS, earlier), Asked(None))
        assert "earlier_lines" in used
        assert "value_" not in sent
        assert back(sent, (*KINDS, earlier)) == again


class Forgetful:
    """A kind that can't restore what it leaves out."""

    name = "equal_lines"

    def shorten(self, lines: list[Line], origin: Origin) -> list[Line]:
        return lines[:1]

    def restore(self, lines: list[Line]) -> list[Line]:
        return lines


def test_a_trim_that_can_t_be_undone_is_not_applied():
    text = "a line\n" * 200
    assert shortened(text, (Forgetful(),), Asked(None)) == (text, ())
    assert shortened(text, (Forgetful(), *KINDS), Asked(None))[1] == ("equal_lines",)


@pytest.mark.parametrize("times", ["4", "999999999"])
def test_an_output_that_says_what_our_marks_say_comes_back_as_it_was(times: str):
    text = f"x\n[= the line above {times} more times]\n[= lines 1-2 of tool result 1 above]\n"
    sent, _ = shortened(text, KINDS, Asked(None))
    assert sent.count("[= the next line is the output's own]") == 2
    assert back(sent, KINDS) == text


def test_a_mark_that_asks_for_too_much_stays():
    text = f"{'x' * 99}\n[= the line above 999999999 more times]"
    assert back(text, KINDS) == text
    text = "[= the next 999999999 lines are of " + "p" * 99 + "]\n1:x"
    assert back(text, KINDS) == text
    assert own("a") == ["a"]
