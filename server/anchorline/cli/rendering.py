"""Markdown and differences in a terminal: rendered, coloured and wrapped at words. A pipe gets the text as it is."""

import sys
from importlib.util import find_spec

import click

from anchorline.cli.terminal import visible

_STYLES = {"+": "green", "-": "bold red", "@": "cyan"}


def show(text: str) -> None:
    """Prints Markdown; as it is also where Pygments is left out, which rich renders it with."""
    if not sys.stdout.isatty() or find_spec("pygments") is None:
        click.echo(text, nl=False)
        return
    from rich.markdown import Markdown  # noqa: PLC0415  (150 ms, which a pipe does not need)

    from anchorline.cli import tables  # noqa: PLC0415  (as above)

    tables.console().print(Markdown(visible(text), hyperlinks=False))


def show_diff(text: str) -> None:
    """Prints a unified diff."""
    if not sys.stdout.isatty():
        click.echo(text, nl=False)
        return
    from rich.text import Text  # noqa: PLC0415  (as above)

    from anchorline.cli import tables  # noqa: PLC0415  (as above)

    lines = [Text(line, _STYLES.get(line[:1], "")) for line in visible(text).splitlines()]
    tables.console().print(Text("\n").join(lines))
