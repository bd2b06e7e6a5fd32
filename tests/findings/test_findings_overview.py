"""Each dollar of the bill is under one finding or none, and each kind of finding is where it was made."""

import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.findings.model import CostFinding, Overview
from anchorline.findings.overview import overview
from anchorline.outcome import Iteration, Outcome, Usage
from anchorline.plan import Miss
from anchorline.report.collect import collect
from anchorline.route.target import load
from anchorline.sessions.facts import ToolResult
from anchorline.sessions.request import RecordedRequest
from anchorline.store import database
from support.examples import examples
from support.history import billed, planned, recorded
from support.sessions_in_store import START, put, request

TARGETS = load()
OPUS = 5e-6
"""USD for a token of input: claude-opus-4-6. Reading costs 0.1 of it, writing 1.25, and 2 for an hour."""


def now() -> Overview:
    return overview(database.locate(), TARGETS)


def finding(code: str) -> CostFinding:
    (match,) = (finding for finding in now().findings if finding.code == code)
    return match


def test_without_a_history_nothing_was_spent():
    assert now() == Overview((), None, None, 0, 0, 0, 0, 0.0, (), 0.0)


def test_a_return_after_the_lifetime_costs_what_writing_costs_more_than_reading():
    put([
        request(1, write_1h=40_000),
        request(2, at=120, read=40_000, write_1h=500),
        request(3, at=7500, write_1h=41_000),
    ])  # fmt: skip
    expired = finding("expired")
    assert (expired.count, expired.unit, expired.requests) == (1, "return", 1)
    assert expired.usd == pytest.approx(40_500 * (2 - 0.1) * OPUS, abs=1e-6)
    (tokens,) = expired.tokens
    assert msgspec.structs.astuple(tokens) == ("claude-opus-4-6", 0, -40_500, 0, 40_500)
    assert expired.worst is not None
    assert (expired.worst.day, expired.worst.usd) == ("2026-01-05", expired.usd)


def test_a_shorter_read_is_a_changed_history_and_none_at_all_changed_tools():
    put([
        request(1, write_1h=30_000),
        request(2, at=120, read=20_000, write_1h=11_000),
        request(3, at=180, write_1h=32_000),
    ])  # fmt: skip
    assert finding("history_changed").usd == pytest.approx(10_000 * 1.9 * OPUS, abs=1e-6)
    assert finding("tools_changed").usd == pytest.approx(31_000 * 1.9 * OPUS, abs=1e-6)


def test_what_was_written_just_before_may_not_be_readable_yet():
    put([
        request(1, write_1h=10_000),
        request(2, at=90, read=10_000, write_1h=20_000),
        request(3, at=91, read=10_000, write_1h=21_000, trigger="tool"),
    ])  # fmt: skip
    early = finding("not_readable")
    assert (early.count, early.unit) == (1, "request")
    assert early.usd == pytest.approx(20_000 * 1.9 * OPUS, abs=1e-6)


def test_thinking_that_a_provider_takes_out_is_no_finding():
    put([
        request(1, input=40_000, model="gpt-5.5"),
        request(2, at=90, read=39_000, input=20_000, model="gpt-5.5", trigger="tool"),
        request(3, at=120, read=30_000, input=28_000, model="gpt-5.5"),
    ], "codex")  # fmt: skip
    assert now().findings == ()
    put([
        request(1, input=40_000, model="gpt-5.5"),
        request(2, at=90, read=20_000, input=39_000, model="gpt-5.5", trigger="tool"),
    ], "codex")  # fmt: skip
    assert finding("history_changed").count == 1


def test_a_switch_of_models_costs_what_the_other_one_had_to_write():
    put([
        request(1, write_1h=30_000),
        request(2, at=120, write_1h=31_000, model="claude-haiku-4-5", switched=True),
    ])  # fmt: skip
    assert finding("model_switched").usd == pytest.approx(30_000 * 1.9 * 1e-6, abs=1e-6)


