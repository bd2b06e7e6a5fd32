"""What findings took of a plan's windows, on average: the unit of who pays by plan."""

from collections import defaultdict

from anchorline.findings.model import CostFinding, Overview
from anchorline.limits.finding_share import FindingShare
from anchorline.limits.model import Estimate, TokenCounts
from anchorline.limits.state import Limits

WINDOW = "seven_day"
"""The window that findings are told of: history is long, and a five-hour window is only used now and then."""
WINDOW_S = 7 * 86_400.0
LEAST = 0.05
"""Per cent below which nothing is said."""


def finding_shares(overview: Overview, limits: Limits) -> tuple[FindingShare, ...]:
    """Returns what each finding took of the weekly window that it took most of, where that has been learnt.

    The intervals of models are added, as if their errors went the same way.
    """
    if overview.first_at is None or overview.last_at is None:
        return ()
    windows = max((overview.last_at - overview.first_at) / WINDOW_S, 1.0)
    shares = (_share(finding, limits, windows) for finding in overview.findings)
    return tuple(share for share in shares if share is not None)


def _share(finding: CostFinding, limits: Limits, windows: float) -> FindingShare | None:
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for tokens in finding.tokens:
        counts = TokenCounts(tokens.input, tokens.read, tokens.write_5m, tokens.write_1h)
        for cost in limits.cost(tokens.model, counts):
            if cost.window == WINDOW and cost.percent is not None:
                ends = cost.percent.value, cost.percent.low, cost.percent.high
                sums[cost.provider] = [
                    total + end for total, end in zip(sums[cost.provider], ends, strict=True)
                ]
    if not sums:
        return None
    provider, total = max(sums.items(), key=lambda of: of[1][0])
    percent = Estimate(*(each / windows for each in total))
    return FindingShare(finding.code, provider, WINDOW, percent) if percent.value >= LEAST else None
