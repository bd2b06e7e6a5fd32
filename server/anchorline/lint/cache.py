"""The AL2xx rules, for what makes a prompt cache miss, or the provider refuse the request."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from anchorline.cache.markers import Splice, accepted, splices
from anchorline.cache.rules import Provider
from anchorline.lint import markers
from anchorline.lint.finding import Finding
from anchorline.plan import Plan
from anchorline.prompt import dates
from anchorline.prompt.model import Prompt, Segment
from anchorline.prompt.unrendered import blanked
from anchorline.route.target import Target
from anchorline.trim.duplicates import duplicates

# It begins with a literal, which a search jumps to: with the first eight digits it takes fifteen times as long.
_UUID = re.compile(rb"-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b")
_HEX = re.compile(rb"\b[0-9a-f]{8}\Z")
LARGE_TOKENS = 20_000
"""An expired prefix below this is no reason to interrupt a developer."""

MOVE = "Move the volatile line to the end"
_SENTENCE = re.compile(rb"[.!?;][ \t]+")
_NAMES = re.compile(rb"[^\W\d_]+|[\x80-\xff]+")
_CALLED = frozenset(
    b"a an the it is it's s of at on in as and for utc gmt now current present today todays date time datetime day "
    b"timestamp local system session request conversation chat run build "
    b"trace id uuid guid generated last updated user".split()
)
"""What a moment or an id is called where a line says nothing else."""

_STABLE_AFTER = 256
"""Bytes that must follow on a volatile spot for it to cost anything."""


def check(prompt: Prompt, plan: Plan, target: Target) -> Iterator[Finding]:
    """Yields the findings."""
    provider = target.provider
    yield from _volatile(prompt)
    yield from markers.check(prompt, provider, target.name)
    if not any(mark.acts for mark in prompt.markers) and _uncached(prompt, plan, provider):
        tokens = plan.tokens.estimate
        anchors = [anchor for anchor in plan.cache.anchors if anchor.origin == "plan"]
        start = prompt.segments[anchors[-1].segment].start
        yield Finding(
            "AL207",
            f"{tokens} tokens and no breakpoint: {provider.name} caches nothing of this request",
            "info",
            start,
            start + 1,
            splices(prompt, plan.cache.anchors),
            "Insert cache breakpoints",
        )
    warm = (
        bisect_right(list(accumulate(segment.tokens for segment in prompt.segments)), plan.cache.warm_tokens)
        - 1
    )
    for trim in duplicates(prompt, warm):
        segment = prompt.segments[trim.segment]
        message = f"{trim.reason}: {trim.tokens_saved} tokens"
        fix: tuple[Splice, ...] = ()
        if prompt.format == "markdown":  # a tool result must stay: its call asks for it
            fix = (Splice(segment.start, prompt.load(segment.start, segment.end), b""),)
        title = "Remove duplicate block" if fix else ""
        yield Finding("AL205", message, "info", segment.start, segment.end, fix, title)


def expired(prompt: Prompt, plan: Plan, target: Target) -> Iterator[Finding]:
    """Warns before a large prompt is sent into an expired cache, with the dollars."""
    for miss in plan.cache.miss_reasons:
        if (
            miss.code != "expired"
            or miss.tokens < LARGE_TOKENS
            or target.model is None
            or not prompt.segments
        ):
            continue
        price, _ = target.prices(plan.tokens.estimate, plan.created_at)
        write, read = target.provider.write_price(), target.provider.read_price(target.id)
        again, warm = (price * share * miss.tokens for share in (write, read))
        last = prompt.segments[-1]
        message = f"{miss.text}: to have them again costs ${again:.2f}; warm it was ${warm:.2f}"
        yield Finding("AL208", message, "warning", last.start, last.end)


def _uncached(prompt: Prompt, plan: Plan, provider: Provider) -> bool:
    return (
        provider.mode == "explicit"
        and not provider.implicit
        and prompt.automatic_ttl is None
        and prompt.format in ("anthropic", "openai-chat")
        and accepted(prompt, provider)
        and any(anchor.origin == "plan" for anchor in plan.cache.anchors)
    )


def _volatile(prompt: Prompt) -> Iterator[Finding]:
    """Looks where every request begins: tools, system, and standing instructions."""
    total = prompt.segments[-1].end if prompt.segments else 0
    for segment in prompt.segments:
        if segment.role != "system" or segment.kind == "fence":
            continue
        text = blanked(prompt.load(segment.start, segment.end))
        for begin, end in _spots(text):
            if prompt.format == "markdown" and total - segment.start - end < _STABLE_AFTER:
                continue
            start = segment.start + begin
            fix = _to_the_end(prompt, segment, text, (begin, end), total)
            yield Finding(
                "AL201",
                "changes from request to request, so nothing after it can be read from the cache",
                "warning",
                start,
                segment.start + end,
                fix,
                MOVE if fix else "",
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
        if apart and start < apart[-1][1]:
            apart[-1] = apart[-1][0], max(end, apart[-1][1])
        else:
            apart.append((start, end))
    return apart


def _to_the_end(
    prompt: Prompt, segment: Segment, text: bytes, spot: tuple[int, int], total: int
) -> tuple[Splice, ...]:
    """Returns the edit that moves the line, or the sentence in it, that says the moment and nothing else; or none."""
    if prompt.format != "markdown":
        return ()
    begin = text.rfind(b"\n", 0, spot[0]) + 1
    newline = text.find(b"\n", spot[1])
    if newline < 0:
        return ()
    line = text[begin : newline + 1]
    content, rest = line.rstrip(b"\r\n"), line
    if not _says_only(text, begin, begin + len(content), spot):
        sentence = max((match.end() for match in _SENTENCE.finditer(text, begin, spot[0])), default=begin)
        if sentence == begin or not _says_only(text, sentence, begin + len(content), spot):
            return ()
        before = text[:sentence].rstrip(b" \t")
        rest = text[len(before) : begin + len(content)]
        begin = len(before)
    moved = rest.strip() if rest is not line else line
    last = prompt.load(total - 1, total)
    gap = (b"" if last == b"\n" else b"\n") + b"\n"
    moved = moved if moved.endswith(b"\n") else moved + b"\n"
    return Splice(segment.start + begin, rest, b""), Splice(total, b"", gap + moved)


def _says_only(text: bytes, start: int, end: int, spot: tuple[int, int]) -> bool:
    """Says whether a line or sentence holds nothing but a moment or an id and what it is called: no instruction."""
    if (
        start > spot[0]
        or spot[1] > end
        or b"|" in text[start:end]
        or text[start:end].lstrip()[:1] in (b"#", b">")
    ):
        return False
    around = text[start : spot[0]] + b" " + text[spot[1] : end]
    return all(word.lower() in _CALLED for word in _NAMES.findall(around))
