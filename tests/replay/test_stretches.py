"""Stretches of a history: what happens in one changes nothing in another."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.replay import policies, stretches
from anchorline.replay.costs import PricedHistory
from anchorline.replay.history import History
from anchorline.route.target import load
from support.examples import examples
from support.recorded_days import recorded_days

TARGETS = load()


@examples(150)
@given(st.randoms(use_true_random=True), st.sampled_from(list(policies.POLICIES)))
def test_some_stretches_alone_cost_what_they_cost_among_all(draw: Random, name: str):
    history = History(recorded_days(draw), TARGETS)
    numbers = [number for number in set(history.stretch.tolist()) if draw.random() < 0.5]
    rule = policies.named([name])[name]
    whole = PricedHistory(history.requests, TARGETS).charges(rule)
    some, own = history.of_stretches(numbers)
    alone = PricedHistory(some, TARGETS, own).charges(rule)
    wanted = np.isin(history.stretch, numbers)
    assert alone.usd[own].tolist() == pytest.approx(whole.usd[wanted].tolist())
    assert alone.pings[own].tolist() == whole.pings[wanted].tolist()
    assert not alone.usd[~own].any()


def test_a_quiet_time_is_longer_than_the_longest_lifetime_with_its_pings():
    quiet = stretches.quiet_s(["claude-opus-4-5"], TARGETS.rules)
    assert quiet == 3600 + policies.PINGS * 3590
    assert stretches.numbered([0.0, 1.0, 1.0 + quiet, 2.5 + 2 * quiet], quiet).tolist() == [0, 0, 0, 1]
    assert stretches.numbered([], quiet).tolist() == []
