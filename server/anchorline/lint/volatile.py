"""AL201, for a moment or a random id that stands before stable text, and the fix that takes just that away."""

import re
from collections.abc import Iterator

from anchorline.cache.markers import Splice
from anchorline.lint.finding import Finding
from anchorline.prompt import dates
from anchorline.prompt.model import Prompt
from anchorline.prompt.unrendered import blanked

MOVE = "Move the volatile line to the end"

# It begins with a literal, which a search jumps to: with the first eight digits it takes fifteen times as long.
_UUID = re.compile(rb"-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_HEX = re.compile(rb"\b[0-9a-f]{8}\Z")
_DATE_TO_CLOCK = re.compile(rb",? (?:at )?")
_NAMES = re.compile(rb"[^\W\d_]+|[\x80-\xff]+")
_CALLED = frozenset(
    b"a an the it is it's s of utc gmt now current present today todays date time datetime day "
    b"timestamp local system session request conversation chat run build "
    b"trace id uuid guid generated last updated user".split()
)
"""What a moment or an id is called where nothing else is said. No "at" or "on": these make it a part of what is."""

_MARKS = re.compile(rb"[ \t]*(?:[-*+] |\d+[.)] |#+ |> ?)*[ \t]*")
"""What a line of Markdown begins with before its content."""

_OPENS = re.compile(
    rb"(?P<sentence>(?<=[.!?])[ \t]+)|(?P<bracket>[ \t]{0,9}[(\[])|[,;][ \t]+|[ \t]{1,9}(?:-|\xe2\x80[\x93\x94])[ \t]+"
)
_CLOSES = re.compile(
    rb"[.!?]+(?=[ \t]|\Z)|(?P<bracket>[)\]](?!\())|[,;](?=[ \t])|[ \t]{1,9}(?:-|\xe2\x80[\x93\x94])(?=[ \t])|\Z"
)
"""Where a piece of a line begins and ends that can go without a change to the rest."""

_PAIRED = (b"*", b"`", b'"')
_STABLE_AFTER = 256
"""Bytes that must follow on a volatile spot for it to cost anything."""


def check(prompt: Prompt) -> Iterator[Finding]:
    """Yields the findings. Looks where every request begins: tools, system, and standing instructions."""
    total = prompt.segments[-1].end if prompt.segments else 0
    for segment in prompt.segments:
        if segment.role != "system" or segment.kind == "fence":
            continue
        text = blanked(prompt.load(segment.start, segment.end))
        for begin, end in _spots(text):
            if prompt.format == "markdown" and total - segment.start - end < _STABLE_AFTER:
                continue
            stamp = text[begin:end].decode("utf-8", "replace")
            fix, title = _fix(prompt, segment.start, text, (begin, end), total)
            yield Finding(
                "AL201",
                f"“{stamp}” changes from request to request, so nothing after it can be read from the cache",
                "warning",
                segment.start + begin,
                segment.start + end,
                fix,
                title,
            )
            break  # one a segment says it


def _spots(text: bytes) -> list[tuple[int, int]]:
    """Returns where a text tells a moment (not just a date), a random id, or what day it is; each as a whole."""
    spots = [*dates.times(text), *dates.days(text)]
    lowered = text.lower()
    for match in _UUID.finditer(lowered):
        start = match.start() - 8
        if start >= 0 and _HEX.search(lowered, max(start - 1, 0), match.start()):
            spots.append((start, match.end()))
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spots):
        if apart and (start < apart[-1][1] or _DATE_TO_CLOCK.fullmatch(text, apart[-1][1], start)):
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart


def _fix(
    prompt: Prompt, offset: int, text: bytes, spot: tuple[int, int], total: int
) -> tuple[tuple[Splice, ...], str]:
    """Returns the edit and its title: a line of its own moves to the end, beside other content the stamp goes.

    There is none where the stamp is a part of what the line says, as in "Deploy at …", and none in a request's body.
    `offset` is where `text` begins in the prompt.
    """
    if prompt.format != "markdown":
        return (), ""
    begin = text.rfind(b"\n", 0, spot[0]) + 1
    newline = text.find(b"\n", spot[1])
    if newline < 0 or b"|" in text[begin:newline]:
        return (), ""
    line = text[begin : newline + 1]
    content = line.rstrip()
    within = spot[0] - begin, spot[1] - begin
    if _only_names(content[: within[0]], content[within[1] :]):
        if content.lstrip()[:1] in (b"#", b">") or not _is_alone(text[:begin], content[: within[0]]):
            return (), ""
        gap = (b"" if prompt.load(total - 1, total) == b"\n" else b"\n") + b"\n"
        return (Splice(offset + begin, line, b""), Splice(total, b"", gap + line)), MOVE
    piece = _piece(content, within)
    if piece is None:
        return (), ""
    start, end = piece
    what = "id" if _UUID.search(content[within[0] : within[1]].lower()) else "time stamp"
    return (Splice(offset + begin + start, content[start:end], b""),), f"Remove the {what}"


def _piece(content: bytes, spot: tuple[int, int]) -> tuple[int, int] | None:
    """Returns the part of a line, if there is one, that holds a stamp with its name and goes without a trace."""
    marks = _MARKS.match(content)
    first = marks.end() if marks is not None else 0
    opening = max(_OPENS.finditer(content, first, spot[0]), key=re.Match.start, default=None)
    closing = _CLOSES.search(content, spot[1])
    start = first if opening is None else opening.end()
    if closing is None or not _only_names(content[start : spot[0]], content[spot[1] : closing.start()]):
        return None
    is_bracketed = opening is not None and opening["bracket"] is not None
    if is_bracketed != (closing["bracket"] is not None):
        return None
    if opening is None or opening["sentence"] is not None:
        end = closing.end()
        while end < len(content) and content[end : end + 1] in b" \t":
            end += 1
        if end == len(content) and opening is not None:
            start = opening.start()
    else:
        start, end = opening.start(), closing.end() if is_bracketed else closing.start()
    is_whole = all(content.count(mark, start, end) % 2 == 0 for mark in _PAIRED)
    rest = content[first:start] + content[end:]
    return (start, end) if is_whole and _NAMES.search(rest) else None


def _only_names(before: bytes, after: bytes) -> bool:
    """Says whether what stands around a stamp is only what such a stamp is called: no instruction."""
    return all(word.lower() in _CALLED for word in _NAMES.findall(before + b" " + after))


def _is_alone(above: bytes, before: bytes) -> bool:
    """Says whether a line is no continuation of a sentence in the line above. `before` is its text up to the stamp."""
    previous = above[above.rfind(b"\n", 0, max(len(above) - 1, 0)) + 1 :].strip()
    beginning = before.strip()[:1]
    return (
        not previous
        or previous.startswith(b"#")
        or b":" in before
        or beginning.isupper()
        or beginning in (b"-", b"*", b"+", b"<")
    )
