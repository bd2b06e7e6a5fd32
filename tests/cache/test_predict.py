"""What is warm, and why not."""

import json

import pytest

from anchorline.cache import predict
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.prompt import formats

MODEL = "claude-sonnet-5"


def prompt(turns: int = 4):
    messages = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"turn {n} " * 500} for n in range(turns)
    ]
    return formats.read(json.dumps({"model": MODEL, "messages": messages}).encode())


def entry(of, index: int, *, at: float = 1000.0, ttl: str = "5m", model: str = MODEL) -> Entry:
    seconds = {"5m": 300, "1h": 3600}[ttl]
    return Entry("anthropic", "default", model, of.segments[index].prefix, 2000, ttl, at, at + seconds)


def assess(of, *entries: Entry, now: float = 1010.0, minimum: int = 1024):
    held = MemoryLedger(entries).held("anthropic", "default")
    return predict.assess(of, held, MODEL, minimum, now, predict.cumulative(of))


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
    shares = [assess(of, entry(of, 1), now=1000 + age).p_hit for age in (10, 100, 290)]
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
    warmth = assess(prompt(), minimum=10**6)
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
