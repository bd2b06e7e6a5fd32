"""A head is used only where it is better than what is there, and figures mean what they say."""

import numpy as np
import pytest

pytest.importorskip("mlx.core")

import msgspec

from anchorline.learn import evaluation, network
from anchorline.learn.architecture import Architecture
from anchorline.learn.evaluation import evaluate, figures
from anchorline.learn.training import Settings, train
from support import worlds

FORM = Architecture(buckets=2048, text=8, hidden=32, factors=4)
TRAIN, HELD, TEST = (
    worlds.decisions(1500),
    worlds.decisions(400, 1, first=10_000),
    worlds.decisions(800, 2, first=20_000),
)


@pytest.fixture(scope="module", autouse=True)
def _few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "DRAWS", 60)
        yield


@pytest.fixture(scope="module")
def trained() -> network.Network:
    return train(
        TRAIN, HELD, form=FORM, skills=worlds.MODELS, settings=Settings(epochs=8, batch=128, rate=1e-2)
    )


def test_a_network_that_learnt_the_world_is_used(trained: network.Network):
    found = evaluate(trained, TRAIN, TEST, skills=worlds.MODELS)
    assert found.heads == dict.fromkeys(("gap", "hit", "solve"), "network"), found.reasons


def test_a_network_that_learnt_nothing_is_not_used():
    found = evaluate(network.untrained(FORM), TRAIN, TEST, skills=worlds.MODELS)
    assert set(found.heads.values()) == {"baseline"}
    assert all(found.reasons.values())


def test_a_network_that_learnt_another_world_is_not_used(trained: network.Network):
    turned = [msgspec.structs.replace(row, hit=1 - row.hit) for row in TEST]
    found = evaluate(trained, TRAIN, turned, skills=worlds.MODELS, heads=["hit"])
    assert found.heads["hit"] == "baseline"


def test_every_baseline_stands_beside_each_head(trained: network.Network):
    pytest.importorskip("sklearn")
    found = evaluate(trained, TRAIN[:300], TEST[:200], skills=worlds.MODELS, simple=True)
    cases = {head: {row.case for row in found.rows if row.head == head} for head in found.heads}
    simple = {"network", "marginal", "logistic", "knn", "boosting"}
    assert cases == {
        "gap": simple | {"rule"},
        "hit": simple | {"rule"},
        "solve": simple | {"rule"},
    }
    for row in found.rows:
        assert row.low <= row.value + 0.02
        assert row.high >= row.value - 0.02


def test_without_scikit_learn_the_rest_is_there_with_a_note(
    trained: network.Network, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(evaluation, "has_baselines", lambda: False)
    found = evaluate(trained, TRAIN, TEST, skills=worlds.MODELS, heads=["hit"], simple=True)
    assert {row.case for row in found.rows} == {"network", "rule", "marginal"}
    assert "scikit-learn" in found.notes[0]


def test_a_head_without_labels_says_so(trained: network.Network):
    rows = [msgspec.structs.replace(row, solve={}) for row in TEST]
    found = evaluate(trained, TRAIN, rows, skills=worlds.MODELS, heads=["solve"])
    assert found.reasons == {"solve": "no labels in the test sessions"}


def test_figures_of_answers_that_are_known():
    found = figures(np.array([0.9, 0.9, 0.1, 0.1]), np.array([1.0, 0.0, 0.0, 0.0]))
    assert found["accuracy"] == pytest.approx(0.75)
    assert found["brier"] == pytest.approx((0.01 + 0.81 + 0.01 + 0.01) / 4)
    assert found["ece"] == pytest.approx((0.8 + 0.2) / 4)
    assert found["auc"] == pytest.approx((0.5 + 1 + 1) / 3)
    weighted = figures(np.array([0.9, 0.1]), np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    assert weighted["accuracy"] == pytest.approx(0.75)
