"""Where agents keep their settings and sessions."""

import os
from pathlib import Path


def folder(variable: str, name: str) -> Path:
    """Returns the folder that an environment variable names, else `name` in the developer's home."""
    return Path(os.environ.get(variable) or Path.home() / name)


def claude_code() -> Path:
    """Returns Claude Code's folder, with its `settings.json` and `projects`."""
    return folder("CLAUDE_CONFIG_DIR", ".claude")


def codex() -> Path:
    """Returns Codex's folder, with its `config.toml` and `sessions`."""
    return folder("CODEX_HOME", ".codex")


def opencode() -> Path:
    """Returns OpenCode's data folder, with its database."""
    return folder("XDG_DATA_HOME", ".local/share") / "opencode"


def opencode_database() -> tuple[Path, ...]:
    """Returns the database that OPENCODE_DB names, where that is a file elsewhere."""
    path = Path(os.environ.get("OPENCODE_DB") or "").expanduser()
    return (path,) if path.is_absolute() else ()


def pi() -> Path:
    """Returns Pi's folder, with its settings."""
    return folder("PI_CODING_AGENT_DIR", ".pi/agent").expanduser()


def pi_sessions() -> Path:
    """Returns the folder of Pi's sessions."""
    return Path(os.environ.get("PI_CODING_AGENT_SESSION_DIR") or pi() / "sessions").expanduser()


def cline_sessions() -> Path:
    """Returns the folder of the sessions of Cline's command line."""
    data = Path(os.environ.get("CLINE_DATA_DIR") or folder("CLINE_DIR", ".cline") / "data")
    return Path(os.environ.get("CLINE_SESSION_DATA_DIR") or data / "sessions")


def copilot() -> Path:
    """Returns the folder of Copilot's command line, with its `session-state`."""
    return folder("COPILOT_HOME", ".copilot")


def gemini_cli() -> Path:
    """Returns Gemini CLI's folder, with its `settings.json`, its `.env` and its sessions."""
    return Path(os.environ.get("GEMINI_CLI_HOME") or Path.home()) / ".gemini"


def qwen_code() -> Path:
    """Returns Qwen Code's folder, with its `settings.json` and its sessions."""
    return folder("QWEN_HOME", ".qwen")


def settings_file(client: str) -> Path:
    """Returns the settings file of an agent: `claude-code`, `codex` or `gemini-cli`. Raises KeyError for another."""
    files = {
        "claude-code": claude_code() / "settings.json",
        "codex": codex() / "config.toml",
        "gemini-cli": gemini_cli() / "settings.json",
    }
    return files[client]
