"""`anchorline doctor` of a client that was pointed at the gateway: does it get answers, and does it have its switches?"""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchorline.cli.main import cli
from support.gateways import gateway
from support.upstream import Running, Upstream


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claude Code's settings file; no other client has one here."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("CODEX_HOME", "XDG_CONFIG_HOME", "PI_CODING_AGENT_DIR", "QWEN_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    return tmp_path / "settings.json"


def told(name: str = "claude-code") -> list[tuple[str, str]]:
    done = CliRunner().invoke(cli, ["doctor", "--json"], catch_exceptions=False)
    checks = json.loads(done.stdout)["checks"]
    return [(one["status"], f"{one['message']}; {one['advice']}") for one in checks if one["name"] == name]


def connect(*more: str) -> None:
    done = CliRunner().invoke(cli, ["connect", "claude-code", "--write", *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_a_client_that_is_not_connected_is_not_spoken_of(settings: Path):
    assert told() == []
    settings.write_text('{"env": {"ANTHROPIC_BASE_URL": "https://relay.example"}}')
    assert told() == []


def test_without_a_running_gateway_it_gets_no_answers(isolated_home: Path):
    (isolated_home / "anchorline.toml").write_text("[gateway]\nport = 1\n")  # where nothing ever listens
    connect()
    ((status, message),) = told()
    assert status == "warning"
    assert "does not run" in message
    assert "anchorline disconnect claude-code" in message


def test_with_one_it_is_told_what_is_missing(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Running(Upstream()) as behind, gateway(tmp_path / "g", behind.url) as running:
        own = tmp_path / "g" / "anchorline.toml"
        own.write_text(f"[gateway]\nport = {running.port}\n")
        monkeypatch.setenv("ANCHORLINE_CONFIG", str(own))
        monkeypatch.setenv("ANCHORLINE_DATA_DIR", str(tmp_path / "g" / "data"))
        connect()
        assert told() == [("ok", "uses the gateway, which runs in mode observe; ")]

        env = json.loads(settings.read_text())["env"]
        settings.write_text(json.dumps({"env": env | {"ENABLE_TOOL_SEARCH": None}}))
        ((status, message),) = told()
        assert status == "warning"
        assert "without ENABLE_TOOL_SEARCH" in message

        connect("--first-party")
        assert told()[0][0] == "ok"
        own.write_text(f'[gateway]\nport = {running.port}\nanthropic = "{behind.url}"\n')
        ((status, message),) = told()
        assert status == "warning"
        assert "not Anthropic's own API" in message

        settings.write_text(settings.read_text().replace(running.token, "the-token-before"))
        ((status, message),) = told()
        assert status == "error"
        assert "another address" in message
        assert "anchorline connect claude-code --write" in message


def test_a_provider_that_is_not_pointed_here_is_named(isolated_home: Path, monkeypatch, tmp_path: Path):
    (isolated_home / "anchorline.toml").write_text("[gateway]\nport = 1\n")
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    CliRunner().invoke(cli, ["connect", "codex", "--write"], catch_exceptions=False)
    config = tmp_path / "codex" / "config.toml"
    config.write_text('model_provider = "azure"\n' + config.read_text())
    ((status, message),) = told("codex")
    assert status == "warning"
    assert 'model_provider is "azure"' in message
