"""JSON-RPC against a real server process, in bytes: every request has exactly one answer."""

import json
from hashlib import blake2b

import pytest

from support.lsp_client import PATIENCE, frame

INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, PARSE_ERROR = -32600, -32601, -32602, -32700
NOT_INITIALIZED, CANCELLED, CONTENT_MODIFIED = -32002, -32800, -32801


def unanswered(client) -> list:
    """What the server has said beyond what the test asked for."""
    return [message for message in client.seen if "method" not in message]


def test_a_body_that_is_no_json_is_a_parse_error_and_the_stream_goes_on(shared):
    for body in (b"{", b"", b"\xff\xfe", b"[1,", b'{"a":NaN}', b"[" * 100_000):
        shared.send(body)
        assert shared.answer(None)["error"]["code"] == PARSE_ERROR
    assert shared.call("anchorline/status")["version"]


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: 99999999999\r\n\r\n{}",
        b"Content-Length: 70000000\r\n\r\n{}",
        b"Content-Length: nonsense\r\n\r\n{}",
        b"X" * 20_000,
    ],
)
def test_a_header_that_is_wrong_is_answered_and_the_stream_goes_on(shared, header):
    shared.raw(header)
    shared.raw(frame({"jsonrpc": "2.0", "id": "next", "method": "anchorline/status"}))
    assert shared.answer(None)["error"]["code"] == INVALID_REQUEST
    assert "result" in shared.answer("next")


def test_lower_case_headers_are_headers(shared):
    body = json.dumps({"jsonrpc": "2.0", "id": "x", "method": "anchorline/status"}).encode()
    shared.raw(
        b"content-length: %d\r\ncontent-type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n" % len(body)
    )
    shared.raw(body)
    assert "result" in shared.answer("x")


@pytest.mark.parametrize(
    "message",
    [
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "anchorline/status"}],
        "hello",
        7,
        None,
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": None, "method": "anchorline/status"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "anchorline/status"},
        {"jsonrpc": "2.0", "id": {"a": 1}, "method": "anchorline/status"},
        {"jsonrpc": "2.0", "id": True, "method": "anchorline/status"},
    ],
)
def test_what_is_no_request_is_refused_without_an_id(shared, message):
    shared.send(message)
    assert shared.answer(None)["error"]["code"] == INVALID_REQUEST
    assert shared.call("anchorline/status")


@pytest.mark.parametrize(
    "message",
    [
        {"id": "r", "method": "anchorline/status"},
        {"jsonrpc": "1.0", "id": "r", "method": "anchorline/status"},
        {"jsonrpc": "2.0", "id": "r", "method": 3},
        {"jsonrpc": "2.0", "id": "r"},
    ],
)
def test_a_malformed_request_is_refused_with_its_id(shared, message):
    shared.send(message)
    assert shared.answer("r")["error"]["code"] == INVALID_REQUEST


@pytest.mark.parametrize("method", ["foo/bar", "$/unknown", "textDocument/rename", "", "anchorline/plan2"])
def test_an_unknown_method_is_refused(shared, method):
    assert shared.error(method, {})["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("method", ["foo/bar", "$/unknown", "textDocument/willSave"])
def test_an_unknown_notification_is_ignored(shared, method):
    shared.notify(method, {"a": 1})
    shared.call("anchorline/status")
    assert unanswered(shared) == []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", None),
        ("textDocument/hover", {}),
        ("textDocument/hover", {"textDocument": 5, "position": {"line": 0, "character": 0}}),
        (
            "textDocument/hover",
            {"textDocument": {"uri": "file:///a"}, "position": {"line": -1, "character": 0}},
        ),
        (
            "textDocument/hover",
            {"textDocument": {"uri": "file:///a"}, "position": {"line": "x", "character": 0}},
        ),
        ("textDocument/hover", [1, 2]),
        ("textDocument/codeAction", {"textDocument": {"uri": "file:///a"}}),
        ("workspace/executeCommand", {"command": "anchorline.nothing"}),
        ("workspace/executeCommand", {"command": "anchorline.plan", "arguments": [{}, {}]}),
        ("workspace/executeCommand", {"command": "anchorline.feedback", "arguments": [{"planId": 1}]}),
        ("workspace/executeCommand", {"command": "anchorline.plan", "arguments": ["text"]}),
        ("anchorline/plan", {}),
        ("anchorline/plan", {"prompt": {"body": 3}}),
        ("anchorline/plan", {"prompt": {"body": "x", "format": "nonsense"}}),
        ("anchorline/plan", {"textDocument": {"uri": "file:///never-opened.prompt.md"}}),
        ("anchorline/plan", {"textDocument": {"uri": "file:///a"}, "prompt": {"body": "x"}}),
        ("anchorline/plan", "text"),
        ("anchorline/outcome", {"planId": "a", "usage": {"input": -1}}),
        ("anchorline/outcome", {"planId": "../../etc"}),
        ("anchorline/outcome", {}),
        ("anchorline/feedback", {"planId": "a", "thumbs": 0}),
        ("anchorline/explain", {"planId": 7}),
        ("anchorline/explain", {"planId": "unknown"}),
        ("codeAction/resolve", {"title": "x"}),
        ("codeAction/resolve", {"title": "x", "data": {"uri": 3}}),
    ],
)
def test_wrong_parameters_are_refused(shared, method, params):
    error = shared.error(method, params)
    assert error["code"] == INVALID_PARAMS
    assert error["message"]


