"""How a terminal agent is started so that it uses the gateway, without a change to any file of its user's.

Each takes the address of `clients.py` in its own way: by its environment, an argument before its user's, or an
extension. Where its user has set another base URL, the gateway is told to pass on to that (`addresses.py`); where the
agent uses a provider that the gateway does not speak, it is started as it is. What is said of an agent was seen with
the version that tests/clients installs.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from anchorline.client_settings import locations
from anchorline.client_settings.document import UnwritableError
from anchorline.client_settings.parsing import read
from anchorline.gateway import addresses
from anchorline.gateway.clients import Client, Values

Environment = Mapping[str, str]
CLOUDS = re.compile(
    r"CLAUDE_CODE_USE_(?:ANTHROPIC_AWS|ANTHROPIC_GOOGLE_CLOUD|BEDROCK|FOUNDRY|GATEWAY|MANTLE|VERTEX)"
)
"""Claude Code's variables that have it use another provider than Anthropic's API."""
PROVIDERS = "ANCHORLINE_PROVIDERS"
"""The variable by which the extension for pi learns the addresses, as a JSON object."""
_OFF = ("", "0", "false", "no", "off")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_BARE = re.compile(r"[\w-]+")
"""A key of TOML that needs no quotes."""
_THIS_MACHINE = "127.0.0.1,localhost"


class UnusableError(Exception):
    """The agent can't be pointed at the gateway; the message says why."""


class Launch(msgspec.Struct, frozen=True):
    """What an agent is started with: arguments before its user's, and environment variables beside theirs.

    `private` is the content of a file that only its user may read; its path follows the arguments.
    """

    variables: dict[str, str]
    arguments: tuple[str, ...] = ()
    private: str = ""


class Start(msgspec.Struct, frozen=True):
    """An agent that is to be started: what its user has given it, and the gateway's address of the run, `base`."""

    client: Client
    base: str
    environment: Environment
    folder: Path
    arguments: Sequence[str]

    def address(self, value: Any, own: object) -> Any:  # noqa: ANN401  (whatever a client is set to)
        """Returns a value of the client's; in the place of an `own` base URL the one that passes on to that."""
        if not isinstance(own, str) or not own or not str(value).startswith(self.base):
            return value
        return addresses.instead(value, self.base, own)


def launch(start: Start) -> Launch:
    """Returns how an agent is started. Raises UnusableError where it can't use the gateway."""
    try:
        prepared = _LAUNCHES.get(start.client.name, _by_environment)(start)
    except ValueError as error:
        raise UnusableError(f"{start.client.title} has an address of its own: {error}") from None
    return msgspec.structs.replace(prepared, variables=prepared.variables | _past_proxies(start.environment))


def _by_environment(start: Start) -> Launch:
    return Launch(_variables(start, {}))


def _variables(start: Start, own: Environment) -> dict[str, str]:
    """Returns the client's variables; `own` are those that its files set, which count before the environment's."""
    own = {**start.environment, **own}
    variables = {
        path[-1]: start.address(value, own.get(path[-1])) for path, value in start.client.values.items()
    }
    return variables | {
        path[-1]: value for path, value in start.client.defaults.items() if not own.get(path[-1])
    }


def _past_proxies(environment: Environment) -> dict[str, str]:
    """Returns the variables by which requests to this machine don't go to a proxy that the environment names."""
    if not any(environment.get(name) or environment.get(name.upper()) for name in _PROXIES):
        return {}
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = ",".join(filter(None, (named, _THIS_MACHINE)))
    return {"no_proxy": hosts, "NO_PROXY": hosts}


def _claude_code(start: Start) -> Launch:
    """By the environment; where a settings file sets it, which comes first, by ``--settings``, which comes before."""
    own: dict[str, str] = {}
    project = start.folder / ".claude"
    for file in (
        locations.claude_code() / "settings.json",
        project / "settings.json",
        project / "settings.local.json",
    ):
        own |= _texts(_settings(file).get("env"))
    everything = {**start.environment, **own}
    cloud = next((name for name in everything if CLOUDS.fullmatch(name) and _is_on(everything[name])), "")
    if cloud:
        raise UnusableError(f"Claude Code uses another provider than Anthropic's API ({cloud})")
    ours = _variables(start, own)
    if not own.keys() & ours.keys():
        return Launch(ours)
    if any(argument.split("=")[0] == "--settings" for argument in start.arguments):
        raise UnusableError("its settings name an address, and --settings is given already")
    return Launch({}, ("--settings",), json.dumps({"env": ours}))


def _codex(start: Start) -> Launch:
    """By ``-c``, which comes before its files: it reads no address from the environment (0.171)."""
    settings = _settings(locations.codex() / "config.toml")
    provider = str(settings.get("model_provider") or "openai")
    values: Values = start.client.values
    if provider != "openai":
        (value,) = values.values()
        values = {("model_providers", provider, "base_url"): value}
        if not _BARE.fullmatch(provider) or not _get(settings, tuple(*values)):
            raise UnusableError(f"Codex uses the provider {provider}")
    arguments: list[str] = []
    for path, value in values.items():
        setting = json.dumps(start.address(value, _get(settings, path)))
        arguments += ["-c", f"{'.'.join(path)}={setting}"]
    return Launch({}, tuple(arguments))


def _opencode(start: Start) -> Launch:
    """By a variable with settings that come before those of its files."""
    given = start.environment.get("OPENCODE_CONFIG_CONTENT") or "{}"
    documents = [_settings(file) for file in _opencode_files(start)]
    content = _parsed(Path("OPENCODE_CONFIG_CONTENT"), given.encode())
    for path, value in start.client.values.items():
        own = [address for address in (_get(each, path) for each in (*documents, content)) if address]
        _put(content, path, start.address(value, own[-1] if own else None))
    return Launch({"OPENCODE_CONFIG_CONTENT": json.dumps(content)})


