"""Emacs and eglot with the configuration of docs/how-to/editors/emacs.md: attach, see, refine, undo, plan, report."""

import json
import subprocess
from pathlib import Path

import pytest

from e2e import editors
from e2e.workspace import DRAFT, HEAD, OTHERS, SERVED, Workspace, check_anchored, check_outcomes, check_prompt

DRIVER = Path(__file__).with_name("emacs_driver.el")


@pytest.fixture
def emacs() -> list[str]:
    """Emacs in batch mode with its packages, eglot among them."""
    found = editors.program("emacs", "apt-get install emacs-nox elpa-eglot")
    command = [found, "--batch", "-f", "package-activate-all"]
    if subprocess.run([*command, "--eval", "(require 'eglot)"], capture_output=True, check=False).returncode:
        editors.missing(f"{found} has no eglot: apt-get install elpa-eglot")
    return command


def test_emacs_from_diagnostic_to_outcome(emacs: list[str], workspace: Workspace):
    init = workspace.home / "init.el"
    setup, settings, report = editors.snippets("how-to/editors/emacs.md", "elisp")
    init.write_text(setup + settings, "utf-8")

    seen = editors.drive(
        [*emacs, "-l", str(init), "-l", str(DRIVER)],
        workspace.home,
        workspace.folder,
        E2E_REPORT=report,
        E2E_SERVED=json.dumps(SERVED),
        E2E_OTHERS=json.dumps(OTHERS),
    )
    check_prompt(seen, workspace)
    assert "Model" in seen["explanation"]
    assert "**" not in seen["explanation"]
    assert seen["plan"]["route"]["target"] == "claude-opus-5", "the settings of the snippet hold"
    assert seen["chosen"] == "Outcome recorded"
    assert seen["reported"] == {"recorded": True}

    assert "AL207" in {found["code"] for found in seen["body_diagnostics"]}
    check_anchored(seen["anchored"], workspace)

    refined = seen["refined_selection"]
    assert "the the" not in refined
    assert refined.startswith(HEAD)
    assert refined.endswith(DRAFT[DRAFT.index("Don't") :])

    assert seen["not_attached"] == OTHERS
    assert seen["clients"] == 1, "one server for the whole folder"
    check_outcomes(seen, workspace)
