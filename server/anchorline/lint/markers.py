"""AL202 to AL204, AL206, AL210 and AL211, for what a provider ignores or refuses of the client's own cache markers."""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec

from anchorline.cache import markers
from anchorline.cache.markers import Splice
from anchorline.cache.rules import Lifetime, Provider
from anchorline.lint.finding import Finding
from anchorline.prompt import layout
from anchorline.prompt.model import Marker, Prompt

_VALUE = re.compile(rb'(?<="cache_control")\s*:\s*(\{[^{}]*\})')
_REMOVE = "Remove the breakpoint"


def check(prompt: Prompt, provider: Provider, model: str) -> Iterator[Finding]:
    """Yields the findings; each says what is to be changed, if that is sure."""
    marks = [mark for mark in prompt.markers if mark.standing != "null"]
    member = provider.marker.member if provider.marker is not None else ""
    if prompt.format == "openai-chat" and member != markers.CACHE_CONTROL and "/" not in model:
        for mark in marks:
            if markers.member(prompt, mark) == markers.CACHE_CONTROL:
                yield _unwanted(prompt, "AL211", f"{model} knows no {markers.CACHE_CONTROL}", mark)
        return
    yield from _too_many(prompt, provider, marks)
    yield from _too_short(prompt, provider, model, marks)
    yield from _order(prompt, provider, marks)
    for mark in marks:
        if mark.standing == "deferred":
            yield _unwanted(
                prompt, "AL210", "a tool that is loaded when it is found carries no breakpoint", mark
            )
        elif mark.acts:
            yield from _place(prompt, mark)


def _unwanted(prompt: Prompt, code: str, message: str, mark: Marker) -> Finding:
    fix = (Splice(mark.start, prompt.load(mark.start, mark.end), b""),)
    return Finding(code, message, "error", mark.start, mark.end, fix, _REMOVE)


def _too_many(prompt: Prompt, provider: Provider, marks: Sequence[Marker]) -> Iterator[Finding]:
    slots = max(provider.max_breakpoints - (1 if prompt.automatic_ttl else 0), 0)
    for mark in marks[slots:]:
        message = f"{len(marks)} breakpoints, those within blocks included; {provider.name} takes {slots}"
        if prompt.automatic_ttl:
            message += " beside the automatic one"
        yield _unwanted(prompt, "AL203", message, mark)


def _too_short(prompt: Prompt, provider: Provider, model: str, marks: Sequence[Marker]) -> Iterator[Finding]:
    totals = list(accumulate(segment.tokens for segment in prompt.segments))
    minimum = provider.minimum(model)
    for mark in marks:
        if mark.acts and totals[mark.segment] < minimum:
            message = f"about {totals[mark.segment]} tokens up to here; {model} caches from {minimum} on"
            yield Finding("AL202", message, "info", mark.start, mark.end)


def _order(prompt: Prompt, provider: Provider, marks: Sequence[Marker]) -> Iterator[Finding]:
    """Finds longer lifetimes after shorter ones. The automatic breakpoint is the last one, on the last block."""
    if not provider.longer_first:
        return
    automatic = provider.lifetime(prompt.automatic_ttl) if prompt.automatic_ttl else None
    last = next((i for i in range(len(prompt.segments) - 1, -1, -1) if markers.markable(prompt, i)), -1)
    shortest: Lifetime | None = None
    for mark in marks:
        own = provider.lifetime(mark.ttl)
        if own is None:
            continue
        if shortest is not None and own.seconds > shortest.seconds:
            message = f"a lifetime of {own.seconds} s may not follow one of {shortest.seconds} s"
            yield _lasting(prompt, provider, mark, shortest, message)
        elif automatic is not None and own.seconds < automatic.seconds:
            message = (
                f"the automatic breakpoint, of {automatic.seconds} s, may not follow one of {own.seconds} s"
            )
            yield _lasting(prompt, provider, mark, automatic, message)
        elif automatic is not None and automatic != own and (mark.standing, mark.segment) == ("block", last):
            message = "the automatic breakpoint falls on this block, with another lifetime"
            yield _lasting(prompt, provider, mark, automatic, message)
        shortest = own if shortest is None else min(shortest, own, key=lambda lifetime: lifetime.seconds)


def _lasting(prompt: Prompt, provider: Provider, mark: Marker, lifetime: Lifetime, message: str) -> Finding:
    """Returns the finding that is mended by another lifetime."""
    text = prompt.load(mark.start, mark.end)
    made = _VALUE.sub(lambda match: b":" + _with_lifetime(match[1], provider, lifetime), text, count=1)
    fix = (Splice(mark.start, text, made),) if made != text else ()
    return Finding(
        "AL204", message, "error", mark.start, mark.end, fix, f"Make it {lifetime.name}" if fix else ""
    )


def _with_lifetime(value: bytes, provider: Provider, lifetime: Lifetime) -> bytes:
    """Returns a marker's value with another lifetime; what else it holds, as a `scope`, stays."""
    ttl_key = provider.marker.ttl_key if provider.marker is not None else ""
    own = {key: member for key, member in msgspec.json.decode(value).items() if key != ttl_key}
    (new,) = msgspec.json.decode(b"{%b}" % markers.marker(provider, lifetime.name)).values()
    return msgspec.json.encode(own | new)


def _place(prompt: Prompt, mark: Marker) -> Iterator[Finding]:
    segment = prompt.segments[mark.segment]
    start, end = segment.start, segment.end
    if mark.standing == "nested":
        start, end = _block_around(prompt, segment.start, segment.end, mark)
    block = prompt.load(start, end)
    if markers.is_blank(block):
        fix = (Splice(mark.start, prompt.load(mark.start, mark.end), b""),)
        yield Finding("AL206", "the block holds no text", "error", start, end, fix, _REMOVE)
    elif mark.standing == "block" and segment.kind == "thinking":
        yield _unwanted(prompt, "AL211", "thinking carries no breakpoint", mark)
    elif prompt.format == "anthropic" and markers.from_code(prompt, mark.segment):
        yield _unwanted(
            prompt, "AL211", "a tool's call from code carries no breakpoint, nor does its result", mark
        )


def _block_around(prompt: Prompt, start: int, end: int, mark: Marker) -> tuple[int, int]:
    """Returns where the innermost block stands that a marker within a segment belongs to."""
    text, position = prompt.load(start, end), mark.start - start
    at, until = 0, len(text)
    while True:
        values = [(member.start, member.end) for member in layout.members(text, at)]
        inner = next(((a, b) for a, b in values if a <= position < b), None)
        if inner is not None and text.startswith(b"[", inner[0]):
            inner = next(((a, b) for a, b in layout.elements(text, inner[0]) if a <= position < b), None)
        if inner is None or not text.startswith(b"{", inner[0]):
            return start + at, start + until
        at, until = inner
