"""The AL2xx rules, for what makes a prompt cache miss, or the provider refuse the request."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import accumulate

from anchorline.cache.markers import Splice, accepted, splices
from anchorline.cache.rules import Provider
from anchorline.figures import cents, count
from anchorline.lint import markers, volatile
from anchorline.lint.finding import Finding
from anchorline.plan import Plan
from anchorline.prompt.model import Prompt
from anchorline.route.target import Target
from anchorline.trim.duplicates import duplicates

LARGE_TOKENS = 20_000
"""An expired prefix below this is no reason to interrupt a developer."""
Share = Callable[[str, int, str], str]
"""What writing so many tokens of a model for a lifetime takes of a plan's window; nothing where that is not known."""


def unknown_share(_model: str, _tokens: int, _ttl: str) -> str:
    """Says of no tokens what they take of a plan's window."""
    return ""


def check(prompt: Prompt, plan: Plan, target: Target) -> Iterator[Finding]:
    """Yields the findings."""
    provider = target.provider
    yield from volatile.check(prompt)
    yield from markers.check(prompt, provider, target.name)
    if not any(mark.acts for mark in prompt.markers) and _uncached(prompt, plan, provider):
        tokens = plan.tokens.estimate
        anchors = [anchor for anchor in plan.cache.anchors if anchor.origin == "plan"]
        start = prompt.segments[anchors[-1].segment].start
        yield Finding(
            "AL207",
            f"{count(tokens)} tokens and no breakpoint: {provider.name} caches nothing of this request",
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
        message = f"{trim.reason}: {count(trim.tokens_saved)} tokens"
        fix: tuple[Splice, ...] = ()
        if prompt.format == "markdown":  # a tool result must stay: its call asks for it
            fix = (Splice(segment.start, prompt.load(segment.start, segment.end), b""),)
        title = "Remove duplicate block" if fix else ""
        yield Finding("AL205", message, "info", segment.start, segment.end, fix, title)


def expired(prompt: Prompt, plan: Plan, target: Target, share: Share = unknown_share) -> Iterator[Finding]:
    """Warns before a large prompt is sent into an expired cache, with the dollars, and with what it takes of a plan."""
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
        message = f"{miss.text}: to have them again costs {cents(again)}; warm it was {cents(warm)}"
        if taken := share(target.id, miss.tokens, _lifetime(prompt)):
            message = f"{message}. It takes {taken}"
        yield Finding("AL208", message, "warning", last.start, last.end)


def _lifetime(prompt: Prompt) -> str:
    """Returns the lifetime that a client writes for: its markers', or its last request's."""
    markers = [mark.ttl for mark in prompt.markers if mark.acts]
    return "1h" if "1h" in (markers or [sent.ttl or "" for sent in prompt.sent[-1:]]) else "5m"


def _uncached(prompt: Prompt, plan: Plan, provider: Provider) -> bool:
    return (
        provider.mode == "explicit"
        and not provider.implicit
        and prompt.automatic_ttl is None
        and prompt.format in ("anthropic", "openai-chat")
        and accepted(prompt, provider)
        and any(anchor.origin == "plan" for anchor in plan.cache.anchors)
    )
