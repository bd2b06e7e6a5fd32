"""What the server does for a developer, against a real process."""

import json
import os
from pathlib import Path

import pytest

from support.lsp_documents import (
    BODY_URI,
    CANCELLED,
    CONTENT_MODIFIED,
    OWN_MODEL,
    PULL,
    REFINED,
    REQUEST_FAILED,
    RULES,
    RULES_URI,
    TEXT,
    URI,
    actions,
    body,
    codes,
    document,
    edited,
    place,
    span,
)
from support.lsp_servers import SLOW

# Diagnostics


def test_each_change_is_answered_by_the_diagnostics_of_its_version(client):
    client.open(RULES_URI, RULES)
    published = client.notification("textDocument/publishDiagnostics")
    assert (published["version"], codes(published["diagnostics"])) == (1, ["AL201"])
    client.change(RULES_URI, 2, {"range": span((0, 0), (1, 0)), "text": ""})
    published = client.notification("textDocument/publishDiagnostics")
    assert (published["version"], published["diagnostics"]) == (2, [])
    client.change(RULES_URI, 3, {"text": RULES})
    assert codes(client.notification("textDocument/publishDiagnostics")["diagnostics"]) == ["AL201"]
    client.notify("textDocument/didClose", document(RULES_URI))
    assert client.notification("textDocument/publishDiagnostics")["diagnostics"] == []


def test_a_client_that_pulls_is_not_pushed_to(start):
    client = start()
    client.initialize(PULL)
    client.open(RULES_URI, RULES)
    report = client.call("textDocument/diagnostic", document(RULES_URI))
    assert (report["kind"], codes(report["items"])) == ("full", ["AL201"])
    again = {**document(RULES_URI), "previousResultId": report["resultId"]}
    assert client.call("textDocument/diagnostic", again)["kind"] == "unchanged"
    client.change(RULES_URI, 2, {"text": "Be brief.\n"})
    assert client.call("textDocument/diagnostic", again)["items"] == []
    client.notify("textDocument/didClose", document(RULES_URI))
    client.call("anchorline/status")
    assert not [
        message for message in client.seen if message.get("method") == "textDocument/publishDiagnostics"
    ]


def test_a_body_that_is_not_json_yet_says_where(client):
    client.open(BODY_URI, '{"model": "claude-sonnet-5",\n "messages": [}', "json")
    (found,) = client.notification("textDocument/publishDiagnostics")["diagnostics"]
    assert found["code"] == "AL401"
    assert found["range"]["start"]["line"] == 1
    assert client.call("textDocument/hover", {**document(BODY_URI), "position": place(0, 0)}) is None
    error = client.error("anchorline/plan", document(BODY_URI))
    assert error["code"] == REQUEST_FAILED


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_document_has_no_numbers(start, text):
    client = start()
    client.settings = None
    client.initialize(initializationOptions={"editor": {"code_lens": True}})
    client.open(URI, text)
    assert client.notification("textDocument/publishDiagnostics")["diagnostics"] == []
    assert client.call("textDocument/hover", {**document(), "position": place(0, 0)}) is None
    assert not client.call("textDocument/codeLens", document())
    error = client.error("anchorline/plan", document())
    assert (error["code"], error["message"]) == (REQUEST_FAILED, "Nothing to plan: the file is empty")
    assert client.error("anchorline/explain", document())["code"] == REQUEST_FAILED
    client.change(URI, 2, {"text": TEXT})
    assert client.call("textDocument/codeLens", document())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_are_in_the_encoding_that_the_client_prefers(start, encoding):
    client = start()
    result = client.initialize({"general": {"positionEncodings": [encoding, "utf-16"]}})
    assert result["capabilities"]["positionEncoding"] == encoding
    text = "Hello 😀 é! " + TEXT
    client.open(URI, text)
    shift = {"utf-8": 15, "utf-16": 12, "utf-32": 11}[encoding]
    client.change(URI, 2, {"range": span((0, shift), (0, shift)), "text": "So: "})
    text = "Hello 😀 é! So: " + TEXT
    refined = client.call("anchorline/refine", document())
    assert refined["refinement"]["status"] == "proposed"
    assert edited(refined["edit"], text, encoding) == refined["refinement"]["text"]


# Which documents


