"""The probability of a hit: bounds, order, and the table that ships."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchorline.cache.hits import (
    COEFFICIENTS,
    KNOTS,
    TABLE,
    PersonMessage,
    Return,
    kind,
    probability,
    returning,
    terms,
)

LIFETIMES = {"5m": 300.0, "1h": 3600.0, "30m": 1800.0, "idle": 300.0, "disk": 3600.0, "implicit": 300.0}
AGES = st.floats(0, 1e6)
RETURNS = st.builds(
    lambda ttl, age, facts: Return(ttl, age, LIFETIMES[ttl], *facts),
    st.sampled_from(sorted(LIFETIMES)),
    AGES,
    st.tuples(*[st.booleans()] * 6),
)


@given(RETURNS)
def test_it_is_a_probability_and_every_fact_has_a_coefficient(back: Return):
    assert 0 < probability(back) < 1
    assert {name for name, _ in terms(back)} <= COEFFICIENTS.keys()


@given(st.sampled_from(sorted(LIFETIMES)), AGES, AGES)
def test_an_older_entry_is_never_more_probable(ttl: str, one: float, other: float):
    young, old = sorted((one, other))
    assert (
        probability(Return(ttl, old, LIFETIMES[ttl]))
        <= probability(Return(ttl, young, LIFETIMES[ttl])) + 1e-9
    )


@given(RETURNS)
def test_only_a_turn_without_thinking_overturns_the_rule(back: Return):
    if back.compacted or back.model_changed or back.age > back.lifetime:
        assert probability(back) < 0.5
    elif not back.thoughtless:
        assert probability(back) > 0.5


def test_a_message_of_a_person_is_less_sure_than_a_tool_result():
    assert probability(Return("1h", 60, 3600, user=True)) < probability(Return("1h", 60, 3600))


def test_a_message_that_opens_a_conversation_is_judged_as_the_first_after_it():
    opening, second, later = (returning("idle", 300, 60, PersonMessage(turns)) for turns in (0, 1, 2))
    assert probability(opening) == probability(second) < probability(later)


def test_every_row_of_knots_stands_for_a_lifetime():
    assert {name.removesuffix(" expired") for name in KNOTS} == {kind(*pair) for pair in LIFETIMES.items()}


@pytest.mark.process
def test_the_table_is_what_the_bench_fits(data: Path, tmp_path: Path):
    pytest.importorskip("numpy")
    bench = Path(__file__).parents[1] / "bench"
    files = [data / "cache" / name for name in ("requests.jsonl.gz", "requests_more.jsonl.gz")]
    table = tmp_path / "hits.toml"
    subprocess.run(
        [sys.executable, bench, "hit_prediction", "--requests", *files, "--write", table], check=True
    )
    fitted = table.read_text("utf-8")
    assert tomllib.loads(fitted) == pytest.approx(COEFFICIENTS, abs=0.002)
    assert fitted.splitlines()[:2] == TABLE.read_text("utf-8").splitlines()[:2]
