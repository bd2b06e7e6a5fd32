"""Tables on standard output: nothing in them is cut off."""

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli


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


def test_a_pipe_has_each_row_whole():
    lines = run("model", "list")
    assert any("qwen3-1.7b" in line and "hf:mlx-community/Qwen3-1.7B-4bit" in line for line in lines)
