"""Where a message's content stands in a body, in any formatting."""

import re

import msgspec

from anchorline.prompt import layout
from anchorline.prompt.formats.dialect import Place

# What stands around a message's content, in any formatting, as long as the other members are plain.
_PLAIN = rb'"(?!content")[^"\\]*"\s*:\s*(?:"[^"\\]*"|true|false|null|-?[0-9.eE+-]+)\s*'
_OPEN = re.compile(rb"\{\s*(?:" + _PLAIN + rb",\s*)*" + rb'"content"\s*:\s*')
_CLOSE = re.compile(rb"\s*(?:,\s*" + _PLAIN + rb")*\}")
_CLOSE_ARRAY = re.compile(rb"\s*\]\s*(?:,\s*" + _PLAIN + rb")*\}")


def place_message(body: bytes, position: int, blocks: list[bytes] | None) -> Place:
    """Place a message in any formatting: quickly if its other members are plain, else value by value."""
    opened = _OPEN.match(body, position)
    if opened is not None:
        start = opened.end()
        if blocks is None:
            closed = _CLOSE.match(body, layout.skip(body, start))
            if closed is not None:
                return Place(closed.end(), start)
        else:
            starts, end = layout.spans(body, start + 1, blocks)
            closed = _CLOSE_ARRAY.match(body, end)
            if closed is not None:
                return Place(closed.end(), starts)
    found = [member.start for member in layout.members(body, position) if _decoded(member.key) == "content"]
    if not found:
        raise layout.LayoutError(position)
    end = layout.skip(body, position)
    if blocks is None:
        return Place(end, found[-1])
    return Place(end, [start for start, _ in layout.elements(body, found[-1])])


def _decoded(key: bytes) -> str:
    return msgspec.json.decode(key, type=str)
