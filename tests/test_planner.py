"""The planner: what a developer gets for a prompt, and that nothing they send is ever harmed."""

import json

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline import explain
from anchorline.cache import markers
from anchorline.cache.ledger import Entry, MemoryLedger
from anchorline.config import Cache, Config, Refine, Route
from anchorline.plan import Plan, schema
from anchorline.planner import Planner
from anchorline.prompt import formats
from anchorline.prompt.model import Prompt, PromptError, Sent
from anchorline.trim.results import Shortened
from support.examples import examples
from support.json_texts import anthropic_bodies

SYSTEM = "Follow the rules of this repository. " * 300
BODY = {
    "model": "claude-sonnet-5",
    "max_tokens": 500,
    "system": SYSTEM,
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Explain the parser."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "It reads tokens. " * 200}]},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Fix `parse` in src/a.py, it fails on an empty file."}],
        },
    ],
}


def planner(ledger: MemoryLedger | None = None, config: Config | None = None) -> Planner:
    return Planner(config or Config(), ledger or MemoryLedger())


def read(body: object = BODY):
    return formats.read(json.dumps(body).encode())


def same(plan: Plan) -> dict:
    """A plan without what differs each time."""
    values = msgspec.to_builtins(plan)
    for name in ("id", "timing"):
        del values[name]
    return values


def test_a_plan_has_a_reason_for_everything_and_fits_its_schema():
    prompt = read()
    plan = planner().plan(prompt)
    jsonschema.validate(json.loads(msgspec.json.encode(plan)), schema())
    assert plan.failure is None
    assert plan.refinement.reason
    assert plan.route.reason
    assert plan.cache.reason
    assert all(anchor.reason for anchor in plan.cache.anchors)
    assert plan.tokens.low <= plan.tokens.estimate <= plan.tokens.high


def test_the_same_prompt_gives_the_same_plan():
    assert same(planner().plan(read(), now=5.0)) == same(planner().plan(read(), now=5.0))


def test_anchors_make_it_cheaper_than_sending_it_without():
    plan = planner().plan(read())
    assert plan.cache.anchors
    assert plan.cost.usd < plan.cost.without_plan_usd


def test_what_was_just_sent_is_expected_to_be_read():
    ledger, stay = MemoryLedger(), Config(route=Route(enabled=False))
    first = planner(ledger, stay).plan(read({**BODY, "messages": BODY["messages"][:1]}), now=1000.0)
    prompt = read({**BODY, "messages": BODY["messages"][:1]})
    for anchor in first.cache.anchors:
        prefix = prompt.segments[anchor.segment].prefix
        ledger.put(
            Entry(
                "anthropic", "default", "claude-sonnet-5", prefix, anchor.prefix_tokens, "5m", 1000.0, 1300.0
            )
        )
    second = planner(ledger, stay).plan(read(), now=1030.0)
    assert second.cache.p_hit > 0.9
    assert second.cache.expected_read_tokens > 0.9 * first.cache.anchors[-1].prefix_tokens
    assert second.cache.expires_in_s == 270
    late = planner(ledger, stay).plan(read(), now=1400.0)
    assert late.cache.p_hit < 0.1
    assert [miss.code for miss in late.cache.miss_reasons] == ["expired"]
    assert late.cost.usd > second.cost.usd


def test_a_model_that_the_route_proposes_is_warm_where_the_ledger_says_so():
    config = Config(route=Route(allow=("claude-haiku-5-5",), success_usd=0.0))
    prompt = read()
    cold = planner(config=config).plan(prompt, now=1000.0)
    assert cold.route.target == "claude-haiku-5-5"
    assert cold.cache.expected_read_tokens < 100
    entry = Entry(
        "anthropic", "default", "claude-haiku-5-5", prompt.segments[-1].prefix, 5000, "5m", 990.0, 1290.0
    )
    warm = planner(MemoryLedger([entry]), config).plan(prompt, now=1000.0)
    assert warm.cache.p_hit > 0.9
    assert warm.cost.usd < cold.cost.usd


def test_a_model_that_the_conversation_has_left_reads_what_it_still_holds():
    prompt = read()
    before = prompt.segments[-2].prefix
    sent = Sent(990.0, "claude-haiku-5-5", before, len(prompt.segments) - 1, 10, 0, 4700, "5m")
    settings = Config(route=Route(allow=("claude-haiku-5-5",)))

    def cost(now: float) -> float:
        plan = planner(config=settings).plan(msgspec.structs.replace(prompt, sent=(sent,)), now=now)
        [haiku] = [one for one in plan.route.alternatives if one.target == "claude-haiku-5-5"]
        return haiku.cost_usd

    assert cost(1000.0) < 0.7 * cost(1400.0)  # the five minutes are over


