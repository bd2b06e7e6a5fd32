"""The plans that an outcome may still come for."""

import msgspec
import pytest

from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Config
from anchorline.live.plans import Plans, entries
from anchorline.outcome import Outcome, Usage
from anchorline.planner import Planner
from anchorline.prompt import formats

PLANNER = Planner(Config(), MemoryLedger())
SYSTEM = "You are a careful programmer. " * 1500


def planned(model: str = "claude-sonnet-5", text: str = "Fix it."):
    body = {
        "model": model,
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
    }
    if model.startswith("claude"):
        blocks = [{"type": "text", "text": text}]
        body = {
            "model": model,
            "system": SYSTEM,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": blocks}],
        }
    prompt = formats.read(msgspec.json.encode(body), name="a.request.json")
    return PLANNER.plan(prompt, now=1000.0), prompt


def test_the_oldest_are_forgotten_and_old_prompts_before_them():
    plans = Plans(capacity=3, prompts=2)
    added = [plans.add(*planned(text=f"Fix {number}."), PLANNER) for number in range(4)]
    assert plans.get(added[0].plan.id) is None
    assert plans.last is added[3]
    assert [each.prompt is not None for each in added[1:]] == [False, True, True]


def test_a_plan_is_remembered_once():
    plans = Plans()
    plan, prompt = planned()
    assert plans.add(plan, prompt, PLANNER) is plans.add(plan, prompt, PLANNER)


def test_what_was_anchored_is_held_from_the_start_of_the_request():
    remembered = Plans().add(*planned(), PLANNER)
    outcome = Outcome("p", usage=Usage(write=5000), sent_at=2000.0)
    found = list(entries(remembered, outcome))
    assert [entry.tokens for entry in found] == [a.prefix_tokens for a in remembered.plan.cache.anchors]
    assert found
    for entry in found:
        assert entry.written_at == 2000.0
        assert entry.expires_at == 2000.0 + {"5m": 300, "1h": 3600}[entry.ttl]
    unsent = Outcome("p", usage=Usage(write=5000))
    assert all(entry.written_at == remembered.plan.created_at for entry in entries(remembered, unsent))


def test_a_provider_that_caches_by_itself_holds_the_whole_prompt():
    plan, prompt = planned("gpt-5.5")
    (entry,) = entries(Plans().add(plan, prompt, PLANNER), Outcome("p", usage=Usage(read=5000)))
    assert entry.prefix == prompt.segments[-1].prefix
    assert entry.tokens == plan.tokens.estimate


@pytest.mark.parametrize("usage", [None, Usage(input=5000, output=10)])
def test_nothing_is_held_when_the_provider_neither_read_nor_wrote(usage):
    remembered = Plans().add(*planned(), PLANNER)
    assert list(entries(remembered, Outcome("p", usage=usage))) == []


def test_the_last_outcome_of_the_same_draft_is_found():
    plans = Plans()
    first = plans.add(*planned(), PLANNER)
    first.outcome = Outcome(first.plan.id, decision="accepted")
    again, _ = planned()
    other, _ = planned(text="Another thing.")
    assert plans.outcome_of(again) is first.outcome
    assert plans.outcome_of(other) is None


@pytest.mark.parametrize(
    ("decision", "model"),
    [
        ("accepted", "claude-haiku-4-5"),
        ("modified", "claude-haiku-4-5"),
        ("rejected", "claude-sonnet-5"),
        (None, "claude-sonnet-5"),
    ],
)
def test_the_model_is_the_proposed_one_only_if_the_plan_was_taken(decision, model):
    plan, prompt = planned()
    plan = msgspec.structs.replace(plan, route=msgspec.structs.replace(plan.route, target="claude-haiku-4-5"))
    outcome = Outcome(plan.id, decision=decision, usage=Usage(write=5000))
    assert {entry.model for entry in entries(Plans().add(plan, prompt, PLANNER), outcome)} == {model}
