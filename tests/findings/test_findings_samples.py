"""The findings of real sessions: all of the bill, in well under a second, with worths that the bill agrees with."""

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.billed.request import PricedModels
from anchorline.cli.main import cli
from anchorline.findings.overview import overview, summed
from anchorline.findings.sessions import session_sums
from anchorline.report.collect import collect
from anchorline.route.target import load
from anchorline.store import database

TARGETS = load()


def _import(data: Path, *agents: str) -> None:
    for agent in agents:
        done = CliRunner().invoke(cli, ["import", agent, str(data / "transcripts" / agent), "--json"])
        assert done.exit_code == 0, done.output


def test_all_of_the_bill_is_divided(data: Path):
    _import(data, "claude-code", "codex")
    known = overview(database.locate(), TARGETS)
    report = collect(database.locate(), TARGETS)
    assert {use.agent for use in known.agents} == {"claude-code", "codex"}
    assert known.requests == report.requests
    assert known.usd == pytest.approx(sum(cost.usd or 0.0 for cost in report.costs), abs=0.005)
    assert sum(finding.usd for finding in known.findings) + known.rest == pytest.approx(known.usd, abs=0.005)
    assert {"expired", "history_changed", "large_results", "files_reread"} <= {
        finding.code for finding in known.findings
    }
    assert all(finding.worst is not None and finding.worst.project for finding in known.findings)
    assert report.overview == known


def test_what_a_finding_cost_lies_in_the_interval_of_what_its_fix_would_have_saved(data: Path):
    """The one is added up from the bill, the other simulated on both sides."""
    _import(data, "claude-code")
    fixed = [finding for finding in overview(database.locate(), TARGETS).findings if finding.fix is not None]
    assert fixed
    for finding in fixed:
        assert finding.fix is not None
        worth = finding.fix.worth
        assert 0 < worth.low <= worth.value <= worth.high
        if not finding.fix.changes:  # a setting does not undo all of a finding
            assert worth.low <= finding.usd <= worth.high, finding.code


def test_the_bill_is_divided_in_well_under_a_second(data: Path):
    _import(data, "claude-code", "codex")
    with database.reading(database.locate()) as connection:
        connection.row_factory = None
        begin = time.process_time()
        known = summed(day for sums in session_sums(connection, PricedModels(TARGETS)) for day in sums.days)
        assert time.process_time() - begin < 0.5
    assert known.requests > 2000
