"""Markdown as plain text, for clients that show none: wrapped at words, tables aligned."""

import io
import re

_BLANK_LINES = re.compile(r"\n{3,}")
COLUMNS = 76
"""How long a line may be: a window with a border fits a terminal of 80 columns."""


def plain(markdown: str) -> str:
    """Returns the text of a Markdown document without its markup, in lines of at most 76 columns."""
    from rich.console import Console  # noqa: PLC0415  (150 ms, which most clients do not need)
    from rich.markdown import Markdown  # noqa: PLC0415  (as above)

    output = io.StringIO()
    console = Console(
        file=output, width=COLUMNS, color_system=None, highlight=False, markup=False, emoji=False
    )
    console.print(Markdown(markdown, hyperlinks=False))
    text = "\n".join(line.rstrip() for line in output.getvalue().splitlines())
    return _BLANK_LINES.sub("\n\n", text).strip("\n") + "\n"
