"""What a request cost, in dollars, by what its usage tells."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.outcome import Iteration, Usage
from anchorline.route.pricing import Bill, Pricing, Unpriced
from anchorline.route.target import load as load_targets

PRICING = Pricing(load_targets())


def day(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = day("2026-11-30 12:00")


def usd(usage: Usage, model: str, at: float = NOW) -> float:
    bill = PRICING.bill(usage, model, at)
    assert isinstance(bill, Bill), bill
    return bill.usd


def unknown(usage: Usage, model: str) -> str:
    bill = PRICING.bill(usage, model, NOW)
    assert isinstance(bill, Unpriced)
    return str(bill)


MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "usage", "expected"),
    [
        ("claude-sonnet-4-5", Usage(10, 0, 10_000, 2, write_1h=10_000), 0.06006),
        ("claude-sonnet-4-5", Usage(10, 0, 10_000, 2), 0.03756),
        (
            "claude-sonnet-4-5",
            Usage(10, 0, 10_000, 2, write_1h=4000),
            (10 + 6000 * 1.25 + 4000 * 2) * 3e-6 + 3e-5,
        ),
        ("claude-opus-4-6", Usage(1000, 0, 0, 10_000), 0.255),
        ("claude-opus-4-6", Usage(1000, 0, 0, 10_000, speed="fast"), 1.53),
        ("claude-opus-5-5", Usage(1000, 0, 0, 1000, speed="fast"), 2 * (0.004 + 0.02)),
        ("claude-opus-4-6", Usage(1000, 0, 0, 1000, tier="batch"), 0.015),
        ("claude-opus-4-6", Usage(1000, 0, 0, 1000, geo="us"), 0.033),
        ("claude-opus-5-5", Usage(1000, 0, 0, 1000, speed="fast", geo="us"), 2.2 * 0.024),
        ("gpt-6.1-sol", Usage(0, MILLION // 10, 0, 0, tier="priority"), 0.02),
        ("gpt-6.1-sol", Usage(1000, 0, 0, 0, tier="flex"), 0.001),
        ("claude-haiku-4-5", Usage(1000, 0, 0, 0, web_searches=3), 0.031),
        ("gpt-5.6-sol", Usage(0, 0, 1000, 0), 0.005),
        ("gpt-6.2-sol", Usage(1000, 10_000, 0, 1000), 0.002 + 0.001 + 0.01),
        ("gpt-6.2-astra", Usage(1000, 0, 0, 0), 0.008),
        ("claude-mythos-5-2", Usage(1000, 10_000, 0, 0), 0.008 + 0.002),
        ("kimi-k3", Usage(0, 0, 1000, 0, write_1h=500), 500 * 3e-6 + 500 * 6e-6),
        ("qwen3-coder-plus", Usage(1000, 0, 0, 1000), 0.006),
        ("qwen3-coder-plus", Usage(33_000, 0, 0, 1000), 33_000 * 1.8e-6 + 9e-3),
        ("qwen3.7-max", Usage(0, 10_000, 0, 0), 10_000 * 2.5e-6 * 0.2),
        ("qwen3.7-max", Usage(0, 10_000, 1000, 0), (10_000 * 0.1 + 1000 * 1.25) * 2.5e-6),
        ("minimax-m2.5", Usage(0, 10_000, 1000, 0), (10_000 * 0.1 + 1000 * 1.25) * 0.3e-6),
        ("glm-5.3", Usage(0, MILLION, 0, 0), 0.26),
        ("grok-4.7", Usage(0, 100_000, 0, 0), 0.05),
        ("MiniMax-M3", Usage(1000, 0, 0, 0), 0.0003),
        ("mistral-large-latest", Usage(0, MILLION, 0, 0), 0.07),
        ("claude-3-5-sonnet-20241022", Usage(1000, 0, 0, 0), 0.003),
        ("deepseek-v4-flash-free", Usage(1000, 0, 0, 1000), 0.0),
    ],
)
def test_a_usage_has_one_price(model, usage, expected):
    assert usd(usage, model) == pytest.approx(expected, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "then", "usage", "expected"),
    [
        ("claude-sonnet-5-5", "2026-10-06 23:59", Usage(read=MILLION // 10), 0.02),
        ("claude-sonnet-5-5", "2026-10-07", Usage(read=MILLION // 10), 0.01),
        ("gpt-5.6-terra", "2026-07-29 23:59", Usage(input=1000, output=1000), 0.0025 + 0.015),
        ("gpt-5.6-terra", "2026-07-30", Usage(input=1000, output=1000), 0.002 + 0.012),
        ("gpt-5.6-luna", "2026-07-01", Usage(input=1000), 0.001),
        ("claude-opus-4-6", "2026-03-01", Usage(input=300_000), 3.0),
        ("claude-opus-4-6", "2026-03-13", Usage(input=300_000), 1.5),
        ("gemini-4-argon", "2026-11-30 23:59", Usage(input=1000), 0.002),
        ("gemini-4-argon", "2026-12-01", Usage(input=1000), 0.004),
        ("deepseek-flash", "2026-11-30 02:00", Usage(input=MILLION), 0.3),  # a Monday
        ("deepseek-flash", "2026-11-30 05:00", Usage(input=MILLION), 0.15),
        ("deepseek-flash", "2026-11-28 02:00", Usage(input=MILLION), 0.15),
        ("deepseek-flash", "2026-08-01 02:00", Usage(input=MILLION), 0.14),
    ],
)
def test_a_request_costs_what_it_cost_on_its_day(model, then, usage, expected):
    assert usd(usage, model, day(then)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "usage", "says"),
    [
        ("somebody/unknown", Usage(1), "price of somebody/unknown not known"),
        ("", Usage(1), "not known"),
        ("claude-haiku-4-5", Usage(1, speed="fast"), "price of fast mode (claude-haiku-4-5) not known"),
        ("claude-opus-4-6", Usage(1, tier="priority"), "price of tier priority (claude-opus-4-6) not known"),
        ("claude-opus-4-6", Usage(1, geo="eu"), "price of region eu (claude-opus-4-6) not known"),
        ("deepseek-flash", Usage(1, web_searches=1), "price of web searches (deepseek-flash) not known"),
    ],
)
def test_what_is_not_known_is_said_and_is_no_zero(model, usage, says):
    assert says in unknown(usage, model)


def test_each_inference_is_billed_by_itself():
    compaction = Iteration("compaction", input=180_000, output=3500)
    message = Iteration("message", input=23_000, output=1000)
    usage = Usage(input=203_000, output=4500, iterations=(compaction, message))
    assert usd(usage, "claude-opus-4-6") == pytest.approx(203_000 * 5e-6 + 4500 * 25e-6)
    early = day("2026-03-01")  # the sum is a long prompt, neither of its parts is one
    assert usd(usage, "claude-opus-4-6", early) == pytest.approx(203_000 * 5e-6 + 4500 * 25e-6)


def test_an_advisor_is_billed_at_its_own_price_and_not_in_fast_mode():
    asked = Iteration("message", input=1000, output=100)
    advisor = Iteration("advisor_message", "claude-fable-5-1", input=2000, output=200)
    usage = Usage(input=3000, output=300, speed="fast", iterations=(asked, advisor))
    own, other = 2 * (1000 * 4e-6 + 100 * 20e-6), 2000 * 10e-6 + 200 * 50e-6
    assert usd(usage, "claude-opus-5-5") == pytest.approx(own + other)
    unlisted = Usage(input=1, iterations=(asked, Iteration("advisor_message", "x/y", input=1)))
    assert unknown(unlisted, "claude-opus-5-5") == "price of x/y not known"


COUNT = st.integers(0, 50_000)


@given(
    COUNT,
    COUNT,
    COUNT,
    COUNT,
    st.floats(0, 1),
    st.sampled_from(["claude-opus-5-5", "gpt-6.1-sol", "kimi-k3"]),
)
def test_a_bill_is_the_sum_of_its_parts_and_without_a_cache_no_read_is_cheap(
    input_, read, write, output, share, model
):
    usage = Usage(input_, read, write, output, write_1h=int(write * share))
    bill = PRICING.bill(usage, model, NOW)
    plain = PRICING.bill(Usage(input_ + read + write, 0, 0, output), model, NOW)
    assert isinstance(bill, Bill)
    assert isinstance(plain, Bill)
    assert bill.usd == pytest.approx(bill.input + bill.read + bill.write + bill.output)
    assert bill.uncached == pytest.approx(plain.usd)
    assert bill.saved == pytest.approx(plain.usd - bill.usd)
