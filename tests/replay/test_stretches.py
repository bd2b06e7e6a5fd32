"""Stretches of a history: what happens in one changes nothing in another."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.replay import policies, stretches
from anchorline.replay.costs import PricedHistory
from anchorline.route.target import load
from support.examples import examples
from support.recorded_days import MODELS, recorded_days

TARGETS = load()


@examples(150)
@given(st.randoms(use_true_random=True), st.sampled_from(list(policies.POLICIES)))
def test_some_stretches_alone_cost_what_they_cost_among_all(draw: Random, name: str):
    requests = recorded_days(draw)
    stretch = stretches.numbered(
        [request.at for request in requests], stretches.quiet_s(MODELS, TARGETS.rules)
    )
    only = np.isin(stretch, [number for number in set(stretch.tolist()) if draw.random() < 0.5])
    chains = {request.chain for request, wanted in zip(requests, only, strict=True) if wanted}
    places = [place for place, request in enumerate(requests) if only[place] or request.chain in chains]
    rule = policies.named([name])[name]
    whole = PricedHistory(requests, TARGETS).charges(rule)
    some = PricedHistory([requests[place] for place in places], TARGETS, only[places]).charges(rule)
    assert some.usd.tolist() == pytest.approx(np.where(only, whole.usd, 0.0)[places].tolist())
    assert some.pings.tolist() == np.where(only, whole.pings, 0)[places].tolist()


def test_a_quiet_time_is_longer_than_the_longest_lifetime_with_its_pings():
    quiet = stretches.quiet_s(["claude-opus-4-5"], TARGETS.rules)
    assert quiet == 3600 + policies.PINGS * 3590
    assert stretches.numbered([0.0, 1.0, 1.0 + quiet, 2.5 + 2 * quiet], quiet).tolist() == [0, 0, 0, 1]
    assert stretches.numbered([], quiet).tolist() == []
