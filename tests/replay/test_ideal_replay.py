"""The ideal replay: by hand on small chains, against brute force, and on the recorded traces' known figures."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from anchorline.cache.gaps import HazardGaps
from anchorline.cache.lifetime import Action
from anchorline.cache.rules import load
from support.ideal_replay import ChainStep, clairvoyant, cost, delta_rule, expected, fixed, moment

ANTHROPIC = load().provider("anthropic")
FIVE, HOUR = (ANTHROPIC.lifetime(name) for name in ("5m", "1h"))
BENCH = Path(__file__).parent.parent / "bench"


def chain(*requests: tuple[float, int, int]) -> list[ChainStep]:
    return [ChainStep(at, tokens, shared) for at, tokens, shared in requests]


def test_a_hit_is_read_and_the_rest_is_written():
    steps = chain((0, 1000, 0), (100, 1500, 1000))
    assert cost(steps, fixed(Action(FIVE))) == pytest.approx(1250 + 100 + 1.25 * 500)


def test_after_the_lifetime_all_is_written_again():
    steps = chain((0, 1000, 0), (301, 1500, 1000))
    assert cost(steps, fixed(Action(FIVE))) == pytest.approx(1250 + 1875)
    assert cost(steps, fixed(Action(HOUR))) == pytest.approx(2000 + 100 + 1000)


def test_pings_prolong_it_and_are_all_paid_after_the_last_request():
    steps = chain((0, 1000, 0), (301, 1500, 1000))
    pings = 100 + 2 * 150
    assert cost(steps, fixed(Action(FIVE, 2))) == pytest.approx(1250 + 100 + 1.25 * 500 + pings)


def test_what_was_not_written_is_not_read():
    steps = chain((0, 1000, 0), (1, 1500, 1000))
    assert cost(steps, fixed(Action())) == 2500


def test_the_delta_rule_insures_small_additions_only():
    steps = chain((0, 1000, 0), (10, 1040, 1000), (2000, 2000, 1040))
    assert cost(steps, delta_rule(Action(FIVE), Action(HOUR))) == pytest.approx(
        1250 + 100 + 2 * 40 + 104 + 1.25 * 960
    )


def test_knowing_the_future_is_as_good_as_trying_everything():
    steps = chain((0, 1000, 0), (400, 1100, 1000), (5000, 1200, 1100), (5010, 3000, 1200), (9000, 3100, 3000))
    actions = [Action(), Action(FIVE), Action(HOUR), Action(FIVE, 2), Action(HOUR, 1)]
    tried = min(
        cost(steps, lambda asked, plan=plan: plan[asked.index])
        for plan in product(actions, repeat=len(steps))
    )
    assert cost(steps, clairvoyant(actions)(steps)) == pytest.approx(tried)


def test_a_policy_sees_nothing_of_what_comes_after():
    steps = chain(*((number * 50.0, 1000 + 10 * number, 990 + 10 * number) for number in range(40)))
    assert moment(steps, 20) == moment(steps[:21], 20)


def test_ours_chooses_the_lifetime_before_the_answer_is_there():
    steps = [ChainStep(0, 50_000, 0, "user", stop) for stop in ("tool_use", "end_turn")]
    policy = expected(HazardGaps(), ANTHROPIC)
    assert cost(steps[:1], policy) == cost(steps[1:], policy)


@pytest.mark.process
def test_the_recorded_traces_give_the_known_figures(data: Path):
    cache = data / "cache"
    files = ["--weka", cache / "weka.jsonl.gz", "--near-duplicates", cache / "weka_near_duplicates.json"]
    run = subprocess.run(
        [sys.executable, BENCH, "cache_policies", *files, "--ideal", "--quick", "--json"],
        capture_output=True,
        check=True,
    )
    found = {
        (row["case"], row["subset"], row["metric"]): row["value"] for row in json.loads(run.stdout)["rows"]
    }
    known = {
        "all-5m": 0.197,
        "all-1h": 0.177,
        "keepalive-3": 0.176,
        "delta-rule": 0.156,
        "clairvoyant": 0.148,
        "clairvoyant-pings": 0.146,
        "system-only": 0.898,
    }
    for case, value in known.items():
        assert found[case, "train+dev", "cost"] == pytest.approx(value, abs=0.002)
    assert found["ours", "dev", "headroom_share"] > 0.66
    assert found["ours-no-pings", "dev", "cost"] < found["delta-rule", "dev", "cost"]
    assert found["ours-no-pings", "train", "cost"] < found["delta-rule", "train", "cost"]
