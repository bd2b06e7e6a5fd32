"""A marked key and secret go through every path at every log level; nothing that is written has them."""

import json
import os
from pathlib import Path

import pytest

from support.lsp_client import frame
from support.lsp_servers import SLOW

KEY = "sk-ant-api03-CANARYCANARYCANARYCANARYCANARYCANARY-AA"
SECRET = "xyzzy-plugh-CANARY-thud-quux"
CANARIES = (b"CANARY", b"xyzzy", b"plugh")
TEXT = f"Fix the login. My key is {KEY} and the pass phrase is {SECRET}.\n"
URI = "file:///w/a.prompt.md"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_no_prompt_text_is_written_anywhere(start, level, tmp_path):
    client = start((*SLOW, level), cwd=tmp_path)
    capabilities = {
        "workspace": {"configuration": True, "applyEdit": True},
        "window": {"workDoneProgress": True},
        "textDocument": {"codeAction": {}},
    }
    client.settings = {
        "store": {"path": f"/nowhere/{SECRET}/a.db"} if level == "info" else {},
        "nonsense": {SECRET: 1},
    }
    client.initialize(capabilities, initializationOptions={"anchorline": {SECRET: KEY}})
    everything_with_the_canary(client)
    client.notify("exit")
    client.process.wait(20)
    client.close()

    assert client.log if level == "debug" else True
    for canary in CANARIES:
        assert canary.decode() not in client.log
    for folder in (tmp_path, Path(os.environ["ANCHORLINE_DATA_DIR"])):
        for file in folder.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                assert not any(canary in content for canary in CANARIES), file


def everything_with_the_canary(client) -> None:
    client.open(URI, TEXT)
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": TEXT}]}
    client.open("file:///w/a.request.json", json.dumps(body), "json")
    client.open("file:///w/bad.request.json", '{"messages": [' + json.dumps(TEXT), "json")
    client.change(URI, 2, {"text": TEXT + "Add " + SECRET})
    document = {"textDocument": {"uri": URI}}
    at_start = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 0}}
    client.call("textDocument/diagnostic", document)
    client.call("textDocument/hover", {**document, "position": {"line": 0, "character": 30}})
    client.call("textDocument/codeAction", {**document, "range": at_start, "context": {"diagnostics": []}})
    client.call("textDocument/inlayHint", {**document, "range": at_start})
    client.call("textDocument/codeLens", document)
    plan = client.call("anchorline/plan", {"prompt": {"body": TEXT}, "surroundings": {"symbol": SECRET}})
    client.call("anchorline/refine", document)
    client.command("anchorline.refine", document)
    client.call("anchorline/explain")
    client.command("anchorline.status")
    outcome = {"planId": plan["id"], "decision": "modified", "signals": {"good": True}}
    feedback = {"planId": plan["id"], "thumbs": -1, "note": TEXT}
    for method, params in (("outcome", outcome), ("feedback", feedback)):
        client.answer(client.ask(f"anchorline/{method}", params))
    # What is wrong, in every way.
    client.error("anchorline/plan", {"prompt": {"body": [TEXT]}})
    client.error("anchorline/plan", {"prompt": {"body": "{" + TEXT, "format": "anthropic"}})
    client.error("anchorline/feedback", {"planId": SECRET + "!", "thumbs": TEXT})
    client.error("workspace/executeCommand", {"command": SECRET})
    client.error(f"anchorline/{SECRET}", {"text": TEXT})
    client.error("textDocument/hover", {"textDocument": TEXT})
    client.notify(f"anchorline/{SECRET}", {"text": TEXT})
    client.notify(
        "textDocument/didChange", {"textDocument": {"uri": SECRET, "version": KEY}, "contentChanges": TEXT}
    )
    client.raw(f"X-{SECRET}: {KEY}\r\n\r\n".encode())
    client.raw(frame(b'{"jsonrpc": "2.0", "text": "' + TEXT.encode()))
    client.send({"jsonrpc": "2.0", "id": 5, "error": {"code": SECRET, "message": TEXT}})
    # Crashes: in a handler, a task, a thread and a callback of the event loop.
    for method in ("test/crash", "test/crashLater"):
        client.error(method, {"secret": SECRET})
    for method in ("test/crashThread", "test/crashLoop"):
        client.call(method, {"secret": SECRET})
    client.notify("test/crash", {"secret": SECRET})
    client.notify("test/crashLater", {"secret": SECRET})
    client.call("anchorline/status")
