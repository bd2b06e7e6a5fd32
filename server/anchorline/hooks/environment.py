"""What a hook's event is handled with: settings and prices of this moment, and the agent's own folder."""

from functools import lru_cache
from pathlib import Path

from anchorline.config import Config, Files, load
from anchorline.hooks.events import ENVIRONMENT, Event
from anchorline.route import target
from anchorline.route.target import Targets


def settings(event: Event) -> Config:
    """Returns the settings that hold in the folder that the agent works in."""
    folder = event.get("cwd")
    if not isinstance(folder, str) or "\0" in folder or not Path(folder).is_absolute():
        return load().config
    return load(Path(folder)).config


def targets(config: Config) -> Targets:
    """Returns all models: read again only where one of the user's own files has changed."""
    own = (config.files.providers, config.files.models)
    return _targets(config.files, tuple(_written(Path(file).expanduser()) for file in own if file))


@lru_cache(4)
def _targets(files: Files, written: tuple[int, ...]) -> Targets:  # noqa: ARG001
    return target.load(files)


def _written(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def variable(event: Event, name: str) -> str:
    """Returns a variable of the environment that the agent gave its hook; empty where it is not set."""
    variables = event.get(ENVIRONMENT)
    return variables.get(name, "") if isinstance(variables, dict) else ""


def claude_sessions(event: Event) -> Path:
    """Returns the folder in which Claude Code keeps its sessions."""
    own = variable(event, "CLAUDE_CONFIG_DIR")
    return (Path(own) if own else Path.home() / ".claude") / "projects"


def gemini_sessions(event: Event) -> Path:
    """Returns the folder in which Gemini CLI keeps its sessions."""
    own = variable(event, "GEMINI_CLI_HOME")
    return (Path(own) if own else Path.home()) / ".gemini" / "tmp"


def qwen_sessions(event: Event) -> Path:
    """Returns the folder in which Qwen Code keeps its sessions."""
    own = variable(event, "QWEN_HOME")
    return (Path(own) if own else Path.home() / ".qwen") / "projects"


def codex_sessions(event: Event) -> Path:
    """Returns the folder in which Codex keeps its sessions."""
    own = variable(event, "CODEX_HOME")
    return (Path(own) if own else Path.home() / ".codex") / "sessions"
