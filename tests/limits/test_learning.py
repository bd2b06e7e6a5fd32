"""What tokens cost of a window is learnt from how its figure rose, and told with an interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anchorline.limits.learning import learn
from anchorline.limits.model import OTHER
from anchorline.limits.nnls import nnls
from anchorline.limits.steps import Step, steps
from anchorline.limits.windows import Point, Series, WindowSpan
from anchorline.limits.work import Work
from bench.data.limit_worlds import PRICES, Nature, World, world

SERIES = Series("anthropic", "", "five_hour")


@given(
    arrays.arrays(np.float64, (7, 3), elements=st.floats(-10, 10)),
    arrays.arrays(np.float64, 7, elements=st.floats(-10, 10)),
)
def test_no_other_coefficients_that_are_not_negative_are_better(
    matrix: np.ndarray, target: np.ndarray
) -> None:
    x = nnls(matrix, target)
    assert (x >= 0).all()
    best = float(np.linalg.norm(matrix @ x - target))
    for index in range(3):
        for change in (-0.1, -0.001, 0.001, 0.1):
            other = x.copy()
            other[index] = max(other[index] + change, 0.0)
            assert best <= float(np.linalg.norm(matrix @ other - target)) + 1e-6


def request(at: float, usd: float = 0.1, model: str = "m") -> Work:
    return Work(at, model, (0.0, 0.0, 0.0, usd, 0.0))


def span(*points: tuple[float, float, float]) -> WindowSpan:
    return WindowSpan(SERIES, "", 18_000.0, 18_000.0, tuple(Point(*point) for point in points))


def test_a_step_has_what_was_sent_before_its_last_figure() -> None:
    # A figure a minute, told two seconds after each request, and a per cent more with each: 10 % a dollar.
    work = [request(60.0 * number) for number in range(9)]
    told = span(*((60.0 * number + 2, 60.0 * number + 2, float(number)) for number in range(9)))
    first, second = steps([told], work)
    assert (first.begins, first.ends, first.rise, list(first.work)) == (0, 240, 4, work[0:4])
    assert (second.begins, second.ends, second.rise, list(second.work)) == (240, 480, 4, work[4:8])


def test_what_rises_in_a_pause_is_in_no_step() -> None:
    work = [request(60.0 * number) for number in range(5)] + [
        request(8000 + 60.0 * number) for number in range(5)
    ]
    told = span(
        *((60.0 * number + 2, 60.0 * number + 2, float(number)) for number in range(5)),
        *((8002 + 60.0 * number, 8002 + 60.0 * number, 40.0 + number) for number in range(5)),
    )
    assert [step.rise for step in steps([told], work)] == [4, 4]


def test_work_on_credits_is_in_no_step() -> None:
    work = [request(60.0 * number) for number in range(9)]
    told = span(*((60.0 * number + 2, 60.0 * number + 2, float(number)) for number in range(9)))
    assert steps([told], work, full=[(0.0, 600.0)]) == []


def test_work_past_the_wall_is_in_no_step() -> None:
    work = [request(60.0 * number) for number in range(20)]
    told = span(*((60.0 * number + 2, 60.0 * number + 2, min(96.0 + number, 100.0)) for number in range(20)))
    assert [(step.ends, step.rise) for step in steps([told], work)] == [(180, 3)]


def test_too_few_steps_teach_nothing() -> None:
    assert learn([Step(0, 60, 4, [request(0)])] * 4) is None
    assert learn([Step(0, 60, 4, [Work(0, "unpriced", None)])] * 9) is None


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((-1.0, 0.0, 0.0, 4.0, 5.0, 60.0)),
            st.lists(
                st.tuples(*(st.sampled_from((0.0, 1e-9, 0.1, 3.0, 500.0)) for _ in range(5))), max_size=3
            ),
            st.sampled_from("ab"),
        ),
        max_size=14,
    )
)
def test_whatever_the_steps_are_it_learns_something_finite_or_nothing(rows) -> None:
    made = [
        Step(number, number + 60.0, rise, [Work(number, model, usd) for usd in sent])
        for number, (rise, sent, model) in enumerate(rows)
    ]
    learnt = learn(made)
    if learnt is not None:
        for weights in learnt.models.values():
            assert all(0 <= mean < np.inf for mean in weights.mean)
            assert (np.linalg.eigvalsh(np.array(weights.covariance)) > -1e-6).all()


@pytest.fixture(scope="module")
def plain() -> World:
    return world(Nature("plain", days=10), 3)


def learnt_of(made: World, window: str = "five_hour"):
    from anchorline.limits.windows import spans

    group = spans(made.samples)[Series("anthropic", "", window)]
    learnt = learn(steps(group, made.work))
    assert learnt is not None
    return learnt


def check(made: World, model: str, tokens: tuple[float, ...], within: float) -> None:
    """The interval holds the truth, and the estimate is near it."""
    usd = np.array(tokens) * np.array(PRICES[model]) / 1e6
    weights = learnt_of(made).models[model]
    truth = float(usd @ made.weights["five_hour"][model])
    value = float(usd @ np.array(weights.mean))
    deviation = float(np.sqrt(usd @ np.array(weights.covariance) @ usd))
    assert abs(value - truth) < within * truth
    assert abs(value - truth) < 4 * deviation


def test_a_cold_and_a_warm_request_cost_what_they_do(plain: World) -> None:
    check(plain, "claude-opus-5", (0, 0, 0, 100_000, 500), 0.1)
    check(plain, "claude-opus-5", (40, 100_000, 0, 1500, 350), 0.1)


def test_models_go_by_their_prices_where_they_do_and_by_their_own_weights_where_they_do_not() -> None:
    assert not learnt_of(world(Nature("by prices", models=3), 1)).own_weights
    own = world(Nature("own", models=3, model_spread=0.8), 1)
    assert learnt_of(own).own_weights
    for model in own.weights["five_hour"]:
        check(own, model, (40, 100_000, 0, 1500, 350), 0.2)


def test_use_from_elsewhere_is_not_taken_for_ours() -> None:
    check(world(Nature("elsewhere", elsewhere=2.0), 1), "claude-opus-5", (40, 100_000, 0, 1500, 350), 0.1)


def test_a_model_that_was_never_used_has_a_wider_interval() -> None:
    learnt = learnt_of(world(Nature("own", models=3, model_spread=0.8), 1))
    unknown, known = learnt.models[OTHER], learnt.models["claude-opus-5"]
    assert unknown.covariance[1][1] / unknown.mean[1] ** 2 > 4 * known.covariance[1][1] / known.mean[1] ** 2
