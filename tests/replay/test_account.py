"""The exact replay: what a policy pays for an account's conversations, by the providers' rules."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.lifetime import Action
from anchorline.cache.rules import load
from anchorline.replay import account, policies, simulation
from anchorline.replay.history import ReplayedRequest
from anchorline.replay.rule import CachingRule, Charges, Choices
from anchorline.replay.timeline import Timeline
from support.ideal_replay import ChainStep, clairvoyant, cost, fixed

RULES = load()
MODEL = "claude-opus-4-5"
ANTHROPIC = RULES.for_model(MODEL)
FIVE, HOUR = (ANTHROPIC.lifetime(name) for name in ("5m", "1h"))


def sent(chain: list[ChainStep], *, name: str = "a", head: int = 0) -> list[ReplayedRequest]:
    """A chain as requests of a conversation."""
    return [
        ReplayedRequest(
            "", "s", name, 0, MODEL, step.at, step.tokens, step.shared if index else head, 0, "tool", "5m"
        )
        for index, step in enumerate(chain)
    ]


def recorded(
    *requests: tuple[float, int, int], name: str = "a", head: int = 0, ttls: tuple[str, ...] = ()
) -> list[ReplayedRequest]:
    conversation = sent([ChainStep(*step) for step in requests], name=name, head=head)
    return [
        msgspec.structs.replace(request, ttl=ttl)
        for request, ttl in zip(conversation, ttls or ["5m"] * len(conversation), strict=True)
    ]


def run(rule: CachingRule, *conversations: list[ReplayedRequest]) -> Charges:
    requests = sorted((request for one in conversations for request in one), key=lambda one: one.at)
    timeline = Timeline(MODEL, ANTHROPIC, requests)
    charges = simulation.simulate(timeline, rule)
    assert charges.input.tolist() == pytest.approx(account.simulate(timeline, rule).input.tolist())
    return charges


def always(action: Action) -> CachingRule:
    def choose(timeline: Timeline) -> Choices:
        numbers = np.zeros(len(timeline), np.int64)
        return Choices([action], numbers, numbers)

    return CachingRule(choose)


def figures(charges: Charges) -> list[tuple[int, int, int]]:
    """Tokens read, written and neither."""
    return list(
        zip(*(column.tolist() for column in (charges.read, charges.written, charges.uncached)), strict=True)
    )


def test_what_grows_is_read_and_written():
    charges = run(always(Action(FIVE)), recorded((0, 5000, 0), (60, 6000, 5000)))
    assert figures(charges) == [(0, 5000, 0), (5000, 1000, 0)]
    assert charges.input[1] == pytest.approx(0.1 * 5000 + 1.25 * 1000)


def test_a_prefix_below_the_minimum_is_neither_written_nor_read():
    charges = run(always(Action(FIVE)), recorded((0, 4000, 0), (60, 4090, 4000)))
    assert figures(charges) == [(0, 0, 4000), (0, 0, 4090)]


def test_conversations_share_a_head_of_one_size():
    one = recorded((0, 20_000, 0), name="a", head=9000)
    other = recorded((100, 15_000, 0), name="b", head=9000)
    alone = recorded((100, 15_000, 0), name="b", head=8000)
    assert run(always(Action(FIVE)), one, other).read.tolist() == [0, 9000]
    assert run(always(Action(FIVE)), one, alone).read.tolist() == [0, 0]


def test_a_head_of_an_hour_outlives_a_tail_of_five_minutes():
    conversation = recorded((0, 20_000, 0), (1000, 21_000, 20_000), head=9000)
    zed = policies.named(["zed"])["zed"]
    assert run(zed, conversation).read.tolist() == [0, 9000]
    assert run(policies.named(["cline"])["cline"], conversation).read.tolist() == [0, 0]


def test_only_the_head_is_cached_where_the_rule_says_so():
    conversation = recorded((0, 20_000, 0), (100, 21_000, 20_000), head=9000)
    charges = run(policies.named(["continue"])["continue"], conversation)
    assert figures(charges) == [(0, 9000, 11_000), (9000, 0, 12_000)]


def test_pings_keep_it_warm_and_are_paid_by_the_request_before_them():
    conversation = recorded((0, 10_000, 0), (700, 11_000, 10_000))
    charges = run(always(Action(FIVE, 3)), conversation)
    assert charges.pings.tolist() == [2, 3]
    assert charges.ping.tolist() == pytest.approx([2 * 0.1 * 10_000, 3 * 0.1 * 11_000])
    assert charges.read.tolist() == [0, 10_000]


def test_what_was_really_written_is_replayed_with_its_lifetimes():
    conversation = recorded(
        (0, 10_000, 0), (400, 11_000, 10_000), (800, 12_000, 11_000), ttls=("5m", "1h", "1h")
    )
    charges = run(policies.named(["recorded"])["recorded"], conversation)
    assert charges.read.tolist() == [0, 0, 11_000]
    assert charges.write[1] == 2 * 11_000


def test_nothing_is_written_for_a_next_request_that_comes_too_late():
    conversation = recorded((0, 10_000, 0), (60, 11_000, 10_000), (90_000, 12_000, 11_000))
    charges = run(policies.named(["clairvoyant"])["clairvoyant"], conversation)
    assert [row[:2] for row in figures(charges)] == [(0, 10_000), (10_000, 0), (0, 0)]


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
    charges = run(policies.named([name])[name], sent(chain))
    actions = [Action(), *(Action(one, k) for one in (FIVE, HOUR) for k in range(4))]
    assert charges.input.sum() >= cost(chain, clairvoyant(actions)(chain)) - 1e-6
    for (read, written, uncached), step in zip(figures(charges), chain, strict=True):
        assert read + written + uncached == step.tokens
        assert read <= step.shared


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
    charges = run(always(Action(lifetime, pings)), sent(growing))
    assert charges.input.sum() == pytest.approx(cost(growing, fixed(Action(lifetime, pings))))
