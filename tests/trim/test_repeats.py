"""Lines that stand in an earlier output: whoever follows the pointers has the output back, byte for byte."""

from anchorline.trim.calls import Origin, ToolCall
from anchorline.trim.marks import Above, Literal, own, read, written
from anchorline.trim.repeats import EarlierLines

FILE = [f"    value_{n} = compute_something({n}, flag=True)  # step" for n in range(40)]


class Nobody(Origin):
    def __init__(self) -> None:
        self.call: ToolCall | None = None


def numbered(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{number}→{line}" for number, line in enumerate(lines, first))


def after(*outputs: str) -> EarlierLines:
    earlier = EarlierLines()
    for output in outputs:
        earlier.add([own(output)])
    return earlier


def short(earlier: EarlierLines, output: str) -> str:
    """The output as it is sent, restored on the way."""
    made = earlier.shorten(own(output), Nobody())
    assert written(earlier.restore(read(written(made)))) == written(own(output))
    return written(made)


def test_a_file_that_is_read_again_is_one_line():
    earlier = after(numbered(FILE))
    assert short(earlier, numbered(FILE)) == "[= lines 1-40 of tool result 1 above]"
    assert short(earlier, numbered(FILE[10:30], 11)) == "[= lines 11-30 of tool result 1 above]"


def test_lines_that_have_moved_are_known_by_their_numbers():
    edited = numbered(["import os", *FILE])
    assert short(after(numbered(FILE)), edited) == (
        "1→import os\n[= lines 1-40 of tool result 1 above, numbered from 2]"
    )


def test_short_and_new_lines_stay():
    assert short(after("ok\n" * 9), "ok\n" * 9) == "ok\n" * 9
    assert short(after("ok\n" * 9), numbered(FILE)) == numbered(FILE)


def test_ends_of_lines_count():
    lines = "\r\n".join(FILE)
    assert short(after(lines), lines).count("\n") == 0
    assert short(after("\n".join(FILE)), lines).count("value_") == 40
    assert short(after(lines), "\n".join(FILE)).count("value_") == 40


def test_spaces_before_a_number_count():
    padded = "\n".join(f"{number:>6}→{line}" for number, line in enumerate(FILE, 1))
    assert short(after(numbered(FILE)), padded) == padded
    assert short(after(padded), numbered(FILE)) == numbered(FILE)


def test_leading_zeros_and_other_digits_are_no_numbers():
    for head in ("007", "٣", "1234567890"):
        line = f"{head}→{'x' * 200}"
        assert short(after(line), line) == "[= line 1 of tool result 1 above]"
        assert short(after(f"8→{'x' * 200}"), line) == line


def test_a_pointer_is_followed_once():
    """Lines that an earlier result itself only points to are looked up where they stand."""
    earlier = after(numbered(FILE))
    again = short(earlier, numbered(FILE))
    earlier.add([read(again)])
    assert short(earlier, numbered(FILE)) == "[= lines 1-40 of tool result 1 above]"


def test_a_line_that_looks_like_a_pointer_is_not_pointed_to():
    lines = own("\n".join(["[= lines 1-2 of tool result 1 above]" + " " * 200, *FILE]))
    earlier = EarlierLines()
    earlier.add([lines])
    made = earlier.shorten(lines, Nobody())
    assert made[1:] == [Above(1, 2, 41)]
    looks = own("\n".join([str(Above(1, 1, 2)), *FILE]))
    earlier = EarlierLines()
    earlier.add([looks])
    assert earlier.shorten(looks, Nobody()) == [Literal(), str(Above(1, 1, 2)), Above(1, 3, 42)]


def test_nothing_points_to_a_result_that_may_be_taken_out():
    earlier = EarlierLines()
    earlier.add([own(numbered(FILE))], stays=False)
    assert short(earlier, numbered(FILE)) == numbered(FILE)
    earlier.add([own(numbered(FILE))])
    assert short(earlier, numbered(FILE)) == "[= lines 1-40 of tool result 2 above]"


def test_a_pointer_that_leads_nowhere_stays():
    earlier = after("a\nb")
    for mark in (Above(2, 1, 1), Above(1, 2, 3), Above(1, 9, 9), Above(1, 2, 1)):
        assert earlier.restore([mark]) == [mark]
