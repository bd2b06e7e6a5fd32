"""A request counts once, whoever saw it, and no two requests are taken for one."""

from hypothesis import given
from hypothesis import strategies as st

from anchorline.billed.duplicates import NEAR_S, SeenRequest, SeenRequests

BILL = (1000, 900, 20)


def seen(
    at: float, answer: str | None = None, request: str | None = None, bill=BILL, seconds=2.0
) -> SeenRequest:
    return SeenRequest(at, seconds, answer, request, bill)


def noted(*some: SeenRequest, shared: tuple = ()) -> SeenRequests:
    made = SeenRequests(shared)
    for one in some:
        made.note(one)
    return made


def test_the_answers_id_says_which_request_it_was_whatever_the_clocks_say():
    both = noted(seen(0.0, "a"), seen(0.0, "b"))
    assert both.take(5000.0, "a", None, BILL)
    assert not both.take(5000.0, "a", None, BILL)
    assert not both.take(1.0, "c", None, BILL)


def test_an_id_that_comes_back_under_another_request_is_another_answer():
    both = noted(seen(0.0, "a", "r1"))
    assert not both.take(1.0, "a", "r2", BILL)
    assert both.take(5000.0, "a", "r1", BILL)


def test_a_relay_may_repeat_the_requests_id_as_well():
    relayed = noted(seen(0.0, "a", "r"), seen(100.0, "a", "r"), shared=(("a", "r"),) * 2)
    assert not relayed.take(50.0, "a", "r", BILL)
    assert relayed.take(101.0, "a", "r", BILL)
    assert relayed.take(1.0, "a", "r", BILL)


def test_of_answers_with_one_id_the_time_says_which_is_which():
    relayed = noted(seen(0.0, "relay"), seen(100.0, "relay"), shared=(("relay", None),) * 2)
    assert not relayed.take(50.0, "relay", None, BILL)
    assert relayed.take(101.0, "relay", None, BILL)
    assert not relayed.take(101.5, "relay", None, BILL)
    assert relayed.take(1.5, "relay", None, BILL)


def test_a_relays_only_answer_of_another_day_is_another_one():
    assert not noted(seen(0.0, "relay"), shared=(("relay", None),) * 2).take(90_000.0, "relay", None, BILL)
    assert not noted(seen(0.0, "relay")).take(90_000.0, "relay", None, (1001, 900, 20))


def test_without_an_id_the_tokens_must_be_the_same_and_the_time_that_of_the_answer():
    old = noted(seen(0.0), seen(900.0))
    assert not old.take(1.0, "a", None, (1000, 900, 21))
    assert not old.take(2.0 + NEAR_S + 1, "a", None, BILL)
    assert old.take(901.0, "a", None, BILL)
    assert old.take(1.0, "a", None, BILL)
    assert not old.take(1.0, "a", None, BILL)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from((None, "x", "y")), st.booleans()), max_size=12),
    st.booleans(),
    st.permutations(range(12)),
)
def test_all_that_both_have_seen_is_found_and_nothing_else(sent, named, order):
    """Equal requests a minute apart, with ids of their own, with one for all, or with none."""
    ids = [f"id-{index}" if named else relay for index, (_, relay, _) in enumerate(sent)]
    times = [60.0 * index + minute for index, (minute, _, _) in enumerate(sent)]
    both = noted(
        *(seen(at, one) for at, one, (_, _, passed) in zip(times, ids, sent, strict=True) if passed),
        shared=[(one, None) for one in ("x", "y")] * 2,
    )
    found = [
        index
        for index in order
        if index < len(sent) and both.take(times[index] + 1.0, ids[index], None, BILL)
    ]
    assert sorted(found) == [index for index, (_, _, passed) in enumerate(sent) if passed]
