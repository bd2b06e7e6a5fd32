"""What an experiment has shown, and when that is enough."""

import random
from collections.abc import Iterator
from math import inf

import msgspec
import pytest

from anchorline.outcome import Usage
from anchorline.route.pricing import Pricing
from anchorline.route.target import load as load_targets
from anchorline.trial import evidence
from anchorline.trial.evidence import (
    FEWEST,
    Shadowed,
    TrialRequest,
    accepted,
    billed,
    collect,
    difference,
    radius,
)
from anchorline.trial.experiment import HEURISTIC, Contest, Standing, assign

TARGETS = load_targets()
PRICING = Pricing(TARGETS)
MODEL = "claude-sonnet-5"
AB = Contest("e-1", "r-1", HEURISTIC, "ab", 0.5, "1" * 32, 0.0)


def request(plan: str = "p", **fields: object) -> TrialRequest:
    known = {
        "at": 1.0,
        "session": "s",
        "arm": "challenger",
        "propensity": 0.5,
        "own": MODEL,
        "planned": MODEL,
    }
    return TrialRequest(plan, **{**known, "tokens": 10_000, "expected_usd": 0.01, "p_hit": 0.9, **fields})


def world(
    better: float,
    sessions: int = 120,
    *,
    good: tuple[float, float] = (0.9, 0.9),
    seed: int = 0,
    contest: Contest = AB,
) -> Iterator[TrialRequest]:
    """Yield requests of an A/B in which the challenger reads `better` more of the prefix from the cache."""
    draw = random.Random(seed)
    for number in range(sessions):
        session = f"session {number}"
        side = assign(Standing(trial=contest), session)
        for turn in range(3):
            share = min(max(draw.gauss(0.6, 0.15) + (better if side.arm == "challenger" else 0.0), 0.0), 1.0)
            read = int(20_000 * share)
            yield request(
                f"p{number}-{turn}",
                at=100.0 * number + turn,
                session=session,
                arm=side.arm,
                propensity=side.propensity,
                usage=Usage(0, read, 20_000 - read, 500),
                decision="accepted" if draw.random() < good[side.arm == "challenger"] else "rejected",
            )


def found(requests, contest: Contest = AB, shadowed: Shadowed | None = None) -> evidence.Evidence:
    return collect(contest, list(requests), shadowed or Shadowed(), TARGETS)


def test_a_request_costs_what_the_provider_bills_beside_what_it_would_have_without_a_cache():
    usage = Usage(input=100, read=8000, write=1900, output=50, write_1h=1900)
    paid = billed(request(usage=usage), PRICING)
    price, output = TARGETS.catalog.models[MODEL].prices(10_000)
    assert paid.usd == pytest.approx(price * (100 + 0.1 * 8000 + 2 * 1900) + output * 50)
    assert paid.uncached_usd == pytest.approx(price * 10_000 + output * 50)


def test_a_cheaper_model_is_compared_with_the_one_that_was_named():
    usage = Usage(input=10_000, output=100)
    other = billed(request(usage=usage, answered="claude-haiku-5-5"), PRICING)
    own = billed(request(usage=usage), PRICING)
    assert other.uncached_usd == own.uncached_usd == pytest.approx(own.usd)
    assert other.usd < own.usd


def test_what_is_not_known_costs_nothing_and_not_zero():
    assert billed(request(), PRICING) is None
    assert billed(request(own="somebody's own", usage=Usage(1)), PRICING) is None
    assert found([request()]).sessions[0].cost is None


@pytest.mark.parametrize(
    ("known", "good"),
    [
        ({}, None),
        ({"decision": "accepted"}, True),
        ({"decision": "modified"}, True),
        ({"decision": "rejected"}, False),
        ({"thumbs": 1}, True),
        ({"decision": "accepted", "thumbs": -1}, False),
        ({"decision": "accepted", "signals": {"asked_again": True}}, False),
        ({"decision": "accepted", "signals": {"askedAgain": False}}, True),
        ({"signals": {"testsPassed": True}}, True),
        ({"signals": {"tests_passed": False}, "decision": "accepted"}, False),
        ({"signals": {"status": 200, "first_byte_ms": 12.0}}, None),
    ],
)
def test_whether_a_request_turned_out_well(known: dict, good: bool | None):
    assert accepted(request(**known)) is good


def test_a_better_challenger_is_promoted():
    shown = found(world(0.25, sessions=300))
    assert shown.verdict.step == "promote"
    assert "costs less" in shown.verdict.reason
    assert shown.cost.high < 0


