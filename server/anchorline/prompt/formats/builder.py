"""A builder that collects a body's segments in render order, without their cache markers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Literal, get_args

import msgspec
from msgspec import UnsetType
from xxhash import xxh3_128_digest

from anchorline.prompt import layout
from anchorline.prompt.fingerprint import Chain
from anchorline.prompt.model import Kind, Marker, Role, Segment, Standing
from anchorline.prompt.tokens import estimator, spread

Section = Literal["tools", "system", "messages"]

_TAGS: dict[Role, bytes] = {"system": b"s", "user": b"u", "assistant": b"a", "tool": b"t"}

_REFERRING = frozenset[Kind](("tool_result", "other"))
_NAMED = re.compile(rb'"(?:tool_)?name"\s*:\s*("[^"\\]*+(?:\\.[^"\\]*+)*+")')
_START = attrgetter("start")
_WITHIN = frozenset((b'"content"', b'"source"', b'"tool_references"', b'"tool_changes"', b'"function"'))
"""Members of a block that hold further blocks, in every format. Their markers count as any other:
docs/reference/providers.md."""


@lru_cache(maxsize=8)
def _spreads(family: str) -> dict[Kind, float]:
    return {kind: spread(kind, family) for kind in get_args(Kind)}


class Builder:
    """Collects a body's segments, in render order.

    `deferred` are the definitions of tools that are loaded only when they are found, by their encoded names;
    `compacted` is the message of the compaction block with which the conversation begins, or -1. `names` are the
    members that mark a block.
    """

    def __init__(
        self, body: bytes, family: str, model: str | None, names: Sequence[bytes], output: bytes
    ) -> None:
        self.body = body
        self.segments: list[Segment] = []
        self._append = self.segments.append
        self.markers: list[Marker] = []
        self.chain = Chain()
        self.deferred: dict[bytes, bytes] = {}
        self.compacted = -1
        self._first = 0
        self._seed = self.chain.prefix
        self._output = output
        self._names = names
        self._marked = -1
        self.claude = family.startswith("anthropic")
        self._estimate = estimator(family, model)
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
        """Appends the segment whose bytes `content` stand at `start`.

        `same_as` is what `content` is a short form of (`text_block`): the two have one digest. `rendered` returns what
        the provider renders of it, where that is not all.
        """
        end = start + len(content)
        if 0 <= self._marked < end:
            content = self._without_markers(start, end)
        if rendered is not None:
            content = rendered(content)
        if kind == "tool_result":
            content = short_result(content, self._output)
        tools = self._referred_tools(content) if self.deferred and kind in _REFERRING else []
        digest = xxh3_128_digest(b"".join([same_as or content, *tools]))
        prefix = self.chain.extend(digest, _TAGS[role])
        if kind == "tool_result":
            # The same output comes back under another call id: what it holds is what identifies it.
            digest = xxh3_128_digest(content[content.find(self._output) :])
        tokens, wide = self._estimate(content, kind), self._spreads[kind]
        tokens += sum([self._estimate(tool, "tool") for tool in tools])
        self._append(Segment(kind, role, start, end, digest, prefix, tokens, wide, section, message, block))

    def add_turns(
        self,
        turns: Sequence[tuple[Role, list[bytes]]],
        starts: Sequence[int],
        index: int,
        beginnings: Mapping[bytes, Kind],
        kind_of: Callable[[bytes], Kind],
    ) -> None:
        """Appends the blocks of messages, one byte apart from the start of each: what `add` does, in one loop.

        A conversation of hundreds of blocks is read within a few microseconds a block, so the calls count.
        `beginnings` gives the kind of a block by its first 16 bytes, `kind_of` that of any other.
        """
        append, estimate, spreads, deferred = self._append, self._estimate, self._spreads, self.deferred
        digest_of, prefix, output, kind_by = xxh3_128_digest, self.chain.prefix, self._output, beginnings.get
        for (role, blocks), start in zip(turns, starts, strict=True):
            tag = _TAGS[role]
            for block, content in enumerate(blocks):
                end = start + len(content)
                if 0 <= self._marked < end:
                    content = self._without_markers(start, end)  # noqa: PLW2901
                kind = kind_by(content[:16]) or kind_of(content)
                if kind == "tool_result":
                    content = short_result(content, output)  # noqa: PLW2901
                tools = self._referred_tools(content) if deferred and kind in _REFERRING else None
                digest = digest_of(b"".join([content, *tools]) if tools else content)
                prefix = digest_of(prefix + tag + digest)
                if kind == "tool_result":
                    digest = digest_of(content[content.find(output) :])
                tokens = estimate(content, kind)
                if tools:
                    tokens += sum([estimate(tool, "tool") for tool in tools])
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

    def defer(self, name: bytes, start: int, content: bytes) -> None:
        """Notes a tool that is sent, but not to the model before it is found: it is no segment."""
        self.deferred[name] = self._passed(start, content, "deferred")

    def begin(self) -> None:
        """Say that what follows is the conversation."""
        self._first, self._seed = len(self.segments), self.chain.prefix

    def compact(self, message: int) -> None:
        """Begins the conversation anew, at a compaction block in `message`: what stands before is not sent."""
        self.compacted = message
        del self.segments[self._first :]
        self.chain.prefix = self._seed
        last = self._first - 1
        self.markers[:] = [
            mark if mark.segment <= last else Marker(last, mark.ttl, mark.start, mark.end, "compacted")
            for mark in self.markers
        ]

    def skip(self, start: int, content: bytes, standing: Literal["compacted", "unrendered"]) -> None:
        """Notes the markers of a block that becomes no segment."""
        self._passed(start, content, standing)

    def look_from(self, position: int) -> None:
        """Looks for markers from `position` on: segments are added in render order, not in the body's."""
        offsets = [at for name in self._names if (at := self.body.find(name, position)) >= 0]
        self._marked = min(offsets, default=-1)

    def _passed(self, start: int, content: bytes, standing: Standing) -> bytes:
        """Returns a block that becomes no segment, without its markers, and notes these."""
        end, count = start + len(content), len(self.markers)
        if 0 <= self._marked < end:
            content = self._without_markers(start, end)
        last = len(self.segments) - 1
        self.markers[count:] = [
            Marker(last, mark.ttl, mark.start, mark.end, standing) for mark in self.markers[count:]
        ]
        return content

    def _referred_tools(self, content: bytes) -> list[bytes]:
        """Returns the definitions of the deferred tools that a block refers to: they are rendered in its place.

        Source: platform.claude.com, tool-search-tool ("automatically expanded into full tool definitions").
        """
        if b'"tool_reference"' not in content:
            return []
        return [tool for name in _NAMED.findall(content) if (tool := self.deferred.get(name)) is not None]

    def _without_markers(self, start: int, end: int) -> bytes:
        """Returns a segment's bytes without its own cache marker and those within it, and notes them."""
        if self._marked < start:
            self.look_from(start)
        if not start <= self._marked < end or self.body[start : start + 1] != b"{":
            return self.body[start:end]
        marks = list(self._marks(start, "block"))
        self.markers += marks
        parts, position = [], start
        for mark in sorted(marks, key=_START):
            parts.append(self.body[position : mark.start])
            position = mark.end
        return b"".join([*parts, self.body[position:end]])

    def _marks(self, position: int, standing: Standing) -> Iterator[Marker]:
        """Yields the markers of the block at `position`: those of the blocks within it, then its own.

        What a tool is called with, and its schema, may have members of any name: they are not looked into.
        """
        body, segment = self.body, len(self.segments)
        own: list[Marker] = []
        before = previous = -1  # the end of the last member that stays, and of the last one
        for member in layout.members(body, position):
            value = body[member.start : member.start + 1]
            if member.key in self._names and (value == b"{" or body.startswith(b"null", member.start)):
                if before >= 0:  # it goes with the comma before it; the first members with the one after them
                    cut, after = body.index(b",", previous), member.end
                else:
                    cut, after = member.key_start, layout.space(body, member.end)
                    after = layout.comma(body, after) if body.startswith(b",", after) else member.end
                is_set = value == b"{"
                ttl = lifetime(body[member.start : member.end]) if is_set else ""
                own.append(Marker(segment, ttl, cut, after, standing if is_set else "null"))
            else:
                before = member.end
                if member.key in _WITHIN:
                    yield from self._within(member.start, member.end)
            previous = member.end
        yield from own

    def _within(self, start: int, end: int) -> Iterator[Marker]:
        """Yields the markers of the blocks in a member's value: a list of them, or one."""
        if all(self.body.find(name, start, end) < 0 for name in self._names):
            return
        first = self.body[start : start + 1]
        if first == b"{":
            yield from self._marks(start, "nested")
        elif first == b"[":
            for begin, _ in layout.elements(self.body, start):
                if self.body[begin : begin + 1] == b"{":
                    yield from self._marks(begin, "nested")


