"""Whatever the gaps: probabilities stay probabilities, and no other action is cheaper than the one that is taken."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.gaps import STOPS, HazardGaps, Moment
from anchorline.cache.lifetime import Action, best, bets
from anchorline.cache.rules import load
from support.examples import examples
from support.ideal_replay import ChainStep, clairvoyant, cost, expected, fixed

RULES = load()
PROVIDERS = [provider for provider in RULES.providers.values() if provider.lifetimes]
MODEL = HazardGaps()

moments = st.builds(
    Moment,
    trigger=st.sampled_from(["user", "tool", "compact"]),
    tokens=st.integers(0, 10**7),
    depth=st.integers(0, 10**5),
    pauses=st.lists(st.tuples(st.floats(0, 1e9), st.booleans()), max_size=40).map(tuple),
    elapsed=st.floats(0, 1e10),
    stop=st.sampled_from(["", "max_tokens", *STOPS]),
)
steps = st.lists(
    st.tuples(st.floats(0, 9000), st.integers(1, 200_000), st.floats(0, 1), st.sampled_from(["", *STOPS])),
    min_size=1,
    max_size=25,
)


@given(moments, st.lists(st.floats(0, 1e8), min_size=2, max_size=20))
def test_longer_is_never_less_probable(moment: Moment, seconds: list[float]):
    gaps = MODEL.after(moment)
    shares = [gaps.within(limit) for limit in sorted(seconds)]
    assert all(0 <= share <= 1 for share in shares)
    assert all(early <= late + 1e-12 for early, late in pairwise(shares))


@given(
    moments,
    st.sampled_from(PROVIDERS),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 4),
)
def test_the_best_action_is_no_worse_than_any_other_or_nothing(moment, provider, fresh, prefix, pings):
    candidates = bets(provider, "", MODEL.after(moment), min(fresh, prefix), prefix, pings=pings)
    taken = best(candidates)
    assert taken.gain >= 0
    assert all(taken.gain >= bet.gain for bet in candidates)
    assert len(candidates) == len(provider.lifetimes) * (pings + 1)


@examples(60)
@given(steps, st.integers(0, 3))
def test_nothing_is_cheaper_than_knowing_the_future(drawn, pings):
    provider = RULES.provider("anthropic")
    at, chain, last = 0.0, [], 0
    for wait, tokens, share, stop in drawn:
        at += wait
        chain.append(ChainStep(at, tokens, int(share * min(last, tokens)), "tool", stop))
        last = tokens
    actions = [Action(), *(Action(one, count) for one in provider.lifetimes for count in range(pings + 1))]
    bound = cost(chain, clairvoyant(actions)(chain)) - 1e-6
    assert all(cost(chain, fixed(action)) >= bound for action in actions)
    assert cost(chain, expected(MODEL, provider, pings=pings)) >= bound
