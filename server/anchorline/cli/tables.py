"""Tables on standard output, none of whose cells is cut off: a narrow terminal folds them, a pipe has them whole."""

import os
import sys
from typing import Any

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from anchorline.cli.terminal import steered, visible

WHOLE = 10_000
"""Columns where nobody's terminal limits a line."""


def table(*columns: str, title: str | None = None, boxed: bool = True) -> Table:
    """Returns a table with these columns."""
    folded = (Column(name, overflow="fold") for name in columns)
    return Table(*folded, title=title, title_justify="left", box=HEAVY_HEAD if boxed else None)


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