def test_what_is_new_is_trimmed_and_what_is_cached_is_not():
    lines = "".join(f"{n}: a line of output that is long enough\n" for n in range(800))
    result = {"type": "tool_result", "tool_use_id": "t1", "content": lines}
    turn = {"role": "user", "content": [result, {**result, "tool_use_id": "t2"}]}
    prompt = read({**BODY, "messages": [*BODY["messages"][:2], turn]})

    def trims(*entries: Entry):
        own = Planner(Config(), MemoryLedger(entries), shortened=Shortened())
        return own.plan(prompt, now=1000.0).trims

    (trim,) = trims()
    assert (trim.segment, trim.action, trim.kinds, trim.restorable) == (
        4,
        "shorten",
        ("earlier_lines",),
        True,
    )
    assert trim.tokens_saved > 0.9 * prompt.segments[4].tokens
    prefix = prompt.segments[4].prefix
    assert trims(Entry("anthropic", "default", "claude-sonnet-5", prefix, 9000, "5m", 990.0, 1290.0)) == ()
    assert planner().plan(prompt, now=1000.0).trims == (), "only who sends it, or shows it, makes it shorter"


def test_settings_are_obeyed():
    prompt = read()
    off = Config(refine=Refine(enabled=False), cache=Cache(ttl="1h"))
    plan = planner(config=off).plan(prompt)
    assert plan.refinement.status == "unavailable"
    assert {anchor.ttl for anchor in plan.cache.anchors} == {"1h"}


def test_a_provider_without_a_cache_says_so():
    plan = planner().plan(read({"model": "somebody-elses-model", "messages": BODY["messages"]}))
    assert (plan.cache.mode, plan.cache.anchors, plan.cache.p_hit) == ("none", (), 0.0)
    assert plan.cache.miss_reasons[0].code == "no_cache"


def test_an_empty_prompt_gets_a_plan():
    assert planner().plan(formats.read(b"", name="a.prompt.md")).failure is None


def test_whatever_breaks_the_prompt_goes_through_unchanged_and_one_is_told(monkeypatch: pytest.MonkeyPatch):
    broken = planner()
    monkeypatch.setattr(broken.heuristic.gaps, "after", lambda *_: 1 / 0)
    prompt = read()
    plan = broken.plan(prompt)
    assert plan.failure is not None
    assert "ZeroDivisionError" in plan.failure
    assert markers.splices(prompt, plan.cache.anchors) == ()
    assert (plan.refinement.text, plan.trims, plan.route.target) == (None, (), "claude-sonnet-5")
    assert "as it is" in explain.markdown(plan)
    jsonschema.validate(json.loads(msgspec.json.encode(plan)), schema())


@examples(60)
@given(anthropic_bodies(), st.sampled_from(["respect", "extend", "replace"]))
def test_any_body_gets_a_plan_whose_anchors_strip_to_the_original(body: bytes, mode: str):
    try:
        prompt = formats.read(body, format="anthropic")
    except PromptError:
        return
    plan = planner(config=Config(cache=Cache(anchors=mode))).plan(prompt)
    assert plan.failure is None
    changes = markers.splices(prompt, plan.cache.anchors)
    assert markers.strip(markers.apply(body, changes), changes) == body
    if mode != "replace" and all(anchor.origin == "client" for anchor in plan.cache.anchors):
        assert markers.apply(body, changes) == body


def test_the_explanation_names_what_matters():
    prompt = read()
    plan = planner().plan(prompt)
    text = explain.markdown(plan, prompt)
    assert plan.route.target in text
    assert "breakpoint `/system`" in text
    assert "P(hit)" in explain.line(plan)