def test_wrong_parameters_of_a_notification_are_ignored(shared):
    shared.notify("textDocument/didOpen", {"textDocument": 3})
    shared.notify(
        "textDocument/didChange",
        {"textDocument": {"uri": "file:///none", "version": 2}, "contentChanges": []},
    )
    shared.notify("textDocument/didClose", {"textDocument": {"uri": "file:///none"}})
    shared.notify("$/cancelRequest", {})
    shared.notify("workspace/didChangeConfiguration", {"settings": 3})
    assert shared.call("anchorline/status")
    assert unanswered(shared) == []


def test_a_nested_jsonrpc_key_is_just_a_key(shared):
    """An MCP tool result in a prompt has one; pygls would never answer."""
    tool_result = json.dumps({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "result": {"content": []}})
    body = {
        "model": "claude-sonnet-5",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": tool_result, "jsonrpc": "2.0", "id": 9, "method": "x"}],
            }
        ],
    }
    answer = shared.answer(
        shared.ask("anchorline/plan", {"prompt": {"body": body, "jsonrpc": "2.0"}, "jsonrpc": "2.0"})
    )
    assert answer["result"]["prompt_hash"]
    shared.notify("workspace/didChangeConfiguration", {"settings": {"anchorline": {"jsonrpc": "2.0"}}})
    assert shared.call("anchorline/status")


def test_keys_that_are_no_python_names_arrive(shared):
    """`cache-key` would become `_1` in a named tuple."""
    body = {
        "model": "gpt-5.6",
        "messages": [{"role": "user", "content": "Fix it."}],
        "cache-key": 1,
        "class": 2,
    }
    assert shared.call("anchorline/plan", {"prompt": {"body": body}})["format"] == "openai-chat"


def test_requests_before_initialize_are_refused_and_notifications_dropped(start):
    client = start()
    assert client.error("anchorline/status")["code"] == NOT_INITIALIZED
    client.open("file:///a.prompt.md", "Fix it.")
    client.initialize()
    assert (
        client.error("initialize", {"processId": None, "rootUri": None, "capabilities": {}})["code"]
        == INVALID_REQUEST
    )
    assert (
        client.error("anchorline/plan", {"textDocument": {"uri": "file:///a.prompt.md"}})["code"]
        == INVALID_PARAMS
    )


def test_after_shutdown_requests_are_refused_and_exit_ends_with_0(client):
    assert client.call("shutdown") is None
    assert client.error("anchorline/status")["code"] == INVALID_REQUEST
    assert client.error("shutdown")["code"] == INVALID_REQUEST
    client.open("file:///a.prompt.md", "Fix it.")
    client.notify("exit")
    assert client.process.wait(20) == 0


def test_exit_without_shutdown_ends_with_1(client):
    client.notify("exit")
    assert client.process.wait(20) == 1


def test_exit_before_initialize_ends_with_1(start):
    client = start()
    client.notify("exit")
    assert client.process.wait(20) == 1


def test_an_id_in_use_is_refused(slow):
    slow.send({"jsonrpc": "2.0", "id": "twice", "method": "test/slow"})
    slow.send({"jsonrpc": "2.0", "id": "twice", "method": "test/slow"})
    assert slow.answer("twice")["error"]["code"] == INVALID_REQUEST
    slow.call("test/release")
    assert slow.answer("twice")["result"] == "done"


def test_cancel_is_answered_while_the_handler_runs(slow):
    request = slow.ask("test/slow")
    slow.notify("$/cancelRequest", {"id": request})
    assert slow.answer(request)["error"]["code"] == CANCELLED
    slow.call("test/release")
    assert slow.call("anchorline/status")
    assert unanswered(slow) == []


def test_no_late_result_reaches_the_editor_even_from_a_handler_that_ignores_its_cancellation(slow):
    request = slow.ask("test/deaf")
    slow.notify("$/cancelRequest", {"id": request})
    assert slow.answer(request)["error"]["code"] == CANCELLED
    slow.call("test/release")
    assert slow.call("anchorline/status")
    assert unanswered(slow) == []


def test_cancelling_what_is_done_or_unknown_changes_nothing(shared):
    request = shared.ask("anchorline/status")
    assert "result" in shared.answer(request)
    for token in (request, 10_000, "no such"):
        shared.notify("$/cancelRequest", {"id": token})
    assert shared.call("anchorline/status")
    assert unanswered(shared) == []


