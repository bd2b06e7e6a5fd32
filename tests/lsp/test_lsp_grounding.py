"""What the workspace has to add to a prompt: code actions, the index behind them, and what becomes of each line."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.grounded import FILE, PROMPT, shop
from support.lsp_client import RawClient
from support.lsp_documents import CONTENT_MODIFIED, actions, document, edited, indexed
from support.repositories import Repository

RESOLVES = {"textDocument": {"codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}}}
LINE = f"Context: `{FILE}`"
TEXT = PROMPT + "\n"
ADDED = f"{TEXT}\n{LINE}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return shop(tmp_path / "shop")


@pytest.fixture
def uri(repository: Repository) -> str:
    return (repository.folder / "fix.prompt.md").as_uri()


@pytest.fixture
def grounded(start, repository: Repository) -> RawClient:
    """A server whose workspace is indexed."""
    client = start()
    client.initialize(root=repository.folder)
    assert indexed(client)["state"] == "ready"
    return client


def context(client: RawClient, uri: str) -> dict[str, dict]:
    return {title: action for title, action in actions(client, uri).items() if title.startswith("Add ")}


def the_file(offered: dict[str, dict]) -> dict:
    """Return the action that adds the file that the prompt is about."""
    return next(action for title, action in offered.items() if title.startswith(f"Add context: `{FILE}` ("))


def decisions(home: Path) -> list[dict[str, Any]]:
    database = home / "data" / "anchorline.db"
    if not database.exists():
        return []
    with closing(sqlite3.connect(database)) as opened:
        opened.row_factory = sqlite3.Row
        return [dict(row) for row in opened.execute("select * from additions where decision is not null")]


def test_each_line_is_an_action_of_its_own_with_its_reason(grounded, uri):
    grounded.open(uri, TEXT)
    offered = context(grounded, uri)
    action = the_file(offered)
    assert "matches “interval”" in action["title"]
    assert action["kind"] == "refactor.context"
    assert edited(action["edit"], TEXT) == ADDED
    assert set(actions(grounded, uri, only=["refactor.rewrite"])).isdisjoint(offered), (
        "they would need a choice"
    )
    if len(offered) > 2:
        assert LINE in edited(offered["Add all context"]["edit"], TEXT)


def test_an_action_belongs_to_the_text_that_it_was_offered_for(start, repository, uri):
    client = start()
    client.initialize(RESOLVES, root=repository.folder)
    indexed(client)
    client.open(uri, TEXT)
    action = the_file(context(client, uri))
    assert "edit" not in action
    assert edited(client.call("codeAction/resolve", action)["edit"], TEXT) == ADDED
    client.change(uri, 2, {"text": TEXT + "More.\n"})
    assert client.error("codeAction/resolve", action)["code"] == CONTENT_MODIFIED


def test_a_refinement_has_the_lines_and_an_edit_for_each(grounded, uri):
    text = "Could you please " + PROMPT[0].lower() + PROMPT[1:] + "\n"
    grounded.open(uri, text)
    answer = grounded.call("anchorline/refine", document(uri))
    additions = answer["refinement"]["additions"]
    assert additions[0]["text"] == LINE
    assert answer["refinement"]["text"] is None or LINE not in answer["refinement"]["text"]
    added = edited(answer["context"], text)
    assert added.startswith(text.rstrip())
    assert [addition["text"] in added for addition in additions] == [True] * len(additions)


@pytest.mark.parametrize(
    ("then", "decision"),
    [
        ([ADDED], "accepted"),
        ([ADDED, ADDED.replace("Context:", "See")], "modified"),
        ([ADDED, TEXT], "rejected"),
        ([ADDED, ADDED + "\nMore.\n"], "accepted"),
        ([], None),
    ],
)
def test_what_becomes_of_a_line_is_recorded(grounded, uri, isolated_home, then, decision):
    grounded.open(uri, TEXT)
    the_file(context(grounded, uri))
    for version, text in enumerate(then, 2):
        grounded.change(uri, version, {"text": text})
    grounded.notify("textDocument/didSave", document(uri))
    assert grounded.shutdown() == 0
    recorded = decisions(isolated_home)
    assert [row["decision"] for row in recorded] == ([decision] if decision else []), (
        "not taken is not rejected"
    )
    assert all(row["kind"] == "file" and 0 < row["probability"] < 1 for row in recorded)


def test_a_line_taken_after_a_refinement_changes_nothing_about_that(grounded, uri, isolated_home):
    text = "Could you please fix this? " + TEXT
    grounded.open(uri, text)
    refined = edited(actions(grounded, uri)["Refine prompt"]["edit"], text)
    grounded.change(uri, 2, {"text": refined})
    taken = edited(the_file(context(grounded, uri))["edit"], refined)
    grounded.change(uri, 3, {"text": taken})
    grounded.change(uri, 4, {"text": refined})
    grounded.notify("textDocument/didSave", document(uri))
    assert grounded.shutdown() == 0
    assert [row["decision"] for row in decisions(isolated_home)] == ["rejected"]
    with closing(sqlite3.connect(next((isolated_home / "data").glob("*.db")))) as opened:
        assert opened.execute("select decision from outcomes where decision is not null").fetchall() == [
            ("accepted",)
        ]


def test_the_index_follows_a_branch_that_nobody_tells_of(grounded, repository, uri):
    repository.git("checkout", "-q", "-b", "other")
    repository.git("rm", "-q", FILE)
    repository.commit({"src/shop/planner.py": (repository.folder / "src/shop/billing.py").read_text("utf-8")})
    grounded.open(uri, TEXT)
    assert not any(FILE in title for title in context(grounded, uri))


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"workspaceTrusted": False}, "not trusted"), ({"ground": {"enabled": False}}, "ground.enabled")],
)
def test_there_is_no_index_where_it_is_not_wanted(start, repository, uri, isolated_home, options, reason):
    client = start()
    client.initialize(root=repository.folder, initializationOptions=options)
    client.open(uri, TEXT)
    assert context(client, uri) == {}
    index = client.call("anchorline/status")["index"]
    assert index["state"] == "off"
    assert reason in index["reason"]
    assert client.shutdown() == 0
    assert not (isolated_home / "data" / "index").exists()


def test_a_folder_that_is_gone_costs_no_answer(start, tmp_path):
    client = start()
    client.initialize(root=tmp_path / "gone")
    assert indexed(client)["state"] == "failed"
    client.open((tmp_path / "gone" / "fix.prompt.md").as_uri(), "Could you please fix the bug in `load`?\n")
    assert "Refine prompt" in actions(client, (tmp_path / "gone" / "fix.prompt.md").as_uri())
    assert client.shutdown() == 0


def test_nothing_is_added_to_source_code(grounded, repository):
    uri = (repository.folder / FILE).as_uri()
    text = f"# {PROMPT}\n"
    grounded.open(uri, text, "python")
    where = {"start": {"line": 0, "character": 2}, "end": {"line": 0, "character": len(text) - 1}}
    answer = grounded.call("anchorline/refine", {**document(uri), "range": where})
    assert answer["refinement"]["additions"] == []
    assert answer["context"] is None


def test_the_client_is_asked_to_tell_of_changes(start, repository, uri):
    client = start()
    client.initialize(
        {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}, root=repository.folder
    )
    registered = client.until(lambda message: message.get("method") == "client/registerCapability")
    (registration,) = registered["params"]["registrations"]
    patterns = [watcher["globPattern"] for watcher in registration["registerOptions"]["watchers"]]
    assert "**/*" in patterns
    indexed(client)
    (repository.folder / FILE).unlink()
    deleted = {"uri": (repository.folder / FILE).as_uri(), "type": 3}
    client.notify("workspace/didChangeWatchedFiles", {"changes": [deleted]})
    client.open(uri, TEXT)
    assert not any(FILE in title for title in context(client, uri))
