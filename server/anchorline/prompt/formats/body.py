"""Request bodies: what Anthropic Messages, OpenAI chat and OpenAI Responses have in common.

A body is an object with one long array (the conversation) and a few other members (the frame: model, tools,
system, …). It is decoded once by msgspec, which leaves the conversation's parts as raw bytes, and the parts'
offsets are found by walking (`layout`). Nothing is re-serialised: a segment is a slice of the body.

A conversation grows by appending, so a `Memory` keeps what was parsed, and of the next body only what comes
after the last shared message is read.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import msgspec
from msgspec import UNSET, Raw, UnsetType
from xxhash import xxh3_128_digest

from anchorline.prompt import layout
from anchorline.prompt.fingerprint import Chain
from anchorline.prompt.model import Draft, Format, Kind, Marker, Prompt, PromptError, Role, Segment
from anchorline.prompt.tokens import estimator, spread

MAX_BYTES = 64 * 1024 * 1024

Section = Literal["tools", "system", "messages"]

_TAGS: dict[Role, bytes] = {"system": b"s", "user": b"u", "assistant": b"a", "tool": b"t"}


class Frame(msgspec.Struct):
    """The members of a body beside the conversation; a dialect adds its own."""

    model: str | UnsetType | None = UNSET
    tools: list[Raw] | UnsetType | None = UNSET
    tool_choice: Raw | UnsetType = UNSET


class Place(NamedTuple):
    """Where an item of the conversation stands: its end, and the starts of its parts (one, if it has none).

    One number for `starts` means that the parts stand from there on with one byte between them, a comma.
    """

    end: int
    starts: int | list[int]

    def moved(self, by: int) -> "Place":
        """Return the place in a text that has `by` more bytes before it."""
        starts = self.starts
        return Place(
            self.end + by, starts + by if isinstance(starts, int) else [start + by for start in starts]
        )


class Parsed(msgspec.Struct, eq=False):
    """A body with all that is needed to read a longer one from where it ends.

    `repeated`: a member stands in it more than once, so that what counts before its end need not count after it.

    `ends` are the ends of the items of the conversation. Before it there are `preamble` segments, with the
    prefix hash `seed` at their end.
    """

    body: bytes
    frame: Frame
    places: dict[bytes, int]
    array_start: int
    preamble: int
    seed: bytes
    ends: list[int]
    repeated: bool
    prompt: Prompt


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
    ) -> None:
        """Append the segment whose bytes `content` stand at `start`."""
        end = start + len(content)
        if 0 <= self._marked < end:
            content = self._without_marker(start, end)
        digest = xxh3_128_digest(content)
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


class _Lifetime(msgspec.Struct):
    ttl: str | None = None


def lifetime(marker: bytes) -> str:
    """Return the TTL that a marker names, or ``default``."""
    try:
        return msgspec.json.decode(marker, type=_Lifetime).ttl or "default"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "default"


class Dialect(ABC):
    """What one body format says of itself."""

    format: ClassVar[Format]
    array: ClassVar[bytes]
    marker: ClassVar[bytes]
    output: ClassVar[bytes] = b'"content":'

    @abstractmethod
    def family(self, model: str | None) -> str:
        """Return the tokenizer of the model that the body names."""

    @abstractmethod
    def decode(self, text: bytes) -> tuple[Frame, list[Any]]:
        """Return the frame and the conversation's items."""

    @abstractmethod
    def place(self, body: bytes, position: int, items: Sequence[Any]) -> list[Place]:
        """Find the items of the conversation, the first of which stands at or after `position`."""

    @abstractmethod
    def preamble(self, builder: Builder, frame: Frame, places: dict[bytes, int]) -> None:
        """Add what is rendered before the conversation."""

    @abstractmethod
    def extend(self, builder: Builder, items: Sequence[Any], places: Sequence[Place], index: int) -> None:
        """Add the segments of the conversation's items, of which the first is number `index`."""

    @abstractmethod
    def draft(self, body: bytes, segments: Sequence[Segment]) -> Draft | None:
        """Return the newest instruction, or None where the body does not end with one."""

    @abstractmethod
    def facts(self, frame: Frame) -> dict[str, Any]:
        """Return the further fields of the Prompt."""


