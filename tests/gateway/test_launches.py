"""How agents are pointed at the gateway for one run, by what their users have set already."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anchorline.gateway import addresses, clients
from anchorline.gateway.launches import PROVIDERS, Launch, Start, UnusableError, launch

BASE = "http://127.0.0.1:8917/0123456789ab-" + 40 * "c"
OTHER_BASE = "http://127.0.0.1:1/another-token"
RELAY = "https://relay.example/api/v1"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in (
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "PI_CODING_AGENT_DIR",
        "QWEN_HOME",
        "OPENCODE_CONFIG",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work" / ".git").mkdir(parents=True)
    return tmp_path


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def started(program: str, home: Path, *arguments: str, **environment: str) -> Launch:
    return launch(Start(clients.of_program(program, BASE), BASE, environment, home / "work", arguments))


def relayed(name: str, own: str = RELAY) -> str:
    address = addresses.instead(f"{BASE}/{name}", BASE, own)
    assert addresses.upstream(address.rpartition(".")[2]) == own
    return address


def test_where_nothing_is_set_each_is_given_the_gateways_addresses(home: Path):
    anthropic, openai = f"{BASE}/anthropic", f"{BASE}/openai/v1"
    claude = {"ANTHROPIC_BASE_URL": anthropic, "ENABLE_TOOL_SEARCH": "true"}
    assert started("claude", home) == Launch(claude)
    assert started("codex", home) == Launch({}, ("-c", f'openai_base_url="{openai}"'))
    (content,) = started("opencode", home).variables.values()
    providers = {
        "anthropic": {"options": {"baseURL": f"{anthropic}/v1"}},
        "openai": {"options": {"baseURL": openai}},
    }
    assert json.loads(content) == {"provider": providers}
    pi = started("pi", home)
    assert json.loads(pi.variables[PROVIDERS]) == {"anthropic": anthropic, "openai": openai}
    assert pi.arguments[0] == "--extension"
    assert Path(pi.arguments[1]).is_file()
    assert started("qwen", home).variables == {
        "ANTHROPIC_BASE_URL": anthropic,
        "OPENAI_BASE_URL": openai,
        "GOOGLE_GEMINI_BASE_URL": f"{BASE}/gemini",
    }
    write(home / ".gemini/settings.json", {"security": {"auth": {"selectedType": "gemini-api-key"}}})
    assert started("gemini", home).variables == {"GOOGLE_GEMINI_BASE_URL": f"{BASE}/gemini"}
    for program in ("aider", "mini"):
        assert started(program, home).variables == {
            "ANTHROPIC_API_BASE": anthropic,
            "OPENAI_API_BASE": openai,
        }
    for program in ("llm", "my-own-agent"):
        assert started(program, home).variables.items() >= {"ANTHROPIC_BASE_URL": anthropic}.items()


@pytest.mark.parametrize("program", ["claude", "qwen", "llm", "my-own-agent"])
def test_another_address_in_the_environment_becomes_the_upstream(program: str, home: Path):
    variables = started(program, home, ANTHROPIC_BASE_URL=RELAY).variables
    assert variables["ANTHROPIC_BASE_URL"] == relayed("anthropic")
    again = started(program, home, ANTHROPIC_BASE_URL=f"{OTHER_BASE}/anthropic").variables
    assert again["ANTHROPIC_BASE_URL"] == f"{BASE}/anthropic"
    nested = started(program, home, ANTHROPIC_BASE_URL=variables["ANTHROPIC_BASE_URL"]).variables
    assert nested == variables


def test_an_address_that_can_be_no_upstream_leaves_the_agent_as_it_is(home: Path):
    for own in ("https://azure.example/?api-version=1", "relay.example", "file:///etc/passwd"):
        with pytest.raises(UnusableError, match="address of its own"):
            started("llm", home, OPENAI_BASE_URL=own)


def test_claude_codes_settings_come_before_its_environment(home: Path):
    write(home / ".claude/settings.json", {"env": {"ANTHROPIC_BASE_URL": f"{OTHER_BASE}/anthropic"}})
    connected = started("claude", home, "-p", "Go", ANTHROPIC_BASE_URL=RELAY)
    assert (connected.variables, connected.arguments) == ({}, ("--settings",))
    assert json.loads(connected.private)["env"]["ANTHROPIC_BASE_URL"] == f"{BASE}/anthropic"
    write(
        home / "work/.claude/settings.local.json",
        {"env": {"ANTHROPIC_BASE_URL": RELAY, "ENABLE_TOOL_SEARCH": "false"}},
    )
    own = json.loads(started("claude", home).private)
    assert own == {"env": {"ANTHROPIC_BASE_URL": relayed("anthropic")}}
    for arguments in (("--settings", "{}"), ("--settings={}",)):
        with pytest.raises(UnusableError, match="--settings"):
            started("claude", home, *arguments)


@pytest.mark.parametrize("cloud", ["BEDROCK", "VERTEX", "FOUNDRY"])
def test_claude_code_on_another_cloud_is_left_as_it_is(cloud: str, home: Path):
    variable = f"CLAUDE_CODE_USE_{cloud}"
    with pytest.raises(UnusableError, match=variable):
        started("claude", home, **{variable: "1"})
    assert started("claude", home, **{variable: "0"}).variables
    write(home / ".claude/settings.json", {"env": {variable: "true"}})
    with pytest.raises(UnusableError, match=variable):
        started("claude", home)


def test_codexs_provider_is_pointed_there_where_it_has_an_address(home: Path):
    config = home / ".codex/config.toml"
    write(config, f'openai_base_url = "{RELAY}"\n')
    assert started("codex", home).arguments == ("-c", f'openai_base_url="{relayed("openai")}"')
    write(config, f'model_provider = "relay"\n[model_providers.relay]\nbase_url = "{RELAY}"\n')
    assert started("codex", home).arguments == ("-c", f'model_providers.relay.base_url="{relayed("openai")}"')
    write(config, 'model_provider = "amazon-bedrock"\n')
    with pytest.raises(UnusableError, match="amazon-bedrock"):
        started("codex", home)


def test_opencodes_files_and_its_variable_are_kept(home: Path):
    def own(address: str) -> dict[str, Any]:
        return {"provider": {"anthropic": {"options": {"baseURL": address}}}}

    write(home / ".config/opencode/opencode.jsonc", own("https://first.example"))
    write(home / "work/opencode.json", own(RELAY))
    given = {"theme": "mine", "provider": {"openai": {"options": {"apiKey": "{env:K}"}}}}
    (content,) = started("opencode", home, OPENCODE_CONFIG_CONTENT=json.dumps(given)).variables.values()
    settings = json.loads(content)
    assert settings["theme"] == "mine"
    assert settings["provider"]["openai"]["options"] == {"apiKey": "{env:K}", "baseURL": f"{BASE}/openai/v1"}
    assert settings["provider"]["anthropic"]["options"] == {"baseURL": relayed("anthropic")}


def test_pis_and_qwens_own_addresses_become_the_upstream(home: Path):
    write(home / ".pi/agent/models.json", {"providers": {"anthropic": {"baseUrl": RELAY}}})
    assert json.loads(started("pi", home).variables[PROVIDERS])["anthropic"] == relayed("anthropic")
    write(home / ".qwen/settings.json", {"security": {"auth": {"baseUrl": RELAY}}})
    assert started("qwen", home).variables["OPENAI_BASE_URL"] == relayed("openai")
    write(home / "work/.env", "OPENAI_BASE_URL='https://env.example/v1' # mine\n")
    assert started("qwen", home).variables["OPENAI_BASE_URL"] == relayed("openai", "https://env.example/v1")
    given = started("qwen", home, OPENAI_BASE_URL="https://shell.example").variables["OPENAI_BASE_URL"]
    assert given == relayed("openai", "https://shell.example")


def test_gemini_cli_keeps_its_login(home: Path):
    with pytest.raises(UnusableError, match="no way to log in"):
        started("gemini", home, GEMINI_API_KEY="k")
    write(home / ".gemini/settings.json", {"security": {"auth": {"selectedType": "oauth-personal"}}})
    with pytest.raises(UnusableError, match="Google login"):
        started("gemini", home, GEMINI_API_KEY="k")
    write(home / "work/.gemini/settings.json", {"security": {"auth": {"selectedType": "gemini-api-key"}}})
    write(home / "work/.env", f"GOOGLE_GEMINI_BASE_URL={RELAY}\n")
    assert started("gemini", home).variables == {"GOOGLE_GEMINI_BASE_URL": relayed("gemini")}
    with pytest.raises(UnusableError, match="Vertex"):
        started("gemini", home, GOOGLE_GENAI_USE_VERTEXAI="true")


def test_aider_is_left_as_it_is_where_an_env_file_comes_before_the_environment(home: Path):
    write(home / "work/.env", "OPENAI_API_KEY=k\n")
    assert started("aider", home).variables
    write(home / "work/.env", f"export OPENAI_API_BASE={RELAY}\n")
    with pytest.raises(UnusableError, match=r"OPENAI_API_BASE is set in .*\.env"):
        started("aider", home)


def test_requests_to_this_machine_pass_a_proxy_by(home: Path):
    assert (
        started("llm", home, HTTPS_PROXY="http://proxy", NO_PROXY="intern").variables.items()
        >= {
            "NO_PROXY": "intern,127.0.0.1,localhost",
            "no_proxy": "intern,127.0.0.1,localhost",
        }.items()
    )
    assert "NO_PROXY" not in started("llm", home).variables


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([RELAY, "http://[", "\x00", "oauth-personal", ""]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["env", "provider", "providers", "anthropic", "openai", "options", "baseURL", "baseUrl"]
            )
            | st.sampled_from(["security", "auth", "selectedType", "ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"])
            | st.sampled_from(
                ["model_provider", "model_providers", "openai_base_url", "CLAUDE_CODE_USE_VERTEX"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
FILES = {
    "claude": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "opencode": ".config/opencode/opencode.json",
    "pi": ".pi/agent/models.json",
    "qwen": ".qwen/settings.json",
    "gemini": ".gemini/settings.json",
}


@pytest.mark.parametrize("program", FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON, inline=JSON)
def test_whatever_settings_hold_an_agent_is_started_or_it_is_said_why_not(
    program: str, content: Any, inline: Any, home: Path
):
    try:
        text = tomlkit.dumps(content) if program == "codex" else json.dumps(content)
    except Exception:  # noqa: BLE001  (what TOML can't hold)
        text = str(content)
    write(home / FILES[program], text)
    with suppress(UnusableError):
        launched = started(program, home, OPENCODE_CONFIG_CONTENT=json.dumps(inline))
        assert BASE in json.dumps([launched.variables, launched.arguments, launched.private])


def test_settings_that_can_not_be_read_are_its_agents_to_complain_of(home: Path):
    write(home / ".claude/settings.json", "{")
    write(home / ".codex/config.toml", "= 1")
    assert started("claude", home).variables["ANTHROPIC_BASE_URL"] == f"{BASE}/anthropic"
    assert started("codex", home).arguments[1] == f'openai_base_url="{BASE}/openai/v1"'
