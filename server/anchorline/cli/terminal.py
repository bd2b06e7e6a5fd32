r"""What is printed: texts of others (file names, models, keys of TOML files) can't move a cursor or change colours.

A control character, or one that turns the direction of writing, is printed as JSON writes it (``\u001b``), so that
output for programs stays valid too. Only `rich` may steer a terminal; it writes past this, and what it is given is
made visible before.
"""

import io
import os
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, TextIO

import click

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def visible(text: str) -> str:
    """Returns a text whose control characters can be seen and do nothing. StyledLine ends and tabs stay."""
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def broken_at_words(text: str) -> str:
    """Returns a text whose long lines are broken at words, to the width of the terminal."""
    width = shutil.get_terminal_size().columns
    if len(text) <= width:
        return text
    import textwrap  # noqa: PLC0415  (4 ms, which most commands do without)

    return "\n".join(
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        if len(line) > width
        else line
        for line in text.split("\n")
    )


class Visible(io.TextIOBase):
    """A text stream before another one that makes what is written visible."""

    def __init__(self, stream: TextIO, *, wrapped: bool = False) -> None:
        """With `wrapped`, lines are broken at words where the stream is a terminal."""
        self.steered = stream
        self.wrapped = wrapped and stream.isatty()

    def write(self, text: str) -> int:
        """Writes a text, and returns its length."""
        shown = visible(text)
        self.steered.write(broken_at_words(shown) if self.wrapped else shown)
        return len(text)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401  (whatever the stream has)
        if name in ("write", "steered", "wrapped", "__class__") or (
            name.startswith("__") and name.endswith("__")
        ):
            return object.__getattribute__(self, name)
        stream = object.__getattribute__(self, "steered")
        if name == "buffer" and sys.platform == "win32" and stream.isatty():
            return None  # click would write to Windows' console by it, past this
        return getattr(stream, name)


def guard() -> None:
    """Has all that this process prints made visible, and written whatever the encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Visible):  # there is none under pythonw
            _encode_all(stream)
            setattr(sys, name, Visible(stream, wrapped=name == "stderr"))


def _encode_all(stream: TextIO) -> None:
    """Has a stream take every character: Windows gives a pipe or a file an old code page, which lacks most of them.

    Programs read UTF-8 there; an encoding that was chosen (PYTHONIOENCODING) stays, with an escape for what it lacks.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return
    if sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
        stream.reconfigure(encoding="utf-8")
    elif stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def steered(stream: TextIO) -> TextIO:
    """Returns the stream that a library may steer the terminal by."""
    return stream.steered if isinstance(stream, Visible) else stream


Styled = tuple[str, str]
"""A text and its style: words such as ``bold`` and ``green``, or nothing."""
StyledLine = list[Styled]
PIPE_WIDTH = 80
_ATTRIBUTES = ("bold", "dim")


def width() -> int:
    """Returns the columns of the terminal; of a pipe 80, unless COLUMNS says otherwise."""
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def show(lines: Iterable[StyledLine]) -> None:
    """Prints lines in their styles on a terminal, and plain where there is none or NO_COLOR is set."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    for line in lines:
        text = "".join(_styled(visible(text), style) if coloured else visible(text) for text, style in line)
        click.echo(text.rstrip(), file=steered(sys.stdout), color=coloured)


def show_diff(diff: str) -> None:
    """Prints a unified diff."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    show([(line, styles.get(line[:1], ""))] for line in diff.splitlines())


def _styled(text: str, style: str) -> str:
    words = style.split()
    colour = next((word for word in words if word not in _ATTRIBUTES), None)
    return click.style(text, fg=colour, bold="bold" in words or None, dim="dim" in words or None)
