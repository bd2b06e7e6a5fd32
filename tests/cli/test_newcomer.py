"""A newcomer's walk: two agents were used, `anchorline` says what to do, a fix is made and taken back."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.make import sample_history

pytestmark = pytest.mark.process
SETTINGS = b'{\r\n  // sam\'s own\r\n  "model": "opus",\r\n  "env": {"EDITOR": "vi"}\r\n}'


class Newcomer:
    """Somebody at a terminal, with a home folder and nothing of Anchorline in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.settings = home / ".claude" / "settings.json"
        self.settings.parent.mkdir(parents=True)
        self.settings.write_bytes(SETTINGS)
        left_out = (
            "ANCHORLINE_CONFIG",
            "ANCHORLINE_DATA_DIR",
            "CLAUDE_CONFIG_DIR",
            "CODEX_HOME",
            "XDG_DATA_HOME",
            "XDG_CONFIG_HOME",
        )
        self._environment = {name: value for name, value in os.environ.items() if name not in left_out}
        self._environment |= {"HOME": str(home), "COLUMNS": "80"}

    def types(self, *words: str) -> str:
        """Run a command; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "anchorline", *words],
            env=self._environment, cwd=self.home, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    def files(self) -> dict[Path, bytes]:
        """Everything in the folders of both agents."""
        agents = (path for name in (".claude", ".codex") for path in (self.home / name).rglob("*"))
        return {path: path.read_bytes() for path in agents if path.is_file()}


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path / "home")


def test_a_newcomer_s_walk(newcomer: Newcomer):
    for name, content in sample_history.sessions():
        folder = ".claude/projects/app" if name.parent.name == "claude-code" else ".codex/sessions/2026"
        file = newcomer.home / folder / name.with_suffix("").name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    before = newcomer.files()

    screen = newcomer.types()
    assert "Claude Code $" in screen
    assert "Codex $" in screen
    assert "→ fix 1: Keep the cache of main conversations for an hour" in screen
    assert newcomer.files() == before, "looking changes nothing"

    assert '+  "promptCacheTtl": "1h"' in newcomer.types("fix", "1", "--dry-run")
    assert newcomer.files() == before, "nor does a dry run"

    assert "Done. `anchorline undo 1` takes it back." in newcomer.types("fix", "1")
    fixed = SETTINGS.replace(b'"vi"}', b'"vi"},\r\n  "promptCacheTtl": "1h"')
    assert newcomer.files() == before | {newcomer.settings: fixed}
    assert "✓ Keep the cache of main conversations for an hour: now set" in newcomer.types()

    newcomer.types("undo")
    assert newcomer.files() == before
    assert newcomer.types() == screen


def test_a_newcomer_with_real_sessions(newcomer: Newcomer, data: Path):
    shutil.copytree(data / "transcripts" / "claude-code", newcomer.home / ".claude" / "projects" / "app")
    shutil.copytree(data / "transcripts" / "codex", newcomer.home / ".codex" / "sessions")
    before = newcomer.files()
    shown = json.loads(newcomer.types("--json"))
    overview = shown["overview"]
    assert {use["agent"] for use in overview["agents"]} == {"claude-code", "codex"}
    parts = [*(finding["usd"] for finding in overview["findings"]), overview["rest"]]
    assert sum(parts) == pytest.approx(overview["usd"], abs=0.005)
    for number in range(1, len(shown["fixes"]) + 1):
        newcomer.types("fix", str(number))
    for _ in shown["fixes"]:
        newcomer.types("undo")
    assert newcomer.files() == before
