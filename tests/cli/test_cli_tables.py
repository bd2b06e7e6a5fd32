"""Tables on standard output: nothing in them is cut off."""

import time

import pytest
from click.testing import CliRunner
from rich.console import Console

from anchorline.cli import tables
from anchorline.cli.main import cli
from anchorline.cli.top import view
from anchorline.gateway.metrics import Counts, FinishedRequest, GatewayState, WarmPrefix
from anchorline.outcome import Usage


def run(*words: str, columns: int | None = None) -> list[str]:
    done = CliRunner().invoke(cli, list(words), env={"COLUMNS": str(columns or "")}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def cells(lines: list[str]) -> str:
    """Return the rows' cells, each joined again where it was folded."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    return " ".join("".join(parts) for parts in zip(*rows, strict=True))


@pytest.mark.parametrize("columns", [30, 45, 60])
def test_a_narrow_terminal_folds_cells_and_cuts_none(columns: int):
    lines = run("model", "list", columns=columns)
    assert max(map(len, lines[:-1])) <= columns
    assert "…" not in "".join(lines)
    assert "hf:mlx-community/Qwen3-1.7B-4bit3b1b1768f8f8cf8351c712464f906e86c2b8269e" in cells(lines)


def test_columns_that_do_not_fit_are_left_out_the_least_wanted_first():
    rows = [("claude-sonnet-5-5", "1,234", "yes", ""), ("gpt-5.5", "99", "no", "")]

    def lines(width: int) -> list[str]:
        table = tables.fitted(
            ("model", "in", "hit", "why"), rows, width=width, optional=("hit", "in", "why"), numbers=("in",)
        )
        console = Console(width=width, record=True)
        with console.capture() as printed:
            console.print(table)
        return [line.rstrip() for line in printed.get().splitlines()]

    assert lines(60)[1:] == ["claude-sonnet-5-5  1,234  yes", "gpt-5.5               99  no"]
    assert lines(24)[1:] == ["claude-sonnet-5-5  yes", "gpt-5.5            no"]
    assert lines(17)[1:] == ["claude-sonnet-5-5", "gpt-5.5"]
    assert all(len(line) <= 10 for line in lines(10))


def state(requests: int) -> GatewayState:
    now, usage = time.time(), Usage(120, 45_000, 900, 300)
    one = FinishedRequest(
        now, "claude-haiku-4-5-20251001", 200, 1.2, 0.004, usage, 0.97, True, "tools_changed", 0.0213, 0.2, 0,
        client="claude-code", session="5f3a9c01", project="webshop",
    )  # fmt: skip
    warm = WarmPrefix("claude-sonnet-5-5", 45_000, "1h", 3597.2)
    return GatewayState(
        now, "observe", {"200": requests}, {"read": 9}, 0.1, 0.6, None, None, 0, 0, 0.0, 0, 0, 0.0, Counts(),
        (one,) * requests, (warm,) if requests else (), None,
    )  # fmt: skip


def looked(requests: int, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width)
    with console.capture() as printed:
        console.print(view(state(requests), width, height))
    return printed.get().splitlines()


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (200, ("webshop", "claude-code", "5f3a9c01", "tools changed", "4 ms"), ()),
        (80, ("webshop", "claude-haiku-4-5 ", "45,000", "$0.0213"), ("5f3a9c01", "tools changed")),
        (60, ("claude-haiku-4-5 ", "45,000", "$0.0213"), ("5f3a9c01", "claude-code")),
    ],
)
def test_top_has_each_request_on_one_line_whatever_the_width(width: int, shown: tuple, left_out: tuple):
    lines = looked(3, width)
    assert max(map(len, lines)) <= width
    rows = [line for line in lines if "claude-haiku-4-5" in line]
    assert len(rows) == 3
    assert all(words in rows[0] for words in shown)
    assert not any(words in rows[0] for words in left_out)
    assert any("59:57" in line for line in lines)
    assert "3 requests, 0 failed" in lines[0]


def test_top_is_no_higher_than_the_terminal():
    assert len(looked(40, 80, 24)) <= 24


def test_top_without_a_request_says_what_to_do():
    assert any("anchorline connect claude-code" in line for line in looked(0, 80))


def test_a_pipe_has_each_row_whole():
    lines = run("model", "list")
    assert any("qwen3-1.7b" in line and "hf:mlx-community/Qwen3-1.7B-4bit" in line for line in lines)
