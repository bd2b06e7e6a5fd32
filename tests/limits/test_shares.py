"""What requests and findings take of a plan, where that can be learnt: said wherever dollars are."""

import json
import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.limits import shares
from anchorline.limits.state import limits
from anchorline.route.target import load
from anchorline.store.database import locate
from support.sessions_in_store import MODEL, TAKEN, plan_work

SHARE = r"about [\d.]+% \[[\d.]+, [\d.]+\] of your 5-hour window"


def run(*words: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_prefix_takes_what_its_tokens_take(isolated_home: Path):
    plan_work(time.time())
    known = limits(locate(), load(), time.time())
    text = shares.of_write(known, MODEL, 50_000, "1h")
    assert re.fullmatch(SHARE, text)
    value, low, high = (float(number) for number in re.findall(r"[\d.]+(?=%|,|\])", text))
    assert low <= 50_000 * TAKEN["write_1h"] <= high
    assert value == pytest.approx(50_000 * TAKEN["write_1h"], rel=0.3)
    assert shares.of_write(known, "gpt-5.5", 50_000, "1h") == "", "of another plan nothing was told"


def test_a_plan_and_the_findings_say_it_beside_their_dollars(
    isolated_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / "own.toml"
    own.write_text('[route]\nenabled = false\n[cache]\nttl = "1h"\n')
    monkeypatch.setenv("ANCHORLINE_CONFIG", str(own))
    system = [{"type": "text", "text": "Keep to the style of the file. " * 4000}]
    body = {
        "model": MODEL,
        "max_tokens": 9,
        "system": system,
        "messages": [{"role": "user", "content": "Go"}],
    }
    file = tmp_path / "a.request.json"
    file.write_text(json.dumps(body))
    assert "of your plan" not in run("plan", "--no-record", str(file))
    plan_work(time.time())
    assert re.search(rf"^- of your plan: {SHARE}$", run("plan", "--no-record", str(file)), re.MULTILINE)
    of_weeks = r"about [\d.]+% \([\d.]+% to [\d.]+%\) of each weekly window"
    assert re.search(rf"Tools, MCP servers or system prompt changed\n.*; {of_weeks}", run())
    assert re.search(
        rf"^Tools, MCP servers or system prompt changed: {of_weeks}\.", run("report"), re.MULTILINE
    )
    first, report = json.loads(run("--json")), json.loads(run("report", "--json"))
    assert first["finding_shares"] == report["finding_shares"] != []
    assert {one["window"] for one in report["finding_shares"]} == {"seven_day"}
