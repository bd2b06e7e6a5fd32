"""What the getting started page and those of the editors tell a reader to type works, where no editor is needed to see that."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from anchorline import config
from e2e.editors import BIN, DOCS, environment, snippets

PAGES = [
    "start/getting-started.md",
    *(f"how-to/editors/{name}.md" for name in ("emacs", "neovim", "vscode", "zed")),
]
DOCUMENTED = {key.name for key in config.documented()}
GROUPS = json.loads((DOCS.parent / "client-vscode" / "package.json").read_text("utf-8"))["contributes"][
    "configuration"
]
DECLARED = {key for group in GROUPS for key in group["properties"]}
WITH_HISTORY = ("fix", "undo", "outcome")
"""Commands that have something to do only where there are sessions or plans; the newcomer's walk runs them."""
LINES = [
    words
    for block in snippets("start/getting-started.md", "sh")
    for line in block.splitlines()
    if (words := shlex.split(line, comments=True))[:1] == ["anchorline"] and not {*words} & {*WITH_HISTORY}
]


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the Anchorline settings of an editor's settings, as the server gets them."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key.removeprefix("anchorline.") in DOCUMENTED:
            _, section, name = key.split(".")
            found.setdefault(section, {})[name] = value
    zed = settings.get("lsp", {}).get("anchorline", {}).get("settings", {})
    return {**found, **zed}


@pytest.mark.parametrize("page", PAGES)
def test_pages_link_to_what_exists(page: str):
    text = (DOCS / page).read_text("utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert targets
    for target in targets:
        assert (DOCS / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("page", ["how-to/editors/vscode.md", "how-to/editors/zed.md"])
def test_settings_are_json_with_keys_that_exist(page: str):
    blocks = [json.loads(block) for block in snippets(page, "json")]
    given = [nested(block) for block in blocks if isinstance(block, dict)]
    ours = {
        key for block in blocks if isinstance(block, dict) for key in block if key.startswith("anchorline.")
    }
    assert ours <= DECLARED
    assert any(given)
    for settings in given:
        assert config.merge(config.Loaded(), settings, source=page, project=False).problems == ()


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_first_steps_in_a_terminal(words: list[str], isolated_home: Path):
    command, *arguments = words
    done = subprocess.run(
        [BIN / command, *arguments],
        cwd=DOCS.parent,
        env=environment(isolated_home),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stderr.splitlines()
    assert done.returncode == 0
    assert all(one.startswith("plan ") for one in said)  # the plan's id, and no complaint
    assert done.stdout
