"""Documents and requests that the tests of the language server send, and what they read from its answers."""

import json

from lsprotocol.types import Position

from anchorline.lsp.documents import Document

URI = "file:///project/fix.prompt.md"
RULES_URI = "file:///project/AGENTS.md"
BODY_URI = "file:///project/a.request.json"
TEXT = "Hey, could you please fix teh bug in `src/parse.py`? Thanks!\n"
REFINED = "Fix the bug in `src/parse.py`.\n"
RULES = "Current time: 2026-11-23T09:41:07Z\n" + "Keep every public name as it is.\n" * 40
CONTENT_MODIFIED, CANCELLED, REQUEST_FAILED = -32801, -32800, -32803
OWN_MODEL = {"route": {"enabled": False}}
PULL = {"textDocument": {"diagnostic": {}}, "workspace": {"diagnostics": {"refreshSupport": True}}}


def body(
    draft: str = "Fix the parser.", system: str = "You are a careful programmer. " * 1500, **more
) -> str:
    request = {
        "model": "claude-sonnet-5",
        "max_tokens": 1000,
        "system": [{"type": "text", "text": system}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": draft}]}],
    }
    return json.dumps({**request, **more})


def place(line: int, character: int) -> dict:
    return {"line": line, "character": character}


def span(start: tuple[int, int], end: tuple[int, int]) -> dict:
    return {"start": place(*start), "end": place(*end)}


def document(uri: str = URI) -> dict:
    return {"textDocument": {"uri": uri}}


def actions(client, uri: str, where: dict | None = None, **context) -> dict[str, dict]:
    params = {
        **document(uri),
        "range": where or span((0, 0), (0, 0)),
        "context": {"diagnostics": [], **context},
    }
    return {action["title"]: action for action in client.call("textDocument/codeAction", params)}


def edited(edit: dict, text: str, encoding: str = "utf-16") -> str:
    """Apply a workspace edit to its one document."""
    (edits,) = edit["changes"].values() if "changes" in edit else [edit["documentChanges"][0]["edits"]]
    model = Document("file:///x", text=text, encoding=encoding)
    spans = sorted(
        (
            model.offset(Position(**e["range"]["start"])),
            model.offset(Position(**e["range"]["end"])),
            e["newText"],
        )
        for e in edits
    )
    for start, end, new in reversed(spans):
        model.data = model.data[:start] + new.encode() + model.data[end:]
    return model.data.decode()


def codes(diagnostics: list[dict]) -> list[str]:
    return [diagnostic["code"] for diagnostic in diagnostics]


def indexed(client) -> dict:
    """Wait until the workspace is indexed; return what the server says of it."""
    while (index := client.call("anchorline/status")["index"])["state"] == "indexing":
        pass
    return index