@pytest.mark.parametrize(
    ("uri", "language", "served"),
    [
        ("file:///w/a.prompt.md", "markdown", True),
        ("file:///w/x.instructions.md", "instructions", True),
        ("file:///w/SKILL.md", "markdown", True),
        ("file:///w/.rules", "plaintext", True),
        ("file:///w/.github/copilot-instructions.md", "markdown", True),
        ("untitled:Untitled-1", "prompt", True),
        ("file:///w/README.md", "markdown", False),
        ("file:///w/firestore.rules", "plaintext", False),
        ("file:///w/package.json", "json", False),
        ("git:/w/AGENTS.md?ref", "markdown", False),
        ("chatSessionInput:input-0", "plaintext", False),
    ],
)
def test_only_prompts_are_served(shared, uri, language, served):
    shared.open(uri, TEXT, language)
    hover = shared.call("textDocument/hover", {**document(uri), "position": place(0, 3)})
    assert (hover is not None) == served
    assert bool(shared.call("textDocument/codeLens", document(uri))) is False


def test_chat_drafts_are_served_to_those_who_ask(start):
    client = start()
    client.initialize(initializationOptions={"editor": {"chat": True}})
    client.open("chatSessionInput:input-0", TEXT, "plaintext")
    refined = client.call("anchorline/refine", document("chatSessionInput:input-0"))
    assert edited(refined["edit"], TEXT) == REFINED
    assert "Refine prompt" in actions(client, "chatSessionInput:input-0")


# Code actions


def test_the_prompt_is_refined_from_its_front_matter_as_well(client):
    client.open(URI, f"---\ndescription: x\n---\n{TEXT}")
    assert "Refine prompt" in actions(client, URI, span((0, 0), (0, 0)))


def test_refine_prompt_gives_an_edit_at_once_to_clients_that_do_not_resolve(client):
    client.open(URI, TEXT)
    action = actions(client, URI)["Refine prompt"]
    assert edited(action["edit"], TEXT) == REFINED
    assert "data" not in action


def test_an_action_that_is_resolved_too_late_is_refused(start):
    client = start()
    resolving = {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}
    client.initialize({"textDocument": {"codeAction": resolving}})
    client.open(URI, TEXT)
    action = actions(client, URI)["Refine prompt"]
    assert "edit" not in action
    assert edited(client.call("codeAction/resolve", action)["edit"], TEXT) == REFINED
    client.change(URI, 2, {"text": "Please " + TEXT})
    assert client.error("codeAction/resolve", action)["code"] == CONTENT_MODIFIED


@pytest.mark.parametrize("character", [0, 31, 50, 62])
def test_a_fix_is_offered_on_the_whole_line_and_takes_only_the_stamp(shared, character):
    line = "Run `make test`. Current date: 2026-11-30T09:41:07Z. Be brief."
    rules = f"## Build\n\n{line}\n\n## Style\n\n" + "Keep every public name as it is.\n" * 40
    shared.open(RULES_URI, rules)
    at = {"where": span((2, character), (2, character)), "only": ["quickfix"]}
    fixes = actions(shared, RULES_URI, **at)
    assert list(fixes) == ["Remove the time stamp"]
    assert edited(fixes["Remove the time stamp"]["edit"], rules) == rules.replace(
        " Current date: 2026-11-30T09:41:07Z.", ""
    )
    assert fixes["Remove the time stamp"]["diagnostics"][0]["range"] == span((2, 31), (2, 51))
    for line_number in (1, 3):
        at["where"] = span((line_number, 0), (line_number, 0))
        assert not actions(shared, RULES_URI, **at)


