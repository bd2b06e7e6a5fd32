"""`anchorline warm`: what is warm, for how long, and what is at stake."""

import json
import time
from pathlib import Path

from click.testing import CliRunner

from anchorline.cli.main import cli
from support.session_logs import ClaudeLog


def invoke(*words: str) -> str:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_nothing_is_warm_before_anything_is_known():
    assert "No cached prefixes" in invoke("warm")
    assert json.loads(invoke("warm", "--json")) == {"warm": [], "tokens": 0, "usd": 0.0}


def test_an_imported_session_is_warm_until_it_expires(tmp_path: Path):
    log = ClaudeLog("live", time.time() - 600)
    old = ClaudeLog("old", time.time() - 7200)
    for number, one in enumerate((log, old)):
        one.user("first")
        one.answer(f"a{number}", read=10_000)
        one.user("second")
        one.answer(f"b{number}", read=20_000)
        (tmp_path / f"{number}.jsonl").write_bytes(one.bytes())
    summary = json.loads(invoke("import", "claude-code", str(tmp_path), "--json"))
    assert (summary["requests"], summary["warm"]) == (4, 2)
    found = json.loads(invoke("warm", "--json"))
    (one,) = found["warm"]  # the longest prefix of the conversation
    assert (one["tokens"], one["ttl"], one["source"]) == (20_503, "1h", "transcript")
    assert 2900 < one["left_s"] <= 3002
    assert found["tokens"] == 20_503
    assert found["usd"] == one["usd"] == round(20_503 * 5e-6 * (2 - 0.1), 6)
    assert "20,503" in invoke("warm")
