"""What requests take of a plan's windows, in words: a plan's own request, and a prefix that is written again."""

from anchorline.cache.quote import OUTPUT_TOKENS
from anchorline.limits import wording
from anchorline.limits.model import TokenCounts
from anchorline.limits.state import Limits
from anchorline.plan import Plan


def of_plan(limits: Limits, plan: Plan) -> str:
    """Returns what the request of `plan` is expected to take; nothing where that is not known."""
    if plan.failure is not None or plan.instructions is not None:
        return ""
    cache = plan.cache
    read, written = cache.expected_read_tokens, cache.expected_write_tokens
    long = bool(cache.anchors) and cache.anchors[-1].ttl == "1h"
    tokens = TokenCounts(
        input=max(plan.tokens.estimate - read - written, 0),
        read=read,
        write_5m=0 if long else written,
        write_1h=written if long else 0,
        output=OUTPUT_TOKENS,
    )
    return wording.costs(limits.cost(plan.route.target, tokens))


def of_write(limits: Limits, model: str, tokens: int, ttl: str) -> str:
    """Returns what it takes to write a prefix for a lifetime; nothing where that is not known."""
    counts = TokenCounts(write_1h=tokens) if ttl == "1h" else TokenCounts(write_5m=tokens)
    return wording.costs(limits.cost(model, counts))
