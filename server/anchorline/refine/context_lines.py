"""The lines at a draft's end that name facts of the workspace: how they read, and the edits that add and remove them.

    Fix the timeout of the client.

    Context: `src/client.py`
    Context: `connect` in `src/client.py:40`
    Check: `pytest tests/test_client.py`

They are the last paragraph of the draft, each fact on a line of its own. A draft that is not English gets the
references alone. A line's place among the others follows from its text, so that any subset, accepted in any order,
gives one draft, and removing each line leaves the draft as it was, byte for byte.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from anchorline.plan import Addition, Edit

CONTEXT, CHECK = "Context: ", "Check: "
_BLANK = " \t\r\n"
_LINE = re.compile(
    r"(?:Context: )?`[^`\n]+`"
    r"|Context: `[^`\n]+` in `[^`\n]+:\d+`|`[^`\n]+` \(`[^`\n]+:\d+`\)"
    r"|Check: `[^`\n]+`"
)
"""A fact of the workspace as a line: a file, a symbol, a command, each as it reads in English and without words."""
_NUMBER = re.compile(r"(\d+)")


class _Block(NamedTuple):
    """The lines of facts in a draft: `lines` from `start` to `end`; where there are none, that is where they belong."""

    start: int
    end: int
    lines: tuple[str, ...]


def file_line(path: str, *, english: bool) -> str:
    """Returns the line that names a file."""
    return f"{CONTEXT if english else ''}`{path}`"


def symbol_line(symbol: str, path: str, line: int, *, english: bool) -> str:
    """Returns the line that names a symbol and where it is defined."""
    return f"{CONTEXT}`{symbol}` in `{path}:{line}`" if english else f"`{symbol}` (`{path}:{line}`)"


def command_line(command: str, *, english: bool) -> str:
    """Returns the line that names a command to run."""
    return f"{CHECK if english else ''}`{command}`"


def context_lines(draft: str) -> tuple[str, ...]:
    """Returns the lines of facts that a draft ends with."""
    return _block(draft).lines


def own_words(draft: str) -> str:
    """Returns the draft without the lines of facts that it ends with: what the developer wrote."""
    block = _block(draft)
    return draft[: block.start].rstrip(_BLANK) if block.lines else draft


def insertion(draft: str, addition: Addition) -> Edit | None:
    """Returns the edit that adds a line, None where the draft is empty or has it already."""
    block, line = _block(draft), addition.text
    if block.end == 0 or line in block.lines:
        return None
    newline = _newline(draft)
    if not block.lines:
        return Edit(block.end, block.end, 2 * newline + line, addition.reason)
    position = block.start
    for other in block.lines:
        if _order(other) > _order(line):
            return Edit(position, position, line + newline, addition.reason)
        position += len(other) + len(newline)
    return Edit(block.end, block.end, newline + line, addition.reason)


def removal(draft: str, addition: Addition) -> Edit | None:
    """Returns the edit that takes an added line away again, None where the draft does not have it."""
    block, line = _block(draft), addition.text
    if line not in block.lines:
        return None
    length = len(_newline(draft))
    number = block.lines.index(line)
    start = block.start + sum(len(other) + length for other in block.lines[:number])
    end = start + len(line)
    if number < len(block.lines) - 1:
        return Edit(start, end + length, "", addition.reason)
    return Edit(start - (length if number else 2 * length), end, "", addition.reason)


def with_additions(draft: str, chosen: Iterable[Addition]) -> str:
    """Returns the draft with these additions, in whatever order they come; one that it has already is not repeated."""
    for addition in chosen:
        draft = _edited(draft, insertion(draft, addition))
    return draft


def without_additions(draft: str, chosen: Iterable[Addition]) -> str:
    """Returns the draft without these additions."""
    for addition in chosen:
        draft = _edited(draft, removal(draft, addition))
    return draft


def _edited(draft: str, edit: Edit | None) -> str:
    return draft if edit is None else draft[: edit.start] + edit.text + draft[edit.end :]


def _newline(draft: str) -> str:
    return "\r\n" if "\r\n" in draft else "\n"


def _block(draft: str) -> _Block:
    """Finds the last paragraph if all of its lines are facts; white space behind it stays behind it."""
    body = draft.rstrip(_BLANK)
    newline = _newline(draft)
    before, _, last = body.rpartition(2 * newline)
    lines = tuple(last.split(newline))
    if before.strip(_BLANK) and all(map(_LINE.fullmatch, lines)):
        return _Block(len(body) - len(last), len(body), lines)
    return _Block(len(body), len(body), ())


def _order(line: str) -> tuple[bool, list[str | int], str]:
    """Orders facts: files and symbols by path and line, commands behind them."""
    spans = line.split("`")[1::2]
    is_command = line.startswith(CHECK) or (len(spans) == 1 and line[0] == "`" and " " in spans[0])
    # Every second part is a number: like is compared with like.
    parts = [int(part) if index % 2 else part for index, part in enumerate(_NUMBER.split(spans[-1]))]
    return is_command, parts, line
