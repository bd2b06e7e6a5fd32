"""The exact replay: what a policy pays for an account's conversations, by the providers' rules."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.lifetime import Action
from anchorline.cache.rules import load
from anchorline.replay import account, policies
from anchorline.replay.account import CachingRule, Paid, RecordedConversation
from anchorline.replay.chain import ChainStep, clairvoyant, cost, fixed

RULES = load()
MODEL = "claude-opus-4-5"
ANTHROPIC = RULES.for_model(MODEL)
FIVE, HOUR = (ANTHROPIC.lifetime(name) for name in ("5m", "1h"))


def recorded(
    *requests: tuple[float, int, int], name: str = "a", head: int = 0, ttls: tuple[str, ...] = ()
) -> RecordedConversation:
    return RecordedConversation("s", name, MODEL, tuple(ChainStep(*one) for one in requests), ttls, head)


def run(rule: CachingRule, *conversations: RecordedConversation) -> list[Paid]:
    return list(account.run(conversations, rule, RULES.for_model))


def always(action: Action) -> CachingRule:
    return CachingRule(lambda *_: fixed(action))


def total(paid: list[Paid]) -> float:
    return sum(one.charge + one.pings for one in paid)


def test_what_grows_is_read_and_written():
    first, second = run(always(Action(FIVE)), recorded((0, 5000, 0), (60, 6000, 5000)))
    assert (first.read, first.written, first.uncached) == (0, 5000, 0)
    assert (second.read, second.written, second.uncached) == (5000, 1000, 0)
    assert second.charge == pytest.approx(0.1 * 5000 + 1.25 * 1000)


def test_a_prefix_below_the_minimum_is_neither_written_nor_read():
    paid = run(always(Action(FIVE)), recorded((0, 4000, 0), (60, 4090, 4000)))
    assert [(one.read, one.written, one.uncached) for one in paid] == [(0, 0, 4000), (0, 0, 4090)]


def test_conversations_share_a_head_of_one_size():
    one = recorded((0, 20_000, 0), name="a", head=9000)
    other = recorded((100, 15_000, 0), name="b", head=9000)
    alone = recorded((100, 15_000, 0), name="b", head=8000)
    assert [paid.read for paid in run(always(Action(FIVE)), one, other)] == [0, 9000]
    assert [paid.read for paid in run(always(Action(FIVE)), one, alone)] == [0, 0]


def test_a_head_of_an_hour_outlives_a_tail_of_five_minutes():
    conversation = recorded((0, 20_000, 0), (1000, 21_000, 20_000), head=9000)
    zed = policies.named(["zed"])["zed"]
    assert [one.read for one in run(zed, conversation)] == [0, 9000]
    assert [one.read for one in run(policies.named(["cline"])["cline"], conversation)] == [0, 0]


def test_only_the_head_is_cached_where_the_rule_says_so():
    conversation = recorded((0, 20_000, 0), (100, 21_000, 20_000), head=9000)
    first, second = run(policies.named(["continue"])["continue"], conversation)
    assert (first.written, first.uncached) == (9000, 11_000)
    assert (second.read, second.written, second.uncached) == (9000, 0, 12_000)


def test_pings_keep_it_warm_and_are_paid_by_the_request_before_them():
    conversation = recorded((0, 10_000, 0), (700, 11_000, 10_000))
    first, second = run(always(Action(FIVE, 3)), conversation)
    assert (first.sent, first.pings) == (2, pytest.approx(2 * 0.1 * 10_000))
    assert second.read == 10_000
    assert (second.sent, second.pings) == (3, pytest.approx(3 * 0.1 * 11_000))


def test_what_was_really_written_is_replayed_with_its_lifetimes():
    conversation = recorded(
        (0, 10_000, 0), (400, 11_000, 10_000), (800, 12_000, 11_000), ttls=("5m", "1h", "1h")
    )
    paid = run(policies.named(["recorded"])["recorded"], conversation)
    assert [one.read for one in paid] == [0, 0, 11_000]
    assert paid[1].charge == 2 * 11_000


def test_nothing_is_written_for_a_next_request_that_comes_too_late():
    conversation = recorded((0, 10_000, 0), (60, 11_000, 10_000), (90_000, 12_000, 11_000))
    paid = run(policies.named(["clairvoyant"])["clairvoyant"], conversation)
    assert [(one.read, one.written) for one in paid] == [(0, 10_000), (10_000, 0), (0, 0)]


chains = st.lists(
    st.tuples(st.floats(1, 8000), st.integers(5000, 200_000), st.floats(0, 1)), min_size=1, max_size=12
).map(
    lambda steps: [
        ChainStep(
            sum(gap for gap, _, _ in steps[: i + 1]),
            tokens,
            round(share * min(tokens, steps[i - 1][1])) if i else 0,
        )
        for i, (_, tokens, share) in enumerate(steps)
    ]
)


@given(chains, st.sampled_from([name for name in policies.POLICIES if name != "recorded"]))
def test_no_policy_is_charged_less_than_the_ideal_bound_or_reads_more_than_was_there(chain, name):
    conversation = RecordedConversation("s", "a", MODEL, tuple(chain))
    paid = run(policies.named([name])[name], conversation)
    actions = [Action(), *(Action(one, k) for one in (FIVE, HOUR) for k in range(4))]
    assert total(paid) >= cost(chain, clairvoyant(actions)(chain)) - 1e-6
    for one, step in zip(paid, chain, strict=True):
        assert one.read + one.written + one.uncached == step.tokens
        assert one.read <= step.shared


@given(chains, st.sampled_from([FIVE, HOUR]), st.integers(0, 2))
def test_a_conversation_that_only_grows_costs_what_the_ideal_replay_says(chain, lifetime, pings):
    growing = []
    for step in chain:
        before = growing[-1].tokens if growing else 0
        growing.append(ChainStep(step.at, before + step.tokens, before))
    gaps = [later.at - earlier.at for earlier, later in pairwise(growing)]
    alive = Action(lifetime, pings).alive
    if any(abs(gap - alive) < 1e-3 for gap in gaps):
        return  # to the moment: the two add up the seconds in another order
    paid = run(always(Action(lifetime, pings)), RecordedConversation("s", "a", MODEL, tuple(growing)))
    assert total(paid) == pytest.approx(cost(growing, fixed(Action(lifetime, pings))))