def test_edits_name_the_version_where_the_client_checks_it(start):
    client = start()
    client.initialize({"workspace": {"workspaceEdit": {"documentChanges": True}}})
    client.open(URI, TEXT, version=41)
    (change,) = actions(client, URI)["Refine prompt"]["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 41}


def test_only_the_kinds_that_are_asked_for_are_offered(shared):
    shared.open(URI, TEXT)
    assert "Refine prompt" in actions(shared, URI, only=["refactor"])
    assert "Refine prompt" in actions(shared, URI, only=["refactor.rewrite"])
    assert actions(shared, URI, only=["source.organizeImports", "quickfix"]) == {}


def test_cache_breakpoints_can_be_inserted_into_a_request_body(shared):
    text = body(messages=[{"role": "user", "content": [{"type": "text", "text": "Where is é parsed?"}]}])
    shared.open(BODY_URI, text, "json")
    action = actions(shared, BODY_URI, span((0, 0), (0, len(text))))["Insert cache breakpoints"]
    marked = json.loads(edited(action["edit"], text))
    assert "cache_control" in json.dumps(marked)
    for block in [*marked["system"], *marked["messages"][0]["content"]]:
        block.pop("cache_control", None)
    assert marked == json.loads(text)


def test_a_draft_in_a_json_string_is_refined_and_stays_json(shared):
    text = body(draft=TEXT + 'Keep "quotes", \\ and é.')
    shared.open(BODY_URI, text, "json")
    refined = shared.call("anchorline/refine", document(BODY_URI))
    changed = json.loads(edited(refined["edit"], text))
    assert changed["messages"][0]["content"][0]["text"] == refined["refinement"]["text"]
    changed["messages"] = json.loads(text)["messages"]
    assert changed == json.loads(text)


def test_a_selection_in_any_document_can_be_refined(shared):
    uri = "file:///w/notes.py"
    text = f"x = 1\n# {TEXT}y = 2\n"
    shared.open(uri, text, "python")
    where = span((1, 2), (1, 2 + len(TEXT) - 1))
    refined = shared.call("anchorline/refine", {**document(uri), "range": where})
    assert edited(refined["edit"], text) == f"x = 1\n# {REFINED}y = 2\n"


def test_a_selection_in_markdown_has_a_code_action(shared):
    uri = "file:///w/notes.md"
    text = f"# Notes\n\n{TEXT}"
    shared.open(uri, text)
    assert actions(shared, uri) == {}
    action = actions(shared, uri, span((2, 0), (3, 0)))["Refine selection as a prompt"]
    assert edited(action["edit"], text) == f"# Notes\n\n{REFINED}"


def test_who_asks_for_a_rewrite_of_a_part_of_a_prompt_gets_one_answer(shared):
    """An editor runs the only action of a kind at once, and asks which one where there are two."""
    shared.open(URI, TEXT + "\nAdd teh tests.\n")
    part, whole = span((0, 0), (0, 10)), span((0, 0), (4, 0))
    only = {"context": {"diagnostics": [], "only": ["refactor.rewrite"]}}
    asked = {"textDocument": {"uri": URI}, "range": part}
    (one,) = shared.call("textDocument/codeAction", {**asked, **only})
    assert one["title"] == "Refine selection as a prompt"
    assert {"Refine prompt", "Refine selection as a prompt"} <= set(actions(shared, URI, part))
    assert "Refine selection as a prompt" not in actions(shared, URI, whole)


def test_crlf_stays_crlf(shared):
    text = "---\r\nname: x\r\n---\r\n" + TEXT.replace("\n", "\r\n") + "\r\nAdd teh tests.\r\n"
    shared.open(URI, text)
    refined = shared.call("anchorline/refine", document())
    result = edited(refined["edit"], text)
    assert "\n" not in result.replace("\r\n", "")
    assert result.startswith("---\r\nname: x\r\n---\r\nFix the bug")


# Plans and outcomes


def test_a_plan_is_explained_and_an_outcome_makes_its_prefix_warm(start):
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    client.open(BODY_URI, body(), "json")
    plan = client.call("anchorline/plan", document(BODY_URI))
    assert plan["cache"]["anchors"]
    assert plan["cache"]["warm_tokens"] == 0
    assert plan["route"]["target"] in client.call("anchorline/explain")["markdown"]
    usage = {"input": 20, "read": 0, "write": plan["tokens"]["estimate"], "output": 100}
    outcome = {"planId": plan["id"], "decision": "accepted", "usage": usage, "latencyMs": 1500}
    assert client.call("anchorline/outcome", outcome) == {"recorded": True}
    later = client.call("anchorline/plan", document(BODY_URI))
    assert later["cache"]["warm_tokens"] > 0
    assert later["cache"]["p_hit"] > 0.9
    warm = client.call("anchorline/status")["warm"]
    assert warm[0]["provider"] == plan["cache"]["provider"]
    hover = client.call("textDocument/hover", {**document(BODY_URI), "position": place(0, 0)})
    assert "Last outcome: accepted" in hover["contents"]["value"]


def test_the_plan_of_an_open_prompt_is_explained_without_a_record(start):
    client = start()
    client.initialize()
    uri = "file:///project/fix.prompt.md"
    client.open(uri, TEXT)
    explained = client.call("anchorline/explain", document(uri))
    assert explained["plan"]["route"]["target"] in explained["markdown"]
    hover = client.call("textDocument/hover", {**document(uri), "position": place(0, 0)})
    assert hover["contents"]["value"].startswith(explained["markdown"].rstrip())
    assert client.call("anchorline/explain", document(uri))["plan"] == explained["plan"], (
        "nothing is planned anew"
    )
    assert client.call("anchorline/explain", {"planId": explained["plan"]["id"]}) == explained
    client.open("file:///project/main.py", "pass", "python")
    assert "no prompt" in client.error("anchorline/explain", document("file:///project/main.py"))["message"]
    assert (
        "not open"
        in client.error("anchorline/explain", document("file:///project/other.prompt.md"))["message"]
    )


def hovers(client, uri: str, lines: list[str]) -> dict[tuple[int, int], str]:
    """Return what hover shows at the beginning and in the middle of each line."""
    shown = {}
    for number, line in enumerate(lines):
        for character in (0, min(15, len(line))):
            hover = client.call("textDocument/hover", {**document(uri), "position": place(number, character)})
            shown[number, character] = hover["contents"]["value"] if hover else ""
    return shown


def is_segment(words: str) -> bool:
    return "tokens (" in words and "\n" not in words


def test_the_whole_plan_shows_only_on_the_first_line_and_on_findings(shared):
    rules = RULES.splitlines()[1:] * 3
    lines = [*rules, "It is now 2026-11-23 09:41. Be brief.", "", "```", *("x = 1",) * 5, "```"]
    lines += ["", *rules, "", "```", "never closed", ""]
    shared.open(RULES_URI, "\n".join(lines))
    stamp, fence = lines.index("It is now 2026-11-23 09:41. Be brief."), len(lines) - 3
    shown = hovers(shared, RULES_URI, lines)
    whole = {position for position, words in shown.items() if "**Tokens**" in words}
    assert {line for line, _ in whole} == {0, stamp, fence}
    assert (stamp, 15) in whole, "on the stamp"
    assert (stamp, 0) not in whole, "beside it"
    assert all(is_segment(words) for position, words in shown.items() if position not in whole and words)


def test_the_whole_plan_shows_where_a_breakpoint_stands(shared):
    lines = [
        "Fix the parser in src/a.py.",
        *RULES.splitlines()[1:] * 6,
        "",
        "```",
        *("x = 1",) * 5,
        "```",
        "",
    ]
    shared.open(URI, "\n".join(lines))
    hints = shared.call("textDocument/inlayHint", {**document(URI), "range": span((0, 0), (999, 0))})
    anchored = {hint["position"]["line"] for hint in hints}
    assert anchored
    assert all(" tokens · " in hint["label"] and "," in hint["label"] for hint in hints)
    shown = hovers(shared, URI, lines)
    whole = {position for position, words in shown.items() if "**Cost**" in words}
    assert {line for line, _ in whole} == {0} | anchored
    elsewhere = [words for position, words in shown.items() if position not in whole and words]
    assert elsewhere
    assert all(map(is_segment, elsewhere))


def test_an_instruction_file_shows_what_it_costs_and_no_route(shared):
    shared.open(RULES_URI, RULES)
    hover = shared.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)})
    assert "**Cost of an edit**" in hover["contents"]["value"]
    assert "success" not in hover["contents"]["value"]
    assert (
        shared.call("textDocument/inlayHint", {**document(RULES_URI), "range": span((0, 0), (99, 0))}) == []
    )
    explained = shared.call("anchorline/explain", document(RULES_URI))
    assert explained["plan"]["instructions"]["cold_usd"] > 0
    plan = shared.call("anchorline/plan", document(RULES_URI))
    assert plan["route"]["alternatives"] == []
    assert plan["instructions"] == explained["plan"]["instructions"]