def test_a_worse_challenger_is_taken_back():
    assert found(world(-0.25)).verdict.step == "roll_back"


def test_a_cheaper_challenger_that_is_less_accepted_is_taken_back():
    shown = found(world(0.25, good=(0.95, 0.4)))
    assert (shown.verdict.step, "less is accepted" in shown.verdict.reason) == ("roll_back", True)


def test_a_cheaper_challenger_waits_until_acceptance_is_known_to_be_no_worse():
    shown = found(world(0.25, good=(0.6, 0.6), sessions=60))
    assert (shown.verdict.step, "acceptance" in shown.verdict.reason) == ("wait", True)
    unknown = [
        msgspec.structs.replace(one, decision=None, answered="claude-haiku-5-5") for one in world(0.25)
    ]
    assert "acceptance is known of 0" in found(unknown).verdict.reason


def test_where_the_models_stayed_the_same_acceptance_need_not_be_known():
    unknown = [msgspec.structs.replace(one, decision=None) for one in world(0.25)]
    assert found(unknown).verdict.step == "promote"


def test_little_is_not_enough():
    shown = found(world(0.25, sessions=FEWEST))
    assert shown.verdict.step == "wait"
    assert (shown.cost.low, shown.cost.high) == (-inf, inf)


def test_that_all_was_accepted_so_far_proves_little():
    shown = found(world(0.25, 2 * FEWEST + 10, good=(1.0, 1.0)))
    assert (shown.acceptance.value, shown.verdict.step) == (0.0, "wait")
    assert shown.acceptance.low < -evidence.MARGIN
    assert found(world(0.25, 150, good=(1.0, 1.0))).verdict.step == "promote"


def test_a_promoted_version_is_watched():
    promoted = msgspec.structs.replace(AB, stage="promoted", share=0.8)
    assert found(world(0.25, 200, contest=promoted), promoted).verdict.step == "wait"
    assert found(world(-0.3, 200, contest=promoted), promoted).verdict.step == "roll_back"


def test_a_challenger_that_fails_is_taken_back():
    failing = [msgspec.structs.replace(one, failed=one.arm == "challenger") for one in world(0.25, 12)]
    assert "failed to decide" in found(failing).verdict.reason
    assert found(failing).verdict.step == "roll_back"


@pytest.mark.parametrize(
    ("shadowed", "step"),
    [
        (Shadowed(), "wait"),
        (Shadowed(49, 9), "wait"),
        (Shadowed(500, 4), "wait"),
        (Shadowed(50, 5), "advance"),
        (Shadowed(200, 9, failures=2), "advance"),
        (Shadowed(10, 2, failures=3), "roll_back"),
    ],
)
def test_what_was_well_in_shadow_goes_on(shadowed: Shadowed, step: str):
    shadow = msgspec.structs.replace(AB, stage="shadow")
    assert found([], shadow, shadowed).verdict.step == step


def test_the_difference_is_that_of_the_means_and_unequal_shares_do_not_bend_it():
    draw = random.Random(1)
    values = [(("challenger", 0.9) if draw.random() < 0.9 else ("champion", 0.1)) for _ in range(3000)]
    shown = difference(
        (arm, propensity, draw.gauss(0.5 if arm == "champion" else 0.3, 0.1)) for arm, propensity in values
    )
    assert shown.value == pytest.approx(-0.2, abs=0.02)
    assert shown.low < -0.2 < shown.high < 0


def test_looking_after_every_session_misleads_no_oftener_than_promised():
    # No difference at all, and a verdict whenever it looks like one: 5 % at most, whatever the number of looks.
    np = pytest.importorskip("numpy")
    draw = np.random.default_rng(0)
    runs, length = 400, 600
    half = np.array([radius(count, 1.0) for count in range(1, length + 1)])
    arms = draw.random((runs, length)) < 0.5
    values = draw.gamma(2.0, 0.15, (runs, length))
    count = np.arange(1, length + 1)

    def side(mask):
        number = np.maximum(mask.cumsum(axis=1), 1)
        mean = (values * mask).cumsum(axis=1) / number
        return number, mean, (values**2 * mask).cumsum(axis=1) / number - mean**2

    (n1, m1, v1), (n0, m0, v0) = side(arms), side(~arms)
    spread = np.sqrt(4 * (n1 * v1 + n0 * v0) / count)
    looked = np.minimum(n1, n0) >= FEWEST
    misled = ((m1 - m0 + spread * half < 0) & looked).any(axis=1).mean()
    assert misled <= 0.05
