"""Refining with a language model, as a client sees it: proposed, cancelled, overtaken, previewed, observed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.lsp_client import RawClient
from support.lsp_documents import CANCELLED, CONTENT_MODIFIED, actions, document, edited, span
from support.lsp_servers import SCRIPTED, SCRIPTED_ENV

URI = "file:///project/fix.prompt.md"
TEXT = "Could you please fix the crsh in `src/parse.py`?\n\nIt must skip empty lins.\n"
BY_RULES = "Fix the crsh in `src/parse.py`.\n\nIt must skip empty lins.\n"
REFINED = "Fix the crash in `src/parse.py`.\n\nIt must skip empty lines.\n"
WAITING = "Fix the crsh that comes while waiting for the parser.\n"
STREAMED: dict[str, Any] = {**document(), "partialResultToken": "parts"}


@pytest.fixture
def scripted(start) -> RawClient:
    client = start(SCRIPTED, env=SCRIPTED_ENV)
    client.initialize({"window": {"workDoneProgress": True}})
    return client


def part(client: RawClient) -> dict[str, Any]:
    """Return the next value that streams."""
    progress = client.until(
        lambda message: message.get("method") == "$/progress" and message["params"]["token"] == "parts"
    )
    return progress["params"]["value"]


def test_the_rules_answer_first_and_the_model_corrects_after(scripted):
    scripted.open(URI, TEXT)
    answer = scripted.call("anchorline/refine", STREAMED)
    first = part(scripted)
    assert first["kind"] == "proposal"
    assert first["refinement"]["text"] == BY_RULES.rstrip("\n") or first["refinement"]["text"] == BY_RULES
    assert first["refinement"]["engine"] == "rules"
    assert answer["refinement"]["engine"] == "scripted"
    assert edited(answer["edit"], TEXT) == REFINED


def test_a_cancelled_refinement_is_answered_at_once_and_nothing_comes_after(scripted):
    scripted.open(URI, WAITING)
    request = scripted.ask("anchorline/refine", STREAMED)
    part(scripted)
    scripted.notify("$/cancelRequest", {"id": request})
    assert scripted.answer(request)["error"]["code"] == CANCELLED
    assert scripted.call("test/model") == {"asked": 1, "answered": 1}, "the model has stopped too"
    scripted.call("test/go")
    seen = len(scripted.seen)
    scripted.call("anchorline/status")
    assert [message for message in scripted.seen[seen:] if message.get("method") == "$/progress"] == []


@pytest.mark.parametrize("how", ["changed", "closed"])
def test_a_refinement_is_dropped_as_soon_as_the_document_is_another(scripted, how):
    scripted.open(URI, WAITING)
    request = scripted.ask("anchorline/refine", STREAMED)
    part(scripted)
    if how == "changed":
        scripted.change(URI, 2, {"text": WAITING + "And more.\n"})
    else:
        scripted.notify("textDocument/didClose", document())
    error = scripted.answer(request)["error"]
    assert (error["code"], error["message"]) == (CONTENT_MODIFIED, "the document has changed")
    assert scripted.call("test/model") == {"asked": 1, "answered": 1}


def test_a_command_does_it_all_for_a_client_without_requests_of_its_own(scripted):
    scripted.open(URI, TEXT)
    offered = actions(scripted, URI)["Refine prompt"]
    assert "edit" not in offered
    applied = []
    scripted.apply = lambda params: applied.append(params["edit"]) or {"applied": True}
    command = {name: offered["command"][name] for name in ("command", "arguments")}
    scripted.call("workspace/executeCommand", command)
    assert edited(applied[0], TEXT) == REFINED
    said = scripted.notification("window/showMessage")["message"]
    assert "“crsh” → “crash”: spelling: crsh → crash" in said
    scripted.change(URI, 2, {"text": TEXT + "\n"})
    error = scripted.error("workspace/executeCommand", command)
    assert error["code"] == CONTENT_MODIFIED, "the command belongs to the version it was offered for"


def test_a_selection_in_any_buffer_is_refined_by_a_command(scripted):
    uri, source = "file:///project/src/a.py", "x = 1\n# Could you please fix the crsh in load_all?\ny = 2\n"
    scripted.open(uri, source, "python")
    where = span((1, 2), (1, len(source.split("\n")[1])))
    offered = actions(scripted, uri, where)
    assert set(offered) == {"Refine selection as a prompt"}
    applied = []
    scripted.apply = lambda params: applied.append(params["edit"]) or {"applied": True}
    command = offered["Refine selection as a prompt"]["command"]
    scripted.command(command["command"], command["arguments"][0])
    assert edited(applied[0], source) == "x = 1\n# Fix the crash in load_all.\ny = 2\n"
    assert actions(scripted, uri, span((0, 0), (0, 0))) == {}


def test_the_status_tells_where_the_model_stands(scripted, client):
    assert scripted.call("anchorline/status")["engine"]["state"] == "ready"
    engine = client.call("anchorline/status")["engine"]
    assert engine["state"] == "absent"
    assert "anchorline model pull" in engine["reason"] or "MLX" in engine["reason"]
    client.command("anchorline.status")
    assert engine["reason"] in client.notification("window/showMessage")["message"]


def test_without_a_model_nothing_is_said_of_it(client):
    client.open(URI, TEXT)
    refinement = client.call("anchorline/refine", document())["refinement"]
    assert refinement["engine"] == "rules"
    assert "model" not in refinement["reason"]


def test_the_model_is_not_asked_where_the_settings_say_so(start):
    client = start(SCRIPTED, env=SCRIPTED_ENV)
    client.initialize(initializationOptions={"refine": {"model_seconds": 0}})
    client.open(URI, TEXT)
    refinement = client.call("anchorline/refine", document())["refinement"]
    assert refinement["engine"] == "rules"
    assert client.call("test/model")["asked"] == 0


# Preview


def test_a_preview_is_a_read_only_document_where_the_client_shows_them(start):
    client = start()
    client.initialize(
        {
            "workspace": {"textDocumentContent": {"dynamicRegistration": True}},
            "window": {"showDocument": {"support": True}},
        }
    )
    registered = client.until(lambda message: message.get("method") == "client/registerCapability")
    (registration,) = registered["params"]["registrations"]
    assert registration["method"] == "workspace/textDocumentContent"
    assert registration["registerOptions"]["schemes"] == ["anchorline"]
    client.open(URI, TEXT)
    client.answers["window/showDocument"] = {"success": True}
    shown = client.command("anchorline.preview", document())
    asked = next(request for request in client.requests if request["method"] == "window/showDocument")
    assert asked["params"]["uri"] == shown["uri"]
    assert shown["uri"].startswith("anchorline:/")
    text = client.call("workspace/textDocumentContent", {"uri": shown["uri"]})["text"]
    assert text == shown["markdown"]
    assert "Fix the crsh in `src/parse.py`." in text
    assert "-Could you please fix" in text
    assert not [request for request in client.requests if request["method"] == "workspace/applyEdit"]
    assert "Preview the refined prompt" in actions(client, URI)
    for uri in ("anchorline:/unknown/refined-prompt.md", "file:///etc/passwd"):
        assert client.error("workspace/textDocumentContent", {"uri": uri})["code"] == -32602


def test_a_preview_is_a_message_elsewhere(client):
    client.open(URI, "fix this\n")
    shown = client.command("anchorline.preview", document())
    assert shown["uri"] is None
    message = client.notification("window/showMessage")["message"]
    assert "Nothing is proposed: no changes suggested" in message
    assert "reference: What does “this” refer to?" in message
    assert "- reference: What does “this” refer to?" in shown["markdown"]


# What becomes of it


def outcomes(home: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(home / "data" / "anchorline.db")) as opened:
        opened.row_factory = sqlite3.Row
        return [dict(row) for row in opened.execute("select * from outcomes order by id")]


def changed(client: RawClient, version: int, text: str) -> None:
    client.change(URI, version, {"text": text})


@pytest.mark.parametrize(
    ("then", "decision", "distance"),
    [
        ([BY_RULES], "accepted", 0),
        ([BY_RULES, BY_RULES.replace("empty", "all")], "modified", 5),
        ([BY_RULES, TEXT], "rejected", None),
        ([BY_RULES, BY_RULES + "More.\n"], "modified", 6),
        ([BY_RULES.replace("Fix", "Mend")], None, None),
        ([], None, None),
    ],
)
def test_what_becomes_of_an_applied_proposal_is_recorded(client, isolated_home, then, decision, distance):
    client.open(URI, TEXT)
    client.command("anchorline.refine", document())
    for version, text in enumerate(then, 2):
        changed(client, version, text)
    client.notify("textDocument/didSave", document())
    assert client.shutdown() == 0
    found = [(row["decision"], row["edit_distance"]) for row in outcomes(isolated_home)]
    assert found == ([(decision, distance)] if decision else [])


def test_an_undone_proposal_is_shown_as_rejected_at_once(client):
    client.open(URI, TEXT)
    client.command("anchorline.refine", document())
    changed(client, 2, BY_RULES)
    changed(client, 3, TEXT)
    hover = client.call("textDocument/hover", {**document(), "position": {"line": 0, "character": 0}})
    assert "Last outcome: rejected" in hover["contents"]["value"]


def test_what_the_client_reports_counts_instead(client, isolated_home):
    client.open(URI, TEXT)
    plan = client.command("anchorline.refine", document())["planId"]
    changed(client, 2, BY_RULES)
    client.call("anchorline/outcome", {"planId": plan, "decision": "rejected"})
    client.notify("textDocument/didClose", document())
    assert client.shutdown() == 0
    assert [row["decision"] for row in outcomes(isolated_home)] == ["rejected"]


def test_an_edit_of_a_code_action_is_observed_too(client, isolated_home):
    client.open(URI, TEXT)
    edit = actions(client, URI)["Refine prompt"]["edit"]
    changed(client, 2, edited(edit, TEXT))
    client.notify("textDocument/didClose", document())
    assert client.shutdown() == 0
    assert [row["decision"] for row in outcomes(isolated_home)] == ["accepted"]
