"""The route: what it takes, what it refuses, and what it tells the developer."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from anchorline.config import Route as Settings
from anchorline.plan import Alternative, Route
from anchorline.route import target
from anchorline.route.choose import MARGIN_USD, REQUESTS, Situation, choose
from anchorline.route.quality import HeuristicQuality

TARGETS, QUALITY = target.load(), HeuristicQuality()
CATALOG = TARGETS.catalog
NEW = Situation(
    current="claude-opus-5-5",
    prompt_tokens=20_000,
    warm_tokens=0,
    output_tokens=437,
    in_session=False,
    cold=True,
    draft="Add a --json flag to the status command and a test for it.",
)
DEFAULT = Settings()
TRIVIAL = "What does HTTP 404 mean?"
WARM = msgspec.structs.replace(NEW, prompt_tokens=105_000, warm_tokens=100_000, in_session=True, cold=False)


def route(situation: Situation = NEW, settings: Settings = DEFAULT, **changes: Any) -> Route:
    return choose(msgspec.structs.replace(situation, **changes), TARGETS, QUALITY, settings)


def option(chosen: Route, target: str) -> Alternative:
    [found] = [one for one in chosen.alternatives if one.target == target]
    return found


SONNET = Settings(allow=("claude-sonnet-5-5",))


def test_a_switch_away_from_a_warm_prefix_is_refused_in_dollars() -> None:
    kept = route(WARM, SONNET)
    assert (kept.target, kept.sticky) == ("claude-opus-5-5", True)
    [gain, all_of_it, paid] = map(float, re.findall(r"\$([\d.]+)", kept.reason))
    assert "while 100,000 tokens are cached here" in kept.reason
    assert all_of_it == pytest.approx(REQUESTS * gain, abs=0.01)
    there = 2e-6 * (1.25 - 0.05) * 105_000
    here = 4e-6 * (1.25 - 0.05) * 5_000  # what is new
    assert paid == pytest.approx(there - here, abs=0.001)
    assert MARGIN_USD < gain < paid / REQUESTS + MARGIN_USD


def test_a_switch_that_pays_says_within_how_many_requests() -> None:
    taken = route(WARM, Settings(success_usd=0.02))  # little to win, and the cheap model writes for little
    assert (taken.target, taken.sticky) == ("claude-haiku-5-5", False)
    [within] = map(int, re.findall(r"costs \$0\.0\d+ now, earned back within (\d+) requests", taken.reason))
    assert 1 < within <= REQUESTS
    assert taken.reason.endswith("100,000 cached tokens are given up.")


def test_going_back_to_what_still_holds_the_prompt_costs_what_it_reads() -> None:
    hard = {"current": "claude-haiku-5-5", "draft": "Explain each step of the protocol below. " * 40}
    settings = Settings(allow=("claude-opus-5-5",), success_usd=0.25)
    assert route(WARM, settings, **hard).target == "claude-haiku-5-5"
    back = route(WARM, settings, **hard, elsewhere={"claude-opus-5-5": 95_000})
    assert back.target == "claude-opus-5-5"
    assert "95,000 tokens are still cached there" in back.reason or "earned back within" in back.reason
    cost = option(back, "claude-opus-5-5").cost_usd
    assert cost == pytest.approx(4e-6 * (0.05 * 95_000 + 1.25 * 10_000) + 20e-6 * 437, abs=1e-6)


def test_a_pinned_model_is_taken_whatever_it_costs_and_the_reason_says_so() -> None:
    taken = route(WARM, Settings(pin="claude-haiku-5-5"))
    assert (taken.target, taken.sticky) == ("claude-haiku-5-5", False)
    assert (
        "is pinned (route.pin), instead of claude-opus-5-5; 100,000 cached tokens worth $0.4800"
        in taken.reason
    )
    kept = route(WARM, Settings(pin="claude-opus-5-5", success_usd=0.0, sticky=False))
    assert (kept.target, len(kept.alternatives)) == ("claude-opus-5-5", 1)
    assert "is pinned (route.pin)" in kept.reason


def test_a_pinned_model_that_cannot_be_asked_is_not_taken() -> None:
    unknown = route(NEW, Settings(pin="my-model"))
    assert unknown.target == "claude-opus-5-5"
    assert "my-model is pinned (route.pin): it is not in the model catalogue" in unknown.reason
    small = route(NEW, Settings(pin="claude-haiku-4-5"), prompt_tokens=900_000)
    assert small.target == "claude-opus-5-5"
    assert "is pinned (route.pin): it takes" in small.reason


def test_without_stickiness_the_same_switch_is_made() -> None:
    loose = Settings(allow=SONNET.allow, sticky=False)
    assert route(WARM, loose).target == "claude-sonnet-5-5"


def test_when_nothing_is_warm_a_switch_is_free_and_said_to_be() -> None:
    free = route(WARM, Settings(success_usd=0.02), warm_tokens=0, cold=True)
    assert (free.target, free.sticky) == ("claude-haiku-5-5", False)
    assert "switching is free" in free.reason


def test_a_trivial_question_goes_to_the_fast_tier_in_a_new_session() -> None:
    settings = Settings(allow=("claude-opus-5-5", "claude-haiku-5-5"))
    assert route(NEW, settings, draft=TRIVIAL).tier == "fast"
    hard = "Refactor the scheduler so that workers steal from each other without a global lock. " * 12
    assert route(NEW, settings, draft=hard).tier == "strong"


def test_a_short_turn_within_a_session_is_not_trivial() -> None:
    settings = Settings(allow=("claude-opus-5-5", "claude-haiku-5-5"))
    alone = option(route(NEW, settings, draft="yes"), "claude-haiku-5-5")
    within = option(route(NEW, settings, draft="yes", in_session=True), "claude-haiku-5-5")
    assert within.p_success < alone.p_success


def test_a_prompt_that_does_not_fit_excludes_the_model_with_the_reason() -> None:
    chosen = route(current="claude-haiku-4-5", prompt_tokens=250_000)
    assert chosen.target != "claude-haiku-4-5"
    reason = option(chosen, "claude-haiku-4-5").excluded
    assert reason == "takes 200,000 tokens; the prompt and its answer need 250,437"
    assert reason in chosen.reason


def test_a_prompt_that_fits_nowhere_keeps_the_model_and_says_so() -> None:
    chosen = route(prompt_tokens=5_000_000)
    assert chosen.target == NEW.current
    assert all(one.excluded for one in chosen.alternatives)
    assert "no allowed model takes this prompt" in chosen.reason


def test_only_the_allowed_are_proposed() -> None:
    settings = Settings(allow=("gpt-6-luna", "claude-opus-4-1", "no-such-model"))
    chosen = route(NEW, settings)
    assert [one.target for one in chosen.alternatives] == [NEW.current, *settings.allow]
    assert option(chosen, "claude-opus-4-1").excluded == "retired by its provider"
    assert option(chosen, "no-such-model").excluded == "not in the model catalogue"
    assert chosen.target in (NEW.current, "gpt-6-luna")


def test_the_current_model_keeps_the_name_that_the_request_has() -> None:
    kept = route(current="claude-opus-4-5-20251101", settings=Settings(allow=("claude-opus-4-5",)))
    assert kept.target == "claude-opus-4-5-20251101"
    assert len(kept.alternatives) == 1


@pytest.mark.parametrize(
    "current", ["us.anthropic.claude-opus-4-6-v1:0", "openrouter/anthropic/claude-opus-4.6"]
)
def test_names_of_another_access_path_are_not_made_up(current: str) -> None:
    kept = route(current=current)
    assert [one.target for one in kept.alternatives] == [current]


def test_an_unknown_model_is_kept() -> None:
    kept = route(current="someones-own-model")
    assert (kept.target, kept.tier, kept.alternatives) == ("someones-own-model", "unknown", ())
    assert "not in the model catalogue" in kept.reason


def test_routing_can_be_switched_off() -> None:
    kept = route(NEW, Settings(enabled=False))
    assert (kept.target, kept.alternatives) == (NEW.current, ())
    assert "route.enabled" in kept.reason


def test_costs_are_those_of_the_price_list() -> None:
    chosen = route(WARM)
    opus, sonnet = option(chosen, "claude-opus-5-5"), option(chosen, "claude-sonnet-5-5")
    assert opus.cost_usd == pytest.approx(4e-6 * (0.05 * 100_000 + 1.25 * 5_000) + 20e-6 * 437, abs=1e-6)
    assert sonnet.cost_usd == pytest.approx(2e-6 * 1.25 * 105_000 + 10e-6 * 437, abs=1e-6)


def test_a_prompt_below_the_minimum_pays_no_write_premium() -> None:
    opus = option(route(prompt_tokens=500), "claude-opus-5-5")
    assert opus.cost_usd == pytest.approx(4e-6 * 500 + 20e-6 * 437, abs=1e-6)


# Properties

names = st.sampled_from([model.id for model in CATALOG.models.values() if model.status != "retired"])
drafts = st.one_of(st.text(max_size=400), st.integers(0, 8000).map(lambda n: "word " * n))
situations = st.builds(
    lambda current, tokens, share, output, in_session, draft: Situation(
        current=current,
        prompt_tokens=tokens,
        warm_tokens=int(tokens * share),
        output_tokens=output,
        in_session=in_session,
        cold=int(tokens * share) == 0,
        draft=draft,
    ),
    names,
    st.integers(0, 1_200_000),
    st.floats(0, 1),
    st.integers(1, 4000),
    st.booleans(),
    drafts,
)
pools = st.lists(names, max_size=6, unique=True).map(tuple)
values = st.floats(0, 1000)


@given(situations, pools, values)
def test_the_choice_is_one_of_the_options_and_the_same_every_time(
    situation: Situation, allow: tuple[str, ...], value: float
) -> None:
    settings = Settings(allow=allow, success_usd=value)
    chosen = route(situation, settings)
    assert chosen == route(situation, settings)
    assert chosen.target in [one.target for one in chosen.alternatives]
    assert chosen.alternatives[0].target == situation.current
    assert option(chosen, chosen.target).excluded is None or chosen.target == situation.current
    assert re.fullmatch(r"\S.*\.", chosen.reason)
    assert chosen.target in chosen.reason


@given(situations, pools, values, values)
def test_a_higher_worth_of_success_never_takes_a_worse_model(
    situation: Situation, allow: tuple[str, ...], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    modest = route(situation, Settings(allow=allow, success_usd=low))
    ambitious = route(situation, Settings(allow=allow, success_usd=high))
    assert option(ambitious, ambitious.target).p_success >= option(modest, modest.target).p_success


@given(situations, pools, values)
def test_a_model_is_left_only_for_more_than_the_margin_once_all_is_paid(
    situation: Situation, allow: tuple[str, ...], value: float
) -> None:
    chosen = route(situation, Settings(allow=allow, success_usd=value))
    current = option(chosen, situation.current)
    if chosen.target != situation.current and current.excluded is None:
        gain = option(chosen, chosen.target).score - current.score
        assert gain > MARGIN_USD - 2e-6  # both are rounded


@given(situations, pools, values)
def test_what_is_paid_within_so_many_requests_is_paid_within_those_that_count(
    situation: Situation, allow: tuple[str, ...], value: float
) -> None:
    chosen = route(situation, Settings(allow=allow, success_usd=value))
    for within in re.findall(r"earned back within (\d+) requests", chosen.reason):
        assert 1 < int(within) <= REQUESTS


@given(situations, values)
def test_a_warmer_prefix_is_never_left_more_easily(situation: Situation, value: float) -> None:
    settings = Settings(success_usd=value)
    assume(situation.in_session and not situation.cold)
    if route(situation, settings).target == situation.current:
        warmer = msgspec.structs.replace(situation, warm_tokens=situation.prompt_tokens)
        assert route(warmer, settings).target == situation.current


@given(drafts, st.booleans())
def test_a_stronger_model_is_never_expected_to_do_worse(draft: str, in_session: bool) -> None:
    features = QUALITY.features(draft, in_session=in_session)
    ordered = sorted(CATALOG.models.values(), key=lambda model: model.skill)
    odds = [QUALITY.p_success(features, model) for model in ordered]
    assert odds == sorted(odds)
    assert 0 < odds[0] <= odds[-1] < 1


def test_what_strength_gains_depends_on_the_prompt() -> None:
    fast, strong = CATALOG.find("claude-haiku-5-5"), CATALOG.find("claude-opus-5-5")
    assert fast is not None
    assert strong is not None

    def gain(draft: str) -> float:
        features = QUALITY.features(draft, in_session=False)
        return QUALITY.p_success(features, strong) - QUALITY.p_success(features, fast)

    assert gain(TRIVIAL) < 0.05
    assert gain("Explain each step of the protocol below. " * 40) > 0.15
    assert gain("rename it everywhere in here") < gain("redesign it everywhere in here")


@pytest.mark.parametrize("asked", [TRIVIAL, NEW.draft, "Redesign the scheduler without locks. " * 30])
def test_a_model_that_is_kept_says_why_the_next_best_is_not_taken(asked: str) -> None:
    haiku = Settings(allow=("claude-haiku-5-5",))
    for tokens in (200, 20_000, 100_000):
        kept = route(settings=haiku, draft=asked, prompt_tokens=tokens)
        if kept.sticky or kept.target == NEW.current:
            assert re.search(r"outweighs that|too little for a switch|are ignored|over 16", kept.reason), (
                kept.reason
            )


def test_a_draft_that_leaves_open_what_to_do_is_not_easy_because_it_is_short() -> None:
    vague, clear = (
        option(route(draft=TRIVIAL, unclear=unclear), NEW.current).p_success for unclear in (True, False)
    )
    assert vague < clear
