"""Offsets of a message's content in a body, in any formatting."""

import re
from typing import NamedTuple

import msgspec

from anchorline.prompt import layout
from anchorline.prompt.formats.dialect import ItemSpan


class _Around(NamedTuple):
    """What stands around a message's content, in any formatting, as long as the other members are plain."""

    open: re.Pattern[bytes]
    close: re.Pattern[bytes]
    close_array: re.Pattern[bytes]


def _around(name: bytes) -> _Around:
    plain = rb'"(?!' + name + rb'")[^"\\]*"\s*:\s*(?:"[^"\\]*"|true|false|null|-?[0-9.eE+-]+)\s*'
    return _Around(
        re.compile(rb"\{\s*(?:" + plain + rb",\s*)*" + rb'"' + name + rb'"\s*:\s*'),
        re.compile(rb"\s*(?:,\s*" + plain + rb")*\}"),
        re.compile(rb"\s*\]\s*(?:,\s*" + plain + rb")*\}"),
    )


_AROUND = {name: _around(name.encode()) for name in ("content", "parts")}


def place_message(body: bytes, position: int, blocks: list[bytes] | None, name: str = "content") -> ItemSpan:
    """Locates a message in any formatting: quickly if its other members are plain, else value by value.

    `name` is the member that holds its blocks.
    """
    around = _AROUND[name]
    opened = around.open.match(body, position)
    if opened is not None:
        start = opened.end()
        if blocks is None:
            closed = around.close.match(body, layout.skip(body, start))
            if closed is not None:
                return ItemSpan(closed.end(), start)
        else:
            starts, end = layout.spans(body, start + 1, blocks)
            closed = around.close_array.match(body, end)
            if closed is not None:
                return ItemSpan(closed.end(), starts)
    content_starts = [
        member.start for member in layout.members(body, position) if _decoded(member.key) == name
    ]
    if not content_starts:
        raise layout.LayoutError(position)
    end = layout.skip(body, position)
    if blocks is None:
        return ItemSpan(end, content_starts[-1])
    return ItemSpan(end, [start for start, _ in layout.elements(body, content_starts[-1])])


def _decoded(key: bytes) -> str:
    return msgspec.json.decode(key, type=str)
