"""What VS Code, Neovim, Emacs and Zed get, by their capabilities, from a real server."""

import json
from pathlib import Path

import pytest_lsp
from lsprotocol import converters, types
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

from anchorline.lsp.documents import Document
from support.lsp_client import LSP

URI = "file:///project/fix.prompt.md"
TEXT = "Hey, could you please fix teh bug in `src/parse.py`? Thanks!\n"
RULES_URI = "file:///project/AGENTS.md"
RULES = "Current time: 2026-11-23T09:41:07Z\n" + "Keep every public name as it is.\n" * 40
REFINED = "Fix the bug in `src/parse.py`.\n"


def zed() -> types.ClientCapabilities:
    profile = json.loads(Path(__file__).with_name("clients").joinpath("zed.json").read_text("utf-8"))
    return converters.get_converter().structure(profile, types.InitializeParams).capabilities


EDITORS = {
    "vscode": lambda: client_capabilities("visual-studio-code"),
    "neovim": lambda: client_capabilities("neovim@v0.11"),
    "emacs": lambda: client_capabilities("emacs"),
    "zed": zed,
}


@pytest_lsp.fixture(config=ClientServerConfig(server_command=list(LSP)), params=list(EDITORS))
async def editor(request, lsp_client: LanguageClient):
    lsp_client.applied = []

    @lsp_client.feature(types.WORKSPACE_APPLY_EDIT)
    def apply(params: types.ApplyWorkspaceEditParams):
        lsp_client.applied.append(params.edit)
        return types.ApplyWorkspaceEditResult(applied=True)

    @lsp_client.feature(types.CLIENT_REGISTER_CAPABILITY)
    def register(_params: types.RegistrationParams):
        return None

    for method in (types.WORKSPACE_INLAY_HINT_REFRESH, types.WORKSPACE_CODE_LENS_REFRESH):
        lsp_client.feature(method)(lambda _params: None)

    params = types.InitializeParams(
        capabilities=EDITORS[request.param](),
        root_uri="file:///work",
        initialization_options={"editor": {"code_lens": True}},
    )
    lsp_client.set_configuration({"anchorline": {"editor": {"code_lens": True}}})
    lsp_client.server_result = await lsp_client.initialize_session(params)
    yield
    await lsp_client.shutdown_session()


async def open_document(
    client: LanguageClient, uri: str = URI, text: str = TEXT, language: str = "prompt"
) -> list:
    """Open a document and return its diagnostics, pulled or pushed as the editor has it."""
    pulls = client.capabilities.text_document.diagnostic is not None
    pushed = None if pulls else client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    item = types.TextDocumentItem(uri, language, 1, text)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    if pushed is not None:
        return (await pushed).diagnostics
    identifier = types.TextDocumentIdentifier(uri)
    report = await client.text_document_diagnostic_async(types.DocumentDiagnosticParams(identifier))
    return report.items


def edited(edit: types.WorkspaceEdit, uri: str = URI, text: str = TEXT) -> str:
    """Apply an edit as an editor would."""
    if edit.document_changes:
        (change,) = edit.document_changes
        assert (change.text_document.uri, change.text_document.version) == (uri, 1)
        edits = change.edits
    else:
        edits = edit.changes[uri]
    document = Document(uri, text=text)
    spans = sorted((document.offset(e.range.start), document.offset(e.range.end), e.new_text) for e in edits)
    result, position = b"", 0
    for start, end, new in spans:
        assert start >= position, "edits must not overlap"
        result += document.data[position:start] + new.encode()
        position = end
    return (result + document.data[position:]).decode()


async def test_diagnostics(editor: LanguageClient):
    found = await open_document(editor, RULES_URI, RULES)
    assert "AL201" in {diagnostic.code for diagnostic in found}
    assert all(diagnostic.source == "anchorline" for diagnostic in found)
    assert all(diagnostic.code_description.href.endswith(diagnostic.code.lower()) for diagnostic in found)


