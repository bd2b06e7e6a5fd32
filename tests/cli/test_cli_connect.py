"""Pointing clients at the gateway, and back: what they read afterwards, and that nothing else changes."""

import json
import stat
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.gateway import clients


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


FILES = {
    "claude-code": ("CLAUDE_CONFIG_DIR/settings.json", '{"env": {"A": "é"}, "model": "opus"}'),
    "codex": (
        "CODEX_HOME/config.toml",
        '# mine\nmodel_provider = "azure" # why\n\n[model_providers.azure]\nname = "A"\n',
    ),
    "zed": (
        "XDG_CONFIG_HOME/zed/settings.json",
        '{"language_models": {"anthropic": {"api_url": "https://old"}}}',
    ),
}


@pytest.mark.parametrize("client", FILES)
@pytest.mark.parametrize("existing", [True, False])
def test_there_and_back(client: str, existing: bool, homes: Path):
    name, before = FILES[client]
    file = homes / name
    if existing:
        file.parent.mkdir(parents=True)
        file.write_text(before)
    assert "http://127.0.0.1:8917/" in run("connect", client).output
    assert file.exists() == existing, "nothing is written without --write"
    assert run("connect", client, "--write").exit_code == 0
    assert run("connect", client, "--write").exit_code == 0
    text = file.read_text()
    assert "http://127.0.0.1:8917/" in text
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    settings = tomllib.loads(text) if name.endswith("toml") else json.loads(text)
    if existing:
        kept = {"claude-code": ("model", "opus"), "codex": ("model_provider", "anchorline")}.get(client)
        assert kept is None or settings[kept[0]] == kept[1]
    assert run("disconnect", client).exit_code == 0
    assert (file.read_text() == before) if existing else not file.exists()
    assert run("disconnect", client).exit_code == 1


def test_what_was_changed_since_stays(homes: Path):
    name, before = FILES["claude-code"]
    file = homes / name
    file.parent.mkdir(parents=True)
    file.write_text(before)
    run("connect", "claude-code", "--write")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"theme": "dark"}))
    assert run("disconnect", "claude-code").exit_code == 0
    assert json.loads(file.read_text()) == json.loads(before) | {"theme": "dark"}


def test_a_file_with_comments_is_not_touched(homes: Path):
    name, _ = FILES["zed"]
    file = homes / name
    file.parent.mkdir(parents=True)
    file.write_text('{\n  // my settings\n  "theme": "x",\n}')
    done = run("connect", "zed", "--write")
    assert done.exit_code == 1
    assert "by hand" in done.output
    assert '"api_url"' in done.output, "it says what to add"
    assert file.read_text() == '{\n  // my settings\n  "theme": "x",\n}'
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("client", ["vscode", "continue", "cline"])
def test_clients_that_keep_their_settings_to_themselves(client: str):
    assert run("connect", client).exit_code == 0
    done = run("connect", client, "--write")
    assert done.exit_code == 1
    assert "/anthropic" in done.output


def test_connected_from_two_terminals_at_once_the_file_is_whole(homes: Path):
    client = clients.clients("http://127.0.0.1:8917/token")["claude-code"]
    ready = threading.Barrier(4)

    def connect(_: int) -> None:
        ready.wait(60)
        for _ in range(25):
            clients.connect(client)
            json.loads((homes / FILES["claude-code"][0]).read_text())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(connect, range(4)))
    assert run("disconnect", "claude-code").exit_code == 0
    assert not list((homes / "CLAUDE_CONFIG_DIR").iterdir())
