"""The findings of real sessions: all of the bill, in well under a second, with worths that the bill agrees with."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.findings.overview import overview
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


def test_lifetimes_that_the_gateway_chooses_are_proven_where_an_hour_for_all_is_not(data: Path):
    _import(data, "claude-code")
    fixes = {finding.code: finding.fix for finding in overview(database.locate(), TARGETS).findings}
    fix = fixes["expired"]
    assert fix is not None
    assert fix.changes == ()
    assert "anchors" in fix.title
    assert fix.worth.low > 0


def test_what_a_finding_cost_lies_in_the_interval_of_what_its_fix_would_have_saved(data: Path):
    """The one is added up from the bill, the other simulated on both sides."""
    _import(data, "claude-code")
    fixed = [finding for finding in overview(database.locate(), TARGETS).findings if finding.fix is not None]
    assert fixed
    for finding in fixed:
        assert finding.fix is not None
        worth = finding.fix.worth
        assert 0 < worth.low <= worth.value <= worth.high
        # A setting does not undo all of a finding, and a longer lifetime costs something as well.
        if not finding.fix.changes and finding.code != "expired":
            assert worth.low <= finding.usd <= worth.high, finding.code
