"""The dashboard for editors: as a page to show, or, where they only have commands, as a file."""

import stat
from pathlib import Path
from urllib.parse import urlsplit

from anchorline.store import purging
from support.history import imported
from support.lsp_client import RawClient


def test_the_request_returns_the_page(client: RawClient, tmp_path: Path):
    imported(tmp_path / "sessions")
    page = client.call("anchorline/report", {"days": 30})["html"]
    assert page.startswith("<!doctype html>")
    assert '"requests":2' in page
    assert '"requests":0' in client.call("anchorline/report", {"days": 0.1})["html"]


def test_the_command_writes_the_page_and_says_where_it_is(client: RawClient):
    uri = client.command("anchorline.report")["uri"]
    path = Path(urlsplit(uri).path)
    assert path.read_text("utf-8").startswith("<!doctype html>")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in client.notification("window/showMessage")["message"]


def test_a_link_in_the_place_of_the_page_is_not_followed(client: RawClient, tmp_path: Path):
    page = purging.dashboard_file()
    page.parent.mkdir(parents=True, exist_ok=True)
    mine = tmp_path / "mine"
    mine.write_text("mine", "utf-8")
    page.symlink_to(mine)
    client.command("anchorline.report")
    assert mine.read_text("utf-8") == "mine"
    assert page.is_file()
    assert not page.is_symlink()


def test_a_client_that_shows_documents_is_asked_to(start):
    client = start()
    client.answers["window/showDocument"] = {"success": True}
    client.initialize({"window": {"showDocument": {"support": True}}})
    uri = client.command("anchorline.report")["uri"]
    (asked,) = [one["params"] for one in client.requests if one["method"] == "window/showDocument"]
    assert asked == {"uri": uri, "external": True}


def test_a_purge_removes_the_page(client: RawClient):
    path = Path(urlsplit(client.command("anchorline.report")["uri"]).path)
    purged = purging.purge(path.with_name("anchorline.db"))
    assert str(path) in purged.files
    assert not path.exists()
