"""Offsets of a message's content in a body, in any formatting."""

import re

import msgspec

from anchorline.prompt import layout
from anchorline.prompt.formats.dialect import ItemSpan

# What stands around a message's content, in any formatting, as long as the other members are plain.
_PLAIN = rb'"(?!content")[^"\\]*"\s*:\s*(?:"[^"\\]*"|true|false|null|-?[0-9.eE+-]+)\s*'
_OPEN = re.compile(rb"\{\s*(?:" + _PLAIN + rb",\s*)*" + rb'"content"\s*:\s*')
_CLOSE = re.compile(rb"\s*(?:,\s*" + _PLAIN + rb")*\}")
_CLOSE_ARRAY = re.compile(rb"\s*\]\s*(?:,\s*" + _PLAIN + rb")*\}")


def place_message(body: bytes, position: int, blocks: list[bytes] | None) -> ItemSpan:
    """Locates a message in any formatting: quickly if its other members are plain, else value by value."""
    opened = _OPEN.match(body, position)
    if opened is not None:
        start = opened.end()
        if blocks is None:
            closed = _CLOSE.match(body, layout.skip(body, start))
            if closed is not None:
                return ItemSpan(closed.end(), start)
        else:
            starts, end = layout.spans(body, start + 1, blocks)
            closed = _CLOSE_ARRAY.match(body, end)
            if closed is not None:
                return ItemSpan(closed.end(), starts)
    content_starts = [
        member.start for member in layout.members(body, position) if _decoded(member.key) == "content"
    ]
    if not content_starts:
        raise layout.LayoutError(position)
    end = layout.skip(body, position)
    if blocks is None:
        return ItemSpan(end, content_starts[-1])
    return ItemSpan(end, [start for start, _ in layout.elements(body, content_starts[-1])])


def _decoded(key: bytes) -> str:
    return msgspec.json.decode(key, type=str)