def test_a_miss_that_nobody_foresaw_is_explained_by_its_bill(start):
    client = start()
    client.initialize(initializationOptions=OWN_MODEL)
    first = client.call("anchorline/plan", {"prompt": {"body": body()}})
    wrote = {"planId": first["id"], "usage": {"write": first["tokens"]["estimate"]}}
    client.call("anchorline/outcome", wrote)
    plan = client.call("anchorline/plan", {"prompt": {"body": body()}})
    warm = plan["cache"]["warm_tokens"]
    assert warm > 0
    for read, said in (
        (warm, None),
        (warm // 3, "what follows them was changed"),
        (0, "dropped them before"),
    ):
        client.call(
            "anchorline/outcome", {"planId": plan["id"], "usage": {"read": read, "write": warm - read}}
        )
        told = client.call("anchorline/explain", {"planId": plan["id"]})["markdown"]
        assert ("The cache missed" in told) is (said is not None)
        assert said is None or said in told


def test_what_is_warm_survives_the_server(start):
    first = start()
    first.initialize(initializationOptions=OWN_MODEL)
    plan = first.call("anchorline/plan", {"prompt": {"body": body()}})
    usage = {"write": plan["tokens"]["estimate"]}
    first.call("anchorline/outcome", {"planId": plan["id"], "usage": usage})
    assert first.shutdown() == 0
    second = start()
    second.initialize(initializationOptions=OWN_MODEL)
    second.call("anchorline/feedback", {"planId": plan["id"], "thumbs": 1})
    assert second.call("anchorline/status")["warm"]
    assert second.call("anchorline/plan", {"prompt": {"body": body()}})["cache"]["warm_tokens"] > 0


def test_an_outcome_refreshes_the_diagnostics_of_a_client_that_pulls(start):
    client = start()
    client.initialize(PULL)
    client.open(BODY_URI, body(), "json")
    plan = client.call("anchorline/plan", document(BODY_URI))
    client.call("anchorline/outcome", {"planId": plan["id"], "usage": {"write": 5000}})
    client.until(lambda message: message.get("method") == "workspace/diagnostic/refresh")


def test_recording_can_be_switched_off(start, isolated_home):
    client = start()
    client.initialize(initializationOptions={"anchorline": {"store": {"enabled": False}, **OWN_MODEL}})
    plan = client.call("anchorline/plan", {"prompt": {"body": body()}})
    for method, params in (("outcome", {"usage": {"write": 9000}}), ("feedback", {"thumbs": 1})):
        answer = client.call(f"anchorline/{method}", {"planId": plan["id"], **params})
        assert answer == {"recorded": False, "reason": "recording is off (store.enabled)"}
    assert client.call("anchorline/status")["store"]["recording"] is False
    assert client.call("anchorline/plan", {"prompt": {"body": body()}})["cache"]["warm_tokens"] > 0
    assert client.shutdown() == 0
    assert not list(isolated_home.rglob("*.db*"))


def test_a_store_that_cannot_be_written_is_said_once_and_plans_go_on(start, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    client = start()
    client.initialize(initializationOptions={"store": {"path": str(tmp_path / "file" / "a.db")}})
    plan = client.call("anchorline/plan", {"prompt": {"body": TEXT}})
    for _ in range(2):
        error = client.error("anchorline/outcome", {"planId": plan["id"]})
        assert error["code"] == REQUEST_FAILED
        assert "a.db" in error["message"]
    shown = client.notification("window/showMessage")
    assert shown["type"] == 2
    assert client.call("anchorline/plan", {"prompt": {"body": TEXT}})["failure"] is None
    assert client.call("anchorline/status")["store"]["recording"] is False
    assert not [message for message in client.seen if message.get("method") == "window/showMessage"]


def test_commands_show_what_a_request_returns(client):
    client.open(URI, TEXT)
    plan = client.command("anchorline.plan", document())
    assert plan["route"]["target"] in client.notification("window/showMessage")["message"]
    assert client.command("anchorline.outcome", {"planId": plan["id"]}) == {"recorded": True}
    assert client.notification("window/showMessage")["message"] == "Outcome recorded."
    assert client.command("anchorline.feedback", {"planId": plan["id"], "thumbs": -1}) == {"recorded": True}
    assert client.notification("window/showMessage")["message"] == "Feedback recorded."
    assert "**Model**" in client.command("anchorline.explain")["markdown"]
    assert "Model" in client.notification("window/showMessage")["message"]
    assert client.command("anchorline.status")["version"]
    assert "recording" in client.notification("window/showMessage")["message"]


def test_the_refine_command_applies_its_edit_and_says_when_there_is_none(client):
    client.open(URI, TEXT)
    applied = []
    client.apply = lambda params: applied.append(params["edit"]) or {"applied": True}
    client.command("anchorline.refine", document())
    assert edited(applied[0], TEXT) == REFINED
    said = client.notification("window/showMessage")["message"]
    assert "- “teh” → “the”: spelling: teh → the" in said
    assert "? What happens now, and what should happen instead?" in said
    client.change(URI, 2, {"text": REFINED})
    assert client.command("anchorline.refine", document())["edit"] is None
    assert client.notification("window/showMessage")["message"].startswith("Nothing to refine: ")
    client.change(URI, 3, {"text": TEXT})
    client.apply = lambda _params: {"applied": False, "failureReason": "read-only"}
    client.command("anchorline.refine", document())
    assert "read-only" in client.notification("window/showMessage")["message"]


def test_a_plan_of_another_version_is_refused(shared):
    shared.open(URI, TEXT, version=3)
    asked = {"textDocument": {"uri": URI, "version": 2}}
    assert shared.error("anchorline/plan", asked)["code"] == CONTENT_MODIFIED
    asked["textDocument"]["version"] = 3
    assert shared.call("anchorline/plan", asked)["failure"] is None


def test_a_result_is_dropped_when_the_document_changes_while_it_is_made(slow):
    """Both of the planner's threads are busy, so that the change surely comes first."""
    slow.open(URI, TEXT)
    holding = [slow.ask("test/slow"), slow.ask("test/slow")]
    stale = [slow.ask(f"anchorline/{method}", document()) for method in ("plan", "refine")]
    command = slow.ask(
        "workspace/executeCommand", {"command": "anchorline.refine", "arguments": [document()]}
    )
    slow.change(URI, 2, {"text": "Another prompt.\n"})
    slow.call("test/release")
    for request in (*stale, command):
        assert slow.answer(request)["error"]["code"] == CONTENT_MODIFIED
    assert all(slow.answer(request)["result"] == "done" for request in holding)
    assert not [request for request in slow.requests if request["method"] == "workspace/applyEdit"]


def test_what_is_asked_about_an_older_version_is_refused_and_diagnostics_are_of_the_newest(slow):
    slow.open(RULES_URI, RULES)
    slow.notification("textDocument/publishDiagnostics")
    for _ in range(2):
        slow.ask("test/slow")
    slow.change(RULES_URI, 2, {"text": RULES + "Be brief.\n"})
    place_ = {**document(RULES_URI), "position": place(0, 0)}
    whole = {**document(RULES_URI), "range": span((0, 0), (9, 0))}
    stale = [
        slow.ask("textDocument/hover", place_),
        slow.ask("textDocument/codeAction", {**whole, "context": {"diagnostics": []}}),
        slow.ask("textDocument/inlayHint", whole),
    ]
    pulled = slow.ask("textDocument/diagnostic", document(RULES_URI))
    for version in range(3, 8):
        slow.change(RULES_URI, version, {"text": "Be brief.\n" * version})
    assert slow.call("anchorline/status")  # nothing of this holds the server up
    slow.call("test/release")
    for request in stale:
        assert slow.answer(request)["error"]["code"] == CONTENT_MODIFIED
    assert slow.answer(pulled)["result"]["items"] == []
    assert slow.notification("textDocument/publishDiagnostics")["version"] == 7
    slow.call("anchorline/status")
    assert not [
        message for message in slow.seen if message.get("method") == "textDocument/publishDiagnostics"
    ]


def test_a_document_that_is_closed_and_opened_again_has_its_diagnostics(slow):
    slow.open(RULES_URI, "Be brief.\n")
    slow.notification("textDocument/publishDiagnostics")
    for _ in range(2):
        slow.ask("test/slow")
    slow.change(RULES_URI, 2, {"text": "Be very brief.\n"})
    slow.notify("textDocument/didClose", document(RULES_URI))
    assert slow.notification("textDocument/publishDiagnostics")["diagnostics"] == []
    slow.open(RULES_URI, RULES, version=1)
    slow.call("test/release")
    published = slow.notification("textDocument/publishDiagnostics")
    assert (published["version"], codes(published["diagnostics"])) == (1, ["AL201"])


def test_one_who_gives_up_does_not_take_the_analysis_from_the_others(slow):
    slow.open(URI, TEXT)
    slow.notification("textDocument/publishDiagnostics")
    for _ in range(2):
        slow.ask("test/slow")
    slow.change(URI, 2, {"text": TEXT + TEXT})
    hovers = [slow.ask("textDocument/hover", {**document(), "position": place(0, 0)}) for _ in range(2)]
    slow.notify("$/cancelRequest", {"id": hovers[0]})
    assert slow.answer(hovers[0])["error"]["code"] == CANCELLED
    slow.call("test/release")
    assert slow.answer(hovers[1])["result"]["contents"]


def test_a_closed_document_has_no_result(slow):
    slow.open(URI, TEXT)
    for _ in range(2):
        slow.ask("test/slow")
    request = slow.ask("anchorline/refine", document())
    slow.notify("textDocument/didClose", document())
    slow.call("test/release")
    assert slow.answer(request)["error"]["code"] == CONTENT_MODIFIED


def test_progress_is_shown_and_its_cancel_button_cancels(start):
    client = start(SLOW)
    client.initialize({"window": {"workDoneProgress": True}})
    client.open(URI, TEXT)
    for _ in range(2):
        client.ask("test/slow")
    request = client.ask("anchorline/refine", document())
    begun = client.notification("$/progress")
    assert begun["value"]["kind"] == "begin"
    client.notify("window/workDoneProgress/cancel", {"token": begun["token"]})
    assert client.answer(request)["error"]["code"] == CANCELLED
    ended = client.notification("$/progress")
    assert (ended["token"], ended["value"]["kind"]) == (begun["token"], "end")
    client.call("test/release")


def test_progress_uses_the_token_of_the_request(client):
    client.open(URI, TEXT)
    client.call("anchorline/refine", {**document(), "workDoneToken": 7})
    assert [client.notification("$/progress")["value"]["kind"] for _ in range(2)] == ["begin", "end"]


def test_surroundings_ground_the_draft(client):
    client.open(URI, "Fix this function.\n")
    selection = {
        "uri": "file:///project/src/parse.py",
        "range": span((11, 0), (14, 0)),
        "text": "def parse(): ...",
    }
    around = {"activeFile": "file:///project/src/parse.py", "symbol": "parse", "selection": selection}
    grounded = client.call("anchorline/refine", {**document(), "surroundings": around})["refinement"]
    assert "parse" in json.dumps(grounded)
    assert grounded != client.call("anchorline/refine", document())["refinement"]


def test_a_transcript_can_be_planned(shared, tmp_path):
    lines = [
        {"type": "user", "uuid": "1", "sessionId": "s", "timestamp": "2026-11-23T09:00:00Z",
         "message": {"role": "user", "content": "Fix the parser."}},
    ]  # fmt: skip
    file = tmp_path / "session.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(text)
    shared.open(file.as_uri(), text, "json")
    assert shared.call("anchorline/plan", document(file.as_uri()))["format"] == "claude-code"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_transcript_that_is_a_pipe_is_not_waited_for(shared, tmp_path):
    pipe = tmp_path / "session.jsonl"
    os.mkfifo(pipe)
    shared.open(pipe.as_uri(), "", "json")
    device = tmp_path / "device.jsonl"
    device.symlink_to("/dev/zero")
    shared.open(device.as_uri(), "", "json")
    for file in (pipe, pipe, pipe, device):  # more of them than there are threads
        assert "plain file" in shared.error("anchorline/plan", document(file.as_uri()))["message"]


# Settings


def test_a_setting_that_does_not_fit_is_named_once(start, tmp_path):
    (tmp_path / "anchorline.toml").write_text('[refine]\nmax_hints = 9\n[store]\npath = "/elsewhere"\n')
    client = start(settings={"cache": {"ttl": "2h"}})
    client.initialize({"workspace": {"configuration": True}}, root=tmp_path)
    shown = [client.notification("window/showMessage")["message"] for _ in range(3)]
    assert all(
        any(key in message for message in shown) for key in ("refine.max_hints", "store.path", "cache.ttl")
    )
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    client.until(lambda message: message.get("method") == "workspace/configuration")
    client.call("anchorline/status")
    client.call("anchorline/status")
    assert not [message for message in client.seen if message.get("method") == "window/showMessage"]


def test_a_project_with_thousands_of_wrong_keys_is_reported_in_a_few_messages(start, tmp_path):
    (tmp_path / "anchorline.toml").write_text("".join(f"a{i}=1\n" for i in range(3000)))
    client = start()
    client.initialize(root=tmp_path)
    client.call("anchorline/status")
    shown = [client.notification("window/showMessage")["message"] for _ in range(4)]
    assert "2997 more; `anchorline config check` names them" in shown[-1]
    client.call("anchorline/status")
    assert not [message for message in client.seen if message.get("method") == "window/showMessage"]


@pytest.mark.parametrize("trusted", [True, False])
def test_the_settings_of_a_project_that_is_not_trusted_are_not_read(start, tmp_path, trusted):
    (tmp_path / "anchorline.toml").write_text("[editor]\nhover = false\n")
    client = start()
    client.initialize(root=tmp_path, initializationOptions={"workspaceTrusted": trusted})
    client.open(RULES_URI, RULES)
    client.notification("textDocument/publishDiagnostics")
    hover = client.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)})
    assert (hover is None) == trusted


