"""`textDocument/codeAction`: what can be changed about a prompt, each as an edit that the editor can undo.

Clients that resolve get the edit when the developer picks the action; the others get it at once. Either way
it belongs to one version of the document. Where a local model helps to refine, "Refine prompt" is a command
instead: it takes seconds, shows progress, can be cancelled, and applies its edit in the end.
"""

from collections.abc import Sequence

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcContentModified, JsonRpcInvalidParams

from anchorline.lint.finding import Finding
from anchorline.lsp import edits, publishing, refining
from anchorline.lsp.analysis import DocumentAnalysis
from anchorline.lsp.documents import Document
from anchorline.lsp.protocol import JSON
from anchorline.lsp.server import Server
from anchorline.prompt.model import Prompt

REFINE = "Refine prompt"
SELECTION = "Refine selection as a prompt"
PREVIEW = "Preview the refined prompt"
BREAKPOINTS = "Insert cache breakpoints"


async def code_action(server: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
    """Returns what can be done about the prompt at a range."""
    document = server.session.documents.get(params.text_document.uri)
    if document is None:
        return []
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    analysis = await server.session.analysis(document)
    actions = _actions(server, document, analysis, start, end)
    in_prompt = server.session.serving(document) == "prompt"
    if start < end and (analysis is None or (in_prompt and _is_part(analysis.prompt, start, end))):
        actions.append(_about_selection(server, document, params.range))
    actions = [action for action in actions if _is_asked_for(action, params.context.only)]
    if params.context.only and any(action.title == SELECTION for action in actions):
        # Who asks for a rewrite of a part means that part: an editor with one action need not ask which.
        actions = [action for action in actions if action.title not in (REFINE, PREVIEW)]
    if _resolves(server):
        return actions
    for action in actions:
        if action.command is None:
            action.edit = await _edit(server, document, analysis, action.data)
            action.data = None
    return [action for action in actions if action.edit is not None or action.command is not None]


async def resolve(server: Server, action: types.CodeAction) -> types.CodeAction:
    """Adds the edit to an action. Refused (ContentModified) when the document has changed since."""
    if action.command is not None:
        return action
    data = action.data
    if not isinstance(data, dict) or not isinstance(data.get("uri"), str):
        raise JsonRpcInvalidParams("this code action is not one of Anchorline's")
    document = server.session.documents.get(data["uri"])
    if document is None or document.version != data.get("version"):
        raise JsonRpcContentModified("the document has changed")
    action.edit = await _edit(server, document, await server.session.analysis(document), data)
    if action.edit is None:
        raise JsonRpcContentModified("nothing is proposed for the document any more")
    return action


def _is_part(prompt: Prompt | None, start: int, end: int) -> bool:
    """Whether a range is a part of the prompt's draft; "Refine prompt" is for all of it."""
    if prompt is None or prompt.draft is None:
        return False
    draft = prompt.draft
    return draft.start < end and start < draft.end and (start > draft.start or end < draft.end)


def _actions(
    server: Server, document: Document, analysis: DocumentAnalysis | None, start: int, end: int
) -> list[types.CodeAction]:
    if analysis is None:
        return []
    return [*_fixes(document, analysis, start, end), *_rewrites(server, document, analysis, start, end)]


def _about_selection(server: Server, document: Document, selection: types.Range) -> types.CodeAction:
    span = {
        "start": {"line": selection.start.line, "character": selection.start.character},
        "end": {"line": selection.end.line, "character": selection.end.character},
    }
    if refining.asks_model(server):
        return _command(SELECTION, "anchorline.refine", document, range=span)
    return _action(SELECTION, types.CodeActionKind.RefactorRewrite, document, range=span)


def _fixes(document: Document, analysis: DocumentAnalysis, start: int, end: int) -> list[types.CodeAction]:
    actions = []
    for number, finding in enumerate(analysis.findings):
        if finding.fix and _is_on_lines(document, finding, start, end):
            title = finding.fix_title or f"Fix {finding.code}"
            action = _action(title, types.CodeActionKind.QuickFix, document, finding=number)
            action.diagnostics = [publishing.diagnostic(document, finding)]
            actions.append(action)
    return actions


def _is_on_lines(document: Document, finding: Finding, start: int, end: int) -> bool:
    """Whether a range touches a line of a finding: the cursor may be anywhere in it."""
    first, _ = document.line(document.position(finding.start).line)
    _, last = document.line(document.position(max(finding.end - 1, finding.start)).line)
    return first <= end and last >= start


def _rewrites(
    server: Server, document: Document, analysis: DocumentAnalysis, start: int, end: int
) -> list[types.CodeAction]:
    plan, prompt = analysis.plan, analysis.prompt
    if plan is None or prompt is None:
        return []
    actions = []
    draft, is_proposed = prompt.draft, plan.refinement.status == "proposed"
    asks_model = refining.asks_model(server)
    in_prompt = (
        server.session.serving(document) == "prompt"
    )  # its front matter too; a body has much that is no draft
    is_here = draft is not None and (in_prompt or (draft.start <= end and draft.end >= start))
    if (is_proposed or asks_model) and is_here:
        if asks_model:
            actions.append(_command(REFINE, "anchorline.refine", document))
        else:
            action = _action(REFINE, types.CodeActionKind.RefactorRewrite, document, refine=plan.id)
            action.is_preferred = False
            actions.append(action)
        if server.shows_documents:
            actions.append(_command(PREVIEW, "anchorline.preview", document))
    is_offered = any(
        finding.fix_title == BREAKPOINTS and _is_on_lines(document, finding, start, end)
        for finding in analysis.findings
    )
    if not is_offered and edits.splices_of_plan(prompt, plan):
        actions.append(_action(BREAKPOINTS, types.CodeActionKind.RefactorRewrite, document, anchors=plan.id))
    if actions:
        server.session.remember(plan, prompt)
    return actions


def _action(title: str, kind: types.CodeActionKind, document: Document, **data: JSON) -> types.CodeAction:
    return types.CodeAction(
        title=title, kind=kind, data={"uri": document.uri, "version": document.version, **data}
    )


def _command(title: str, command: str, document: Document, **more: JSON) -> types.CodeAction:
    argument = {"textDocument": {"uri": document.uri, "version": document.version}, **more}
    return types.CodeAction(
        title=title,
        kind=types.CodeActionKind.RefactorRewrite,
        command=types.Command(title=title, command=command, arguments=[argument]),
    )


def _is_asked_for(action: types.CodeAction, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    kind = _value(action.kind)
    return not only or any(kind == base or kind.startswith(f"{base}.") for base in map(_value, only))


def _value(kind: types.CodeActionKind | str | None) -> str:
    return str(getattr(kind, "value", kind))


def _resolves(server: Server) -> bool:
    properties = get_capability(
        server.client_capabilities, "text_document.code_action.resolve_support.properties", []
    )
    return "edit" in properties and server.client_can("text_document.code_action.data_support")


async def _edit(
    server: Server, document: Document, analysis: DocumentAnalysis | None, data: JSON
) -> types.WorkspaceEdit | None:
    changes: list[types.TextEdit] = []
    if "range" in data:
        changes = await refining.selection_edits(server, document, data["range"])
    elif analysis is None:
        changes = []
    elif "finding" in data:
        number = data["finding"]
        if isinstance(number, int) and 0 <= number < len(analysis.findings):
            changes = edits.of_splices(document, analysis.findings[number].fix)
    elif analysis.plan is not None and analysis.prompt is not None:
        if "refine" in data and analysis.prompt.draft is not None:
            draft = analysis.prompt.draft
            changes = edits.of_refinement(document, draft, analysis.plan.refinement)
            server.session.proposals.offer(analysis.plan.id, document, (draft.start, draft.end), changes)
        elif "anchors" in data:
            changes = edits.of_splices(document, edits.splices_of_plan(analysis.prompt, analysis.plan))
    return edits.workspace_edit(document, changes, server.client_capabilities) if changes else None
