"""Judging a policy on another one's log: against what is true, and where the log can't tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.trial import off_policy

ACTIONS = 3


def world(seed: int, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Features and the reward of every action: the first feature decides which one is best."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(count, 2))
    means = np.stack([features[:, 0], -features[:, 0], np.full(count, 0.2)], axis=1)
    return features, means + draw.normal(scale=0.3, size=means.shape)


def logged(
    rewards: np.ndarray, seed: int, chosen: np.ndarray, groups: np.ndarray | None = None
) -> off_policy.DecisionLog:
    rows = np.arange(len(rewards))
    draw = np.random.default_rng(seed)
    taken = (chosen.cumsum(axis=1) > draw.random(len(rewards))[:, None]).argmax(axis=1)
    return off_policy.log(
        taken, chosen[rows, taken], rewards[rows, taken], groups if groups is not None else list(rows)
    )


def uniform(count: int) -> np.ndarray:
    return np.full((count, ACTIONS), 1 / ACTIONS)


@given(st.integers(0, 10_000))
def test_a_policy_that_was_logged_earns_the_mean_of_its_log(seed: int):
    _, rewards = world(seed, 200)
    chosen = np.tile([0.5, 0.3, 0.2], (200, 1))
    found = off_policy.snips(logged(rewards, seed, chosen), chosen)
    log = logged(rewards, seed, chosen)
    assert found.value == pytest.approx(log.rewards.mean())
    assert found.effective == pytest.approx(200)
    assert found.low < found.value < found.high


def test_the_better_policy_is_found_on_the_log_of_a_random_one():
    features, rewards = world(1)
    best = np.eye(ACTIONS)[np.where(features[:, 0] > 0, 0, 1)]
    worst = np.eye(ACTIONS)[np.where(features[:, 0] > 0, 1, 0)]
    log = logged(rewards, 2, uniform(len(rewards)))
    model = off_policy.fitted(log, features, ACTIONS)
    for estimate in (
        lambda one: off_policy.snips(log, one),
        lambda one: off_policy.doubly_robust(log, one, model),
    ):
        good, bad = estimate(best), estimate(worst)
        assert bad.high < good.low
        assert good.low <= (best * rewards).sum(axis=1).mean() <= good.high
        assert good.believable


def test_a_good_model_makes_the_interval_narrower():
    features, rewards = world(3)
    best = np.eye(ACTIONS)[np.where(features[:, 0] > 0, 0, 1)]
    log = logged(rewards, 4, uniform(len(rewards)))
    plain = off_policy.snips(log, best)
    robust = off_policy.doubly_robust(log, best, off_policy.fitted(log, features, ACTIONS))
    assert robust.high - robust.low < plain.high - plain.low


def test_a_model_that_is_right_needs_no_log():
    _, rewards = world(5)
    target = uniform(len(rewards))
    log = logged(rewards, 6, uniform(len(rewards)))
    assert off_policy.doubly_robust(log, target, rewards).value == pytest.approx(rewards.mean())


def test_requests_of_one_session_count_as_one_observation():
    _, rewards = world(7, 100)
    repeated = np.repeat(rewards, 10, axis=0)
    chosen = uniform(len(repeated))
    rows = np.arange(len(repeated))
    taken = np.repeat(np.random.default_rng(8).integers(ACTIONS, size=100), 10)
    sessions = np.repeat(np.arange(100), 10)
    apart, together = (
        off_policy.snips(off_policy.log(taken, chosen[rows, taken], repeated[rows, taken], groups), chosen)
        for groups in (list(rows), sessions)
    )
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 2.5 * (apart.high - apart.low)


def test_what_was_hardly_ever_done_is_not_believed():
    _, rewards = world(9, 100)
    chosen = np.tile([0.98, 0.01, 0.01], (100, 1))
    log = logged(rewards, 10, chosen)
    assert not off_policy.snips(log, np.tile([0.0, 0.0, 1.0], (100, 1))).believable
    never = off_policy.snips(off_policy.log([0], [1.0], [1.0]), np.array([[0.0, 1.0, 0.0]]))
    assert (never.effective, never.low, never.high) == (0.0, -np.inf, np.inf)


def test_no_prompt_is_judged_by_a_model_that_has_seen_its_session():
    features, rewards = world(11, 60)
    sessions = np.repeat(np.arange(2), 30)
    rewards[:30], rewards[30:] = 0.0, 1.0
    log = logged(rewards, 12, uniform(60), sessions)
    model = off_policy.fitted(log, features, ACTIONS, folds=2)
    assert model[:30].min() > 0.9
    assert model[30:].max() < 0.1


@pytest.mark.parametrize(
    ("actions", "propensities", "rewards"),
    [([0], [0.0], [1.0]), ([0], [1.5], [1.0]), ([0, 1], [0.5], [1.0]), ([], [], [])],
)
def test_a_log_that_cannot_be_is_refused(actions: list[int], propensities: list[float], rewards: list[float]):
    with pytest.raises(ValueError, match=r"a log needs|a propensity is"):
        off_policy.log(actions, propensities, rewards)
