r"""What a terminal would have shown: colour codes, progress bars and repeated lines of a tool's output, collapsed.

Nothing that a later turn could name is lost. Of the states of a progress bar, which differ in digits and bars only, the
last one stays; of equal lines one stays, with the count; the padding before the line numbers of ``cat -n`` goes; a path
that ``grep`` puts before each line of a file stands once above them, as ``rg --heading`` has it.
"""

import re
from collections.abc import Iterator
from itertools import groupby

_CODES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[()][0-9A-Za-z]|[@-Z\\-_=>78])"
)
"""ECMA-48: control sequences, operating system commands, strings, and single escapes."""
_PADDED = re.compile(r"^ +(?=\d+(?:→|\t))", re.MULTILINE)
_MOVING = re.compile(r"[\d#=>▏▎▍▌▋▊▉█░▒▓━╸╺⠀-⣿|/\\.\-\s:,]+")
_PROGRESS = re.compile(r"\d\s?%|\d\s?[kKMG]?i?B?\s?/\s?\d|[#=█━▓]{4}")
_FOUND = re.compile(r"([\w.@~+-]*/[\w./@~+-]+)[:-](?=\d+[:-])")
REPEATED = 3
"""Equal lines from which on they are counted, and lines of one file from which on its path stands once."""


def shown(text: str) -> str:
    """Return the text as a terminal would show it, without padding, repetitions and states that were overwritten."""
    if "\x1b" in text:
        text = _CODES.sub("", text)
    if "\r" in text:
        text = "\n".join(_overwritten(line) for line in text.replace("\r\n", "\n").split("\n"))
    text = _PADDED.sub("", text)
    return "\n".join(_headed(list(_counted(text.split("\n")))))


def _headed(lines: list[str]) -> Iterator[str]:
    """Yield the lines, those that were found in one file without its path, which stands above them."""
    for path, group in groupby(lines, lambda line: found[1] if (found := _FOUND.match(line)) else None):
        run = list(group)
        if path is None or len(run) < REPEATED:
            yield from run
        else:
            yield f"{path}:"
            yield from (line[len(path) + 1 :] for line in run)


def _overwritten(line: str) -> str:
    """Return the last of the states that a line went through; others that say something else stay before it."""
    states = [state for state in line.split("\r") if state.strip()]
    return "\n".join(_progress(states)) if "\r" in line else line


def _counted(lines: list[str]) -> Iterator[str]:
    for line, group in groupby(_progress(lines)):
        count = sum(1 for _ in group)
        yield line
        if count >= REPEATED and line.strip():
            yield f"[the line above {count - 1} more times]"
        else:
            yield from [line] * (count - 1)


def _progress(lines: list[str]) -> Iterator[str]:
    """Yield the lines; of successive states of one progress bar only the last."""
    last: str | None = None
    kind = ""
    for line in lines:
        now = _MOVING.sub("", line) if _PROGRESS.search(line) else None
        if last is not None and now != kind:
            yield last
        if now is None:
            yield line
            last = None
        else:
            last, kind = line, now
    if last is not None:
        yield last