def test_a_compaction_counts_where_it_was_cold_and_only_for_tools_and_system_prompt():
    put([
        request(1, write_1h=20_000),
        request(2, at=120, read=20_000, write_1h=80_000),
        request(3, at=180, read=20_000, write_1h=5_000, trigger="compact"),
        request(4, at=9000, write_1h=30_000, trigger="compact"),
    ])  # fmt: skip
    cold = finding("compacted_cold")
    assert cold.count == 1
    assert cold.usd == pytest.approx(20_000 * 1.9 * OPUS, abs=1e-6)


def test_a_sub_agents_first_request_is_counted_whole():
    put([
        request(1, write_1h=20_000),
        request(1, at=120, chain="a1", read=8_000, write_5m=4_000),
        request(2, at=130, chain="a1", read=12_000, write_5m=1_000),
    ])  # fmt: skip
    starts = finding("subagent_starts")
    assert (starts.count, starts.requests) == (1, 1)
    assert starts.usd == pytest.approx((8_000 * 0.1 + 4_000 * 1.25) * OPUS, abs=1e-6)


def test_the_worst_example_is_the_session_and_day_that_cost_most():
    day = 86_400
    for name, tokens, at in (("s1", 30_000, 0), ("s2", 90_000, day), ("s3", 50_000, 2 * day)):
        put([
            request(1, at=at, session=name, write_1h=tokens),
            request(2, at=at + 7200, session=name, write_1h=tokens),
        ], file=name)  # fmt: skip
    expired = finding("expired")
    assert (expired.count, expired.worst and expired.worst.day) == (3, "2026-01-06")


def test_what_the_gateway_saw_as_well_counts_once_and_keeps_its_finding():
    put([
        request(1, write_1h=4200, answer="a1"),
        request(2, at=7500, write_1h=4200, answer="a2"),
    ])  # fmt: skip
    recorded((planned("p"), billed("p")))
    known = now()
    assert {use.agent: use.requests for use in known.agents} == {"claude-code": 2, "gateway": 1}
    assert (known.requests, known.sessions, known.days) == (3, 1, 2)


def _history() -> st.SearchStrategy[list[dict]]:
    tokens = st.integers(0, 60_000)
    result = st.builds(
        ToolResult,
        st.sampled_from(["Read", "Edit", "Bash", "mcp__a__b", ""]),
        st.sampled_from(["text", "image", "pdf"]),
        tokens,
        st.sampled_from([None, b"f" * 16, b"g" * 16]),
        st.none() | st.integers(0, 500),
        st.none() | st.integers(0, 500),
        st.sampled_from([None, "commit", "instructions"]),
    )
    one = st.fixed_dictionaries(
        {
            "at": st.floats(0, 200_000),
            "session": st.sampled_from(["s", "t"]),
            "chain": st.sampled_from(["main", "a1"]),
            "branch": st.integers(0, 1),
            "model": st.sampled_from(["claude-opus-4-6", "claude-haiku-4-5", "gpt-5.5", "nobody-knows-it"]),
            "trigger": st.sampled_from(["user", "tool", "compact"]),
            "input": tokens,
            "read": tokens,
            "write_5m": tokens,
            "write_1h": tokens,
            "results": st.lists(result, max_size=3).map(tuple),
            "billed": st.sampled_from(["plain", "fast", "twice", "advised", "searched"]),
        }
    )
    return st.lists(one, max_size=12)


def _request(number: int, billed: str, **values: Any) -> RecordedRequest:
    """A request whose bill may be more than its counts: fast mode, several inferences, an advisor's, web searches."""
    made = request(number, **values)
    write = made.write_5m + made.write_1h
    usage = Usage(made.input, made.read, write, made.output, made.write_1h)
    once = Iteration("message", None, made.input, made.read, write, made.output, made.write_1h)
    further = {
        "plain": usage,
        "fast": msgspec.structs.replace(usage, speed="fast"),
        "twice": msgspec.structs.replace(usage, iterations=(once, once)),
        "advised": msgspec.structs.replace(
            usage, iterations=(Iteration("advisor_message", "claude-opus-4-6", input=9000), once)
        ),
        "searched": msgspec.structs.replace(usage, web_searches=3),
    }[billed]
    return msgspec.structs.replace(made, usage=None if billed == "plain" else further)


