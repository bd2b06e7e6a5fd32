"""What a run's requests took of a plan's windows."""

import pytest

from anchorline.billed.request import PricedModels
from anchorline.config import Files
from anchorline.limits import shares, wording
from anchorline.limits.kept import Knowledge, WindowKnowledge
from anchorline.limits.model import OTHER, Learnt, PastUse, TokenCounts, Weights, WindowState
from anchorline.limits.state import Limits
from anchorline.limits.windows import Series
from anchorline.route.target import load

NOW = 1_796_000_000.0
MODELS = PricedModels(load(Files()))
EVEN = Weights((2.0,) * 5, tuple((0.0,) * k + (0.01,) + (0.0,) * (4 - k) for k in range(5)))
WORK = {
    "claude-sonnet-5-5": TokenCounts(read=900_000, write_1h=20_000, output=9_000),
    "claude-haiku-5-5": TokenCounts(input=500_000),
}


def limits(*accounts: str, learnt: bool = True) -> Limits:
    """Return what is known of the five-hour windows of accounts, of which a dollar takes two per cent."""
    windows = tuple(
        WindowState("anthropic", "five_hour", 40.0, NOW, None, 18_000.0, account=each) for each in accounts
    )
    weights = Learnt({OTHER: EVEN}, False, 20, 80.0, 0.5, 0.5, 0.0, 0.5) if learnt else None
    known = [
        WindowKnowledge(Series("anthropic", each, "five_hour"), weights, PastUse(NOW, 300.0, []), 20)
        for each in accounts
    ]
    return Limits(windows, Knowledge("", "", NOW, known), MODELS, NOW)


def test_the_shares_of_models_add_up():
    alone = [shares.of_work(limits("a"), {model: tokens})[0].percent for model, tokens in WORK.items()]
    (both,) = shares.of_work(limits("a"), WORK)
    assert both.percent is not None
    assert both.percent.value == pytest.approx(sum(each.value for each in alone if each is not None))
    assert both.percent.low < both.percent.value < both.percent.high
    assert wording.costs([both]).endswith("of your 5-hour window")


def test_nothing_is_said_of_what_is_not_known():
    assert shares.of_work(limits("a", learnt=False), WORK) == ()
    assert shares.of_work(limits("a", "b"), WORK) == ()
    assert shares.of_work(limits("a"), {}) == ()
