"""Collecting a body's segments in render order, without their cache markers."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Literal, get_args

import msgspec
from xxhash import xxh3_128_digest

from anchorline.prompt import layout
from anchorline.prompt.fingerprint import Chain
from anchorline.prompt.model import Kind, Marker, Role, Segment
from anchorline.prompt.tokens import estimator, spread

Section = Literal["tools", "system", "messages"]

_TAGS: dict[Role, bytes] = {"system": b"s", "user": b"u", "assistant": b"a", "tool": b"t"}


@lru_cache(maxsize=8)
def _spreads(family: str) -> dict[Kind, float]:
    return {kind: spread(kind, family) for kind in get_args(Kind)}


class Builder:
    """Collects a body's segments, in render order."""

    def __init__(self, body: bytes, family: str, marker: bytes, output: bytes) -> None:
        self.body = body
        self.segments: list[Segment] = []
        self._append = self.segments.append
        self.markers: list[Marker] = []
        self.chain = Chain()
        self._output = output
        self._marker = marker
        self._marked = -1
        self._estimate = estimator(family)
        self._spreads = _spreads(family)

    def add(
        self,
        kind: Kind,
        role: Role,
        start: int,
        content: bytes,
        section: Section,
        message: int,
        block: int = -1,
        same_as: bytes = b"",
        rendered: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Append the segment whose bytes `content` stand at `start`.

        `same_as` is what `content` is a short form of (`text_block`): the two have one digest. `rendered` returns what
        the provider renders of it, where that is not all.
        """
        end = start + len(content)
        if 0 <= self._marked < end:
            content = self._without_marker(start, end)
        if rendered is not None:
            content = rendered(content)
        digest = xxh3_128_digest(same_as or content)
        prefix = self.chain.extend(digest, _TAGS[role])
        if kind == "tool_result":
            # The same output comes back under another call id: what it holds is what identifies it.
            digest = xxh3_128_digest(content[content.find(self._output) :])
        tokens, wide = self._estimate(content, kind), self._spreads[kind]
        self._append(Segment(kind, role, start, end, digest, prefix, tokens, wide, section, message, block))

    def add_turns(
        self,
        turns: Sequence[tuple[Role, list[bytes]]],
        starts: Sequence[int],
        index: int,
        beginnings: Mapping[bytes, Kind],
        kind_of: Callable[[bytes], Kind],
    ) -> None:
        """Append the blocks of messages, one byte apart from the start of each: what `add` does, in one loop.

        A conversation of hundreds of blocks is read within a few microseconds a block, so the calls count.
        `beginnings` gives the kind of a block by its first 16 bytes, `kind_of` that of any other.
        """
        append, estimate, spreads = self._append, self._estimate, self._spreads
        digest_of, prefix, output, kind_by = xxh3_128_digest, self.chain.prefix, self._output, beginnings.get
        for (role, blocks), start in zip(turns, starts, strict=True):
            tag = _TAGS[role]
            for block, content in enumerate(blocks):
                end = start + len(content)
                if 0 <= self._marked < end:
                    content = self._without_marker(start, end)  # noqa: PLW2901
                digest = digest_of(content)
                prefix = digest_of(prefix + tag + digest)
                kind = kind_by(content[:16]) or kind_of(content)
                if kind == "tool_result":
                    digest = digest_of(content[content.find(output) :])
                tokens = estimate(content, kind)
                append(
                    Segment(
                        kind,
                        role,
                        start,
                        end,
                        digest,
                        prefix,
                        tokens,
                        spreads[kind],
                        "messages",
                        index,
                        block,
                    )
                )
                start = end + 1  # noqa: PLW2901
            index += 1
        self.chain.prefix = prefix

    def look_from(self, position: int) -> None:
        """Look for markers from `position` on: segments are added in render order, not in the body's."""
        self._marked = self.body.find(self._marker, position)

    def _without_marker(self, start: int, end: int) -> bytes:
        """Return a segment's bytes without its own cache marker, and note the marker."""
        body = self.body
        if self._marked < start:
            self._marked = body.find(self._marker, start)
        if not start <= self._marked < end or body[start : start + 1] != b"{":
            return body[start:end]
        before = None
        for member in layout.members(body, start):
            if member.key == self._marker and body[member.start : member.start + 1] == b"{":
                cut, after = member.key_start, member.end
                if before is not None:  # with the comma before it; the first member with the one after it
                    cut = body.index(b",", before)
                elif body.startswith(b",", layout.space(body, after)):
                    after = layout.comma(body, after)
                ttl = lifetime(body[member.start : member.end])
                self.markers.append(Marker(len(self.segments), ttl, cut, after))
                return body[start:cut] + body[after:end]
            before = member.end
        return body[start:end]


def text_block(literal: bytes, *, spaced: bool, name: bytes = b"text") -> bytes:
    """Return the block that a plain string, the JSON `literal`, is the short form of.

    A provider renders both alike, and a client makes a block of a string to mark it. `spaced`: as a body is written
    that has spaces after colons and commas.
    """
    space = b" " if spaced else b""
    return b'{"type":%b"%b",%b"text":%b%b}' % (space, name, space, space, literal)


def spaced(body: bytes, start: int) -> bool:
    """Tell whether a body has spaces after its colons, by the value at `start`."""
    return body.startswith(b" ", start - 1)


class _Lifetime(msgspec.Struct):
    ttl: str | None = None


def lifetime(marker: bytes) -> str:
    """Return the TTL that a marker names, or ``default``."""
    try:
        return msgspec.json.decode(marker, type=_Lifetime).ttl or "default"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "default"
