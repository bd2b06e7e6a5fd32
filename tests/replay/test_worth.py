"""The worth of a change: what it would have saved on recorded requests, in USD."""

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.replay import policies
from anchorline.replay.bootstrap import share, total
from anchorline.replay.changes import (
    Change,
    ChosenLifetimes,
    Lifetimes,
    OneModel,
    Shorter,
    Unbroken,
    WarmCompactions,
)
from anchorline.replay.costs import PricedHistory
from anchorline.replay.history import History, answer_usd
from anchorline.replay.interval import Interval
from anchorline.replay.worth import WhatIf
from anchorline.route.pricing import Pricing
from anchorline.route.target import load
from anchorline.sessions.request import RecordedRequest
from support.examples import examples
from support.recorded_days import recorded_days
from support.recorded_usage import billed

TARGETS = load()
OPUS, HAIKU = "claude-opus-4-5", "claude-haiku-4-5"  # $5 and $1 for a million tokens
PLAIN = RecordedRequest("r", "s", "main", 0, OPUS, 0.0, None, "tool", False, 1, b"", 0, 0, 0, 0, 0, None)


def sent(at: float, read: int, short: int = 0, long: int = 0, **changes: object) -> RecordedRequest:
    given = {"id": f"r{at}", "sent_at": at, "read": read, "write_5m": short, "write_1h": long, **changes}
    return msgspec.structs.replace(PLAIN, **given)


def what_if(requests: Sequence[RecordedRequest]) -> WhatIf:
    return WhatIf(History(map(billed, requests), TARGETS), TARGETS)


def worth(change: Change, *requests: RecordedRequest) -> float:
    return what_if(requests).worth(change).value


def test_an_hour_keeps_what_five_minutes_lose():
    requests = [sent(0, 0, 10_000), sent(1000, 0, 11_000)]
    was = 1.25 * (10_000 + 11_000)
    kept = 2.0 * (10_000 + 1000) + 0.1 * 10_000
    assert worth(Lifetimes(main="1h"), *requests) == pytest.approx((was - kept) * 5e-6)


def test_lifetimes_of_sub_agents_are_set_apart():
    requests = [sent(0, 0, 10_000, chain="agent-1"), sent(1000, 0, 11_000, chain="agent-1")]
    assert worth(Lifetimes(main="1h"), *requests) == 0
    assert worth(Lifetimes(subagents="1h"), *requests) > 0


def test_chosen_lifetimes_are_those_of_the_policy_where_it_sets_a_breakpoint():
    pauses = [0, 5, 9, 15, 20, 1200, 1205, 1211, 2600, 2606]
    requests = [
        sent(at, 50_000 + 1000 * (number - 1) if number and at - pauses[number - 1] < 300 else 0)
        for number, at in enumerate(pauses)
    ]
    requests = [
        msgspec.structs.replace(
            request,
            write_5m=50_000 + 1000 * number - request.read,
            trigger="user" if number % 3 == 0 else "tool",
        )
        for number, request in enumerate(requests)
    ]
    history = History(map(billed, requests), TARGETS)
    own = (
        PricedHistory(history.requests, TARGETS)
        .charges(policies.named([policies.OWN])[policies.OWN])
        .usd.sum()
    )
    was = (
        PricedHistory(history.requests, TARGETS)
        .charges(policies.named([policies.RECORDED])[policies.RECORDED])
        .usd.sum()
    )
    saved = WhatIf(history, TARGETS).worth(ChosenLifetimes()).value
    assert saved > 0
    assert saved == pytest.approx(was - own, rel=0.05)  # after the last request it writes nothing, this does


def test_lifetimes_are_not_chosen_in_a_session_on_a_plan():
    requests = [sent(0, 0, 0, 10_000), sent(10, 10_000, 1000), sent(4000, 0, 12_000)]
    assert worth(ChosenLifetimes(), *requests) == 0


def test_without_a_switch_of_model_the_prefix_is_read_and_paid_at_the_price_of_the_one_that_is_kept():
    requests = [
        sent(0, 0, 10_000),
        sent(10, 0, 11_000, model=HAIKU, output=100),
        sent(20, 10_000, 2000),
    ]
    was = (1.25 * 10_000 + 0.1 * 10_000 + 1.25 * 2000) * 5e-6 + 1.25 * 11_000 * 1e-6 + 100 * 5e-6
    kept = (1.25 * 12_000 + 0.1 * (10_000 + 11_000)) * 5e-6 + 100 * 25e-6
    assert worth(OneModel(), *requests) == pytest.approx(was - kept)


