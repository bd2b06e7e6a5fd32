"""The clients that can use the gateway: which of their settings name it, how it is set, and how that is undone.

A file is changed only where it is asked for. It is copied first; what is put in is taken out again by `disconnect`,
which leaves everything else as it is by then.
"""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import ParseError

BACKUP = ".before-anchorline"


class Client(msgspec.Struct, frozen=True):
    """One client. `file` is its settings file (None: it keeps them elsewhere), `values` are set in it, by their path.

    `shown` is what a developer is told to do, `note` what to know about it.
    """

    name: str
    title: str
    file: Path | None
    values: dict[tuple[str, ...], Any]
    shown: str
    note: str = ""


class UnwritableError(Exception):
    """A settings file that can't be changed by a program. The message names it and says what to do."""


def clients(base: str) -> dict[str, Client]:
    """Return the clients by name; `base` is the gateway's address with its token."""
    anthropic, openai = f"{base}/anthropic", f"{base}/openai/v1"
    found = (
        _client(
            "claude-code",
            "Claude Code",
            _folder("CLAUDE_CONFIG_DIR", ".claude") / "settings.json",
            {("env", "ANTHROPIC_BASE_URL"): anthropic},
            "A session that is running keeps the address it began with.",
        ),
        _client(
            "codex",
            "Codex",
            _folder("CODEX_HOME", ".codex") / "config.toml",
            {
                ("model_provider",): "anchorline",
                ("model_providers", "anchorline"): {
                    "name": "OpenAI through Anchorline",
                    "base_url": openai,
                    "env_key": "OPENAI_API_KEY",
                    "wire_api": "responses",
                },
            },
            "This is for an API key (OPENAI_API_KEY); a ChatGPT login goes elsewhere.",
        ),
        _client(
            "zed",
            "Zed",
            _zed() / "settings.json",
            {
                ("language_models", "anthropic", "api_url"): anthropic,
                ("language_models", "openai", "api_url"): openai,
            },
            "Zed's own hosted models don't go through it, only those with an API key of yours.",
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
            "Cline keeps its settings inside VS Code, where no program can change them.",
        ),
    )
    return {client.name: client for client in found}


def _client(name: str, title: str, file: Path, values: dict[tuple[str, ...], Any], note: str) -> Client:
    document: dict[str, Any] = {}
    for path, value in values.items():
        _set(document, path, value)
    text = tomlkit.dumps(document) if file.suffix == ".toml" else json.dumps(document, indent=2)
    return Client(name, title, file, values, text.rstrip(), note)


def _folder(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / name)


def _zed() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", Path.home())) / "Zed"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zed"


def connect(client: Client) -> Path:
    """Set the client's settings; return the copy of the file as it was. Raises UnwritableError and OSError."""
    file = _file(client)
    before = file.read_bytes() if file.exists() else b""
    document = _read(file, before)
    for path, value in client.values.items():
        _set(document, path, value)
    copy = file.with_name(file.name + BACKUP)
    if not copy.exists():  # connected twice, the first copy is the one without us
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(copy, before)
    _write(file, _text(file, document))
    return copy


def disconnect(client: Client) -> bool:
    """Take out what `connect` has set; tell whether there was something. Raises UnwritableError and OSError."""
    file = _file(client)
    copy = file.with_name(file.name + BACKUP)
    if not copy.exists():
        return False
    before = copy.read_bytes()
    if file.exists():
        document, old = _read(file, file.read_bytes()), _read(file, before)
        for path in client.values:
            _set(document, path, _get(old, path))
        if not before and not document:
            file.unlink()
        else:
            _write(file, before if document == old else _text(file, document))
    copy.unlink()
    return True


def _file(client: Client) -> Path:
    if client.file is None:
        raise UnwritableError(client.note)
    return client.file.resolve()  # a link, as in a folder of dotfiles, stays one


def _read(file: Path, content: bytes) -> MutableMapping[str, Any]:
    try:
        text = content.decode()
        if file.suffix == ".toml":
            return tomlkit.parse(text)
        value = json.loads(text) if text.strip() else {}
    except ParseError as error:
        raise UnwritableError(f"{file}: {error}") from None
    except ValueError:
        raise UnwritableError(
            f"{file}: it is not plain JSON (comments?), so the setting is added by hand"
        ) from None
    if not isinstance(value, dict):
        raise UnwritableError(f"{file}: it is no object of settings")
    return value


def _text(file: Path, document: MutableMapping[str, Any]) -> bytes:
    if file.suffix == ".toml":
        return tomlkit.dumps(document).encode()
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _write(file: Path, content: bytes) -> None:
    """Replace a file as a whole, for the owner's eyes only: it holds the token now."""
    handle, new = tempfile.mkstemp(
        dir=file.parent, prefix=f".{file.name}."
    )  # 0600, and of this program alone
    try:
        with os.fdopen(handle, "wb") as target:
            target.write(content)
        Path(new).replace(file)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise


def _get(document: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = document
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _set(document: MutableMapping[str, Any], path: tuple[str, ...], value: object) -> None:
    """Set a value; None takes it out, and the tables around it that are empty then."""
    key, *rest = path
    if not rest:
        if value is None:
            document.pop(key, None)
        else:
            document[key] = value
        return
    below = document.get(key)
    if not isinstance(below, MutableMapping):
        if value is None:
            return
        document[key] = {}
        below = document[key]
    _set(below, tuple(rest), value)
    if value is None and not below:
        del document[key]
