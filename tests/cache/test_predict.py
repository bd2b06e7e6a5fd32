"""What is warm, and why not."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import predict
from anchorline.cache.ledger import CLOCKS_S, Entry, MemoryLedger
from anchorline.cache.rules import load
from anchorline.prompt import formats
from anchorline.prompt.model import Sent

MODEL = "claude-sonnet-5"


def prompt(turns: int = 4):
    messages = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"turn {n} " * 500} for n in range(turns)
    ]
    return formats.read(json.dumps({"model": MODEL, "messages": messages}).encode())


def entry(
    of, index: int, *, at: float = 1000.0, ttl: str = "5m", model: str = MODEL, tokens: int = 2000
) -> Entry:
    seconds = {"5m": 300, "1h": 3600}[ttl]
    return Entry("anthropic", "default", model, of.segments[index].prefix, tokens, ttl, at, at + seconds)


def assess(of, *entries: Entry, now: float = 1010.0, model: str = MODEL):
    provider = entries[0].provider if entries else "anthropic"
    held = MemoryLedger(entries).held(provider, "default")
    return predict.assess(of, held, model, load().for_model(model), now, predict.cumulative(of))


def test_a_prefix_that_was_just_sent_is_warm():
    of = prompt()
    warmth = assess(of, entry(of, 1))
    assert (warmth.last, warmth.misses) == (1, ())
    assert warmth.p_hit > 0.99
    assert warmth.expires_in == 290


def test_the_longest_warm_prefix_counts():
    of = prompt()
    assert assess(of, entry(of, 0), entry(of, 2), entry(of, 1)).last == 2


def test_it_is_less_sure_the_older_the_entry():
    of = prompt()
    shares = [assess(of, entry(of, 1), now=1000 + age).p_hit for age in (10, 100, 240)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


@pytest.mark.parametrize(
    ("made", "now", "code"),
    [
        ({}, 1400.0, "expired"),
        ({"model": "claude-opus-5"}, 1010.0, "model_changed"),
    ],
)
def test_a_miss_says_why(made: dict, now: float, code: str):
    of = prompt()
    warmth = assess(of, entry(of, 1, **made), now=now)
    assert [miss.code for miss in warmth.misses] == [code]
    assert warmth.last == -1
    assert warmth.p_hit < 0.05


def test_what_was_never_sent_says_so():
    assert [miss.code for miss in assess(prompt()).misses] == ["never_sent"]


def test_what_is_below_the_minimum_says_so():
    warmth = assess(
        formats.read(b'{"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hi"}]}')
    )
    assert [miss.code for miss in warmth.misses] == ["below_minimum"]
    assert warmth.p_hit == 0


def test_an_edit_before_the_warm_end_loses_what_follows_it():
    of = prompt()
    edited = formats.read(of.load(0, 10**9).replace(b"turn 1", b"turn x"))
    assert assess(edited, entry(of, 2)).last == -1
    assert assess(edited, entry(of, 0), entry(of, 2)).last == 0


def test_a_ledger_keeps_the_later_expiry():
    of = prompt()
    ledger = MemoryLedger([entry(of, 0, at=2000.0), entry(of, 0, at=1000.0)])
    assert ledger.held("anthropic", "default")[of.segments[0].prefix][0].written_at == 2000.0
    assert ledger.forget_before(3000.0) == 1
    assert not ledger.held("anthropic", "default")


def test_what_still_lives_is_read_though_more_has_expired():
    of = prompt()
    warmth = assess(of, entry(of, 0, ttl="1h"), entry(of, 2, ttl="5m"), now=1500.0)
    assert warmth.last == 0
    assert warmth.expires_in == 3100
    assert [miss.code for miss in warmth.misses] == ["expired"]


def test_an_automatic_cache_may_outlive_its_idle_time():
    of = prompt()
    old = Entry(
        "openai-before-5-6", "default", "gpt-5.5", of.segments[1].prefix, 2000, "idle", 1000.0, 1300.0
    )
    soon, late = (assess(of, old, now=now, model="gpt-5.5") for now in (1400.0, 9000.0))
    assert 0.1 < soon.p_hit < 0.5
    assert (soon.last, soon.expires_in) == (1, None)
    assert late.p_hit < soon.p_hit
    assert [miss.code for one in (soon, late) for miss in one.misses] == ["expired", "expired"]


OLDER, NEWER = "claude-sonnet-4-5", "claude-sonnet-5"


def thoughtful(model: str, *, edited: str = ""):
    """A turn with thinking and a tool, and a person's next message."""
    word = " the parser of the configuration" * 400
    thinking = {"type": "thinking", "thinking": "hm", "signature": "x"}
    use = {"type": "tool_use", "id": "t", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": f"{edited}text{word}"}
    messages = [
        {"role": "user", "content": f"Explain{word}"},
        {"role": "assistant", "content": [thinking, use]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": "It reads."},
        {"role": "user", "content": "Fix it."},
    ]
    return formats.read(json.dumps({"model": model, "messages": messages}).encode())


@pytest.mark.parametrize(("model", "last", "codes"), [(OLDER, 0, ["thinking_stripped"]), (NEWER, 3, [])])
def test_a_new_message_takes_the_thinking_out_with_older_models(model: str, last: int, codes: list[str]):
    of = thoughtful(model)
    warmth = assess(of, entry(of, 0, model=model), entry(of, 3, model=model, tokens=5000), model=model)
    assert warmth.last == last
    assert [miss.code for miss in warmth.misses] == codes


def test_it_names_the_edit_within_a_conversation():
    """One request wrote two prefixes: after the answer and at its end. The prompt now goes on otherwise."""
    of, edited = thoughtful(NEWER), thoughtful(NEWER, edited="new ")
    warmth = assess(edited, entry(of, 2), entry(of, 3, tokens=9000))
    assert warmth.last == 2
    (miss,) = warmth.misses
    assert miss.code == "prefix_edited"
    assert "7000 cached tokens" in miss.text
    assert "/messages/2/content/0" in miss.text


def test_another_session_with_the_same_head_is_no_edit():
    """Another conversation shares the opening message and wrote more behind it, in the same request."""
    of, other = thoughtful(NEWER), thoughtful(NEWER, edited="other ")
    assert assess(of, entry(other, 0), entry(other, 4, tokens=9000)).misses == ()
    # A fork of the very same answer, written by other requests.
    assert assess(of, entry(of, 2, at=1000.0), entry(other, 4, at=1005.0, tokens=9000)).misses == ()


def test_going_on_is_no_edit():
    of = thoughtful(NEWER)
    assert assess(of, entry(of, 0), entry(of, 3, tokens=5000)).misses == ()


def test_an_edit_is_not_named_for_what_another_model_holds():
    of, edited = thoughtful(NEWER), thoughtful(NEWER, edited="new ")
    assert assess(edited, entry(of, 2), entry(of, 3, tokens=9000, model="claude-opus-5")).misses == ()


def small(turns: int = 1, *, words: int = 250):
    """A conversation around the 1 024 tokens that a model caches."""
    said = [{"role": "user", "content": "look at it again. " * words}]
    for turn in range(turns - 1):
        said += [
            {"role": "assistant", "content": f"done {turn}"},
            {"role": "user", "content": f"and {turn}?"},
        ]
    return formats.read(json.dumps({"model": MODEL, "messages": said}).encode())


@given(st.integers(500, 4000))
def test_near_the_minimum_it_is_as_sure_of_a_hit_as_of_the_count(tokens: int):
    minimum = load().for_model(MODEL).minimum(MODEL)
    of = small(2, words=400)
    found = assess(of, entry(of, 0, tokens=tokens))
    more = assess(of, entry(of, 0, tokens=tokens + 50))
    sure = assess(of, entry(of, 0, tokens=10**6)).p_hit
    assert found.p_hit <= more.p_hit <= sure
    if tokens > 1.2 * minimum:
        assert found.p_hit > 0.99 * sure
    if tokens < 0.8 * minimum:
        assert found.p_hit <= 0.05
        assert [miss.code for miss in found.misses] == ["below_minimum"]
    counted = msgspec.structs.replace(entry(of, 0, tokens=minimum), source="transcript")
    assert assess(of, counted).p_hit == sure > 0.9


def test_what_a_conversation_was_billed_corrects_its_estimates_both_ways():
    of = small(3)
    estimated = predict.cumulative(of)
    for off in (-200, 0, 300):
        sent = Sent(1000.0, MODEL, of.segments[2].prefix, 3, estimated[2] + off, 0, 0)
        totals, measured = predict.counted(msgspec.structs.replace(of, sent=(sent,)), 1001.0)
        assert measured == 3
        assert totals[2] == pytest.approx(estimated[2] + off, abs=1)
        assert totals[-1] - totals[2] == estimated[-1] - estimated[2]
        assert totals == sorted(totals)
        assert totals[0] > 0


def test_what_a_clock_has_written_in_the_future_is_not_warm():
    entry = Entry("anthropic", "default", "m", b"x", 2000, "5m", written_at=1000.0, expires_at=1300.0)
    assert entry.is_warm(1000.0 - CLOCKS_S)
    assert entry.is_warm(1299.0)
    assert not entry.is_warm(1300.0)
    assert not entry.is_warm(1000.0 - CLOCKS_S - 1)