def test_a_history_that_is_not_changed_is_read():
    requests = [sent(0, 0, 10_000), sent(10, 0, 11_000), sent(20, 11_000, 1000)]
    saved = (1.25 - 0.1) * 10_000 * 5e-6
    assert worth(Unbroken(frozenset({"r10"})), *requests) == pytest.approx(saved)
    assert worth(Unbroken(frozenset({"r20"})), *requests) == 0


def test_a_compaction_while_the_prefix_is_warm_reads_it():
    requests = [
        sent(0, 0, 100_000),
        sent(10, 100_000, 50_000),
        sent(5000, 0, 20_000, trigger="compact"),
    ]
    saved = (1.25 - 0.1) * 150_000 * 5e-6
    assert worth(WarmCompactions(), *requests) == pytest.approx(saved)
    warm = msgspec.structs.replace(requests[2], sent_at=40.0)
    assert worth(WarmCompactions(), *requests[:2], warm) == 0


def test_what_is_taken_away_is_missing_in_all_that_follows_until_a_compaction():
    requests = [
        sent(0, 0, 10_000),
        sent(10, 10_000, 30_000),
        sent(20, 40_000, 1000),
        sent(30, 41_000, 1000),
        sent(40, 5000, 15_000, trigger="compact"),
        sent(50, 20_000, 1000),
    ]
    saved = (1.25 * 25_000 + 0.1 * 25_000 * 2) * 5e-6
    assert worth(Shorter({"r10": 25_000}), *requests) == pytest.approx(saved)


def test_what_is_taken_away_is_missing_in_a_sub_agent_or_another_model_only_where_they_carry_it():
    requests = [
        sent(0, 0, 10_000),
        sent(10, 10_000, 30_000),
        sent(12, 0, 8000, chain="agent-1"),
        sent(20, 0, 41_000, model=HAIKU),
    ]
    saved = 1.25 * 25_000 * 5e-6 + 1.25 * 25_000 * 1e-6
    assert worth(Shorter({"r10": 25_000}), *requests) == pytest.approx(saved)


def test_a_prompt_that_was_rewound_before_it_does_not_carry_it():
    requests = [sent(0, 0, 10_000), sent(10, 10_000, 30_000), sent(20, 10_000, 500)]
    assert worth(Shorter({"r10": 25_000}), *requests) == pytest.approx(1.25 * 25_000 * 5e-6)


def test_no_more_is_taken_away_than_a_request_brought():
    requests = [sent(0, 0, 10_000), sent(10, 10_000, 2000)]
    assert worth(Shorter({"r10": 1_000_000}), *requests) == pytest.approx(1.25 * 1999 * 5e-6)


def test_the_interval_holds_the_worth_and_is_over_sessions():
    requests = [
        request
        for number in range(30)
        for request in (
            sent(number * 90_000.0, 0, 10_000, session=f"s{number}"),
            sent(number * 90_000.0 + 400 + number, 0, 10_000 + 100 * number, session=f"s{number}"),
        )
    ]
    interval = what_if(requests).worth(Lifetimes(main="1h"))
    assert interval.low < interval.value < interval.high
    alone = what_if(requests[:2]).worth(Lifetimes(main="1h"))
    assert alone.low == alone.value == alone.high


def test_a_bootstrap_of_nothing_is_zero():
    assert total([]) == share([], []) == share([0.0], [0.0]) == Interval(0, 0, 0)


@examples(100)
@given(st.randoms(use_true_random=True))
def test_a_change_that_reaches_some_requests_is_worth_the_difference_of_two_whole_replays(draw: Random):
    history = History(recorded_days(draw), TARGETS)
    requests = history.requests
    some = [request.id for request in requests if draw.random() < 0.1]
    change = draw.choice(
        (Unbroken(frozenset(some)), Shorter(dict.fromkeys(some, 500)), OneModel(), Lifetimes(subagents="1h"))
    )
    was, changed = change.sides(requests, TARGETS.rules)
    rule = policies.named(["recorded"])["recorded"]
    pricing = Pricing(TARGETS)
    before, after = (
        PricedHistory(side, TARGETS).charges(rule).usd.sum() + sum(answer_usd(one, pricing) for one in side)
        for side in (was, changed)
    )
    assert WhatIf(history, TARGETS).worth(change).value == pytest.approx(before - after, abs=1e-9)
