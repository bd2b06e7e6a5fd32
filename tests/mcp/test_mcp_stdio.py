"""The real process over standard input and output, by the official client library and by bytes of no client."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.client.stdio import stdio_client

from mcp import Client, MCPError, StdioServerParameters
from support import history

COMMAND = [sys.executable, "-P", "-m", "anchorline", "mcp"]
pytestmark = pytest.mark.process


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "fix.prompt.md").write_text("Fix the flaky test.")
    (tmp_path / "secret.md").write_text("the secret")
    (folder / "link.md").symlink_to(tmp_path / "secret.md")
    return folder


def server(work: Path, *words: str) -> Any:
    env = {name: os.environ[name] for name in ("ANCHORLINE_CONFIG", "ANCHORLINE_DATA_DIR")}
    return stdio_client(
        StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], *words], cwd=work, env=env)
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_lists_and_calls_the_tools(work: Path, tmp_path: Path, mode: Any):
    history.imported(tmp_path / "sessions", days_ago=600 / 86_400, gap=60)
    async with Client(server(work), mode=mode, read_timeout_seconds=60) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"plan", "ground", "warm", "cost"}
        for tool in tools.values():
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is True
            assert tool.annotations.destructive_hint is False
            assert tool.input_schema["type"] == "object"
            assert tool.output_schema is not None
            assert tool.output_schema["type"] == "object"
        # The client checks each answer against the tool's schema.
        planned = await client.call_tool("plan", {"file": "fix.prompt.md"})
        assert not planned.is_error
        assert planned.structured_content["schema"] == 1
        assert planned.structured_content["tokens"]["estimate"] > 0
        assert "tokens" in planned.content[0].text
        warm = (await client.call_tool("warm")).structured_content
        assert len(warm["warm"]) == 1
        cost = (await client.call_tool("cost", {"by": "agent"})).structured_content
        assert [(row["name"], row["requests"]) for row in cost["bill"]["rows"]] == [("claude-code", 2)]
        for arguments in ({"file": "link.md"}, {"file": str(tmp_path / "secret.md")}, {}):
            refused = await client.call_tool("plan", arguments)
            assert refused.is_error
            assert "the secret" not in refused.content[0].text
        with pytest.raises(MCPError, match="no tool"):
            await client.call_tool("purge", {})


async def test_files_are_read_where_root_says(work: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    async with Client(server(tmp_path / "empty", "--root", str(work)), read_timeout_seconds=60) as client:
        assert not (await client.call_tool("plan", {"file": "fix.prompt.md"})).is_error


def test_bytes_of_no_client_neither_end_it_nor_show_up_in_its_log(work: Path):
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "a", "version": "1"},
    }
    lines = [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"7",
        b'{"jsonrpc":"2.0","id":{},"method":"canary-in-an-id"}',
        b"[" * 100_000,
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).encode(),
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"plan","arguments":"canary"}}',
        b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"plan","arguments":{"text":["canary"]}}}',
        b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"plan","arguments":{"text":"\\ud800 canary"}}}',
        b'{"jsonrpc":"2.0","id":5,"method":"canary/nothing","params":{}}',
        b'{"jsonrpc":"2.0","id":6,"method":"tools/call","params":{"name":"plan","arguments":{"text":"a canary"}}}',
    ]
    with subprocess.Popen(
        COMMAND, cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"\n".join(lines) + b"\n")
        process.stdin.flush()
        answers: dict[int, Any] = {}
        while 6 not in answers:
            answer = json.loads(process.stdout.readline())
            if isinstance(answer.get("id"), int):
                answers[answer["id"]] = answer
        process.stdin.close()
        log = process.stderr.read().decode()
        assert process.wait(20) == 0
    assert answers[6]["result"]["structuredContent"]["tokens"]["estimate"] > 0
    assert answers[3]["result"]["isError"] is True
    assert answers[5]["error"]["code"] == -32601
    assert "canary" not in log


@pytest.mark.parametrize("package", ["anyio", "mcp", "mcp_types"])
def test_without_the_extra_it_says_how_to_get_it(work: Path, package: str):
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from anchorline.cli.main import main; sys.argv = ['anchorline', 'mcp']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "needs mcp, which the extra `mcp` installs: pip install 'anchorline[mcp]'" in done.stderr
    assert done.stdout == ""