def test_requests_go_on_while_another_runs(slow):
    request = slow.ask("test/slow")
    assert slow.call("anchorline/status")
    slow.call("test/release")
    assert slow.answer(request)["result"] == "done"


def test_a_request_reads_the_document_as_it_was_when_the_client_asked(shared):
    uri, version = "file:///project/turns.prompt.md", {"version": 2}
    shared.open(uri, "Fix the parser.\n")
    messages = [
        {
            "id": "before",
            "method": "anchorline/explain",
            "params": {"textDocument": {"uri": uri, "version": 1}},
        },
        {
            "method": "textDocument/didChange",
            "params": {"textDocument": {"uri": uri, **version}, "contentChanges": [{"text": "Fix it.\n"}]},
        },
        {"id": "after", "method": "anchorline/explain", "params": {"textDocument": {"uri": uri, **version}}},
        {"method": "textDocument/didClose", "params": {"textDocument": {"uri": uri}}},
        {"id": "closed", "method": "anchorline/explain", "params": {"textDocument": {"uri": uri}}},
    ]
    shared.raw(b"".join(frame({"jsonrpc": "2.0", **message}) for message in messages))
    # Each is answered for the text that it was asked about, or told that this has changed meanwhile.
    for id_, draft in (("before", "Fix the parser.\n"), ("after", "Fix it.\n")):
        answer = shared.answer(id_)
        if "result" in answer:
            digest = blake2b(draft.encode(), digest_size=16).hexdigest()
            assert answer["result"]["plan"]["draft_hash"] == f"b2:{digest}"
        else:
            assert answer["error"] == {"code": CONTENT_MODIFIED, "message": "the document has changed"}
    assert shared.answer("closed")["error"] == {"code": INVALID_PARAMS, "message": "textDocument is not open"}


def test_requests_shutdown_and_exit_at_once_end_with_0(client):
    client.call("anchorline/status")  # all is loaded
    ids = [f"plan {number}" for number in range(5)]
    plans = [
        {"id": id_, "method": "anchorline/plan", "params": {"prompt": {"body": "Fix it."}}} for id_ in ids
    ]
    last = [{"id": "last", "method": "shutdown"}, {"method": "exit"}]
    client.raw(b"".join(frame({"jsonrpc": "2.0", **message}) for message in [*plans, *last]))
    client.process.stdin.close()
    assert client.process.wait(PATIENCE) == 0
    assert client.answer("last")["result"] is None
    assert [client.answer(id_).get("error", {}).get("code", CANCELLED) for id_ in ids] == [CANCELLED] * 5


def test_shutdown_cancels_what_runs(slow):
    request = slow.ask("test/slow")
    slow.ask("shutdown")
    assert slow.answer(request)["error"]["code"] == CANCELLED
    slow.notify("exit")
    assert slow.process.wait(20) == 0


def test_a_handler_that_fails_is_answered_without_its_message(slow):
    for method in ("test/crash", "test/crashLater"):
        error = slow.error(method, {"secret": "sk-canary"})
        assert error["code"] == -32603
        assert "canary" not in json.dumps(error)
    assert slow.call("anchorline/status")


def test_what_prints_to_standard_output_does_not_reach_the_stream(slow):
    assert slow.call("test/print") == "printed"
    assert slow.call("anchorline/status")


def test_answers_to_no_question_are_ignored(shared):
    for answer in ({"result": 1}, {"error": {"code": 1, "message": "x"}}, {"error": 3}, {"result": None}):
        shared.send({"jsonrpc": "2.0", "id": "never-asked", **answer})
        shared.send({"jsonrpc": "2.0", "id": 12, **answer})
    shared.send({"jsonrpc": "2.0", "id": [], "result": 1})
    assert shared.call("anchorline/status")


def test_an_escaped_lone_surrogate_is_taken_in(client):
    """Editors send what is in the buffer; half a character is no reason to lose the document."""
    client.raw(
        frame(
            b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a.prompt.md",'
            b'"languageId":"markdown","version":1,"text":"Fix \\ud83d the parser."}}}'
        )
    )
    plan = client.call("anchorline/plan", {"textDocument": {"uri": "file:///a.prompt.md"}})
    assert plan["failure"] is None


def test_an_id_that_is_half_a_character_is_answered_with_what_was_asked(client):
    client.raw(frame(b'{"jsonrpc":"2.0","id":"\\ud83d","method":"anchorline/status"}'))
    answer = client.until(lambda message: message.get("id") == "\ud83d")
    assert answer["result"]["version"]


@pytest.mark.parametrize("key", [None, [], {}, 1.5, True, 2**70, "\ud83d"])
def test_a_cancel_of_anything_is_no_failure(client, key):
    client.notify("$/cancelRequest", {"id": key})
    client.notify("window/workDoneProgress/cancel", {"token": key})
    client.notify("codeAction/resolve", {"title": "x", "data": {"uri": "file:///none", "version": 1}})
    client.call("anchorline/status")
    client.shutdown()
    assert " error " not in client.log
