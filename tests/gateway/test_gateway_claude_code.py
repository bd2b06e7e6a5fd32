"""Claude Code itself as a client, where its program is named: it needs no login for a base URL and a key of one's own.

npm install @anthropic-ai/claude-code
ANCHORLINE_TEST_CLAUDE_CODE=node_modules/.bin/claude pytest tests/gateway/test_gateway_claude_code.py
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gateway.conformance import WORDS, Running, Upstream
from gateway.running import gateway
from gateway.test_gateway_state import settled

PROGRAM = os.environ.get("ANCHORLINE_TEST_CLAUDE_CODE", "")
KEPT = ("PATH", "LANG", "SYSTEMROOT")


@pytest.mark.skipif(not PROGRAM, reason="ANCHORLINE_TEST_CLAUDE_CODE does not name Claude Code's program")
@pytest.mark.parametrize("mode", ["observe", "anchors", "trim"])
def test_a_session_of_claude_code_goes_through(mode: str, tmp_path: Path):
    with (
        Running(Upstream()) as behind,
        gateway(tmp_path / "g", behind.url, settings=f'mode = "{mode}"') as running,
    ):
        env = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(tmp_path),
            "ANTHROPIC_BASE_URL": running.anthropic,
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }
        command = [str(Path(PROGRAM).absolute()), "-p", "Say hello", "--output-format", "json"]
        done = subprocess.run(
            command,
            check=False,
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
        )
        told = json.loads(done.stdout)
        assert (done.returncode, told["is_error"]) == (0, False)
        assert told["result"].startswith("".join(WORDS))
        prompts = [seen for seen in behind.app.seen if seen.path.startswith(b"/v1/messages")]
        assert len(prompts) >= 2  # a tool was called in between
        state = settled(running, len(prompts))
        assert state["requests"] == {"200": len(prompts)}
        assert state["tokens"]["read"] == sum(one.read for one in behind.app.billed) > 10_000
        assert (state["hits"], state["counts"]["refused"]) == (state["predicted"], 0)
        assert state["predicted"] >= 1