async def test_hover(editor: LanguageClient):
    await open_document(editor)
    place = types.Position(0, 5)
    hover = await editor.text_document_hover_async(
        types.HoverParams(text_document=types.TextDocumentIdentifier(URI), position=place)
    )
    assert "**Cost**" in hover.contents.value
    assert "tokens" in hover.contents.value


async def test_refine_code_action(editor: LanguageClient):
    await open_document(editor)
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    actions = await editor.text_document_code_action_async(
        types.CodeActionParams(types.TextDocumentIdentifier(URI), start, types.CodeActionContext([]))
    )
    (action,) = [action for action in actions if action.title == "Refine prompt"]
    if action.edit is None:
        assert "edit" in editor.capabilities.text_document.code_action.resolve_support.properties
        action = await editor.code_action_resolve_async(action)
    assert edited(action.edit) == REFINED


async def test_quick_fix(editor: LanguageClient):
    found = await open_document(editor, RULES_URI, RULES)
    context = types.CodeActionContext(found, only=[types.CodeActionKind.QuickFix])
    actions = await editor.text_document_code_action_async(
        types.CodeActionParams(types.TextDocumentIdentifier(RULES_URI), found[0].range, context)
    )
    (action,) = actions
    assert [diagnostic.code for diagnostic in action.diagnostics] == ["AL201"]
    if action.edit is None:
        action = await editor.code_action_resolve_async(action)
    fixed = edited(action.edit, RULES_URI, RULES)
    assert fixed.startswith("Keep every")
    assert fixed.rstrip().endswith("09:41:07Z")


async def test_commands_are_listed_and_do_what_a_client_without_requests_needs(editor: LanguageClient):
    await open_document(editor)
    listed = editor.server_result.capabilities.execute_command_provider.commands
    assert set(listed) == {
        f"anchorline.{name}"
        for name in ("plan", "refine", "preview", "outcome", "feedback", "explain", "status", "report")
    }
    argument = {"textDocument": {"uri": URI}}
    plan = await execute(editor, "anchorline.plan", argument)
    assert plan["failure"] is None
    assert plan["route"]["target"] in editor.messages[-1].message
    refined = await execute(editor, "anchorline.refine", argument)
    assert refined["refinement"]["status"] == "proposed"
    assert edited(editor.applied[-1]) == REFINED
    assert await execute(editor, "anchorline.outcome", {"planId": plan["id"], "decision": "accepted"}) == {
        "recorded": True
    }


async def execute(client: LanguageClient, command: str, argument: dict) -> dict:
    result = await client.workspace_execute_command_async(types.ExecuteCommandParams(command, [argument]))
    return json.loads(json.dumps(result, default=lambda value: value._asdict()))


async def test_inlay_hints_and_code_lens(editor: LanguageClient):
    text = json.dumps(
        {
            "model": "claude-sonnet-5",
            "system": "You are a careful programmer. " * 1500,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Fix the parser."}]}],
        }
    )
    uri = "file:///project/a.request.json"
    await open_document(editor, uri, text, "json")
    whole = types.Range(types.Position(0, 0), types.Position(0, len(text)))
    identifier = types.TextDocumentIdentifier(uri)
    hints = await editor.text_document_inlay_hint_async(types.InlayHintParams(identifier, whole))
    assert hints
    assert all("tokens" in hint.label and "P(hit)" in hint.label for hint in hints)
    lenses = await editor.text_document_code_lens_async(types.CodeLensParams(identifier))
    assert [lens.command.command for lens in lenses] == ["anchorline.explain"]


async def test_refining_shows_progress_under_a_new_token_each_time(editor: LanguageClient):
    await open_document(editor)
    for _ in range(2):
        await execute(editor, "anchorline.refine", {"textDocument": {"uri": URI}})
    declared = editor.capabilities.window is not None and editor.capabilities.window.work_done_progress
    assert len(editor.progress_reports) == (2 if declared else 0)
    for reports in editor.progress_reports.values():
        assert [type(report) for report in reports] == [
            types.WorkDoneProgressBegin,
            types.WorkDoneProgressEnd,
        ]