def test_a_session_file_is_planned_as_it_was_before_its_last_answer(tmp_path):
    """Its usage says what was sent before, and with which markers; the answer itself is not used."""

    def line(role: str, second: int, text: str, **more: object) -> str:
        message = {"role": role, "content": [{"type": "text", "text": text}], **more}
        return json.dumps(
            {
                "type": role,
                "uuid": f"u{second}",
                "parentUuid": f"u{second - 10}" if second else None,
                "isSidechain": False,
                "sessionId": "s",
                "timestamp": f"2026-11-01T10:00:{second:02d}.000Z",
                "message": message,
            }
        )

    def answer(second: int, read: int, write: int) -> str:
        usage = {
            "input_tokens": 4,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": write,
            "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 9,
        }
        return line("assistant", second, "It is done.", id=f"m{second}", model="claude-sonnet-5", usage=usage)

    path = tmp_path / "session.jsonl"
    lines = [
        line("user", 0, "Explain the parser."),
        answer(10, 0, 40_000),
        line("user", 20, "Now fix it."),
        answer(30, 40_000, 60),
    ]
    path.write_text("\n".join(lines) + "\n")
    plan = planner().plan(formats.read_file(path))
    assert plan.failure is None
    assert plan.tokens.estimate == pytest.approx(40_030, abs=60)
    assert plan.tokens.low < plan.tokens.estimate < plan.tokens.high < 40_200
    assert plan.cache.p_hit > 0.7  # less sure than within a turn: see docs/research/hit-prediction.md
    assert plan.cache.expected_read_tokens == pytest.approx(plan.cache.p_hit * 40_000, rel=0.02)
    assert plan.cost.without_plan_usd < 1.3 * plan.cost.usd


def short(turns: int, model: str = "claude-sonnet-4-5") -> Prompt:
    """A conversation whose estimate is just above the 1 024 tokens that the model caches."""
    said: list = [{"role": "user", "content": [{"type": "text", "text": "look at it again; " * 210}]}]
    for turn in range(turns - 1):
        said += [
            {"role": "assistant", "content": f"done {turn}"},
            {"role": "user", "content": f"and {turn}?"},
        ]
    body = {"model": model, "max_tokens": 9, "messages": said}
    return formats.read(json.dumps(body).encode(), format="anthropic")


@pytest.mark.parametrize(
    ("billed", "written", "expected"), [(839, 0, False), (1100, 1100, True), (1100, 0, False)]
)
def test_a_prompt_that_was_too_short_to_be_cached_is_no_hit(billed: int, written: int, expected: bool):
    first, second = short(1), short(2)
    assert first.tokens == pytest.approx(1060, abs=30)
    sent = Sent(1000.0, "claude-sonnet-4-5", first.segments[-1].prefix, 1, billed - written, 0, written, "5m")
    planner = Planner(Config(route=Route(enabled=False)), MemoryLedger())
    plan = planner.plan(msgspec.structs.replace(second, sent=(sent,)), now=1030.0)
    assert (plan.cache.p_hit > 0.9) is expected
    assert plan.tokens.estimate == pytest.approx(billed + second.tokens - first.tokens, abs=2)


@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("gpt-6", 3000, "anchors the end of the prompt itself"),
        ("gpt-6", 20, "caches from 1,024 on"),
        ("gpt-5.1", 3000, "caches by itself"),
        ("claude-sonnet-4-5", 20, "caches from 1,024 on"),
    ],
)
def test_a_prompt_without_a_breakpoint_says_why(model: str, words: int, said: str):
    format_ = "anthropic" if "claude" in model else "openai-responses"
    text = "look at it again. " * words
    body = {"model": model, "max_tokens": 9}
    body |= {"messages" if format_ == "anthropic" else "input": [{"role": "user", "content": text}]}
    prompt = formats.read(json.dumps(body).encode(), format=format_)
    plan = Planner(Config(route=Route(enabled=False)), MemoryLedger()).plan(prompt, now=1000.0)
    assert not plan.cache.anchors
    assert said in plan.cache.reason
    assert "too short, or" not in plan.cache.reason


def document(models: str) -> Plan:
    text = f"---\nmodel: {models}\n---\n\nFix the typo in `README.md`.\n"
    prompt = formats.read(text.encode(), name="fix.prompt.md")
    route = Route(model="claude-sonnet-5", enabled=False)
    return Planner(Config(route=route), MemoryLedger()).plan(prompt, now=1_790_000_000.0)


@pytest.mark.parametrize(
    ("models", "target"),
    [
        ("Claude Haiku 4.5 (copilot)", "claude-haiku-4-5"),
        ("haiku", "claude-haiku-5-5"),
        ("['Nobody 3', 'GPT-5.5 (copilot)', haiku]", "gpt-5.5"),
        ("''", "claude-sonnet-5"),
    ],
)
def test_a_document_is_planned_for_the_model_that_it_names(models: str, target: str):
    plan = document(models)
    assert plan.route.target == target
    assert plan.cost.usd is not None


def test_a_model_that_nobody_knows_is_said_not_to_be_known():
    plan = document("Raptor mini (Preview)")
    assert plan.route.target == "Raptor mini (Preview)"
    assert "claude" not in plan.route.reason
    assert "not known" in plan.route.reason
    assert (plan.cost.usd, plan.cost.without_plan_usd, plan.cost.low_usd) == (None, None, None)
    assert "$" not in explain.markdown(plan)
