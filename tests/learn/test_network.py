"""The network's file and arithmetic: numpy and MLX agree, and a file from anywhere can't do harm."""

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from anchorline.cache.gaps import Moment
from anchorline.cache.hits import Return, probability
from anchorline.learn import features, network
from anchorline.learn.architecture import Architecture, KnownModel
from anchorline.learn.features import Features
from anchorline.learn.forward import FeatureTable
from anchorline.learn.network import CalibrationLine
from support import worlds
from support.examples import examples

FORM = Architecture(
    buckets=512, text=8, hidden=16, models=(KnownModel("large", 1.0), KnownModel("small", 0.1))
)


def noisy(form: Architecture = FORM, seed: int = 0) -> network.Network:
    """A network in which no array is zero, so that every path shows."""
    given = network.untrained(form, seed)
    draw = np.random.default_rng(seed)
    arrays = {
        name: values
        if "deviation" in name
        else (values + draw.normal(0, 0.1, values.shape)).astype(np.float32)
        for name, values in given.arrays.items()
    }
    return network.Network(given.description, network.rounded(arrays)).replaced(
        calibration={
            "hit": (CalibrationLine(0.8, 0.1),),
            "gap": tuple(CalibrationLine(1.1, 0.01 * i) for i in range(11)),
        }
    )


@given(seed=st.integers(0, 1000), count=st.integers(1, 9))
@examples(15)
def test_mlx_and_numpy_agree(seed: int, count: int):
    pytest.importorskip("mlx.core")
    from anchorline.learn.mlx_network import MlxNetwork

    plain = noisy(seed=seed)
    fast = MlxNetwork(plain)
    rows = worlds.decisions(count, seed)
    batch = FeatureTable([row.features for row in rows], FORM).all()
    models = [("large", 1.0), ("unseen", 0.6)]
    for one, other in (
        (plain.gap_odds(batch), fast.gap_odds(batch)),
        (plain.hit_odds(batch), fast.hit_odds(batch)),
        (plain.solve_odds(batch, models), fast.solve_odds(batch, models)),
    ):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_what_was_saved_says_the_same(tmp_path: Path):
    before = noisy().replaced(heads={"gap": "network", "hit": "baseline"}, provenance={"rows": 10})
    before.save(tmp_path / "r1")
    after = network.load(tmp_path / "r1")
    assert after.description == before.description
    assert (after.uses("gap"), after.uses("hit"), after.uses("solve")) == (True, False, False)
    seen = worlds.decisions(1)[0].features
    assert after.hit(seen) == before.hit(seen)
    assert after.gaps(seen) == before.gaps(seen)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "r1").iterdir()} == {0o600}


def test_a_network_of_format_1_is_read_without_its_further_head(tmp_path: Path):
    before = noisy().replaced(heads={"gap": "network"})
    before.save(tmp_path)
    file, arrays = tmp_path / network.DESCRIPTION, load_file(tmp_path / network.WEIGHTS)
    save_file(
        arrays | {"reuse.bias": np.zeros(4, np.float32), "scale.boundary_mean": np.zeros(2, np.float32)},
        tmp_path / network.WEIGHTS,
    )
    told = json.loads(file.read_bytes())
    told["format"] = 1
    told["architecture"] |= {"boundary": ["tokens", "share"], "segment": 4}
    told["architecture"]["views"]["reuse"] = ["moment"]
    told["heads"]["reuse"] = "network"
    told["calibration"]["reuse"] = [{"scale": 1.0, "shift": 0.0}]
    file.write_text(json.dumps(told))
    after = network.load(tmp_path)
    assert after.description == before.description
    assert after.arrays.keys() == before.arrays.keys()


def test_an_untrained_network_says_what_the_rule_says():
    back = Return("1h", 1000.0, 3600.0, user=True)
    assert network.untrained(FORM).hit(features.of(request=back)) == pytest.approx(
        probability(back), abs=1e-5
    )


def test_a_new_model_is_rated_by_its_skill():
    given = noisy()
    seen = features.of("fix the parser")
    alone = given.solve(seen, {"unseen": 0.6})["unseen"]
    assert alone == given.solve(seen, {"unseen": 0.6, "large": 1.0})["unseen"]
    assert alone != given.solve(seen, {"unseen": 0.9})["unseen"]


def test_gaps_are_a_distribution():
    for row in worlds.decisions(20):
        gaps = noisy().gaps(row.features)
        assert list(gaps.beyond) == sorted(gaps.beyond, reverse=True)
        assert 0 < gaps.within(300) < 1


def test_a_row_without_anything_known_has_an_answer():
    given = noisy()
    assert 0 < given.hit(Features()) < 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda kept: kept.pop("gap.bias"), "gap.bias"),
        (lambda kept: kept.update({"more": np.zeros(3, np.float32)}), "more"),
        (lambda kept: kept.update({"gap.bias": np.zeros(5, np.float32)}), "gap.bias"),
        (lambda kept: kept["gap.bias"].fill(np.nan), "not finite"),
        (lambda kept: kept["scale.deviation"].fill(0), "deviation"),
        (lambda kept: kept.update({"gap.bias": np.zeros(11, np.int64)}), "gap.bias"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, spoil, said: str):
    noisy().save(tmp_path)
    kept = load_file(tmp_path / network.WEIGHTS)
    spoil(kept)
    save_file(kept, tmp_path / network.WEIGHTS)
    with pytest.raises(network.NetworkError, match=said):
        network.load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 3),
        ("features", 99),
        ("heads", {"gap": "magic"}),
        ("unknown", 1),
        ("architecture", {"hidden": 10**9}),
        ("architecture", {"moment": ["tokens", "mood"]}),
        ("architecture", {"offsets": {"hit": ["no such"]}}),
        ("calibration", {"gap": [{}] * 3}),
        ("calibration", {"hit": [{"scale": math.inf}]}),
    ],
)
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, key: str, value: object):
    noisy().save(tmp_path)
    path = tmp_path / network.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(network.NetworkError, match=r"network\.(json|safetensors)"):
        network.load(tmp_path)


def test_cut_and_missing_files_are_refused(tmp_path: Path):
    with pytest.raises(network.NetworkError, match=r"network\.json"):
        network.load(tmp_path)
    noisy().save(tmp_path)
    weights = tmp_path / network.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(network.NetworkError, match=r"network\.safetensors"):
        network.load(tmp_path)


@given(text=st.text(max_size=3000))
@examples(50)
def test_any_draft_has_features(text: str):
    found = features.of(text)
    assert all(0 <= bucket < 2**15 for bucket in found.grams)
    assert len(set(found.grams)) == len(found.grams) <= 512
    if text:
        assert all(map(math.isfinite, found.draft))
    assert msgspec.convert(msgspec.to_builtins(found), Features) == found


def test_the_features_of_a_draft_do_not_hold_its_words():
    secret = "hunter2 quetzalcoatl"
    assert (
        secret.split(maxsplit=1)[0] not in msgspec.json.encode(features.of(f"deploy with {secret}")).decode()
    )


def test_a_moment_without_a_past_has_features():
    network.untrained(FORM).gaps(features.of(moment=Moment("user", 100)))