class Memory:
    """The last few conversations, so that the next request of each is read incrementally."""

    def __init__(self, capacity: int = 8) -> None:
        self._parsed: deque[Parsed] = deque(maxlen=capacity)

    def format(self, body: bytes) -> Format | None:
        """Return the format of the conversation that `body` begins like."""
        for old in reversed(self._parsed):
            if old.ends and body.startswith(old.body[: old.ends[0]]):
                return old.prompt.format
        return None

    def longest(self, format_: Format, body: bytes) -> tuple[Parsed, int] | None:
        """Return the remembered body that shares most items with `body`, and how many."""
        best: tuple[Parsed, int] | None = None
        for old in self._parsed:
            if old.prompt.format == format_ and body.startswith(old.body[: old.array_start + 1]):
                count = _shared(old, body)
                if count and (best is None or count > best[1]):
                    best = (old, count)
        return best

    def keep(self, parsed: Parsed, continued: tuple[Parsed, int] | None) -> None:
        """Remember a body, in the place of the one that it continues where all but its tail is shared."""
        if parsed.repeated:
            return
        if continued is not None and continued[1] >= len(continued[0].ends) - 2:
            self._parsed.remove(continued[0])
        self._parsed.append(parsed)


_CHUNK = 1 << 15


def _shared(old: Parsed, body: bytes) -> int:
    """Count the items of `old` that `body` starts with, byte for byte."""
    known = old.body
    position, most = 0, min(old.ends[-1], len(body)) if old.ends else 0
    while position < most and known[position : position + _CHUNK] == body[position : position + _CHUNK]:
        position += _CHUNK
    count = bisect_right(old.ends, min(position, most))
    # The first difference lies within one chunk: which items still end before it?
    while count < len(old.ends) and body.startswith(known[position : old.ends[count]], position):
        count += 1
    return count


