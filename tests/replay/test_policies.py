"""The policies for all requests at once, against the same rules for one after the other (`support/ideal_replay.py`)."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.gaps import STOPS, GapModel, HazardGaps
from anchorline.cache.lifetime import Action
from anchorline.cache.rules import load
from anchorline.replay import policies
from anchorline.replay.foresight import Foresight
from anchorline.replay.history import ReplayedRequest
from anchorline.replay.timeline import Timeline
from support.examples import examples
from support.ideal_replay import ChainPolicy, ChainPosition, ChainStep, clairvoyant, delta_rule, expected

MODEL = "claude-opus-4-5"
ANTHROPIC = load().for_model(MODEL)
FIVE, HOUR = ANTHROPIC.lifetimes

steps = st.lists(
    st.tuples(
        st.one_of(st.floats(0.01, 9000), st.sampled_from((1.0, 10.0, 300.0, 3600.0))),
        st.integers(1, 200_000),
        st.floats(0, 1),
        st.sampled_from(("tool", "tool", "user", "compact")),
        st.sampled_from(("", *STOPS)),
    ),
    min_size=1,
    max_size=30,
)


def chain(drawn: Sequence[tuple[float, int, float, str, str]]) -> list[ChainStep]:
    made: list[ChainStep] = []
    at = 0.0
    for gap, tokens, share, trigger, stop in drawn:
        at += gap
        shared = round(share * min(tokens, made[-1].tokens)) if made else 0
        made.append(ChainStep(at, tokens, shared, trigger, stop, 100))
    return made


def timeline(*chains: Sequence[ChainStep]) -> Timeline:
    requests = [
        ReplayedRequest(
            "", "s", f"c{number}", 0, MODEL, step.at, step.tokens, step.shared, step.output, step.trigger, "5m",
            stop=step.stop,
        )
        for number, one in enumerate(chains)
        for step in one
    ]  # fmt: skip
    return Timeline(MODEL, ANTHROPIC, sorted(requests, key=lambda request: request.at))


def actions(
    chains: Sequence[Sequence[ChainStep]], policy: str, gaps: GapModel | None
) -> list[tuple[Action, Action]]:
    """The choices of a policy, cold and warm, conversation by conversation."""
    timed = timeline(*chains)
    choices = policies.named([policy], gaps)[policy].choose(timed)
    pairs = zip(choices.cold.tolist(), choices.warm.tolist(), timed.requests, strict=True)
    rows = sorted(pairs, key=lambda row: row[2].chain)
    return [(choices.actions[cold], choices.actions[warm]) for cold, warm, _ in rows]


def one_by_one(chains: Sequence[Sequence[ChainStep]], policy: ChainPolicy) -> list[tuple[Action, Action]]:
    return [
        (
            policy(ChainPosition(one, index, 0)),
            policy(ChainPosition(one, index, min(step.shared, step.tokens))),
        )
        for one in chains
        for index, step in enumerate(one)
    ]


@examples(60)
@given(
    st.lists(steps.map(chain), min_size=1, max_size=3), st.integers(0, 3).map(lambda pings: 3 if pings else 0)
)
def test_the_cheapest_in_expectation(chains, pings):
    name = "anchorline-pings" if pings else "anchorline"
    assert actions(chains, name, None) == one_by_one(chains, expected(HazardGaps(), ANTHROPIC, pings=pings))


def test_any_other_model_of_gaps_decides_as_well():
    class Other(HazardGaps):
        """Is asked for one request after the other."""

    chains = [chain([(30.0, 9000 + 500 * n, 1.0, "user", "end_turn") for n in range(40)])]
    assert actions(chains, "anchorline", Other()) == actions(chains, "anchorline", None)


@examples(60)
@given(st.lists(steps.map(chain), min_size=1, max_size=3))
def test_hindsight_and_the_delta_rule(chains):
    every = [Action(), *(Action(life, k) for life in (FIVE, HOUR) for k in range(policies.PINGS + 1))]
    foreseen = [pair for one in chains for pair in one_by_one([one], clairvoyant(every)(one))]
    warm = [
        bool(step.shared) for one in chains for step in one
    ]  # where nothing is shared, none of it is warm
    for mine, theirs, shares in zip(actions(chains, "clairvoyant", None), foreseen, warm, strict=True):
        assert mine[: 1 + shares] == theirs[: 1 + shares]
    assert actions(chains, "delta-rule", None) == one_by_one(chains, delta_rule(Action(FIVE), Action(HOUR)))


@examples(60)
@given(steps.map(chain), st.booleans(), st.floats(0.1, 20_000))
def test_the_table_says_the_same_of_many_requests_as_of_one(drawn, answered, seconds):
    class Other(HazardGaps):
        """Is asked for one request after the other."""

    many = Foresight(timeline(drawn), HazardGaps(), answered=answered).within(seconds)
    single = Foresight(timeline(drawn), Other(), answered=answered).within(seconds)
    assert many.tolist() == pytest.approx(single.tolist())
