"""Writing anchors into a request body by splicing bytes, and taking them out again.

A body is never parsed and serialised again: that would change bytes that the provider has cached. A splice says
which bytes go and which come at an offset of the original, so that `strip` gives back exactly what was there.
"""

import re
from collections.abc import Sequence

import msgspec

from anchorline.cache.rules import load
from anchorline.plan import Anchor
from anchorline.prompt.model import Format, Prompt, Segment
from anchorline.prompt.unrendered import attribution


class Splice(msgspec.Struct, frozen=True):
    """At `offset` of the original, `removed` is replaced by `inserted`."""

    offset: int
    removed: bytes
    inserted: bytes


class UnmarkableError(ValueError):
    """A segment that can't carry a marker in its format."""


def marker(format_: Format, ttl: str) -> bytes:
    """Return the member that marks a block, without a comma. The provider's first lifetime is its default."""
    provider = load().provider("anthropic" if format_ == "anthropic" else "openai")
    syntax = provider.marker
    if syntax is None:
        raise UnmarkableError(f"{provider.name} has no marker")
    value = dict(syntax.value)
    if syntax.ttl_key and ttl not in ("default", provider.lifetimes[0].name):
        value[syntax.ttl_key] = ttl
    return msgspec.json.encode(syntax.member) + b":" + msgspec.json.encode(value)


def markable(prompt: Prompt, segment: Segment) -> bool:
    """Tell whether a segment may carry a marker.

    Anthropic refuses thinking blocks and empty text. OpenAI takes parts of messages that are not the model's. What a
    prompt document becomes is the client's to say, so any place in it will do. What holds the client's attribution
    stays as it is.
    """
    if segment.section == "system" and attribution(prompt.load(segment.start, segment.end)) is not None:
        return False
    if prompt.format in ("anthropic", "claude-code"):
        return segment.kind not in ("thinking", "other") and not blank(prompt, segment)
    if prompt.format == "markdown":
        return True
    return segment.section == "messages" and segment.block >= 0 and segment.role in ("user", "system")


def blank(prompt: Prompt, segment: Segment) -> bool:
    """Tell whether a text block, or a message's string, holds only white space: no provider takes a marker there."""
    if segment.kind not in ("text", "system"):
        return False
    content = prompt.load(segment.start, segment.end)
    opening = _TEXT.search(content, 0, _HEAD) if content.startswith(b"{") else _QUOTE.match(content)
    return opening is not None and _BLANK.match(content, opening.end()) is not None


_TEXT = re.compile(rb'"text"\s*:\s*"')
_QUOTE = re.compile(rb'"')
_BLANK = re.compile(rb'(?:\s|\\[nrt])*"')
_HEAD = 400
"""Bytes of a block in which its text begins; other members of it are short."""


def splices(prompt: Prompt, anchors: Sequence[Anchor]) -> tuple[Splice, ...]:
    """Return the splices that make a body carry exactly `anchors`.

    The client's markers that are among them (origin ``client``) stay untouched, its others are removed.
    Raises UnmarkableError for a segment that can't carry a marker, or a prompt that is no request body.
    """
    if prompt.format not in ("anthropic", "openai-chat", "openai-responses"):
        raise UnmarkableError(f"{prompt.format} is not a request body")
    kept = {anchor.segment for anchor in anchors if anchor.origin == "client"}
    found = [
        Splice(mark.start, prompt.load(mark.start, mark.end), b"")
        for mark in prompt.markers
        if mark.segment not in kept
    ]
    for anchor in anchors:
        if anchor.origin == "plan":
            found += _insert(prompt, prompt.segments[anchor.segment], anchor.ttl)
    return tuple(sorted(found, key=lambda splice: (splice.offset, len(splice.removed))))


def _insert(prompt: Prompt, segment: Segment, ttl: str) -> list[Splice]:
    if not markable(prompt, segment):
        raise UnmarkableError(f"a {segment.kind} segment can't carry a cache marker")
    member = marker(prompt.format, ttl)
    if prompt.load(segment.start, segment.start + 1) == b'"':
        # Content given as one string becomes a list of one text block, which the provider renders alike.
        return [
            Splice(segment.start, b"", b'[{"type":"text","text":'),
            Splice(segment.end, b"", b"," + member + b"}]"),
        ]
    return [Splice(segment.end - 1, b"", b"," + member)]


def apply(body: bytes, changes: Sequence[Splice]) -> bytes:
    """Return the body with the splices made. Raises ValueError if they don't belong to it."""
    parts: list[bytes] = []
    position = 0
    for change in changes:
        end = change.offset + len(change.removed)
        if change.offset < position or body[change.offset : end] != change.removed:
            raise ValueError(f"the splice at byte {change.offset} does not fit the body")
        parts += (body[position : change.offset], change.inserted)
        position = end
    parts.append(body[position:])
    return b"".join(parts)


def strip(body: bytes, changes: Sequence[Splice]) -> bytes:
    """Return the body as it was before the splices were made. Raises ValueError if they were not."""
    shift = 0
    back = []
    for change in changes:
        back.append(Splice(change.offset + shift, change.inserted, change.removed))
        shift += len(change.inserted) - len(change.removed)
    return apply(body, back)


__all__ = ["Splice", "UnmarkableError", "apply", "markable", "marker", "splices", "strip"]