def test_changed_settings_take_effect_at_once(start):
    client = start(settings={"editor": {"diagnostics": False, "hover": False}})
    client.initialize({"workspace": {"configuration": True}})
    client.open(RULES_URI, RULES)
    assert client.notification("textDocument/publishDiagnostics")["diagnostics"] == []
    assert client.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)}) is None
    client.settings = {}
    client.notify("workspace/didChangeConfiguration", {"settings": None})
    while not (shown := client.notification("textDocument/publishDiagnostics")["diagnostics"]):
        pass  # by the settings before: the policies, say, were loaded meanwhile
    assert codes(shown) == ["AL201"]
    assert client.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)})


def test_an_editor_without_a_section_of_ours_keeps_what_it_said_at_the_start(start):
    client = start()
    client.settings = None
    options = {"editor": {"hover": False}}
    client.initialize({"workspace": {"configuration": True}}, initializationOptions=options)
    client.open(RULES_URI, RULES)
    client.notification("textDocument/publishDiagnostics")
    assert client.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)}) is None


def test_a_hover_is_plain_text_where_the_editor_shows_no_other(start):
    client = start()
    client.initialize({"textDocument": {"hover": {"contentFormat": ["plaintext"]}}})
    client.open(RULES_URI, RULES)
    hover = client.call("textDocument/hover", {**document(RULES_URI), "position": place(0, 0)})
    assert hover["contents"]["kind"] == "plaintext"
    assert "**" not in hover["contents"]["value"]


