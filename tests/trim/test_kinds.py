"""Each kind of trim alone: what it makes of an output, and what it leaves alone."""

import pytest

from anchorline.trim.calls import Origin, ToolCall
from anchorline.trim.kinds import EqualLines, FoundLines, LineNumbers
from anchorline.trim.marks import Again, Found, Padded


class Asked(Origin):
    def __init__(self, call: ToolCall | None) -> None:
        self.call = call


GREP = Asked(ToolCall("grep"))
BASH = Asked(ToolCall("bash", "ls var", '{"command":"ls var"}'))


def numbered(first: int, last: int, width: int = 6, sign: str = "\t") -> list[str]:
    return [f"{n:>{width}}{sign}  line {n}" for n in range(first, last)]


@pytest.mark.parametrize("sign", ["\t", "→"])
def test_the_spaces_before_line_numbers_are_said_once(sign: str):
    lines = [*numbered(1, 90, sign=sign), "<system-reminder>"]
    made = LineNumbers().shorten(lines, BASH)
    assert made[:2] == [f"1{sign}  line 1", f"2{sign}  line 2"]
    assert made[-2:] == ["<system-reminder>", Padded(6)]
    assert LineNumbers().restore(made) == lines


def test_line_numbers_that_outgrow_their_column_keep_it():
    lines = numbered(999_800, 1_000_010, width=7)
    made = LineNumbers().shorten(lines, BASH)
    assert made[0] == "999800\t  line 999800"
    assert LineNumbers().restore(made) == lines


def test_a_few_spaces_are_not_worth_a_mark():
    lines = numbered(1, 5)
    assert LineNumbers().shorten(lines, BASH) == lines


def test_equal_lines_are_counted():
    lines = ["a", *["waiting for the server"] * 40, "b"]
    made = EqualLines().shorten(lines, BASH)
    assert made == ["a", "waiting for the server", Again(39), "b"]
    assert EqualLines().restore(made) == lines


@pytest.mark.parametrize(
    "lines",
    [
        [f'    "10.{n}.0.0/16",' for n in range(20, 28)],
        [f"  {n}% {{ opacity: 0.{n}; }}" for n in (0, 12, 25, 37, 50, 75, 100)],
        [f"{n},{n + 1},{n + 2}" for n in range(20)],
        [f"step {n}/20" for n in range(20)],
        [f"{n}% |{'#' * n}" for n in range(0, 100, 10)],
        [f"  - item {n}: ....................." for n in range(20)],
        ["waiting", "waiting ", "waiting\r", "waiting\t"],
        ["x"] * 9,
        [""] * 50,
    ],
)
def test_lines_that_are_not_equal_stay(lines: list[str]):
    assert EqualLines().shorten(lines, BASH) == lines


FOUND = [f"src/server/handlers.py:{n}:    call({n})" for n in range(10, 20)]


def test_the_path_of_a_search_is_named_once():
    lines = ["Found:", *FOUND, "src/other.py:2:x"]
    made = FoundLines().shorten(lines, GREP)
    assert made == [
        "Found:",
        Found(10, "src/server/handlers.py"),
        *(f"{n}:    call({n})" for n in range(10, 20)),
        "src/other.py:2:x",
    ]
    assert FoundLines().restore(made) == lines


def test_context_is_of_the_file_with_the_match_beside_it():
    lines = [f"src/a-1-b/handlers.py{'-:'[n == 13]}{n}{'-:'[n == 13]}text" for n in range(10, 17)]
    made = FoundLines().shorten(lines, GREP)
    assert made[:2] == [Found(7, "src/a-1-b/handlers.py"), "10-text"]
    assert FoundLines().restore(made) == lines


def test_context_may_have_the_whole_path():
    lines = ["src/server/handlers.py:1:x", *(f"/home/me/src/server/handlers.py-{n}-y" for n in range(2, 9))]
    made = FoundLines().shorten(lines, GREP)
    assert made[:2] == ["src/server/handlers.py:1:x", Found(7, "/home/me/src/server/handlers.py")]
    assert FoundLines().restore(made) == lines


@pytest.mark.parametrize(
    "lines",
    [
        [f"var/backup/orders-2026-11-{n:02d}.sql.gz" for n in range(1, 11)],
        [f"logs/app-2026-11-01-{n:02d}-00.log" for n in range(10)],
        [f"src/migrations/{n:04d}-12-create.sql" for n in range(10)],
        [f"src/app.py:{n}" for n in range(10)],
        [f"2026-11-01T10:{n}:00 started" for n in range(10, 20)],
        [f"2026-11-01 10:{n}:00 started" for n in range(10, 20)],
        [f"10.0.0.1:{n}:open" for n in range(80, 90)],
    ],
)
@pytest.mark.parametrize("origin", [GREP, BASH])
def test_a_file_s_name_is_no_match(lines: list[str], origin: Origin):
    assert FoundLines().shorten(lines, origin) == lines


@pytest.mark.parametrize("origin", [BASH, Asked(None), Asked(ToolCall("read"))])
def test_only_a_search_finds_lines(origin: Origin):
    assert FoundLines().shorten(FOUND, origin) == FOUND


@pytest.mark.parametrize("command", ["rg -n call src", "git grep -n call", "cd src && grep -rn call ."])
def test_a_search_may_be_a_command(command: str):
    assert FoundLines().shorten(FOUND, Asked(ToolCall("bash", command, command))) != FOUND
