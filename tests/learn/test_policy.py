"""A network decides by the heads that beat their baseline, and by no other."""

from pathlib import Path

import numpy as np
import pytest

from anchorline.cache import hits
from anchorline.cache.hits import Return
from anchorline.cache.reuse import HazardGaps, Moment
from anchorline.learn import network, policy
from anchorline.learn.architecture import Architecture, Known
from anchorline.route.catalog import load as load_catalog
from anchorline.route.quality import HeuristicQuality

MOMENT = Moment("user", 20_000, 4, ((30.0, True), (5.0, False)), 100.0)
BACK = Return("5m", 100.0, 300.0, user=True)


def loaded(folder: Path, *heads: str) -> policy.Heads:
    form = Architecture(buckets=256, text=4, hidden=8, factors=2, models=(Known("claude-sonnet-5", 1.0),))
    given = network.untrained(form)
    arrays = given.arrays | {
        "gap.bias": np.full(11, 2.0, np.float32),
        "hit.bias": np.full(1, -2.0, np.float32),
        "solve.bias": np.full(1, -2.0, np.float32),
    }
    uses: dict[str, network.Use] = dict.fromkeys(heads, "network")
    given.replaced(arrays=arrays, heads=uses).save(folder)
    return policy.load(folder)


def said(heads: policy.Heads) -> tuple[float, float, float]:
    model = load_catalog().find("claude-sonnet-5")
    assert model is not None
    seen = heads.quality.features("Fix the parser.", in_session=False)
    return (
        heads.gaps.after(MOMENT).within(300),
        heads.hits.probability(BACK, MOMENT),
        heads.quality.p_success(seen, model),
    )


def heuristic() -> tuple[float, float, float]:
    model = load_catalog().find("claude-sonnet-5")
    quality = HeuristicQuality()
    seen = quality.features("Fix the parser.", in_session=False)
    return (
        HazardGaps().after(MOMENT).within(300),
        hits.probability(BACK),
        quality.p_success(seen, model),
    )


@pytest.mark.parametrize("head", ["gap", "hit", "solve"])
def test_only_the_head_that_is_better_decides(tmp_path: Path, head: str):
    place = ("gap", "hit", "solve").index(head)
    for index, (one, other) in enumerate(zip(said(loaded(tmp_path, head)), heuristic(), strict=True)):
        assert (one == pytest.approx(other, abs=1e-6)) is (index != place)


def test_a_moment_that_is_not_known_is_no_obstacle(tmp_path: Path):
    assert 0 < loaded(tmp_path, "hit").hits.probability(BACK) < 1
