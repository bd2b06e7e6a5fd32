"""Claude Code itself asks `anchorline mcp`, and its model is handed what the tools answer."""

import json
import os
import sys
from pathlib import Path

import pytest

from clients.programs import CLAUDE, Place, Program
from clients.provider import TASK, Call, Provider
from clients.session import lay, say
from support.upstream import Running

FOLDER = os.environ.get("ANCHORLINE_TEST_CLIENTS", "")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="ANCHORLINE_TEST_CLIENTS names no folder of clients: .ci/clients FOLDER installs them"
)
NAMES = ("mcp__anchorline__plan", "mcp__anchorline__warm", "mcp__anchorline__cost")
CALLS = (
    Call("ToolSearch", {"query": f"select:{','.join(NAMES)}", "max_results": 5}),
    Call(NAMES[0], {"file": "fix.prompt.md"}),
    Call(NAMES[1], {}),
    Call(NAMES[2], {"by": "agent"}),
    Call(NAMES[0], {"file": "../home/secret.md"}),
)


def _claude(place: Place, message: str, goes_on: bool) -> list[str]:
    server = {"mcpServers": {"anchorline": {"command": sys.executable, "args": ["-m", "anchorline", "mcp"]}}}
    command = [place.program("claude"), "-p", message, "--output-format", "json"]
    return [*command, "--allowedTools", "mcp__anchorline", "--mcp-config", json.dumps(server)]


def test_claude_code_calls_the_tools_and_hands_the_answers_to_its_model(tmp_path: Path):
    place = Place(Path(FOLDER).resolve(), tmp_path / "run" / "home", tmp_path / "run" / "work")
    lay(place)
    (place.work / "fix.prompt.md").write_text("Fix the flaky test.")
    (place.home / "secret.md").write_text("the secret")
    with Running(Provider(place.work, steps=len(CALLS), calls=CALLS)) as provider:
        settings = {name: os.environ[name] for name in ("ANCHORLINE_CONFIG", "ANCHORLINE_DATA_DIR")}
        env = CLAUDE | settings | {"ANTHROPIC_BASE_URL": provider.url}
        said = say(
            Program("claude", "", "claude", _claude, env), place, f"{TASK}: what does it cost?", goes_on=False
        )
        handed = [json.loads(seen.body) for seen in provider.app.seen if b"tool_result" in seen.body]
    assert handed, said
    results = [
        json.dumps(part["content"])
        for message in handed[-1]["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "tool_result"
    ]
    assert len(results) == len(CALLS), said
    _, plan, warm, cost, refused = results
    assert "p_hit" in plan
    assert len(plan) < 5000
    assert "warm" in warm
    assert "requests" in cost
    assert "without `..`" in refused
    assert "the secret" not in refused
