"""The threshold follows the developer's own decisions, and finds back when there are none."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.ground.threshold import HALF_LIFE_S, LEAST, AdditionDecision, threshold

NOW = 1_790_000_000.0
SHIPPED = 0.5
EXACT = 1e-6

probabilities = st.floats(0.0, 1.0)
shipped_ones = st.floats(0.05, 0.95)
decisions = st.builds(AdditionDecision, probabilities, st.booleans(), st.floats(NOW - 3 * HALF_LIFE_S, NOW))
histories = st.lists(decisions, max_size=30)


def rejected(count: int, probability: float = 0.7, at: float = NOW) -> list[AdditionDecision]:
    return [AdditionDecision(probability, accepted=False, at=at)] * count


@given(shipped_ones)
def test_without_decisions_it_is_the_shipped_one(shipped: float) -> None:
    assert threshold(shipped, [], NOW) == pytest.approx(shipped, abs=EXACT)


@given(shipped_ones, histories)
def test_it_is_bounded(shipped: float, history: list[AdditionDecision]) -> None:
    assert LEAST * shipped <= threshold(shipped, history, NOW) <= 1


@given(shipped_ones, histories, decisions)
def test_an_acceptance_never_raises_it_and_a_rejection_never_lowers_it(
    shipped: float, history: list[AdditionDecision], other: AdditionDecision
) -> None:
    accepted = AdditionDecision(other.probability, accepted=True, at=other.at)
    refused = AdditionDecision(other.probability, accepted=False, at=other.at)
    before = threshold(shipped, history, NOW)
    assert threshold(shipped, [*history, accepted], NOW) <= before + EXACT
    assert threshold(shipped, [*history, refused], NOW) >= before - EXACT


@given(shipped_ones, histories, st.randoms(use_true_random=False))
def test_the_order_of_decisions_does_not_count(
    shipped: float, history: list[AdditionDecision], order: random.Random
) -> None:
    mixed = order.sample(history, len(history))
    assert threshold(shipped, mixed, NOW) == pytest.approx(threshold(shipped, history, NOW), abs=EXACT)


def test_one_decision_hardly_moves_it() -> None:
    assert threshold(SHIPPED, rejected(1), NOW) < SHIPPED + 0.02


def test_a_developer_who_accepts_what_is_right_keeps_the_shipped_one() -> None:
    chance = random.Random(1)
    history = [
        AdditionDecision(probability, accepted=chance.random() < probability, at=NOW)
        for probability in (chance.uniform(SHIPPED, 1.0) for _ in range(2000))
    ]
    assert threshold(SHIPPED, history, NOW) == pytest.approx(SHIPPED, abs=0.04)


def simulate(accepts_from: float, rounds: int = 400, seed: int = 1) -> tuple[float, float]:
    """Return the threshold in the end, and the share accepted of the last quarter of what was shown."""
    chance = random.Random(seed)
    history: list[AdditionDecision] = []
    at = NOW
    for _ in range(rounds):
        at += 3600.0
        probability = chance.random()
        if probability >= threshold(SHIPPED, history, at):
            history.append(AdditionDecision(probability, accepted=probability >= accepts_from, at=at))
    last = history[-len(history) // 4 :]
    return threshold(SHIPPED, history, at), sum(decision.accepted for decision in last) / len(last)


def test_who_accepts_only_what_is_sure_is_shown_less() -> None:
    pickier, share = simulate(0.85)
    assert SHIPPED + 0.1 < pickier < 0.85
    without_learning = (1 - 0.85) / (1 - SHIPPED)
    assert share > 1.4 * without_learning


def test_who_accepts_everything_is_shown_more() -> None:
    laxer, share = simulate(0.0)
    assert LEAST * SHIPPED <= laxer < SHIPPED - 0.1
    assert share == 1


def test_who_rejects_everything_is_shown_nothing_in_the_end_and_something_again_later() -> None:
    history = rejected(3000, probability=0.9)
    assert threshold(SHIPPED, history, NOW) == 1.0
    assert threshold(SHIPPED, rejected(100), NOW) > 0.8
    later = [threshold(SHIPPED, history, NOW + months * HALF_LIFE_S) for months in range(0, 14, 2)]
    assert later == sorted(later, reverse=True)
    assert later[-1] < SHIPPED + 0.05
