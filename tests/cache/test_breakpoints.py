"""Anchors: where, for how long, and never against the provider's rules."""

import json

from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import breakpoints, lifetime
from anchorline.cache.gaps import HazardGaps, observed
from anchorline.cache.predict import Warmth, cumulative
from anchorline.cache.rules import load
from anchorline.prompt import formats
from support.examples import examples

RULES = load()
ANTHROPIC = RULES.provider("anthropic")
MODEL = "claude-sonnet-5"
COLD = Warmth(-1, 0, 0.0, None, ())


def conversation(turns: int, *, size: int = 4000, markers: dict[int, str] | None = None):
    messages = []
    for number in range(turns):
        block = {"type": "text", "text": f"turn {number} " + "words and more " * (size // 15)}
        if markers and number in markers:
            block["cache_control"] = {"type": "ephemeral", "ttl": markers[number]}
        messages.append({"role": "user" if number % 2 == 0 else "assistant", "content": [block]})
    body = {"model": MODEL, "system": "You are a test. " * 400, "messages": messages}
    return formats.read(json.dumps(body).encode())


def planned(prompt, warmth=COLD, mode="extend"):
    totals = cumulative(prompt)
    fresh = totals[-1] - warmth.tokens
    gaps = HazardGaps().after(observed(prompt, totals[-1], 0.0))
    bet = lifetime.best(lifetime.bets(ANTHROPIC, MODEL, gaps, fresh, totals[-1]))
    return breakpoints.place(prompt, ANTHROPIC, MODEL, warmth, bet, totals, mode)


def test_a_new_conversation_is_anchored_at_the_tail_and_at_the_system_prompt():
    prompt = conversation(5)
    anchors = planned(prompt)
    assert anchors[-1].segment == len(prompt.segments) - 1
    assert anchors[0].segment == 0
    assert {anchor.ttl for anchor in anchors} == {"5m"}


def test_a_small_addition_to_a_long_warm_prefix_is_kept_for_an_hour():
    prompt = conversation(41)
    totals = cumulative(prompt)
    anchors = planned(prompt, Warmth(39, totals[39], 0.99, 100.0, ()))
    assert {anchor.ttl for anchor in anchors} == {"1h"}


def test_a_large_addition_is_not():
    prompt = conversation(3)
    totals = cumulative(prompt)
    assert {anchor.ttl for anchor in planned(prompt, Warmth(1, totals[1], 0.99, 100.0, ()))} == {"5m"}


def test_a_warm_prefix_further_back_than_the_provider_looks_gets_an_anchor_of_its_own():
    prompt = conversation(60, size=400)
    totals = cumulative(prompt)
    anchors = planned(prompt, Warmth(30, totals[30], 0.99, 100.0, ()))
    assert 30 in [anchor.segment for anchor in anchors]


def test_what_is_too_short_to_be_cached_gets_no_anchor():
    prompt = formats.read(
        json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}).encode()
    )
    assert planned(prompt) == ()


def test_respect_adds_nothing_to_the_clients_own_markers():
    prompt = conversation(5, markers={4: "5m"})
    anchors = planned(prompt, mode="respect")
    assert [(anchor.origin, anchor.segment) for anchor in anchors] == [("client", 5)]


def test_extend_keeps_them_and_uses_the_rest():
    anchors = planned(conversation(5, markers={4: "5m"}), mode="extend")
    assert [anchor.origin for anchor in anchors].count("client") == 1
    assert len(anchors) > 1


def test_replace_takes_them_out():
    assert all(
        anchor.origin == "plan" for anchor in planned(conversation(5, markers={2: "1h"}), mode="replace")
    )


@examples(100)
@given(
    turns=st.integers(1, 30),
    markers=st.dictionaries(st.integers(0, 30), st.sampled_from(["5m", "1h", "2h", "nonsense"]), max_size=6),
    warm=st.integers(-1, 29),
    mode=st.sampled_from(["respect", "extend", "replace"]),
)
def test_what_the_plan_adds_never_breaks_a_limit_or_the_order_of_lifetimes(turns, markers, warm, mode):
    prompt = conversation(turns, size=600, markers=markers)
    totals = cumulative(prompt)
    warm = min(warm, len(totals) - 1)
    warmth = Warmth(warm, totals[warm] if warm >= 0 else 0, 0.9 if warm >= 0 else 0.0, None, ())
    anchors = planned(prompt, warmth, mode)
    own = [anchor for anchor in anchors if anchor.origin == "client"]
    assert len(anchors) <= max(ANTHROPIC.max_breakpoints, len(own))
    assert len({anchor.segment for anchor in anchors}) == len(anchors)
    for index, anchor in enumerate(anchors):
        if anchor.origin == "client":
            continue
        seconds = ANTHROPIC.lifetime(anchor.ttl).seconds
        before = [ANTHROPIC.lifetime(one.ttl) for one in anchors[:index]]
        after = [ANTHROPIC.lifetime(one.ttl) for one in anchors[index + 1 :]]
        assert all(one is None or one.seconds >= seconds for one in before)
        assert all(one is None or one.seconds <= seconds for one in after)


def marked(*blocks: dict, **members: object):
    body = {"model": MODEL, "messages": [{"role": "user", "content": list(blocks)}], **members}
    return formats.read(json.dumps(body).encode(), format="anthropic")


def block(words: str, **members: object) -> dict:
    return {"type": "text", "text": words + " and more of it" * 600, **members}


HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
FIVE = {"cache_control": {"type": "ephemeral"}}


def test_before_an_automatic_breakpoint_of_an_hour_stand_anchors_of_an_hour():
    prompt = marked(block("one"), block("two"), system="You are a test. " * 400, **HOUR)
    for mode in ("replace", "extend"):
        anchors = planned(prompt, mode=mode)
        assert anchors
        assert {anchor.ttl for anchor in anchors} == {"1h"}
        assert anchors[-1].segment < len(prompt.segments) - 1  # the end is the automatic one's


def test_between_five_minutes_of_the_client_s_and_an_automatic_hour_stands_nothing():
    prompt = marked(
        block("one", **FIVE), block("two"), block("three"), system="You are a test. " * 400, **HOUR
    )
    assert all(anchor.segment < 1 for anchor in planned(prompt) if anchor.origin == "plan")


def test_markers_within_a_result_take_slots():
    found = {"type": "tool_result", "tool_use_id": "t", "content": [block(str(n), **FIVE) for n in range(3)]}
    prompt = marked(found, block("go on"), system="You are a test. " * 400)
    anchors = planned(prompt)
    assert [anchor.origin for anchor in anchors if anchor.segment == 1] == ["client"]
    assert sum(anchor.origin == "plan" for anchor in anchors) == 1


def test_the_last_tool_that_is_not_deferred_is_anchored():
    tools = [{"name": f"t{n}", "description": "what it does " * 700} for n in range(2)]
    tools += [{**tools[0], "name": "late", "defer_loading": True}]
    prompt = marked(block("go on"), tools=tools, system="2026-11-30T10:00:00Z You are a test. " * 400)
    assert "/tools/1" in {anchor.pointer for anchor in planned(prompt)}
