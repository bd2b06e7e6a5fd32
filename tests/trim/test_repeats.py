"""Lines that stand in an earlier output: whoever follows the pointers has the output back, byte for byte."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from anchorline.trim.repeats import Repeats

POINTER = re.compile(r"\[= lines? (\d+)(?:-(\d+))? of tool result (\d+) above(?:, numbered from (\d+))?\]\Z")
NUMBER = re.compile(r"(\s*)(\d+)(→|\t|:|-)")
FILE = [f"    value_{n} = compute_something({n}, flag=True)  # step" for n in range(40)]


def numbered(lines: list[str], first: int = 1) -> str:
    return "\n".join(f"{number}→{line}" for number, line in enumerate(lines, first))


def moved(line: str, shift: int) -> str:
    return (
        NUMBER.sub(lambda m: f"{m[1]}{int(m[2]) + shift}{m[3]}", line, count=1)
        if NUMBER.match(line)
        else line
    )


def expanded(text: str, sent: list[str]) -> str:
    """Follow the pointers, as a reader would."""
    lines = []
    for line in text.split("\n"):
        found = POINTER.match(line)
        if found is None:
            lines.append(line)
            continue
        first, last = int(found[1]), int(found[2] or found[1])
        stands = sent[int(found[3]) - 1].split("\n")[first - 1 : last]
        if found[4]:
            head = NUMBER.match(next(one for one in stands if NUMBER.match(one)))
            shift = int(found[4]) - int(head[2])
            stands = [moved(one, shift) for one in stands]
        lines += stands
    return "\n".join(lines)


def test_a_file_that_is_read_again_is_one_line():
    repeats = Repeats()
    repeats.add([numbered(FILE)])
    assert repeats.without(numbered(FILE)) == "[= lines 1-40 of tool result 1 above]"
    assert repeats.without(numbered(FILE[10:30], 11)) == "[= lines 11-30 of tool result 1 above]"


def test_lines_that_have_moved_are_known_by_their_numbers():
    repeats = Repeats()
    repeats.add([numbered(FILE)])
    edited = numbered(["import os", *FILE])
    assert repeats.without(edited) == "1→import os\n[= lines 1-40 of tool result 1 above, numbered from 2]"


def test_short_and_new_lines_stay():
    repeats = Repeats()
    repeats.add(["ok\n" * 9])
    assert repeats.without("ok\n" * 9) == "ok\n" * 9
    assert repeats.without(numbered(FILE)) == numbered(FILE)


LINES = st.lists(
    st.one_of(
        st.sampled_from(FILE[:12]),
        st.sampled_from(["", "}", "12→x", "[= lines 1-2 of tool result 1 above]", "a" * 200]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=60),
    ),
    max_size=40,
)
OUTPUT = st.builds(
    lambda lines, first: numbered(lines, first) if first else "\n".join(lines), LINES, st.integers(0, 5)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(OUTPUT, min_size=1, max_size=8))
def test_following_the_pointers_gives_the_output_back(outputs: list[str]) -> None:
    repeats, sent = Repeats(), []
    for output in outputs:
        short = repeats.without(output)
        assert len(short) <= len(output)
        if "[= line" not in output:  # an output that looks like pointers itself can't be told from them
            assert expanded(short, sent) == output
        sent.append(short)
        repeats.add([short])
