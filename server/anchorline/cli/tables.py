"""Tables on standard output, none of whose cells is cut off: a narrow terminal folds them, a pipe has them whole."""

import os
import sys
from typing import TYPE_CHECKING, Any

from anchorline.cli.terminal import steered, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WHOLE = 10_000
"""Columns where nobody's terminal limits a line."""


def table(*columns: str, title: str | None = None, boxed: bool = True) -> "Table":
    """Return a table with these columns."""
    from rich.box import HEAVY_HEAD  # noqa: PLC0415  (only where a table is printed)
    from rich.table import Column, Table  # noqa: PLC0415

    folded = (Column(name, overflow="fold") for name in columns)
    return Table(*folded, title=title, title_justify="left", box=HEAVY_HEAD if boxed else None)


def console() -> "Console":
    """Return where tables are printed: as they are, since names in them come from files of others."""
    from rich.console import Console  # noqa: PLC0415

    class Plain(Console):
        """Shows texts as they are: no control character of a cell reaches the terminal."""

        def render_str(self, text: str, **how: Any) -> "Text":  # noqa: ANN401  (rich's own options)
            return super().render_str(visible(text), **how)

    found = Plain(file=steered(sys.stdout), highlight=False, markup=False, emoji=False)
    if not found.is_terminal and not os.environ.get("COLUMNS"):
        found.width = WHOLE
    return found