@given(history=_history())
def test_all_findings_and_the_rest_are_the_bill(tmp_path_factory, history):
    folder = tmp_path_factory.mktemp("data")
    with mock.patch.dict(os.environ, {"ANCHORLINE_DATA_DIR": str(folder)}):
        put([_request(number, **values) for number, values in enumerate(history)])
        known = now()
        report = collect(database.locate(), TARGETS)
    shutil.rmtree(folder)
    assert known.rest >= 0
    assert all(finding.usd > 0 for finding in known.findings)
    assert sum(finding.usd for finding in known.findings) + known.rest == pytest.approx(known.usd, abs=1e-4)
    assert sum(use.usd for use in known.agents) == pytest.approx(known.usd, abs=1e-4)
    assert known.usd == pytest.approx(sum(cost.usd or 0.0 for cost in report.costs), abs=1e-4)
    assert (known.requests, known.unpriced) == (report.requests, report.unpriced)
    assert [finding.usd for finding in known.findings] == sorted(
        (finding.usd for finding in known.findings), reverse=True
    )


PRICES = {"claude-opus-4-6": OPUS, "claude-haiku-4-5": 1e-6}


@given(history=_history())
def test_a_finding_s_tokens_at_list_prices_are_its_dollars(tmp_path_factory, history):
    folder = tmp_path_factory.mktemp("data")
    with mock.patch.dict(os.environ, {"ANCHORLINE_DATA_DIR": str(folder)}):
        put([_request(number, **values | {"billed": "plain"}) for number, values in enumerate(history)])
        known = now()
    shutil.rmtree(folder)
    for found in known.findings:
        if PRICES.keys() >= {tokens.model for tokens in found.tokens}:
            usd = sum(
                PRICES[sent.model] * (sent.input + 0.1 * sent.read + 1.25 * sent.write_5m + 2 * sent.write_1h)
                for sent in found.tokens
            )
            assert usd == pytest.approx(found.usd, abs=2e-4), found


def test_the_days_are_those_of_the_requests():
    put([request(1, write_1h=10), request(2, at=86_400, write_1h=10)])
    known = now()
    assert (known.days, known.first_at, known.last_at) == (2, START + 60, START + 86_400)
    assert Path(database.locate()).exists()


@examples(15)
@given(seen=st.lists(st.tuples(st.booleans(), st.integers(1000, 50_000), st.integers(0, 300)), max_size=6))
def test_what_two_have_sentcounts_once_for_findings_and_report(tmp_path_factory, seen):
    folder = tmp_path_factory.mktemp("data")
    with mock.patch.dict(os.environ, {"ANCHORLINE_DATA_DIR": str(folder)}):
        requests = [
            request(number, at=400.0 * number, write_5m=tokens, answer=f"msg_{number}", output=output)
            for number, (_, tokens, output) in enumerate(seen)
        ]
        put(requests)
        plans = [
            (
                planned(f"p{number}", at=sent.sent_at),
                Outcome(
                    f"p{number}",
                    target=sent.model,
                    usage=Usage(write=sent.write_5m, output=sent.output + 1),
                    sent_at=sent.sent_at,
                    answer_id=sent.answer,
                    signals={"status": 200},
                ),
            )
            for number, (sent, (through, _, _)) in enumerate(zip(requests, seen, strict=True))
            if through
        ]
        recorded(*plans, (planned("alone"), billed("alone")))
        known = now()
        report = collect(database.locate(), TARGETS)
    shutil.rmtree(folder)
    assert known.requests == report.requests == len(seen) + 1
    assert known.usd == pytest.approx(sum(cost.usd or 0.0 for cost in report.costs), abs=1e-5)
    assert sum(finding.usd for finding in known.findings) + known.rest == pytest.approx(known.usd, abs=1e-5)


def test_what_only_the_gateway_saw_has_the_finding_that_its_plan_foretold():
    made = planned("p", warm=0)
    cache = msgspec.structs.replace(made.cache, miss_reasons=(Miss("expired", "", 4000),))
    recorded((msgspec.structs.replace(made, cache=cache), billed("p", read=0, write=4200)))
    expired = finding("expired")
    assert (expired.count, expired.fix) == (1, None)
    assert expired.worst is not None
    assert (expired.worst.project, expired.worst.session) == (None, "")
    assert [use.agent for use in now().agents] == ["gateway"]
    assert now().observations == ()