def test_a_plan_is_explained_without_markup_to_who_asks_for_it(client):
    client.open(URI, TEXT)
    explained = client.call("anchorline/explain", {**document(), "plain": True})
    assert "**Model**" in explained["markdown"]
    lines = explained["text"].splitlines()
    assert max(map(len, lines)) <= 76
    assert not any(mark in explained["text"] for mark in ("**", "|", "`"))
    (chosen,) = [line for line in lines if line.endswith("chosen")]
    assert chosen.split()[0] == explained["plan"]["route"]["target"], "a row of the table"
    assert client.call("anchorline/explain", document())["text"] is None


def test_the_message_of_a_command_has_no_markup(client):
    client.open(URI, TEXT)
    for command in ("anchorline.explain", "anchorline.preview"):
        client.command(command, document())
        message = client.notification("window/showMessage")["message"]
        assert not any(mark in message for mark in ("**", "# ", "```")), message


def test_pushed_settings_are_taken(client):
    client.open(URI, TEXT)
    assert client.call("textDocument/codeLens", document()) == []
    client.notify(
        "workspace/didChangeConfiguration", {"settings": {"anchorline": {"editor": {"code_lens": True}}}}
    )
    (lens,) = client.call("textDocument/codeLens", document())
    (argument,) = lens["command"]["arguments"]
    assert "**Model**" in client.command(lens["command"]["command"], argument)["markdown"]


