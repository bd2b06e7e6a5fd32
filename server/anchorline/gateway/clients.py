"""The clients that can use the gateway, and which of their settings name its address.

What is said of a client was seen with the version that tests/clients installs, where its own documentation is not
named. `connecting.py` makes the settings.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from anchorline.client_settings import locations

Values = dict[tuple[str, ...], Any]
FIRST_PARTY: Values = {("env", "_CLAUDE_CODE_ASSUME_FIRST_PARTY_BASE_URL"): "1"}
"""Claude Code's variable, undocumented, that has it take another address for Anthropic's own."""
TOOL_SEARCH: Values = {("env", "ENABLE_TOOL_SEARCH"): "true"}
"""Claude Code's documented variable that keeps tool search on behind another address (code.claude.com, env-vars)."""
_SHELL = "It reads its address from the environment, so the shell that starts it sets it."


class Client(msgspec.Struct, frozen=True):
    """One client. `file` is its settings file (None: it keeps them elsewhere), `values` are set in it, by their path.

    `program` is what a terminal agent is started by (`launches.py`); of one without a file, `values` below ``env`` are
    environment variables.
    `defaults` are set where the developer has set nothing; `former` were set before, by another choice or version, and
    are taken out. `unless` are settings that must have these values, or none, for it to use the others. With
    `existing`, values are set only in objects that are there already. `shown` is what a developer is told to do, `note`
    what to know about it.
    """

    name: str
    title: str
    file: Path | None
    values: Values
    shown: str
    note: str = ""
    defaults: Values = {}
    former: Values = {}
    unless: Values = {}
    existing: bool = False
    program: str = ""


def clients(base: str, *, first_party: bool = False) -> dict[str, Client]:
    """Returns the clients by name; `base` is the gateway's address with its token.

    With `first_party`, Claude Code is told that this address is Anthropic's own.
    """
    anthropic, openai, gemini = f"{base}/anthropic", f"{base}/openai/v1", f"{base}/gemini"
    entries = (
        _client(
            "claude-code",
            "Claude Code",
            locations.claude_code() / "settings.json",
            {("env", "ANTHROPIC_BASE_URL"): anthropic, **(FIRST_PARTY if first_party else {})},
            "A session that is running keeps the address it began with. Behind an address that is not Anthropic's, "
            "Claude Code withdraws\n"
            "- your plan's limits from its status line, and the cache diagnosis from its requests (2.1.332);\n"
            "- tool search, by its documentation; ENABLE_TOOL_SEARCH=true keeps it on;\n"
            "- in versions up to 2.1.235 the context window of 1 000 000 tokens (200 000 is left); 2.1.332 keeps it.",
            defaults=TOOL_SEARCH,
            former={} if first_party else FIRST_PARTY,
            program="claude",
        ),
        _client(
            "codex",
            "Codex",
            locations.codex() / "config.toml",
            {("openai_base_url",): openai},
            "With a ChatGPT login requests go on to https://chatgpt.com/backend-api/codex, where Codex sends them.\n"
            "The provider stays Codex's own, so `codex resume` finds the sessions from before.",
            former={
                ("model_provider",): "anchorline",
                ("model_providers", "anchorline"): {
                    "name": "OpenAI through Anchorline",
                    "base_url": openai,
                    "env_key": "OPENAI_API_KEY",
                    "wire_api": "responses",
                },
            },
            unless={("model_provider",): "openai"},
            program="codex",
        ),
        _client(
            "opencode",
            "OpenCode",
            _opencode(),
            {
                ("provider", "anthropic", "options", "baseURL"): f"{anthropic}/v1",
                ("provider", "openai", "options", "baseURL"): openai,
            },
            "Models of other providers don't go through it.",
            program="opencode",
        ),
        _client(
            "pi",
            "pi",
            locations.folder("PI_CODING_AGENT_DIR", ".pi/agent") / "models.json",
            {
                ("providers", "anthropic", "baseUrl"): anthropic,
                ("providers", "openai", "baseUrl"): openai,
            },
            "Models of other providers don't go through it.",
            program="pi",
        ),
        _client(
            "gemini-cli",
            "Gemini CLI",
            locations.gemini_cli() / ".env",
            {("GOOGLE_GEMINI_BASE_URL",): gemini},
            "This is for an API key (GEMINI_API_KEY) that /auth has chosen: where nothing is, `gemini -p` refuses\n"
            "another address. With a Google login it asks Google's Code Assist, and nothing goes through the gateway.\n"
            "It reads one .env file, the nearest one above the folder that it works in: where a project has its own,\n"
            "the same line belongs there, or into your shell.",
            program="gemini",
        ),
        _client(
            "qwen-code",
            "Qwen Code",
            locations.qwen_code() / "settings.json",
            {
                ("env", "OPENAI_BASE_URL"): openai,
                ("env", "ANTHROPIC_BASE_URL"): anthropic,
                ("env", "GOOGLE_GEMINI_BASE_URL"): gemini,
            },
            "The same variables in your shell or an .env file come first, and so does a model's own `baseUrl`.\n"
            "For Qwen's own models, `gateway.openai` names their address.",
            program="qwen",
        ),
        _client(
            "cline-cli",
            "Cline's CLI",
            Path.home() / ".cline" / "data" / "settings" / "providers.json",
            {
                ("providers", "anthropic", "settings", "baseUrl"): f"{anthropic}/v1",
                ("providers", "openai-native", "settings", "baseUrl"): openai,
            },
            "With /v1 for Anthropic too. Providers that you have set up by `cline auth` are pointed here; "
            f"for an OpenAI-compatible one:\n  cline auth -p openai-compatible -k KEY -m MODEL -b {openai}",
            existing=True,
        ),
        _client(
            "zed",
            "Zed",
            _zed() / "settings.json",
            {
                ("language_models", "anthropic", "api_url"): anthropic,
                ("language_models", "openai", "api_url"): openai,
            },
            "Zed's own hosted models don't go through it, only those with an API key of yours; nor do external agents.",
        ),
        Client(
            "vscode",
            "VS Code",
            None,
            {},
            "Chat: Manage Language Models → Add Models → Custom Endpoint, and as `url` of a model with\n"
            f'  "apiType": "messages"           {anthropic}/v1/messages\n'
            f'  "apiType": "chat-completions"   {openai}/chat/completions\n'
            f'  "apiType": "responses"          {openai}/responses',
            "VS Code keeps the key with the model, so it is added there.",
        ),
        Client(
            "continue",
            "Continue",
            None,
            {},
            "In config.yaml, for each model of `provider: anthropic` and `provider: openai`:\n"
            f"  apiBase: {anthropic}/v1/\n  apiBase: {openai}/",
            "The file lists models of yours, so each is changed by hand.",
        ),
        Client(
            "cline",
            "Cline",
            None,
            {},
            "Settings → API Provider\n"
            f"  Anthropic → Use custom base URL    {anthropic}\n"
            f"  OpenAI Compatible → Base URL       {openai}",
            "Cline keeps its settings inside VS Code, where no program can change them. "
            f"Its CLI wants /v1 for Anthropic too ({anthropic}/v1): `anchorline connect cline-cli`.",
        ),
        _in_shell("aider", "aider", ANTHROPIC_API_BASE=anthropic, OPENAI_API_BASE=openai),
        _in_shell("llm", "llm", ANTHROPIC_BASE_URL=anthropic, OPENAI_BASE_URL=openai),
        _in_shell("mini-swe-agent", "mini", ANTHROPIC_API_BASE=anthropic, OPENAI_API_BASE=openai),
    )
    return {client.name: client for client in entries}


