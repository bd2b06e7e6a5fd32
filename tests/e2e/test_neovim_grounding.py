"""Neovim in a repository of some hundred files: what the workspace has to add is taken, and undone, line by line."""

from pathlib import Path

from e2e import editors
from e2e.grounded import LINE, decisions, lay_repository
from e2e.workspace import Workspace
from support.grounded import PROMPT

DRIVER = Path(__file__).with_name("neovim_grounding_driver.lua")


def test_neovim_adds_lines_of_the_workspace(neovim: str, workspace: Workspace) -> None:
    config = workspace.home / ".config" / "nvim" / "init.lua"
    config.parent.mkdir(parents=True)
    config.write_text(editors.snippets("how-to/editors/neovim.md", "lua")[0], "utf-8")
    prompt = lay_repository(workspace.folder / "shop")

    seen = editors.drive(
        [neovim, "--headless", "-i", "NONE", "-S", str(DRIVER)], workspace.home, prompt.parent
    )
    assert any(LINE.removeprefix("Context: ") in title for title in seen["titles"])
    assert seen["first"].startswith(PROMPT + "\n\n"), "the developer's own words are as they were"
    assert len(seen["second"].splitlines()) == len(seen["first"].splitlines()) + 1
    assert seen["undone"] == seen["first"], "one undo takes one line back"
    assert prompt.read_text("utf-8") == seen["first"]
    assert sorted(decision for _, decision in decisions(workspace)) == ["accepted", "rejected"]
