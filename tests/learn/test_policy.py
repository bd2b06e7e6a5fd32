"""A network as the planner asks it: its own heads where they are the better ones, the heuristic elsewhere."""

from pathlib import Path

import msgspec
import pytest

from anchorline.cache import hits
from anchorline.cache.gaps import HazardGaps, Moment
from anchorline.cache.hits import Return
from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Config
from anchorline.learn import features, network, policy
from anchorline.learn.architecture import HEADS, Architecture
from anchorline.learn.network import Network
from anchorline.plan import Policy
from anchorline.planner import Decider, Planner
from anchorline.prompt import formats
from anchorline.route.catalog import load as load_catalog
from anchorline.route.quality import HeuristicQuality

MOMENT = Moment("user", 5000, 5, ((30.0, True),), 100.0)
BACK = Return("5m", 250.0, 300.0)
DRAFT = "Find the race in the scheduler."
MODELS = load_catalog().of_provider("anthropic", current=True)


@pytest.fixture(scope="module")
def trained() -> Network:
    return network.untrained(Architecture(buckets=512, text=4, hidden=8, factors=2), seed=3)


def heads(trained: Network, folder: Path, *used: str) -> policy.Heads:
    trained.replaced(heads={head: "network" if head in used else "baseline" for head in HEADS}).save(folder)
    return policy.load(folder)


def test_a_head_that_is_no_better_is_not_asked(trained: Network, tmp_path: Path):
    found = heads(trained, tmp_path)
    assert found.gaps.after(MOMENT) == HazardGaps().after(MOMENT)
    assert found.hits.probability(BACK, MOMENT) == hits.probability(BACK)
    own = HeuristicQuality()
    seen = found.quality.features(DRAFT, in_session=False)
    assert found.quality.p_success(seen, MODELS[0]) == own.p_success(
        own.features(DRAFT, in_session=False), MODELS[0]
    )


def test_a_head_that_is_better_is_asked(trained: Network, tmp_path: Path):
    found = heads(trained, tmp_path, *HEADS)
    assert found.gaps.after(MOMENT) == trained.gaps(features.of(moment=MOMENT))
    assert found.hits.probability(BACK, MOMENT) == trained.hit(features.of(moment=MOMENT, request=BACK))
    wanted = trained.solve(features.of(DRAFT), {model.id: model.skill for model in MODELS})
    for _ in range(2):  # the second time all models are asked about at once
        seen = found.quality.features(DRAFT, in_session=False)
        for model in MODELS:
            assert found.quality.p_success(seen, model) == pytest.approx(wanted[model.id], abs=1e-6)
    stronger = msgspec.structs.replace(MODELS[0], skill=4.0)
    again = found.quality.features(DRAFT, in_session=False)
    assert (
        found.quality.p_success(again, stronger)
        == trained.solve(features.of(DRAFT), {stronger.id: 4.0})[stronger.id]
    )


def test_a_plan_is_made_by_what_decides_and_by_the_heuristic_where_that_fails(
    trained: Network, tmp_path: Path
):
    found = heads(trained, tmp_path, *HEADS)
    planner = Planner(Config(), MemoryLedger())
    prompt = formats.read(b"Fix the parser in `src/parse.py`.\n", name="a.prompt.md")
    decider = Decider(
        Policy("network", "r-1", "challenger", 0.5, "e-1"), found.gaps, found.quality, found.hits
    )
    plan, own = planner.plan(prompt, now=1e9, decider=decider), planner.plan(prompt, now=1e9)
    assert plan.policy == decider.policy
    assert [one.p_success for one in plan.route.alternatives] != [
        one.p_success for one in own.route.alternatives
    ]

    class Broken:
        def after(self, moment: Moment) -> None:
            raise FloatingPointError

    failing = planner.plan(prompt, now=1e9, decider=msgspec.structs.replace(decider, gaps=Broken()))
    assert failing.policy == Policy(
        "heuristic", "1", "challenger", 0.5, "e-1", "r-1 failed (FloatingPointError)"
    )
    assert failing.failure is None
    assert (failing.route, failing.cache, failing.cost) == (own.route, own.cache, own.cost)


def test_a_moment_that_is_not_known_is_no_obstacle(trained: Network, tmp_path: Path):
    assert 0 < heads(trained, tmp_path, "hit").hits.probability(BACK) < 1


def test_pings_are_decided_by_the_heuristic_where_a_gap_model_fails():
    class Broken:
        def after(self, moment: Moment) -> None:
            raise FloatingPointError

    broken = Decider(Policy("network", "r-1"), Broken())
    prompt = formats.read(b"Fix the parser.\n", name="a.prompt.md")
    planner = Planner(Config(), MemoryLedger(), deciders=lambda _: broken)
    assert planner.gaps(prompt, MOMENT) == HazardGaps().after(MOMENT)