def read(body: bytes, dialect: Dialect, memory: Memory | None = None) -> Prompt:
    """Read a request body. Raises PromptError naming what is wrong and where."""
    if len(body) > MAX_BYTES:
        raise PromptError(f"the body has {len(body)} bytes; at most {MAX_BYTES} are read")
    with refusing():
        continued = memory.longest(dialect.format, body) if memory is not None else None
        parsed = _continued(body, dialect, *continued) if continued else None
        if parsed is None:
            parsed = _whole(body, dialect)
    if memory is not None:
        memory.keep(parsed, continued)
    return parsed.prompt


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what a decoder says of a text that is no body into a PromptError with the place."""
    try:
        yield
    except msgspec.MsgspecError as error:
        _, found, rest = str(error).rpartition("(byte ")  # msgspec's own way to say it
        digits = rest.rstrip(")")
        raise PromptError(str(error), offset=int(digits) if found and digits.isdigit() else None) from error
    except UnicodeDecodeError as error:
        raise PromptError(f"invalid UTF-8: {error.reason}", offset=error.start) from error
    except RecursionError as error:
        raise PromptError("nested too deeply") from error
    except layout.LayoutError as error:
        raise PromptError(str(error), offset=error.offset) from error


def _whole(body: bytes, dialect: Dialect) -> Parsed:
    frame, items = dialect.decode(body)
    places: dict[bytes, int] = {}
    spans: list[Place] = []
    position = layout.space(body, 0)
    members = list(_members(body, position, dialect, items, spans))
    places.update(members)  # of members that repeat the last counts, as it does for every decoder
    repeated = len(places) < len(members)
    builder = Builder(body, dialect.family(frame.model or None), dialect.marker, dialect.output)
    dialect.preamble(builder, frame, places)
    builder.look_from(places[dialect.array])
    preamble = len(builder.segments)
    seed = builder.chain.prefix
    return _finish(body, dialect, frame, places, items, spans, builder, preamble, seed, [], repeated=repeated)


def _members(
    body: bytes, position: int, dialect: Dialect, items: Sequence[Any], spans: list[Place]
) -> Iterator[tuple[bytes, int]]:
    """Yield (encoded key, start of its value) for the members of the body, and fill in `spans`.

    The conversation, nearly all of the bytes, is not walked byte by byte: it ends where its last item ends.
    """
    position = layout.space(body, position + 1)
    while body[position : position + 1] != b"}":
        key, start = layout.key(body, position)
        yield key, start
        end = None
        if key == dialect.array and body[start : start + 1] == b"[":
            end = _array(body, start, dialect, items, spans)
        position = layout.space(body, layout.skip(body, start) if end is None else end)
        if body[position : position + 1] == b",":
            position = layout.space(body, position + 1)


def _array(body: bytes, start: int, dialect: Dialect, items: Sequence[Any], spans: list[Place]) -> int | None:
    """Place the conversation that starts at `start`; None where another one of the same name is the real one."""
    try:
        placed = dialect.place(body, start + 1, items)
    except layout.LayoutError:
        return None
    end = layout.space(body, placed[-1].end if placed else start + 1)
    if body[end : end + 1] != b"]":
        return None
    spans[:] = placed
    return end + 1


def _continued(body: bytes, dialect: Dialect, old: Parsed, count: int) -> Parsed | None:
    """Read only what follows the first `count` items of `old`; None where that can't be done."""
    position = layout.space(body, old.ends[count - 1])
    if body[position : position + 1] == b",":
        position = layout.space(body, position + 1)
    head = b"{" + dialect.array + b":["
    tail = head + body[position:]
    frame, items = dialect.decode(tail)
    spans: list[Place] = []
    places: dict[bytes, int] = {}
    shift = position - len(head)
    for key, start in _members(tail, 0, dialect, items, spans):
        if key in places or old.places.get(key, len(body)) < old.array_start:
            return None  # a member that repeats: what was read before need not count
        places[key] = start + shift
    places[dialect.array] = old.array_start
    spans = [place.moved(shift) for place in spans]
    for name in frame.__struct_fields__:
        key = b'"' + name.encode() + b'"'
        if key not in places and old.places.get(key, len(body)) < old.array_start:
            places[key] = old.places[key]
            setattr(frame, name, getattr(old.frame, name))
    builder = Builder(body, dialect.family(frame.model or None), dialect.marker, dialect.output)
    dialect.preamble(builder, frame, places)
    prompt = old.prompt
    first = old.preamble
    if len(builder.segments) != first or builder.chain.prefix != old.seed:
        return None
    upto = bisect_left(prompt.segments, count, lo=first, key=lambda segment: segment.message)
    builder.segments += prompt.segments[first:upto]
    builder.markers += [marker for marker in prompt.markers if first <= marker.segment < upto]
    if upto > first:
        builder.chain.prefix = builder.segments[-1].prefix
    builder.look_from(position)
    return _finish(body, dialect, frame, places, items, spans, builder, first, old.seed, old.ends[:count])


def _finish(
    body: bytes,
    dialect: Dialect,
    frame: Frame,
    places: dict[bytes, int],
    items: Sequence[Any],
    spans: Sequence[Place],
    builder: Builder,
    preamble: int,
    seed: bytes,
    ends: list[int],
    *,
    repeated: bool = False,
) -> Parsed:
    if len(spans) != len(items):
        raise layout.LayoutError(places[dialect.array])
    segments = builder.segments
    dialect.extend(builder, items, spans, len(ends))
    ends += [place.end for place in spans]
    prompt = Prompt(
        format=dialect.format,
        segments=tuple(segments),
        load=lambda start, end: body[start:end],
        draft=dialect.draft(body, segments),
        markers=tuple(builder.markers),
        model=frame.model or None,
        **dialect.facts(frame),
    )
    return Parsed(body, frame, places, places[dialect.array], preamble, seed, ends, repeated, prompt)
