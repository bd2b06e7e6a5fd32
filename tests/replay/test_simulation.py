"""The fast replay against the cache itself, over odd histories: the same to the last token."""

from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.lifetime import Action
from anchorline.cache.rules import Provider, load
from anchorline.replay import account, simulation
from anchorline.replay.history import ReplayedRequest
from anchorline.replay.request import RejectedError
from anchorline.replay.rule import CachingRule, Choices
from anchorline.replay.timeline import Timeline
from support.examples import examples

RULES = load()
MODELS = ("claude-opus-4-5", "claude-opus-4-8", "claude-haiku-5-5")
GAPS = (0, 1, 5.5, 50, 200, 290, 294.9, 295, 299, 300, 301, 590, 1200, 3590, 3600, 3601, 12_000)


def history(draw: Random) -> list[ReplayedRequest]:
    """Conversations side by side that share heads: most grow; some fall back, begin anew, shrink, or stay."""
    requests = []
    paces = [draw.random() ** 3 for _ in GAPS]
    for number in range(draw.randint(1, 5)):
        at = draw.choice((0.0, 0.0, 3.0, 150.0, 298.0, 3000.0))
        shared, tokens = draw.choice((0, 300, 2000, 5000)), draw.choice((1, 400, 6000, 9000))
        for _ in range(draw.randint(1, 40)):
            requests.append(
                ReplayedRequest("", "s", f"c{number}", 0, "m", at, tokens, shared, 0, "tool", "5m")
            )
            at += draw.choices(GAPS, paces)[0]
            kept = draw.choices((tokens, draw.randint(0, tokens), 0, max(tokens // 2, 1)), (15, 2, 1, 1))[0]
            shared, tokens = kept, kept + draw.choice((0, 1, 400, draw.randint(1, 900))) or 1
    return sorted(requests, key=lambda request: request.at)


def provider(draw: Random, model: str) -> Provider:
    """The rules for a model, or a variant of them as a user's own file can have it."""
    rules = RULES.for_model(model)
    variants = {
        "lookback": draw.choice((0, 1, 2, 5)),
        "lifetimes": draw.choice((rules.lifetimes[:1], rules.lifetimes[1:])),
        "minimum_tokens": draw.choice((0, 1, 400, 3000)),
        "refresh_on_read": False,
    }
    chances = {"lookback": 0.3, "lifetimes": 0.2, "minimum_tokens": 0.6, "refresh_on_read": 0.05}
    changes = {key: value for key, value in variants.items() if draw.random() < chances[key]}
    return msgspec.structs.replace(rules, **changes)


def rule(draw: Random, timeline: Timeline) -> CachingRule:
    """Any choices at all: lifetimes that change from request to request, pings, and nothing."""
    lifetimes = timeline.provider.lifetimes
    actions = [Action(), *(Action(lifetime, pings) for lifetime in lifetimes for pings in (0, 1, 3))]
    actions = [draw.choice(actions) for _ in range(draw.randint(1, 3))]
    weights = [draw.random() for _ in actions]
    cold, warm = (
        np.array(draw.choices(range(len(actions)), weights, k=len(timeline)), np.int64) for _ in range(2)
    )
    choices = Choices(actions, cold, warm)
    return CachingRule(lambda _: choices, draw.choice((None, None, None, "1h", "5m")), draw.random() < 0.85)


def test_a_ping_finds_a_head_that_others_have_kept_warm():
    """It keeps its five minutes then, so that a third conversation comes too late for it."""

    def sent(chain: str, at: float, tokens: int, shared: int) -> ReplayedRequest:
        return ReplayedRequest("", "s", chain, 0, "m", at, tokens, shared, 0, "tool", "5m")

    often = [sent("often", 200.0 * n, 9000 + 100 * n, 8900 + 100 * n if n else 5000) for n in range(18)]
    rarely = [sent("rarely", 10.0, 9000, 5000), sent("rarely", 20_000.0, 9500, 9000)]
    requests = sorted([*often, *rarely, sent("late", 4600.0, 9000, 5000)], key=lambda request: request.at)
    provider = RULES.for_model("claude-opus-4-8")
    timeline = Timeline("claude-opus-4-8", provider, requests)
    actions = [Action(provider.lifetimes[0]), Action(provider.lifetimes[1], 1)]
    pinged = np.array([request.chain == "rarely" for request in timeline.requests], np.int64)
    tried = CachingRule(lambda _: Choices(actions, pinged, pinged))
    charges = simulation.simulate(timeline, tried)
    assert charges.read.tolist() == account.simulate(timeline, tried).read.tolist()
    assert dict(zip([r.chain for r in timeline.requests], charges.read.tolist(), strict=True))["late"] == 0


@examples(400)
@given(st.randoms(use_true_random=True), st.sampled_from(MODELS))
def test_it_charges_what_the_cache_itself_does(draw: Random, model: str):
    timeline = Timeline(model, provider(draw, model), history(draw))
    tried = rule(draw, timeline)
    try:
        expected = account.simulate(timeline, tried)
    except RejectedError:
        with pytest.raises(RejectedError):
            simulation.simulate(timeline, tried)
        return
    charges = simulation.simulate(timeline, tried)
    for column in ("read", "written", "uncached", "pings"):
        assert getattr(charges, column).tolist() == getattr(expected, column).tolist()
    assert charges.write.tolist() == pytest.approx(expected.write.tolist())
    assert charges.ping.tolist() == pytest.approx(expected.ping.tolist())
    assert (charges.read + charges.written + charges.uncached).tolist() == timeline.tokens.tolist()