def text_block(literal: bytes, *, spaced: bool, name: bytes = b"text") -> bytes:
    """Returns the block that a plain string, the JSON `literal`, is the short form of.

    A provider renders both alike, and a client makes a block of a string to mark it. `spaced`: as a body is written
    that has spaces after colons and commas.
    """
    space = b" " if spaced else b""
    return b'{"type":%b"%b",%b"text":%b%b}' % (space, name, space, space, literal)


def spaced(body: bytes, start: int) -> bool:
    """Says whether a body has spaces after its colons, by the value at `start`."""
    return body.startswith(b" ", start - 1)


def short_result(content: bytes, output: bytes) -> bytes:
    """Returns a tool's result with its one block of text written as the string that it stands for.

    The string is the short form (`text_block`) here as well: "content" of a result is a string or a list of blocks in
    Anthropic's reference, and LiteLLM sends a result as one block while it carries the marker and as a string
    afterwards, which would have to be written anew each time if they were not alike. `output` is the member that holds
    the result, with its colon.
    """
    start = content.find(output) + len(output)
    if start < len(output) or content.startswith((b'"', b' "'), start):  # nearly every result is a string
        return content
    for opening, closing in _ONE_TEXT:
        opened = opening.match(content, start)
        if opened is not None:
            end = layout.skip(content, opened.end())
            closed = closing.match(content, end)
            if closed is not None:
                return content[: opened.start(1)] + content[opened.end() : end] + content[closed.end() :]
    return content


_TYPE = rb'"type"\s*:\s*"(?:text|input_text|output_text)"'
_ONE_TEXT = (
    (re.compile(rb"\s*(\[)\s*\{\s*" + _TYPE + rb'\s*,\s*"text"\s*:\s*(?=")'), re.compile(rb"\s*\}\s*\]")),
    (
        re.compile(rb'\s*(\[)\s*\{\s*"text"\s*:\s*(?=")'),
        re.compile(rb"\s*,\s*" + _TYPE + rb"\s*\}\s*\]"),
    ),
)
"""First and last bytes of a list of one block of text, with its members in either order."""


class _Lifetime(msgspec.Struct):
    ttl: str | None = None


def lifetime(marker: bytes) -> str:
    """Returns the TTL that a marker names, or ``default``."""
    try:
        return msgspec.json.decode(marker, type=_Lifetime).ttl or "default"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "default"


def automatic(member: msgspec.Raw | UnsetType) -> str | None:
    """Returns the lifetime of the automatic breakpoint that a body's own `cache_control` asks for, if it does."""
    if isinstance(member, msgspec.Raw) and bytes(member).startswith(b"{"):
        return lifetime(bytes(member))
    return None
