"""Tables on standard output: in a narrow terminal cells are folded or columns left out, a pipe has them whole."""

import os
import sys
from collections.abc import Collection, Sequence
from typing import Any

from rich.box import HEAVY_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from anchorline.cli.terminal import steered, visible

_GAP = 2
"""Spaces between columns without a box."""
WHOLE = 10_000
"""Columns where nobody's terminal limits a line."""


def table(*columns: str, title: str | None = None, boxed: bool = True) -> Table:
    """Returns a table with these columns."""
    folded = (Column(name, overflow="fold") for name in columns)
    return Table(*folded, title=title, title_justify="left", box=HEAVY_HEAD if boxed else None)


def fitted(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int,
    optional: Sequence[str] = (),
    numbers: Collection[str] = (),
    title: str | None = None,
) -> Table:
    """Returns a table without a box that fits `width` columns of a terminal, each row on one line.

    What is empty in all rows is left out. Of the `optional` columns, the most wanted first, there are those that there
    is room for. `numbers` are columns that are aligned to the right and never cut off.
    """
    widths = {
        name: max(map(cell_len, (name, *(visible(row[at]) for row in rows)))) + _GAP
        for at, name in enumerate(columns)
        if not rows or any(row[at] for row in rows)
    }
    chosen = set(widths) - set(optional)
    for name in optional:
        if name in widths and sum(widths[name] for name in (*chosen, name)) - _GAP <= width:
            chosen.add(name)
    kept = [name for name in widths if name in chosen]
    aligned = (
        Column(name, overflow="ellipsis", no_wrap=True, justify="right", min_width=widths[name] - _GAP)
        if name in numbers
        else Column(name, overflow="ellipsis", no_wrap=True)
        for name in kept
    )
    made = Table(
        *aligned, title=title, title_justify="left", box=None, padding=(0, _GAP, 0, 0), pad_edge=False
    )
    for row in rows:
        made.add_row(*(row[columns.index(name)] for name in kept))
    return made


def say(text: str) -> None:
    """Prints a text: wrapped at words in a terminal, and in a pipe as it is."""
    output = console()
    output.print(text, soft_wrap=not output.is_terminal)


def console() -> Console:
    """Returns where tables are printed: as they are, since names in them come from files of others."""

    class Plain(Console):
        """Shows texts as they are: no control character of a cell reaches the terminal."""

        def render_str(self, text: str, **how: Any) -> Text:  # noqa: ANN401  (rich's own options)
            return super().render_str(visible(text), **how)

    output = Plain(file=steered(sys.stdout), highlight=False, markup=False, emoji=False)
    if not output.is_terminal and not os.environ.get("COLUMNS"):
        output.width = WHOLE
    return output
