"""Pointing clients at the gateway, and back: what they read afterwards, and that nothing else changes."""

import json
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchorline.cli.main import cli
from anchorline.client_settings.parsing import read
from anchorline.gateway import clients, connecting


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    for variable in ("OPENCODE_CONFIG", "PI_CODING_AGENT_DIR", "QWEN_HOME", "GEMINI_CLI_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


FILES = {
    "claude-code": ("CLAUDE_CONFIG_DIR/settings.json", '{"env": {"A": "é"}, "model": "opus"}'),
    "codex": (
        "CODEX_HOME/config.toml",
        '# mine\nmodel = "gpt-6.2-sol" # why\n\n[model_providers.azure]\nname = "A"\n',
    ),
    "opencode": (
        "XDG_CONFIG_HOME/opencode/opencode.json",
        '{\n\t// which\n\t"provider": {\n\t\t"openai": {"options": {"baseURL": "https://old"}}\n\t},\n}\n',
    ),
    "pi": (".pi/agent/models.json", '{\r\n    "providers": {}\r\n}\r\n'),
    "qwen-code": (".qwen/settings.json", "\ufeff{}"),
    "gemini-cli": (
        ".gemini/.env",
        "# mine\nGEMINI_API_KEY=a # why\nexport GOOGLE_GEMINI_BASE_URL='https://old'\n",
    ),
    "zed": (
        "XDG_CONFIG_HOME/zed/settings.json",
        '{"language_models": {"anthropic": {"api_url": "https://old"}}}',
    ),
}


def get(file: Path, *path: str) -> object:
    return read(file, file.read_bytes()).get(path)


@pytest.mark.parametrize("client", FILES)
@pytest.mark.parametrize("existing", [True, False])
def test_there_and_back(client: str, existing: bool, homes: Path):
    name, before = FILES[client]
    file = homes / name
    if existing:
        file.parent.mkdir(parents=True)
        file.write_bytes(before.encode())
        file.chmod(0o640)
    assert "http://127.0.0.1:8917/" in run("connect", client).output
    assert file.exists() == existing, "nothing is written without --write"
    assert run("connect", client, "--write").exit_code == 0
    assert run("connect", client, "--write").exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for path, value in clients.clients(address())[client].values.items():
        assert get(file, *path) == value
    for comment in ("# mine", "# why", "// which"):
        assert not existing or comment not in before or comment in file.read_text()
    assert run("disconnect", client).exit_code == 0
    assert (file.read_bytes() == before.encode()) if existing else not file.exists()
    assert not existing or stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not [one for one in file.parent.iterdir() if one != file]
    assert run("disconnect", client).exit_code == 1


def address() -> str:
    url = json.loads(run("gateway", "--show", "--json").stdout)["anthropic"]
    return str(url).removesuffix("/anthropic")


@pytest.mark.parametrize("client", FILES)
def test_what_was_changed_since_stays(client: str, homes: Path):
    name, before = FILES[client]
    file = homes / name
    file.parent.mkdir(parents=True)
    file.write_bytes(before.encode())
    run("connect", client, "--write")
    theme = 'theme = "dark" # new\n' if name.endswith("toml") else "// new\n"
    file.write_bytes(theme.encode() + file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    assert run("disconnect", client).exit_code == 0
    assert file.read_bytes().startswith(theme.encode())
    now, then = read(file, file.read_bytes()), read(file, before.encode())
    if name.endswith("toml"):
        then.put(("theme",), "dark")
    for path in clients.clients("")[client].values:
        assert now.get(path) == then.get(path)
    assert now.get(()) == then.get(()) or "//" in now.text
    assert "# mine" not in before or "# mine" in now.text
    assert "// which" not in before or "// which" in now.text


def test_an_address_of_the_developers_own_is_left_alone(homes: Path):
    file = homes / FILES["claude-code"][0]
    run("connect", "claude-code", "--write")
    settings = json.loads(file.read_text())
    settings["env"]["ANTHROPIC_BASE_URL"] = "https://mine"
    file.write_text(json.dumps(settings))
    assert run("disconnect", "claude-code").exit_code == 0
    assert json.loads(file.read_text()) == {"env": {"ANTHROPIC_BASE_URL": "https://mine"}}


@pytest.mark.parametrize("env", ['"a text"', "null", "[1]", "{}"])
@pytest.mark.parametrize("touched", [True, False])
def test_an_env_that_is_no_object_survives(env: str, touched: bool, homes: Path):
    file = homes / FILES["claude-code"][0]
    file.parent.mkdir(parents=True)
    file.write_text(f'{{"env": {env}}}')
    assert run("connect", "claude-code", "--write").exit_code == 0
    assert get(file, "env", "ENABLE_TOOL_SEARCH") == "true"
    if touched:
        file.write_text(file.read_text().rstrip().removesuffix("}") + ', "model": "opus"}')
    assert run("disconnect", "claude-code").exit_code == 0
    assert get(file, "env") == json.loads(env)
    assert touched or file.read_text() == f'{{"env": {env}}}'


def test_claude_codes_switches(homes: Path):
    file = homes / FILES["claude-code"][0]
    file.parent.mkdir(parents=True)
    file.write_text('{"env": {"ENABLE_TOOL_SEARCH": "auto:5"}}')
    shown = run("connect", "claude-code").output
    for withdrawn in ("status line", "tool search", "1 000 000"):
        assert withdrawn in shown
    run("connect", "claude-code", "--write")
    assert get(file, "env", "ENABLE_TOOL_SEARCH") == "auto:5", "the developer's own choice"
    run("disconnect", "claude-code")
    assert file.read_text() == '{"env": {"ENABLE_TOOL_SEARCH": "auto:5"}}'


def test_first_party_only_where_nothing_is_changed_on_the_way(homes: Path, isolated_home: Path):
    file = homes / FILES["claude-code"][0]
    own = isolated_home / "anchorline.toml"
    variable = ("env", "_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL")
    asked = ("connect", "claude-code", "--write", "--first-party")
    for settings, why in (
        ('anthropic = "https://relay.example"', "not Anthropic's own API"),
        ('anthropic = "http://api.anthropic.com"', "not Anthropic's own API"),
        ('anthropic = "https://api.anthropic.com.example"', "not Anthropic's own API"),
        ('mode = "anchors"', "mode anchors"),
    ):
        own.write_text(f"[gateway]\n{settings}\n")
        done = run(*asked)
        assert (done.exit_code, why in done.output) == (1, True)
        assert not file.exists()
    own.write_text('[gateway]\nmode = "observe"\n')
    assert run("connect", "codex", "--first-party").exit_code == 2
    assert variable[-1] in run("connect", "claude-code", "--first-party").output
    assert run("connect", "claude-code", "--write").exit_code == 0
    assert get(file, *variable) is None, "off by default"
    assert run(*asked).exit_code == 0
    assert get(file, *variable) == "1"
    assert run("connect", "claude-code", "--write").exit_code == 0
    assert get(file, *variable) is None
    run(*asked)
    assert run("disconnect", "claude-code").exit_code == 0
    assert not file.exists()


def test_another_provider_of_codex_stays_and_is_named(homes: Path):
    file = homes / FILES["codex"][0]
    file.parent.mkdir(parents=True)
    file.write_text('model_provider = "azure"\n')
    done = run("connect", "codex", "--write")
    assert 'model_provider is "azure"' in done.output
    assert get(file, "model_provider") == "azure"
    run("disconnect", "codex")
    assert file.read_text() == 'model_provider = "azure"\n'


def test_a_codex_that_an_earlier_version_connected(homes: Path):
    file = homes / FILES["codex"][0]
    file.parent.mkdir(parents=True)
    before = 'model = "gpt-5.5"\n'
    (file.parent / "config.toml.before-anchorline").write_text(before)
    file.write_text(
        before + 'model_provider = "anchorline"\n\n[model_providers.anchorline]\n'
        'name = "OpenAI through Anchorline"\nbase_url = "http://127.0.0.1:8917/some-token/openai/v1"\n'
        'env_key = "OPENAI_API_KEY"\nwire_api = "responses"\n'
    )
    assert run("connect", "codex", "--write").exit_code == 0
    assert get(file, "model_provider") is None
    assert get(file, "model_providers") is None
    assert run("disconnect", "codex").exit_code == 0
    assert file.read_text().rstrip() == before.rstrip()


def test_clines_cli_is_pointed_here_where_it_has_a_provider(homes: Path):
    file = homes / ".cline/data/settings/providers.json"
    assert run("connect", "cline-cli", "--write").exit_code == 1
    assert not file.exists()
    file.parent.mkdir(parents=True)
    before = json.dumps({"providers": {"anthropic": {"settings": {"apiKey": "k"}}}})
    file.write_text(before)
    assert run("connect", "cline-cli", "--write").exit_code == 0
    assert get(file, "providers", "anthropic", "settings", "baseUrl") == address() + "/anthropic/v1"
    assert get(file, "providers", "openai-native") is None
    run("disconnect", "cline-cli")
    assert file.read_text() == before


@pytest.mark.parametrize("client", ["aider", "llm", "mini-swe-agent"])
def test_clients_that_read_their_environment(client: str):
    shown = run("connect", client).output
    lines = dict(line.removeprefix("export ").split("=") for line in shown.splitlines() if "export" in line)
    assert sorted(lines.values()) == [address() + "/anthropic", address() + "/openai/v1"]
    assert run("connect", client, "--write").exit_code == 1


@pytest.mark.parametrize("text", ['{"theme": "x"', "[]", '{"a": 1} {}', '{"a" 1}'])
def test_a_file_that_can_not_be_read_is_not_touched(text: str, homes: Path):
    file = homes / FILES["zed"][0]
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = run("connect", "zed", "--write")
    assert done.exit_code == 1
    assert "by hand" in done.output
    assert '"api_url"' in done.output, "it says what to add"
    assert file.read_text() == text
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
            connecting.connect(client)
            json.loads((homes / FILES["claude-code"][0]).read_text())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(connect, range(4)))
    assert run("disconnect", "claude-code").exit_code == 0
    assert not list((homes / "CLAUDE_CONFIG_DIR").iterdir())


def test_a_route_that_a_client_may_take_over_is_told_beforehand(isolated_home: Path):
    for mode in ("trim", "route"):
        (isolated_home / "anchorline.toml").write_text(f'[gateway]\nmode = "{mode}"\n')
        for more in ((), ("--write",)):
            told = run("connect", "claude-code", *more).output
            assert ("claude --continue" in told) == (mode == "route")
