"""What requests take of a plan's windows: a plan's own request, a prefix that is written again, a run's requests."""

from collections import Counter, defaultdict
from collections.abc import Mapping

import msgspec

from anchorline.cache.quote import OUTPUT_TOKENS
from anchorline.limits import wording
from anchorline.limits.model import Estimate, TokenCounts, WindowCost
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


def of_work(limits: Limits, work: Mapping[str, TokenCounts]) -> tuple[WindowCost, ...]:
    """Returns what the tokens of several models took of each window.

    Of a window of which that is not known for one of them, or that several accounts have, nothing is said. The errors
    of models are taken to go together, so the interval is rather too wide.
    """
    costs: defaultdict[tuple[str, str], list[WindowCost]] = defaultdict(list)
    for model, tokens in work.items():
        for cost in limits.cost(model, tokens):
            costs[cost.provider, cost.window].append(cost)
    windows = Counter((window.provider, window.window) for window in limits.windows)
    totals = []
    for (provider, window), parts in costs.items():
        percents = [part.percent for part in parts if part.percent is not None]
        if len(percents) == len(parts) and windows[provider, window] == 1:
            sums = (sum(ends) for ends in zip(*map(msgspec.structs.astuple, percents), strict=True))
            samples = min(part.samples for part in parts)
            totals.append(WindowCost(provider, window, Estimate(*sums), samples=samples))
    return tuple(totals)
