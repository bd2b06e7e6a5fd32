"""The bench of deciding together: what it prints of two made-up sessions can be told by hand."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process
BENCH = Path(__file__).parents[1] / "bench"


def session(name: str, lengths: list[int]) -> list[dict]:
    """A turn of five requests for each message; a minute between them, five seconds within a turn."""
    rows = []
    for turn, characters in enumerate(lengths):
        for step in range(5):
            size = 20_000 + 10_000 * turn + 2_000 * step
            at = 1e9 + 90 * turn + 5 * step
            rows.append(
                {
                    "agent": "claude-code", "session": name, "chain": "main", "model": "claude-opus-4-5", "sent_at": at,
                    "first_at": at + 2, "trigger": "tool" if step else "user", "split": "dev",
                    "new_blocks": [["assistant", "text", 9, "x"]] if step else [["user", "text", characters, "x"]],
                    "input": 10, "read": size - 2010 if rows else 0, "write_5m": 2000 if rows else size - 10,
                    "write_1h": 0,
                }
            )  # fmt: skip
    return rows


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[tuple[str, str, str], float]:
    path = tmp_path_factory.mktemp("joint") / "requests.jsonl.gz"
    rows = [*session("a", [40, 3000, 40, 3000, 40]), *session("b", [3000, 40, 3000, 40, 40])]
    with gzip.open(path, "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    run = subprocess.run(
        [sys.executable, BENCH, "joint", "--requests", path, "--split", "dev", "--foresight", "--json"],
        capture_output=True,
        check=True,
    )
    return {
        (row["case"], row["subset"], row["metric"]): row["value"] for row in json.loads(run.stdout)["rows"]
    }


@pytest.mark.process
def test_a_router_that_is_blind_to_the_cache_goes_to_and_fro_and_pays_for_it(found):
    assert found["each-alone", "pair", "cost_ratio"] == 1
    assert found["route-first", "pair", "switches"] > 0
    assert found["ours", "pair", "switches"] <= found["route-first", "pair", "switches"]
    assert found["ours", "pair", "cost_ratio"] < 0.95


def test_what_is_asked_once_never_switches(found):
    assert found["route-once", "pair", "switches"] == 0


def test_a_lifetime_that_is_chosen_with_the_route_costs_no_more(found):
    assert found["route-first", "pair", "cost_ratio"] <= 1


def test_deciding_together_costs_less_than_any_other_and_no_more_can_be_had_than_with_foresight(found):
    assert found["ours", "pair", "over_rest"] < 1
    assert found["foresight", "pair", "cost_ratio"] <= found["ours", "pair", "cost_ratio"]
