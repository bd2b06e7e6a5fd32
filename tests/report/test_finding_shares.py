"""What findings took of a plan's weekly window, on average over the history."""

from typing import cast

import msgspec
import pytest

from anchorline.findings.model import CostFinding, FindingTokens, Overview
from anchorline.limits.model import Estimate, TokenCounts, WindowCost
from anchorline.limits.state import Limits
from anchorline.report.finding_shares import finding_shares

WEEK = 7 * 86_400.0


class Weighed:
    """Limits of which each written token of a model takes so many per cent of the week, and each read one a tenth."""

    def __init__(self, **each: float) -> None:
        self.each = each

    def cost(self, model: str, tokens: TokenCounts) -> tuple[WindowCost, ...]:
        provider = "openai" if model.startswith("gpt") else "anthropic"
        each = self.each.get(provider)
        if each is None:
            return (WindowCost(provider, "seven_day", None, "not yet"),)
        value = each * (tokens.write_1h + tokens.write_5m + tokens.input + tokens.read / 10)
        percent = Estimate(value, 0.8 * value, 1.3 * value)
        return (
            WindowCost(provider, "five_hour", percent.times(10)),
            WindowCost(provider, "seven_day", percent),
        )


def overview(*tokens: FindingTokens, weeks: float) -> Overview:
    finding = CostFinding("expired", "Cache expired", 3, "returns", 3, 1.0, tokens=tokens)
    return Overview((), 0.0, weeks * WEEK, 9, 3, 30, 0, 2.0, (finding,), 1.0)


def told(of: Overview, **each: float) -> list[object]:
    shares = finding_shares(of, cast("Limits", Weighed(**each)))
    return [(share.provider, share.window, msgspec.structs.astuple(share.percent)) for share in shares]


SONNET = FindingTokens("claude-sonnet-5", 0, -100_000, 0, 110_000)
HAIKU = FindingTokens("claude-haiku-4-5", 0, 0, 50_000, 0)
CODEX = FindingTokens("gpt-5.5", 70_000, 0, 0, 0)


def test_a_share_is_of_each_week_and_all_models_of_a_plan_count():
    ((provider, window, percent),) = told(overview(SONNET, HAIKU, weeks=4), anthropic=1e-4)
    assert (provider, window) == ("anthropic", "seven_day")
    assert percent == pytest.approx((3.75, 3.0, 4.875))
    (share,) = finding_shares(overview(SONNET, HAIKU, weeks=4), cast("Limits", Weighed(anthropic=1e-4)))
    assert str(share) == "about 3.8% (3.0% to 4.9%) of each weekly window"


def test_a_history_of_days_is_one_week():
    ((_, _, percent),) = told(overview(HAIKU, weeks=0.2), anthropic=1e-4)
    assert percent[0] == pytest.approx(5.0)


def test_of_two_plans_the_one_that_it_took_most_of_is_told():
    assert told(overview(SONNET, CODEX, weeks=1), anthropic=1e-5, openai=1e-4)[0][0] == "openai"
    assert told(overview(SONNET, CODEX, weeks=1), anthropic=1e-4)[0][0] == "anthropic"


def test_what_is_not_learnt_or_next_to_nothing_is_not_told():
    assert told(overview(SONNET, weeks=1)) == []
    assert told(overview(SONNET, weeks=1), anthropic=1e-9) == []
