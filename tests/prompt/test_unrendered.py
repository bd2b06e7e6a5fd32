"""What a request holds and its provider does not render: it changes no prefix, no tokens, no plan."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache import markers
from anchorline.cache.ledger import MemoryLedger
from anchorline.config import Cache, Config, Route
from anchorline.gateway.response_cache import RequestKey, asked
from anchorline.gateway.splice import planned
from anchorline.gateway.upstream import Upstream
from anchorline.lint.check import check
from anchorline.live.plans import Plans, entries
from anchorline.outcome import Outcome, Usage
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.formats import Memory
from anchorline.prompt.model import Prompt

RULES = "Keep to the style of the file, and say why. " * 600
MODEL = "claude-sonnet-4-5"
FORMS = ("blocks", "merged", "string")
codes = st.text("0123456789abcdef", min_size=5, max_size=5)


def line(cch: str) -> str:
    return f"x-anthropic-billing-header: cc_version=2.1.332.6d6; cc_entrypoint=cli; cch={cch};"


def system(form: str, cch: str | None, rules: str = RULES) -> Any:
    """The system prompt in one of its forms, with the attribution or without."""
    if form == "string":
        return rules if cch is None else f"{line(cch)}\n{rules}"
    if form == "merged":
        return [{"type": "text", "text": rules if cch is None else f"{line(cch)}\n\n{rules}"}]
    block = {"type": "text", "text": rules}
    return [block] if cch is None else [{"type": "text", "text": line(cch)}, block]


def body(form: str, cch: str | None, turns: int = 1, **more: Any) -> bytes:
    messages = []
    for turn in range(turns):
        messages.append({"role": "user", "content": [{"type": "text", "text": f"Do step {turn}. " * 40}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": f"Done {turn}."}]})
    request = {
        "model": MODEL,
        "max_tokens": 100,
        "messages": messages[:-1],
        "system": system(form, cch),
        "tools": [{"name": "Read", "description": "Reads a file.", "input_schema": {"type": "object"}}],
    }
    return json.dumps(request | more, separators=(",", ":")).encode()


def read(data: bytes, memory: Memory | None = None) -> Prompt:
    return formats.read(data, format="anthropic", memory=memory)


def identity(prompt: Prompt) -> list[tuple]:
    return [(one.kind, one.digest, one.prefix, one.tokens) for one in prompt.segments]


@pytest.mark.parametrize("form", FORMS)
@given(one=codes, other=st.one_of(codes, st.none()), together=st.booleans())
def test_the_attribution_is_no_part_of_what_a_request_is(form: str, one: str, other: str | None, together):
    memory = Memory() if together else None
    first, second = read(body(form, one), memory), read(body(form, other), memory)
    assert identity(first) == identity(second)
    assert (first.hash, first.conversation, first.tokens) == (second.hash, second.conversation, second.tokens)
    asks = [
        RequestKey(b"key", Upstream("anthropic", "http://a"), "/v1/messages", [], members)
        for data in (body(form, one, temperature=0, tools=[]), body(form, other, temperature=0, tools=[]))
        if (members := asked([], data)) is not None
    ]
    assert asks[0].exact == asks[1].exact


def test_the_same_words_anywhere_else_are_a_part_of_the_prompt():
    rules = f"Never send this:\n{line('00000')}"
    one, other = (
        read(body("blocks", None, system=[{"type": "text", "text": text}])) for text in (rules, rules[:-2])
    )
    assert one.hash != other.hash
    said = [{"role": "user", "content": line("00000")}, {"role": "user", "content": line("11111")}]
    assert len({read(body("blocks", None, messages=[one])).hash for one in said}) == 2


def conversation(form: str, cchs: list[str | None], mode: str = "replace") -> list[float]:
    """P(hit) of the requests of a conversation, each sent as it was planned and billed."""
    ledger, plans, memory = MemoryLedger(), Plans(), Memory()
    planner = Planner(Config(cache=Cache(anchors=mode), route=Route(enabled=False)), ledger)
    found = []
    for turn, cch in enumerate(cchs, 1):
        data = body(form, cch, turn)
        prompt = read(data, memory)
        plan = planner.plan(prompt, now=1000.0 + 60 * turn)
        changed = planned(data, prompt, plan, planner.targets)
        assert changed.splices
        if cch is not None:
            assert line(cch).encode() in changed.body
        remembered = plans.add(plan, prompt, planner, MODEL, changed.anchors)
        outcome = Outcome(plan.id, usage=Usage(10, 0, 9000, 5), sent_at=plan.created_at)
        for entry in entries(remembered, outcome):
            assert entry.tokens
            ledger.put(entry)
        found.append(plan.cache.p_hit)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_an_attribution_that_changes_with_each_request_costs_no_hit(form: str):
    constant = conversation(form, ["11111"] * 4)
    assert constant[0] < 0.1
    assert min(constant[1:]) > 0.8
    assert conversation(form, ["11111", "2b2b2", "33f33", "44444"]) == constant
    assert conversation(form, [None, "2b2b2", None, "44444"]) == constant


@pytest.mark.parametrize("form", FORMS)
def test_the_attribution_is_never_marked(form: str):
    data = body(form, "a1b2c")
    prompt = read(data)
    for index, segment in enumerate(prompt.segments):
        if segment.section == "system" and line("a1b2c").encode() in prompt.load(segment.start, segment.end):
            assert not markers.markable(prompt, index)


def test_a_breakpoint_that_the_client_has_set_on_it_stays():
    marked = {"type": "text", "text": line("a1b2c"), "cache_control": {"type": "ephemeral"}}
    data = body("blocks", None, 3, system=[marked, {"type": "text", "text": RULES}])
    for mode in ("replace", "extend", "respect"):
        prompt = read(data)
        planner = Planner(Config(cache=Cache(anchors=mode), route=Route(enabled=False)), MemoryLedger())
        plan = planner.plan(prompt, now=1000.0)
        changed = planned(data, prompt, plan, planner.targets)
        sent = json.loads(changed.body)
        assert sent["system"][0] == marked
        assert changed.body.count(b'"cache_control"') <= 4
        assert markers.strip(changed.body, changed.splices) == data


def test_a_moment_in_the_attribution_is_no_warning():
    text = line("a1b2c").replace("cch=", "at=2026-11-30T10:00:00Z; cch=")
    for head in ([{"type": "text", "text": text}, {"type": "text", "text": RULES}], f"{text}\n{RULES}"):
        prompt = read(body("blocks", None, system=head))
        planner = Planner(Config(), MemoryLedger())
        plan = planner.plan(prompt, now=1000.0)
        found = check(prompt, plan, planner.targets.find(MODEL))
        assert "AL201" not in {finding.code for finding in found}


def chat(form: str, cch: str | None, model: str) -> bytes:
    """The same conversation as a relay gets it that speaks OpenAI's chat."""
    messages = [{"role": "system", "content": system(form, cch)}, {"role": "user", "content": "Do it."}]
    return json.dumps({"model": model, "messages": messages}).encode()


@pytest.mark.parametrize("form", FORMS)
def test_a_relay_of_claude_s_leaves_the_attribution_out_as_well(form: str):
    model = "anthropic/claude-sonnet-4.5"
    found = [formats.read(chat(form, cch, model), format="openai-chat") for cch in ("11111", "2b2b2", None)]
    assert identity(found[0]) == identity(found[1]) == identity(found[2])
    for index, segment in enumerate(found[0].segments):
        if line("11111").encode() in found[0].load(segment.start, segment.end):
            assert not markers.markable(found[0], index)
    own = [formats.read(chat(form, cch, "gpt-5.5"), format="openai-chat").hash for cch in ("11111", "2b2b2")]
    assert own[0] != own[1]  # another model is shown it


def test_a_message_of_the_attribution_alone_is_no_part_of_the_prompt():
    messages = [{"role": "system", "content": line("11111")}, {"role": "user", "content": "Do it."}]
    prompt = formats.read(
        json.dumps({"model": "anthropic/claude-opus-5", "messages": messages}).encode(), format="openai-chat"
    )
    assert [one.kind for one in prompt.segments] == ["text"]
