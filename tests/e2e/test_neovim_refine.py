"""Neovim with a real local model: it settles a word, one refinement is cancelled, one accepted and undone."""

from pathlib import Path

from e2e import editors
from e2e.workspace import Workspace

DRIVER = Path(__file__).with_name("neovim_refine_driver.lua")
PROMPT = "Could you please read the whole fiel `a.py` and print what it says about the default value?\n"
BY_RULES = "Read the whole fiel `a.py` and print what it says about the default value.\n"
SETTINGS = "[refine]\nmodel_seconds = 100.0\n\n[engine]\ndeadline_seconds = 100.0\n"


def test_neovim_refines_with_a_model(neovim: str, workspace: Workspace, models: Path) -> None:
    config = workspace.home / ".config" / "nvim" / "init.lua"
    config.parent.mkdir(parents=True)
    config.write_text(editors.snippets("how-to/editors/neovim.md", "lua")[0], "utf-8")
    (workspace.home / "anchorline.toml").write_text(SETTINGS, "utf-8")
    (workspace.folder / "crash.prompt.md").write_text(PROMPT, "utf-8")

    seen = editors.drive(
        [neovim, "--headless", "-i", "NONE", "-S", str(DRIVER)],
        workspace.home,
        workspace.folder,
        patience=400,
        ANCHORLINE_MODELS_DIR=str(models),
    )
    assert seen["cancelled"], "a cancelled refinement has no result"
    assert seen["after_cancel"] == 0, "nothing streams after the cancellation"

    (first,) = seen["parts"]
    assert first["kind"] == "proposal", "the rules' answer is there before the model has chosen"
    assert first["refinement"]["text"] == BY_RULES
    assert seen["unchanged"], "a proposal changes nothing"
    refined = seen["refinement"]
    assert (refined["status"], refined["engine"]) == ("proposed", "smollm2-135m")
    assert refined["text"] == BY_RULES.replace("fiel", "file"), "it is a file, no field"
    assert (seen["engine"]["name"], seen["engine"]["state"]) == ("smollm2-135m", "ready")

    assert seen["accepted"] == refined["text"]
    assert "filler" in seen["messages"]
    assert seen["undone"], "one undo brings the original back"
    assert "Last outcome: rejected" in seen["hover"], "the server has seen the undo"
