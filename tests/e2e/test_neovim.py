"""Neovim with the configuration of docs/how-to/editors/neovim.md: attach, see, refine, undo, plan, report."""

import json
from pathlib import Path

from e2e import editors
from e2e.workspace import NOTES, OTHERS, SERVED, Workspace, check_anchored, check_outcomes, check_prompt

DRIVER = Path(__file__).with_name("neovim_driver.lua")


def test_neovim_from_diagnostic_to_outcome(neovim: str, workspace: Workspace):
    config = workspace.home / ".config" / "nvim" / "init.lua"
    config.parent.mkdir(parents=True)
    init, other_files, outcome, report = editors.snippets("how-to/editors/neovim.md", "lua")
    assert init.count("\n") <= 30, "short enough to paste"
    config.write_text("\n".join((init, other_files, outcome)), "utf-8")

    seen = editors.drive(
        [neovim, "--headless", "-i", "NONE", "-S", str(DRIVER)],
        workspace.home,
        workspace.folder,
        E2E_REPORT=report,
        E2E_SERVED=json.dumps(SERVED),
        E2E_OTHERS=json.dumps(OTHERS),
    )
    check_prompt(seen, workspace)
    assert "Model" in seen["explanation"]
    assert "**" not in seen["explanation"]
    assert seen["messages_with_the_window"] == "", "a message beside the window would wait for Enter"
    assert seen["choices"] == ["accepted", "modified", "rejected"]

    assert "AL207" in {found["code"] for found in seen["body_diagnostics"]}
    assert all("tokens" in label and "P(hit)" in label for label in seen["inlay_hints"])
    check_anchored(seen["anchored"], workspace)

    assert seen["refined_selection"].startswith(NOTES[: NOTES.index("Please")])
    assert "the the" not in seen["refined_selection"]
    assert workspace.notes.read_text("utf-8") == NOTES, "nothing is saved that the user did not save"

    assert seen["not_attached"] == OTHERS
    assert seen["clients"] == 1, "one server for the whole folder"
    check_outcomes(seen, workspace)
