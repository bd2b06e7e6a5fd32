"""The cheapest way to keep a prefix warm."""

import pytest

from anchorline.cache.gaps import Gaps
from anchorline.cache.lifetime import Action, best, bets, ping_every
from anchorline.cache.rules import load

RULES = load()
ANTHROPIC = RULES.provider("anthropic")
MODEL = "claude-sonnet-5"
FIVE, HOUR = (ANTHROPIC.lifetime(name) for name in ("5m", "1h"))
SOON = Gaps((10.0, 300.0, 3600.0, 7200.0), (0.3, 0.0, 0.0, 0.0))
LATER = Gaps((10.0, 300.0, 600.0, 3600.0), (1.0, 0.6, 0.5, 0.1))
NEVER = Gaps((10.0, 300.0, 3600.0), (1.0, 1.0, 1.0))


def chosen(gaps: Gaps, fresh: int, prefix: int = 100_000, pings: int = 0, wanted: str = "auto") -> Action:
    return best(bets(ANTHROPIC, MODEL, gaps, fresh, prefix, pings=pings), wanted).action


def test_a_request_that_nothing_follows_is_not_cached():
    assert chosen(NEVER, 5000).lifetime is None


def test_what_is_asked_for_at_once_lives_five_minutes_without_pings():
    assert chosen(SOON, 5000, pings=3) == Action(FIVE)


def test_an_hour_insures_a_large_prefix_for_a_small_new_part_only():
    assert chosen(LATER, 2000) == Action(HOUR)
    assert chosen(LATER, 100_000) == Action(FIVE)


def test_pings_keep_warm_what_is_too_dear_to_write_for_an_hour():
    soon_after = Gaps((10.0, 290.0, 310.0, 580.0), (1.0, 0.5, 0.45, 0.02))
    assert chosen(soon_after, 100_000, pings=3) == Action(FIVE, 1)


def test_no_pings_are_planned_where_nobody_sends_them():
    assert all(bet.action.pings == 0 for bet in bets(ANTHROPIC, MODEL, LATER, 1000, 100_000))


def test_the_lifetime_that_the_settings_name_is_taken():
    assert chosen(SOON, 5000, wanted="1h") == Action(HOUR)


def test_a_name_that_the_provider_does_not_have_leaves_the_choice_free():
    openai = RULES.for_model("gpt-5.6")
    assert best(bets(openai, "gpt-5.6", SOON, 5000, 50_000), "1h").lifetime == openai.lifetimes[0]


@pytest.mark.parametrize(("lifetime", "seconds"), [(FIVE, 295), (HOUR, 3590)])
def test_a_ping_is_sent_shortly_before_the_end(lifetime, seconds):
    assert ping_every(lifetime) == seconds
    assert Action(lifetime, 2).alive == lifetime.seconds + 2 * seconds


@pytest.mark.parametrize(
    ("gap", "pings"), [(10, 0), (294, 0), (296, 1), (600, 2), (1e9, 3), (float("inf"), 3)]
)
def test_pings_end_when_the_next_request_comes(gap, pings):
    assert Action(FIVE, 3).paid(gap) == pings


def test_doing_nothing_keeps_nothing_and_costs_nothing():
    assert (Action().alive < 0, Action().write, Action().paid(1e9)) == (True, 1.0, 0)
