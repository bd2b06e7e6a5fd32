"""What a command does not import that it does not need: most of its start is imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.history import imported

HEAVY = (
    "aiohttp", "anchorline.gateway", "anchorline.planner", "anchorline.prompt.formats", "anchorline.report", "anchorline.trial",
    "asyncio", "difflib", "mlx", "numpy", "rich", "sqlite_utils", "tomlkit", "tomllib", "tree_sitter", "uvicorn",
)  # fmt: skip
PROBE = """
import json, sys
from anchorline.cli.main import main
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def loaded(*words: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.process
@pytest.mark.parametrize("words", [(), ("--json",), ("--version",), ("--help",)], ids=" ".join)
def test_a_start_with_nothing_new_imports_nothing_heavy(
    words: tuple[str, ...], isolated_home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(isolated_home))
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(isolated_home / ".claude"))
    monkeypatch.setenv("CODEX_HOME", str(isolated_home / ".codex"))
    imported(isolated_home / ".claude" / "projects" / "p")
    loaded()  # works out what is kept
    assert loaded(*words).isdisjoint(HEAVY)