def _opencode_files(start: Start) -> list[Path]:
    """Returns its settings files, those that come first last (https://opencode.ai/docs/config)."""
    names = ("config.json", "opencode.json", "opencode.jsonc")
    config = Path(start.environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "opencode"
    named = start.environment.get("OPENCODE_CONFIG")
    projects = [folder / sub for folder in reversed(_upward(start.folder)) for sub in (".", ".opencode")]
    return [
        *(config / name for name in names),
        *([Path(named)] if named else []),
        *(folder / name for folder in projects for name in names[1:]),
    ]


def _pi(start: Start) -> Launch:
    """By an extension that overrides its providers' addresses (its docs/custom-provider.md): it has no variable."""
    settings = _settings(start.client.file) if start.client.file is not None else {}
    providers = {
        path[1]: start.address(value, _get(settings, path)) for path, value in start.client.values.items()
    }
    extension = Path(__file__).with_name("pi_extension.js")
    return Launch({PROVIDERS: json.dumps(providers)}, ("--extension", str(extension)))


def _qwen_code(start: Start) -> Launch:
    """By the environment, which comes before its `.env` file and its settings."""
    own: dict[str, str] = {}
    for settings in _settings_of(start, ".qwen"):
        own |= _texts({"OPENAI_BASE_URL": _get(settings, ("security", "auth", "baseUrl"))})
        own |= _texts(settings.get("env"))
    own |= _dotenv(start, ".qwen")
    return Launch(_variables(start, {**own, **start.environment}))


def _gemini_cli(start: Start) -> Launch:
    """By the environment, which comes before its `.env` file.

    It takes another address for a login of its own, which `gemini -p` refuses, where its settings choose none (0.61.0).
    """
    own = {**_dotenv(start, ".gemini"), **start.environment}
    chosen = [
        _get(settings, ("security", "auth", "selectedType")) for settings in _settings_of(start, ".gemini")
    ]
    kind = str(next(filter(None, reversed(chosen)), ""))
    if kind.startswith(("oauth", "compute", "cloud")) or own.get("GOOGLE_GENAI_USE_GCA") == "true":
        raise UnusableError(
            "with a Google login Gemini CLI asks Google's Code Assist, whatever its address is"
        )
    if kind == "vertex-ai" or own.get("GOOGLE_GENAI_USE_VERTEXAI") == "true":
        raise UnusableError("Gemini CLI uses Vertex AI")
    if not kind:
        raise UnusableError("Gemini CLI has chosen no way to log in yet (/auth, security.auth.selectedType)")
    return Launch(_variables(start, own))


def _aider(start: Start) -> Launch:
    """By the environment, which gives way to its `.env` files."""
    ours = _variables(start, {})
    for file in (Path.home() / ".env", *(folder / ".env" for folder in _upward(start.folder))):
        variable = next((name for name in ours if _settings(file).get(name)), "")
        if variable:
            raise UnusableError(f"{variable} is set in {file}, which counts before the environment")
    return Launch(ours)


_LAUNCHES: dict[str, Callable[[Start], Launch]] = {
    "claude-code": _claude_code,
    "codex": _codex,
    "opencode": _opencode,
    "pi": _pi,
    "qwen-code": _qwen_code,
    "gemini-cli": _gemini_cli,
    "aider": _aider,
}


def _settings(file: Path) -> dict[str, Any]:
    """Returns what a settings file sets; nothing where it is not there or can't be read, which its agent will say."""
    try:
        return _parsed(file, file.read_bytes())
    except OSError:
        return {}


def _parsed(file: Path, content: bytes) -> dict[str, Any]:
    try:
        values: Any = read(file, content).values()
    except UnwritableError:
        return {}
    return values if isinstance(values, dict) else {}


def _texts(variables: object) -> dict[str, str]:
    """Returns the variables that are set in an object of settings."""
    if not isinstance(variables, dict):
        return {}
    return {str(name): str(value) for name, value in variables.items() if value}


def _get(settings: Mapping[str, Any], path: Sequence[str]) -> Any:  # noqa: ANN401  (whatever is set)
    value: Any = settings
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _put(settings: dict[str, Any], path: Sequence[str], value: object) -> None:
    table = settings
    for key in path[:-1]:
        if not isinstance(table.get(key), dict):
            table[key] = {}
        table = table[key]
    table[path[-1]] = value


def _settings_of(start: Start, name: str) -> list[dict[str, Any]]:
    """Returns the settings of Gemini CLI, or of Qwen Code, which comes of it: the user's, and the project's."""
    home = start.client.file.parent if start.client.file is not None else Path.home() / name
    return [_settings(folder / "settings.json") for folder in (home, start.folder / name)]


def _dotenv(start: Start, name: str) -> dict[str, Any]:
    """Returns the variables of the one `.env` file that Gemini CLI, or Qwen Code, reads: the nearest one."""
    home = start.client.file.parent if start.client.file is not None else Path.home() / name
    around = [
        folder / inside / ".env" for folder in (start.folder, *start.folder.parents) for inside in (name, "")
    ]
    for file in (*around, home / ".env", Path.home() / ".env"):
        if file.is_file():
            return _settings(file)
    return {}


def _upward(folder: Path) -> list[Path]:
    """Returns a folder and those around it, up to the one with the repository; itself alone where there is none."""
    folders = [folder, *folder.parents]
    roots = [index for index, each in enumerate(folders) if (each / ".git").exists()]
    return folders[: roots[0] + 1] if roots else [folder]


def _is_on(value: object) -> bool:
    return str(value).lower() not in _OFF