def test_saving_the_settings_file_reads_it(start, tmp_path):
    client = start()
    client.initialize(root=tmp_path)
    client.open(RULES_URI, RULES)
    assert client.notification("textDocument/publishDiagnostics")["diagnostics"]
    file = tmp_path / "anchorline.toml"
    file.write_text("[editor]\ndiagnostics = false\n")
    client.notify("textDocument/didSave", document(file.as_uri()))
    assert client.notification("textDocument/publishDiagnostics")["diagnostics"] == []


def test_changes_of_settings_are_registered_for_where_the_client_lets_us(start):
    dynamic = {"dynamicRegistration": True}
    client = start()
    client.initialize({"workspace": {"didChangeConfiguration": dynamic, "didChangeWatchedFiles": dynamic}})
    asked = client.until(lambda message: message.get("method") == "client/registerCapability")
    methods = [registration["method"] for registration in asked["params"]["registrations"]]
    assert methods == ["workspace/didChangeConfiguration", "workspace/didChangeWatchedFiles"]


# The documentation


def test_the_examples_of_the_protocol_work(start):
    page = Path(__file__).parents[2].joinpath("docs", "reference", "protocol.md").read_text("utf-8")
    examples = [json.loads(part.split("```")[0]) for part in page.split("```json\n")[1:]]
    assert {example["method"] for example in examples} >= {
        f"anchorline/{name}"
        for name in ("plan", "refine", "preview", "outcome", "feedback", "explain", "status")
    }
    client = start()
    client.initialize()
    client.open("file:///project/fix.prompt.md", TEXT)
    plan = client.call("anchorline/plan", document("file:///project/fix.prompt.md"))
    for example in examples:
        text = json.dumps(example["params"]).replace("$PLAN", plan["id"])
        result = client.call(example["method"], json.loads(text))
        assert result.get("recorded", True) is True


