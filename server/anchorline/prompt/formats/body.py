"""Request bodies: the part common to Anthropic Messages, OpenAI chat and OpenAI Responses.

A body is an object with one long array (the conversation) and a few other members (the frame: model, tools,
system, …). It is decoded once by msgspec, which leaves the conversation's parts as raw bytes, and the parts'
offsets are found by walking (`layout`). Nothing is re-serialised: a segment is a slice of the body.

A conversation grows by appending, so a `Memory` keeps what was parsed, and of the next body only what comes
after the last shared message is read.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from msgspec import Raw

from anchorline.prompt import layout
from anchorline.prompt.formats import refusal
from anchorline.prompt.formats.builder import Builder
from anchorline.prompt.formats.dialect import Dialect, Frame, ItemSpan
from anchorline.prompt.formats.memory import Memory, Parsed
from anchorline.prompt.model import Marker, Prompt, PromptError

MAX_BYTES = 64 * 1024 * 1024
MAX_VALUES = 500_000
"""Members and elements of a body. One of 5 MB, as much as a model reads, has some tens of thousands.

Each may become a segment of 400 bytes and more: 16 MB of ``{}`` would take 2 GB and a minute.
"""
_MEASURED = 1 << 20
"""Smaller bodies are not counted."""


def read(body: bytes, dialect: Dialect, memory: Memory | None = None, model: str | None = None) -> Prompt:
    """Reads a request body. Raises PromptError naming what is wrong and where.

    `model` is the one that it goes to where the body does not say it.
    """
    if len(body) > MAX_BYTES:
        raise PromptError(f"the body has {len(body)} bytes; at most {MAX_BYTES} are read")
    if len(body) > _MEASURED and layout.holds_more(body, MAX_VALUES):
        raise PromptError(f"the body has more than {MAX_VALUES} values")
    with refusing(body):
        continued = memory.longest(dialect.format, body) if memory is not None else None
        _check_text(body, continued[0].ends[continued[1] - 1] if continued else 0)
        parsed = None
        if continued:
            with suppress(msgspec.MsgspecError):  # the whole body is read then, and says where it is wrong
                parsed = _continued(body, dialect, model, *continued)
        if parsed is None:
            parsed = _whole(body, dialect, model)
    if memory is not None:
        memory.keep(parsed, continued)
    return parsed.prompt


def _check_text(body: bytes, start: int) -> None:
    """Refuses bytes behind `start` that are no UTF-8: the decoder does not look into what it leaves as it is."""
    new = body[start:] if start else body
    if new.isascii():
        return
    try:
        new.decode()
    except UnicodeDecodeError as error:
        raise PromptError(f"invalid UTF-8: {error.reason}", offset=start + error.start) from error


@contextmanager
def refusing(body: bytes) -> Iterator[None]:
    """Turns what a decoder says of a text that is no body into a PromptError with its offset."""
    try:
        yield
    except msgspec.MsgspecError as error:
        raise refusal.explained(error, body) from error
    except UnicodeDecodeError as error:
        raise PromptError(f"invalid UTF-8: {error.reason}", offset=error.start) from error
    except RecursionError as error:
        raise PromptError("nested too deeply") from error
    except layout.LayoutError as error:
        raise PromptError(str(error), offset=error.offset) from error


def _whole(body: bytes, dialect: Dialect, model: str | None) -> Parsed:
    frame, items = dialect.decode(body)
    frame.model = frame.model or model
    places: dict[bytes, int] = {}
    spans: list[ItemSpan] = []
    position = layout.space(body, 0)
    members = list(_members(body, position, dialect, frame, items, spans))
    places.update(members)  # of members that repeat the last counts, as it does for every decoder
    repeated = len(places) < len(members)
    builder = Builder(
        body, dialect.family(frame.model or None), frame.model or None, dialect.markers, dialect.output
    )
    dialect.preamble(builder, frame, places)
    builder.look_from(places[dialect.array])
    builder.begin()
    preamble = len(builder.segments)
    seed = builder.chain.prefix
    return _finish(body, dialect, frame, places, items, spans, builder, preamble, seed, [], repeated=repeated)


def _members(
    body: bytes, position: int, dialect: Dialect, frame: Frame, items: Sequence[Any], spans: list[ItemSpan]
) -> Iterator[tuple[bytes, int]]:
    """Yields (encoded key, start of its value) for the members of the body, and fill in `spans`.

    What is long is not walked byte by byte: the conversation, the tools and the system prompt's blocks end where
    their last item ends.
    """
    lists = {b'"tools"': frame.tools, b'"system"': getattr(frame, "system", None)}
    position = layout.space(body, position + 1)
    while body[position : position + 1] != b"}":
        key, start = layout.key(body, position)
        yield key, start
        end = None
        if key == dialect.array and body[start : start + 1] == b"[":
            end = _array(body, start, dialect, items, spans)
        elif isinstance(values := lists.get(key), list) and body[start : start + 1] == b"[":
            end = _list(body, start, values)
        position = layout.space(body, layout.skip(body, start) if end is None else end)
        if body[position : position + 1] == b",":
            position = layout.space(body, position + 1)


def _array(
    body: bytes, start: int, dialect: Dialect, items: Sequence[Any], spans: list[ItemSpan]
) -> int | None:
    """Locates the conversation that starts at `start`; None where another one of the same name is the real one."""
    try:
        placed = dialect.place(body, start + 1, items)
    except layout.LayoutError:
        return None
    end = layout.space(body, placed[-1].end if placed else start + 1)
    if body[end : end + 1] != b"]":
        return None
    spans[:] = placed
    return end + 1


def _list(body: bytes, start: int, values: Sequence[Raw]) -> int | None:
    """Returns the end of the array of these values at `start`; None where another one of the same name is theirs."""
    try:
        _, end = layout.spans(body, start + 1, [bytes(value) for value in values])
    except layout.LayoutError:
        return None
    end = layout.space(body, end)
    return end + 1 if body[end : end + 1] == b"]" else None


def _continued(body: bytes, dialect: Dialect, model: str | None, old: Parsed, count: int) -> Parsed | None:
    """Reads only what follows the first `count` items of `old`; None where that can't be done."""
    if old.compacted >= count:
        return None  # what was left out before the compaction block is sent now
    position = layout.space(body, old.ends[count - 1])
    if body[position : position + 1] == b",":
        position = layout.space(body, position + 1)
    head = b"{" + dialect.array + b":["
    tail = head + body[position:]
    frame, items = dialect.decode(tail)
    spans: list[ItemSpan] = []
    places: dict[bytes, int] = {}
    shift = position - len(head)
    for key, start in _members(tail, 0, dialect, frame, items, spans):
        if key in places or old.places.get(key, len(body)) < old.array_start:
            return None  # a member that repeats: what was read before need not count
        places[key] = start + shift
    # What stood behind the conversation, of either body, counts anew: it may be gone.
    late = any(key in places or old.places.get(key, -1) > old.array_start for key in dialect.before)
    places[dialect.array] = old.array_start
    spans = [span.moved(shift) for span in spans]
    for name, member in zip(frame.__struct_fields__, frame.__struct_encode_fields__, strict=True):
        key = b'"' + member.encode() + b'"'
        if key not in places and old.places.get(key, len(body)) < old.array_start:
            places[key] = old.places[key]
            setattr(frame, name, getattr(old.frame, name))
    frame.model = frame.model or model
    family = dialect.family(frame.model or None)
    if family != dialect.family(old.frame.model or None) or (
        family == "openai" and frame.model != old.frame.model
    ):
        return None  # another tokenizer, or way to count images: every estimate changes
    builder = Builder(body, family, frame.model or None, dialect.markers, dialect.output)
    prompt = old.prompt
    first = old.preamble
    if late:
        dialect.preamble(builder, frame, places)
        if len(builder.segments) != first or builder.chain.prefix != old.seed:
            return None
        if any(builder.deferred.get(name) != tool for name, tool in old.deferred.items()):
            return None  # a tool's definition is part of what refers to it
    else:
        builder.segments += prompt.segments[:first]
        builder.markers += [mark for mark in prompt.markers if _of_head(mark, first)]
        builder.chain.prefix = old.seed
        builder.deferred = old.deferred
    builder.begin()
    builder.compacted = old.compacted
    upto = bisect_left(prompt.segments, count, lo=first, key=lambda segment: segment.message)
    builder.segments += prompt.segments[first:upto]
    builder.markers += [mark for mark in prompt.markers if not _of_head(mark, first) and mark.segment < upto]
    builder.chain.prefix = builder.segments[-1].prefix if upto > first else old.seed
    builder.look_from(position)
    return _finish(body, dialect, frame, places, items, spans, builder, first, old.seed, old.ends[:count])


def _of_head(mark: Marker, first: int) -> bool:
    return mark.segment < first and mark.standing != "compacted"


def _finish(
    body: bytes,
    dialect: Dialect,
    frame: Frame,
    places: dict[bytes, int],
    items: Sequence[Any],
    spans: Sequence[ItemSpan],
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
    ends += [span.end for span in spans]
    prompt = Prompt(
        format=dialect.format,
        segments=tuple(segments),
        load=lambda start, end: body[start:end],
        draft=dialect.draft(body, segments),
        markers=tuple(builder.markers),
        model=frame.model or None,
        compacted=builder.compacted >= 0,
        **dialect.facts(frame),
    )
    start = places[dialect.array]
    deferred, compacted = builder.deferred, builder.compacted
    return Parsed(body, frame, places, start, preamble, seed, ends, repeated, deferred, compacted, prompt)