def of_program(program: str, base: str, *, first_party: bool = False) -> Client:
    """Returns the client that a program is; of an unknown one what the providers' own libraries read."""
    for client in clients(base, first_party=first_party).values():
        if client.program == program:
            return client
    return _in_shell(
        "",
        program,
        ANTHROPIC_BASE_URL=f"{base}/anthropic",
        OPENAI_BASE_URL=f"{base}/openai/v1",
        GOOGLE_GEMINI_BASE_URL=f"{base}/gemini",
    )


def _client(
    name: str,
    title: str,
    file: Path,
    values: Values,
    note: str,
    *,
    defaults: Values = {},  # noqa: B006  (never changed)
    former: Values = {},  # noqa: B006
    unless: Values = {},  # noqa: B006
    existing: bool = False,
    program: str = "",
) -> Client:
    document: dict[str, Any] = {}
    for path, value in (values | defaults).items():
        table = document
        for key in path[:-1]:
            table = table.setdefault(key, {})
        table[path[-1]] = value
    text = json.dumps(document, indent=2)
    if file.suffix == ".toml":
        text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in document.items())
    elif file.name == ".env":
        text = "\n".join(f"{variable}={value}" for variable, value in document.items())
    return Client(name, title, file, values, text.rstrip(), note, defaults, former, unless, existing, program)


def _in_shell(name: str, program: str, **variables: str) -> Client:
    """Returns a client that reads its address from the environment."""
    values: Values = {("env", variable): value for variable, value in variables.items()}
    exports = "\n".join(f"export {variable}={value}" for variable, value in variables.items())
    return Client(name, name, None, values, exports, _SHELL, program=program)


def _opencode() -> Path:
    named = os.environ.get("OPENCODE_CONFIG")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "opencode"
    commented = folder / "opencode.jsonc"
    return Path(named) if named else commented if commented.exists() else folder / "opencode.json"


def _zed() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / "Zed"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zed"