def test_a_growing_conversation_is_planned_as_if_it_were_new(start):
    """The server reads only what is new of a conversation's next request; the plan is the same."""
    turns = [
        {"role": ("user", "assistant")[number % 2], "content": f"turn {number} " + "of many words " * 400}
        for number in range(9)
    ]
    client, other = start(), start()
    client.initialize()
    other.initialize()
    for count in (1, 3, 9):
        params = {"prompt": {"body": {"model": "claude-sonnet-5", "messages": turns[:count]}}}
        plans = [
            one.call("anchorline/plan", params) for one in ((client, other) if count == 9 else (client,))
        ]
    assert plans[0]["prompt_hash"] == plans[1]["prompt_hash"]
    assert plans[0]["tokens"] == plans[1]["tokens"]
    assert plans[0]["cache"]["anchors"] == plans[1]["cache"]["anchors"]


@pytest.mark.parametrize("text", ["off", "full"])
def test_a_plan_is_explained_after_a_restart(start, text):
    first = start()
    first.initialize(initializationOptions={"store": {"text": text}})
    plan = first.call("anchorline/plan", {"prompt": {"body": body()}})
    first.call("anchorline/outcome", {"planId": plan["id"], "decision": "accepted"})
    explained = first.call("anchorline/explain")["markdown"]
    assert first.shutdown() == 0
    second = start()
    second.initialize()
    for params in ({}, {"planId": plan["id"]}):
        again = second.call("anchorline/explain", params)["markdown"]
        assert plan["route"]["target"] in again
        if text == "full":
            assert plan["route"]["reason"] in again
            assert plan["route"]["reason"] in explained
        else:
            assert "were not kept" in again
    assert "a plan with this id" in second.error("anchorline/explain", {"planId": "unknown"})["message"]
